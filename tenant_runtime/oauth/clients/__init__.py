"""Who a client is: how it proves itself, the keys it has, the document that describes it."""
