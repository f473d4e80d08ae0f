"""The authorization endpoint (RFC 6749 section 3.1) and everything that a request there is made of.

`endpoint` is where it arrives; `parameters` reads it, or what was pushed (`pushed_requests`) or signed
(`request_objects`) in its place; `acceptance` says whether it can be granted; `codes` and `response_modes` are the
answer.
"""
