"""Becoming a member without being invited: by a connection that brings membership, or by an address.

Who has a proved address in a verified domain of an organization may ask to join it, or joins by logging in, as the
organization says (`policies.settings`: `domain_joining`). Never one that stands for a tenant. Every way in ends in
`organizations.admission`, with its limits and seats.
"""
