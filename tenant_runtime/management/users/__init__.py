"""People: `/users` and what belongs to one."""
