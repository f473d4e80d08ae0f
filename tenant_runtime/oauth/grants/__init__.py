"""The grants of the token endpoint, a file each.

A grant reads its parameters, makes what is random (tokens, ids), runs one unit of work that claims, checks and
writes, and builds the answer after the commit. A unit raises where nothing may change, and returns a `Refused`
where the refusal itself must be remembered: a code burnt, a family ended.
"""
