"""Teams: what an organization is divided into, and who of its members is in which."""
