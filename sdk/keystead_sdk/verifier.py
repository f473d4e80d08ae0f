"""From the text of an access token to the principal it stands for.

Cheap checks come first and the signature last, so that a stranger's token costs neither a fetch nor a
signature check: form, header, issuer, times and audience, then keys. No principal before the signature held.

`verify` takes a bearer token. `verify_request` takes what the request says, and so also a token that is bound to a
key (RFC 9449), when the verifier was told how proofs are checked.
"""

import inspect
import time
from collections.abc import Awaitable, Callable, Collection

import httpx
from joserfc.jws import JWSRegistry

from keystead_sdk import claims as access_token
from keystead_sdk.admission import Admitted, Shown
from keystead_sdk.compact import UnverifiedToken, take_apart
from keystead_sdk.discovery import LARGEST_ANSWER, DiscoveredKeys
from keystead_sdk.dpop import ProofOfPossession
from keystead_sdk.errors import BEARER, DPOP, KeysteadError, Misused, TokenInvalid
from keystead_sdk.fetching import Fetch, HttpFetch
from keystead_sdk.keys import KeySource
from keystead_sdk.principal import Principal

#: from an issuer to a tenant's name, or to the audience its tokens must have; None: not trusted
IssuerRule = Callable[[str], str | Awaitable[str | None] | None]

DEFAULT_ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")
ASYMMETRIC_ALGORITHMS = frozenset(
    {*DEFAULT_ALGORITHMS, "RS384", "RS512", "PS384", "PS512", "ES384", "ES512", "Ed25519"}
)


class TokenVerifier:
    """Trusts one `issuer`, or those for which the rule `trusted_issuers` names a tenant.

    The rule is asked with an issuer that nobody vouched for yet: compare it as a whole string. Its answer
    is the `tenant` of the principal. `accept_typ` holds the header types of access tokens (RFC 9068 section
    2.1); add "JWT" for issuers of the older kind, whose access tokens look like that.
    """

    def __init__(
        self,
        *,
        issuer: str | None = None,
        trusted_issuers: IssuerRule | None = None,
        audience: str | IssuerRule,
        algorithms: Collection[str] = DEFAULT_ALGORITHMS,
        accept_typ: Collection[str] = ("at+jwt",),
        leeway: float = 10.0,
        clock: Callable[[], float] = time.time,
        keys: KeySource | None = None,
        fetch: Fetch | None = None,
        client: httpx.AsyncClient | None = None,
        key_origins: Collection[str] = (),
        dpop: ProofOfPossession | None = None,
        require_dpop: bool = False,
    ) -> None:
        if require_dpop and dpop is None:
            raise Misused("To require proofs, say how they are checked: dpop=ProofOfPossession(...).")
        if (issuer is None) == (trusted_issuers is None):
            raise Misused("Pass either one issuer or a rule for trusted issuers.")
        if not algorithms or not ASYMMETRIC_ALGORITHMS.issuperset(algorithms):
            raise Misused("Only asymmetric signature algorithms can be verified with published keys.")
        if client is not None and fetch is None:
            fetch = HttpFetch(LARGEST_ANSWER, client)
        self._issuer = issuer
        self._rule = trusted_issuers
        self._audience = audience
        self._algorithms = {name: JWSRegistry.algorithms[name] for name in algorithms}
        self._types = frozenset(one.lower().removeprefix("application/") for one in accept_typ)
        self._leeway = leeway
        self._clock = clock
        self._dpop = dpop
        self._schemes = ((DPOP,) if require_dpop else (BEARER, DPOP)) if dpop is not None else (BEARER,)
        self._keys: KeySource = keys or DiscoveredKeys(fetch=fetch, clock=clock, key_origins=key_origins)

    async def verify(self, token: str) -> Principal:
        """Of a bearer token. Raises `TokenInvalid`, or `KeysUnavailable` when the issuer's keys cannot be had."""
        if BEARER not in self._schemes:
            raise TokenInvalid("A bearer token is not accepted here.")
        return await self._verify(token, None)

    async def verify_request(self, shown: Shown) -> Admitted:
        """Raises a `KeysteadError` that knows its status, its challenge and its headers."""
        scheme, token = shown.credentials(self._schemes)
        if scheme == BEARER or self._dpop is None:
            return Admitted(await self._verify(token, None), {})
        try:
            return await self._with_proof(shown, token, self._dpop)
        except KeysteadError as error:
            error.scheme = DPOP
            raise

    async def _with_proof(self, shown: Shown, token: str, dpop: ProofOfPossession) -> Admitted:
        """The proof is remembered last: one that came with a bad token changes nothing."""
        now = self._clock()
        proof = dpop.read(shown.proofs, method=shown.method, path=shown.path, token=token, now=now)
        principal = await self._verify(token, proof.key_thumbprint)
        next_nonce = await dpop.use(proof, now)
        return Admitted(principal, {} if next_nonce is None else {"DPoP-Nonce": next_nonce})

    async def _verify(self, token: str, key_thumbprint: str | None) -> Principal:
        unverified = take_apart(token, algorithms=self._algorithms, types=self._types)
        claims = unverified.claims
        issuer = access_token.issuer_of(claims)
        tenant = await self._tenant(issuer)
        access_token.check_kind(claims)
        access_token.check_binding(claims, key_thumbprint)
        access_token.check_times(claims, now=self._clock(), leeway=self._leeway)
        audience = await self._audience_of(issuer)
        access_token.check_audience(claims, audience)
        principal = access_token.principal_of(
            claims, audience=audience, tenant=tenant, key_thumbprint=key_thumbprint
        )
        await self._check_signature(unverified, issuer)
        return principal

    async def _tenant(self, issuer: str) -> str | None:
        if self._rule is None:
            if issuer != self._issuer:
                raise _not_trusted()
            return None
        tenant = await _answer(self._rule, issuer)
        if not tenant:
            raise _not_trusted()
        return tenant

    async def _audience_of(self, issuer: str) -> str:
        if isinstance(self._audience, str):
            return self._audience
        audience = await _answer(self._audience, issuer)
        if not audience:
            raise _not_trusted()
        return audience

    async def _check_signature(self, token: UnverifiedToken, issuer: str) -> None:
        keys = await self._keys.keys(issuer, token.key_id)
        key = keys.find(token.key_id, token.algorithm)
        if key is None:
            raise TokenInvalid("The access token is signed with a key that its issuer does not publish.")
        if not self._algorithms[token.algorithm].verify(token.signed, token.signature, key):
            raise TokenInvalid("The signature of the access token is wrong.")


async def _answer(rule: IssuerRule, issuer: str) -> str | None:
    answer = rule(issuer)
    return await answer if inspect.isawaitable(answer) else answer


def _not_trusted() -> TokenInvalid:
    return TokenInvalid("The issuer of the access token is not trusted here.")
