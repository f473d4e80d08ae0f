"""`/organizations` and what belongs to one."""
