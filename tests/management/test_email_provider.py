"""`/emails/provider`: a tenant's own mail server, and the one that it inherits and never sees."""

from typing import Any

import pytest

from tenant_runtime.documents import sealed
from tenant_runtime.mail.provider import PROVIDER
from tenant_runtime.models import Setting
from tests.management.world import Api, Place

pytestmark = pytest.mark.anyio

PATH = "/emails/provider"
PASSWORD = "correct horse battery"
OWN: dict[str, Any] = {
    "name": "smtp",
    "default_from_address": "Acme <login@acme.example.com>",
    "credentials": {
        "smtp_host": "mail.acme.example.com",
        "smtp_port": 587,
        "smtp_user": "acme",
        "smtp_pass": PASSWORD,
    },
}


def without_secret(credentials: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in credentials.items() if name != "smtp_pass"}


async def stored(place: Place) -> dict[str, Any]:
    [row] = await place.rows(Setting, key=PROVIDER.key, source="tenant")
    return dict(row.value)


async def inherit(one: Place, acme: Place) -> None:
    """What converge would bring: tenant one's row, sealed with the key that no tenant has."""
    await one.api().made(PATH, OWN)
    value = await stored(one)
    await acme.add(Setting, converge=True, key=PROVIDER.key, source="control_plane", value=value)


async def test_a_provider_is_made_shown_changed_and_removed(acme: Place) -> None:
    api = acme.api()
    missing = await api.get(PATH)
    assert (missing.status_code, missing.json()["errorCode"]) == (404, "inexistent_email_provider")
    made = await api.made(PATH, OWN)
    assert made == {
        **OWN,
        "enabled": True,
        "settings": {},
        "credentials": without_secret(OWN["credentials"]),
    }
    assert (await api.get(PATH)).json() == made
    assert (await api.post(PATH, OWN)).status_code == 409
    shown = (await api.get(PATH, fields="name,enabled", include_fields="true")).json()
    assert shown == {"name": "smtp", "enabled": True}
    changed = (await api.patch(PATH, {"enabled": False, "settings": {"note": "x"}})).json()
    assert (changed["enabled"], changed["settings"]) == (False, {"note": "x"})
    assert changed["credentials"] == made["credentials"]
    assert (await api.delete(PATH)).status_code == 204
    assert (await api.get(PATH)).status_code == 404
    assert (await api.patch(PATH, {"enabled": True})).status_code == 404


async def test_the_password_is_sealed_and_stands_in_no_answer_and_no_log(acme: Place) -> None:
    api = acme.api()
    answers = [await api.post(PATH, OWN), await api.get(PATH), await api.patch(PATH, {"enabled": False})]
    assert all(PASSWORD not in answer.text for answer in answers)
    assert PASSWORD not in str(await stored(acme))
    events = await acme.events()
    assert len(events) == 2
    assert PASSWORD not in str(events)
    assert "$sealed" not in str([answer.text for answer in answers]) + str(events)


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"smtp_host": "mail.evil.example.com"},
        {"smtp_port": 2525},
        {"smtp_user": "somebody"},
    ],
)
async def test_where_the_password_goes_does_not_change_without_it(
    acme: Place, elsewhere: dict[str, Any]
) -> None:
    api = acme.api()
    await api.made(PATH, OWN)
    refused = await api.patch(PATH, {"credentials": elsewhere})
    assert (refused.status_code, "given again" in refused.json()["message"]) == (400, True)
    other = await api.patch(PATH, {"name": "sendgrid", "credentials": {"region": "eu"}})
    assert other.status_code == 400
    same = OWN["credentials"]
    assert (await api.patch(PATH, {"credentials": without_secret(same)})).status_code == 200
    given = await api.patch(PATH, {"credentials": {**elsewhere, "smtp_pass": "another"}})
    assert given.status_code == 200
    assert given.json()["credentials"] == without_secret({**same, **elsewhere})


@pytest.mark.parametrize(
    ("host", "port"),
    [
        ("127.0.0.1", 587),
        ("localhost", 587),
        ("10.0.0.5", 587),
        ("::1", 587),
        ("::ffff:127.0.0.1", 587),
        ("169.254.169.254", 587),
        ("2130706433", 587),
        ("0x7f000001", 587),
        ("0177.0.0.1", 587),
        ("mail.internal", 587),
        ("mail", 587),
        ("mail.example.com", 25),
        ("mail.example.com", 22),
        ("mail.example.com", 70_000),
        ("mail.example.com\r\nEHLO", 587),
        ("", 587),
    ],
)
async def test_a_server_inside_or_at_another_port_is_refused(acme: Place, host: str, port: int) -> None:
    credentials = {**OWN["credentials"], "smtp_host": host, "smtp_port": port}
    refused = await acme.api().post(PATH, {**OWN, "credentials": credentials})
    assert refused.status_code == 400, refused.text
    assert not await acme.rows(Setting, key=PROVIDER.key)


