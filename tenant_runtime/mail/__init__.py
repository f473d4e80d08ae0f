"""Letters of a tenant to its people: codes, links, news of their account.

A feature queues what is to be said (`queue.posted`) in the unit of its change; the letter itself is written when it
is sent (`sending`), in the tenant's name and colours. Links go to the tenant's primary issuer, whatever host was
asked. Owns no transport: that is `core.mail`. Without one there is no `Mail` in the services, and `require_mail`
refuses.
"""
