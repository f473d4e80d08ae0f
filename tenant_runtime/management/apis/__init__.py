"""`/resource-servers` and `/roles`: what there is to be allowed, and bundles of it."""
