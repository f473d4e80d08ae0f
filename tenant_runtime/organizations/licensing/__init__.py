"""What an organization may use of what the tenant sells: features of products, by its live subscriptions.

`features` is how they are written and what several come to, `entitlements` what an organization has now, `endpoints`
who may ask (`/api/v1/licenses/*`). Seats are `organizations.seats`; products and subscriptions are administered by
`management.licensing`.
"""
