"""Accounts and sessions at `/api/auth` (`specs/organization-api.md` B.1 and B.4)."""

import pytest

from tests.installation import Installation
from tests.organizations.people import new_address, signed_in, visitor

pytestmark = pytest.mark.anyio


async def test_who_signs_up_is_signed_in_until_they_sign_out(shared: Installation) -> None:
    robin, email = visitor(shared), new_address()
    up = await robin.post(
        "/sign-up/email", name="Robin", email=email.upper(), password="seven unrelated words"
    )
    assert up.status == 200, up
    assert up.body["user"] | {"id": "", "createdAt": "", "updatedAt": ""} == {
        "id": "",
        "name": "Robin",
        "email": email,
        "emailVerified": False,
        "image": None,
        "createdAt": "",
        "updatedAt": "",
    }
    session = await robin.session()
    assert session is not None
    assert session["token"] == up.body["token"]
    assert (await robin.post("/sign-out")).body == {"success": True}
    assert (await robin.get("/get-session")).text == "null"


async def test_who_has_an_account_signs_in(shared: Installation) -> None:
    robin = await signed_in(shared)
    session = await robin.session()
    assert session is not None
    assert (session["userId"], session["activeOrganizationId"]) == (robin.user_id, None)
