"""`/products` and `/subscriptions`: what the tenant sells, and which organizations have it.

Writes the rows. What follows from them for whoever acts in an organization, and how many may be in it, is told by
`organizations.licensing` and `organizations.seats`.
"""
