"""An API sees who acts in the subject's name (RFC 8693 section 4.1)."""

from typing import Any

import pytest

from keystead_sdk import TokenInvalid
from keystead_sdk.testing import FakeIssuer

pytestmark = pytest.mark.anyio


async def test_the_actor_is_named_and_the_subject_stays_who_it_is() -> None:
    issuer = FakeIssuer("https://acme.example.com/")
    act = {"sub": "stock@clients", "act": {"sub": "orders@clients"}}
    principal = await issuer.verifier().verify(issuer.token(subject="auth0|ann", act=act))
    assert (principal.subject, principal.actor) == ("auth0|ann", "stock@clients")
    assert not principal.is_machine
    assert (await issuer.verifier().verify(issuer.token())).actor is None


@pytest.mark.parametrize("act", ["orders@clients", {}, {"sub": 1}, [], [{"sub": "orders@clients"}], 0, False])
async def test_delegation_that_is_not_understood_is_refused(act: Any) -> None:
    issuer = FakeIssuer("https://acme.example.com/")
    with pytest.raises(TokenInvalid):
        await issuer.verifier().verify(issuer.token(act=act))
