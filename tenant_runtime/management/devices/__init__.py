"""Devices that somebody let in: what an installed application or a device without a browser was given.

Each is a family of refresh tokens of such a client. There is nothing else that is a device's own here: keys that a
device registers are Auth0's older way, and not taken.
"""
