"""Organizations themselves, as their people make, choose, change and delete them (`specs/organization-api.md` A.1).

`rows` finds them, `units` acts, `endpoints` serves; what answers look like is in `shapes`. The wire's `slug` is the
column `name`, its `name` the `display_name`, its `logo` the branding's. Who is in one is `people`'s.
"""
