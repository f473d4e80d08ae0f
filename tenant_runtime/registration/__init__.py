"""Clients that nobody of the tenant made: they register themselves (RFC 7591, RFC 7592), or publish a document at the
address that is their id (draft-ietf-oauth-client-id-metadata-document).

Nobody vouches for them: they are third parties, always use PKCE, and people are asked before they get anything.
"""
