"""`/mcp`: programs that act for a person (agents) manage that person's organizations, by the Model Context Protocol.

Owns the protocol's server side (Streamable HTTP without sessions: one message a request, one answer), who may call it,
and its tools. What a tool does is the organization API's units of work, run with the rights of the person whose token
is shown and with no others. How a client finds its way here is OAuth's: protected-resource metadata (RFC 9728),
registration, `/authorize` with `resource` (RFC 8707).
"""
