"""`/api/v2/prompts`: what the login pages do, and what they say in the tenant's own words.

The pages ask for the address first and know no platform authenticator: that is shown, and nothing else can be chosen.
Texts are documents (`login.custom_texts`) in Auth0's shape, inherited from the control plane. Partials and renderings
do not exist here.
"""
