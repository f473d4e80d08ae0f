"""`/products` and `/subscriptions`: what the tenant sells, and which organizations have it."""