@pytest.mark.parametrize(
    "change",
    [
        {"name": "mailgun"},
        {"name": "ses", "credentials": {"accessKeyId": "x", "secretAccessKey": "y", "region": "z"}},
        {"name": "sendgrid", "credentials": {"smtp_host": "mail.example.com"}},
        {"name": "sendgrid", "credentials": {}},
        {"name": "sparkpost", "credentials": {"api_key": "k", "region": "mars"}},
        {"default_from_address": "nobody"},
        {"default_from_address": "a@example.com\r\nBcc: b@example.com"},
        {"credentials": {"smtp_host": "mail.example.com", "smtp_port": "587"}},
        {"credentials": {"smtp_host": "mail.example.com", "smtp_port": 587, "smtp_user": "u"}},
        {"credentials": {**OWN["credentials"], "smtp_pass": {"$sealed": "AAAA"}}},
        {"credentials": {**OWN["credentials"], "unknown": "x"}},
        {"is_system": True},
    ],
)
async def test_what_is_no_provider_here_is_refused_with_a_sentence(
    acme: Place, change: dict[str, Any]
) -> None:
    refused = await acme.api().post(PATH, {**OWN, **change})
    assert (refused.status_code, len(refused.json()["message"]) > 20) == (400, True), refused.text


async def test_services_that_take_their_key_by_smtp_are_known(acme: Place) -> None:
    api = acme.api()
    key = {"name": "sendgrid", "credentials": {"api_key": "SG.secret"}}
    made = await api.made(PATH, {**OWN, **key})
    assert made["credentials"] == {}
    assert "SG.secret" not in str(await stored(acme))
    moved = await api.patch(PATH, {"name": "sparkpost", "credentials": {"api_key": "k", "region": "eu"}})
    assert moved.json()["credentials"] == {"region": "eu"}
    assert (await api.patch(PATH, {"credentials": {"region": None}})).status_code == 400


async def test_an_inherited_provider_is_known_by_its_name_alone(one: Place, acme: Place) -> None:
    await inherit(one, acme)
    api = acme.api()
    answer = await api.get(PATH, include_provenance="true")
    assert answer.json() == {
        "name": "smtp",
        "enabled": True,
        "provenance": {"name": "control_plane", "enabled": "control_plane"},
    }
    assert (await api.get(PATH)).status_code == 404  # Auth0's tools would write back what is no provider
    for change in (
        {"enabled": False},
        {"credentials": {"smtp_host": "mail.evil.example.com"}},
        {"credentials": {"smtp_host": "mail.evil.example.com", "smtp_port": 587, "smtp_user": "acme"}},
        {"default_from_address": "boss@tenant-one.example.com"},
    ):
        assert (await api.patch(PATH, change)).status_code == 404, change
    assert not await acme.rows(Setting, key=PROVIDER.key, source="tenant")
    own = {**OWN, "credentials": {"smtp_host": "mail.globex.example.com", "smtp_port": 465}}
    assert (await api.made(PATH, own))["credentials"] == own["credentials"]
    assert (await api.delete(PATH)).status_code == 204
    assert (await api.get(PATH)).status_code == 404
    assert (await api.get(PATH, include_provenance="true")).json() == answer.json()
    assert "mail.acme.example.com" not in str(await acme.events())


async def test_what_one_tenant_sealed_opens_for_no_other(one: Place, acme: Place) -> None:
    """The box is bound to the key of its layer: a row that is copied to where it does not belong is worth nothing."""
    from tenant_runtime.documents import Documents
    from tenant_runtime.mail.provider import standing

    box = sealed(acme.tenant, PROVIDER, "credentials.smtp_pass", PASSWORD)
    said = {PROVIDER.key: {**OWN, "credentials": {**OWN["credentials"], "smtp_pass": box}}}
    mine = standing(acme.tenant, Documents({}, said), lambda *_: False)
    assert mine is not None
    assert mine.server.password == PASSWORD
    for documents in (Documents(said, {}), Documents({}, said)):
        theirs = standing(one.tenant, documents, lambda *_: False)
        assert theirs is not None
        assert theirs.server.password is None


async def test_permissions_are_auth0s(acme: Place) -> None:
    reader: Api = acme.api("read:email_provider")
    assert (await reader.get(PATH)).status_code == 404
    assert (await reader.post(PATH, OWN)).status_code == 403
    assert (await acme.api("create:email_provider").get(PATH)).status_code == 403
