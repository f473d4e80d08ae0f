"""Domains that organizations prove to be their own, by a record in DNS.

One organization of a tenant owns a domain that is verified; others may claim it in vain. What follows from owning one:
people with a proved address in it may join (`organizations.joining`), may be required to have one
(`organizations.policies`), and are led to their organization when they type their address (`discovery`).
"""
