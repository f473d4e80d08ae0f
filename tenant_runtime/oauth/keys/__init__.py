"""The signing keys of a tenant: which one signs, how long each is published, how they are replaced.

`life` decides and `changes` does; `signing` picks the key for a token, `key_set` publishes. Nothing runs for a tenant
that nobody asks: whoever signs or fetches keys after a change was due makes it.
"""
