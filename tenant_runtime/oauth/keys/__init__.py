"""The signing keys of a tenant: which one signs, how long each is published, how they are replaced."""
