"""Clients of the tenant: `/clients` and what belongs to one."""
