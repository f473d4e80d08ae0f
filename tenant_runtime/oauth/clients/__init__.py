"""Who a client is: how it proves itself, by which keys, and the document that describes it.

`authentication` is asked by every endpoint that applications call. Keys are rows here or a set at the client's own
address (`remote_keys`); an address that is a client's id leads to its description (`documents`).
"""
