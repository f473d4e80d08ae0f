"""What a request says of its caller, and who that turned out to be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from keystead_sdk.errors import BEARER, DPOP, BadRequest, TokenMissing
from keystead_sdk.principal import Principal


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """The parts of a request that tell who calls.

    `authorization` and `proofs` are all values of the headers `Authorization` and `DPoP`, as they came. `path` is
    the request's whole path, percent-decoded once, without the query.
    """

    method: str
    path: str
    authorization: Sequence[str] = field(repr=False)
    proofs: Sequence[str] = field(default=(), repr=False)

    def credentials(self, schemes: Sequence[str]) -> tuple[str, str]:
        """Scheme and token, from exactly one header (RFC 6750 section 2.1, RFC 9449 section 7.1)."""
        if not self.authorization:
            raise TokenMissing(schemes=schemes)
        if len(self.authorization) > 1:
            raise BadRequest("More than one Authorization header was sent.")
        named, _, token = self.authorization[0].partition(" ")
        scheme = {BEARER.lower(): BEARER, DPOP.lower(): DPOP}.get(named.lower())
        if scheme is None or scheme not in schemes:
            raise TokenMissing(schemes=schemes)
        if not token.strip(" "):
            raise BadRequest("The Authorization header holds no token.")
        return scheme, token.strip(" ")


@dataclass(frozen=True, slots=True)
class Admitted:
    principal: Principal
    headers: Mapping[str, str]
    """To be sent with the answer, whatever it is."""
