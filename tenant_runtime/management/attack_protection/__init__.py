"""`/api/v2/attack-protection/*`: the three documents of `tenant_runtime.attack_protection`, over HTTP.

What they bring about is not here but in the flows; captchas and bot detection do not exist.
Inheritance and provenance are those of every document.
"""
