"""The pages on which a person says yes to a device (RFC 8628 section 3.3).

A user code becomes an authorization request of the browser that entered it, so that signing in, choosing an
organization and consent are the steps that they always are; a confirmation ends it, whoever asks.
"""
