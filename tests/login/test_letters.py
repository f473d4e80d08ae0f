"""What a letter says: in the tenant's own words or the built-in ones, in the reader's language, and never more."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from entrypoints.demo_content import Demo
from tenant_runtime.mail.texts import LANGUAGES
from tests.mailbox import OTP, Mailed, link_in, mailed
from tests.smtp import Received, smtp_server

pytestmark = pytest.mark.anyio

TEMPLATES = "/email-templates"


@pytest.fixture
async def mail(golden: tuple[Path, Demo], tmp_path: Path) -> AsyncIterator[Mailed]:
    async with mailed(golden, tmp_path) as made:
        yield made


async def forgot(mail: Mailed, **headers: str) -> Received:
    tenant = mail.tenant()
    body = {
        "client_id": tenant.clients["spa"].client_id,
        "connection": "Username-Password-Authentication",
        "email": tenant.users[0].email,
    }
    url = f"{tenant.issuer}dbconnections/change_password"
    answer: httpx.Response = await mail.http.post(url, json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    return (await mail.settle())[-1]


async def template(mail: Mailed, tenant: str = "acme", **members: Any) -> None:
    manager = await mail.installation.manager(tenant)
    await manager.post(TEMPLATES, {"template": "reset_email", "body": "{{ url }}", **members})


async def test_the_tenants_template_is_the_letter_and_values_stay_text(mail: Mailed) -> None:
    manager = await mail.installation.manager("acme")
    user = mail.tenant().users[0]
    [found] = await manager.get("/users-by-email", email=user.email)
    name = "<img src=x onerror=alert(1)> & Ada"
    metadata = {"nick": "Ada\r\nBcc: everybody@example.com"}
    await manager.patch(f"/users/{found['user_id']}", {"name": name, "user_metadata": metadata})
    await template(
        mail,
        body="<h1>{{ friendly_name }}</h1><p>{{ user.name }} at {{ tenant }}, {{ application.name }}"
        " of {{ connection.name }}</p><style>p{}</style><p><a href='{{ url }}'>Go on</a></p>",
        subject="For {{ user.user_metadata.nick }} {{ user.name }}",
        urlLifetimeInSeconds=7200,
        **{"from": "{{ friendly_name }} {{ user.user_metadata.nick }} <boss@elsewhere.example.com>"},
    )
    letter = await forgot(mail)
    assert "&lt;img src=x onerror=alert(1)&gt; &amp; Ada" in letter.html
    assert "<h1>Acme" in letter.html
    assert "Username-Password-Authentication</p>" in letter.html
    assert letter.message["subject"] == f"For Ada Bcc: everybody@example.com {name}"
    assert letter.message["bcc"] is None
    assert letter.sender == "login@example.com"  # the installation's server takes no other
    assert letter.message["from"].addresses[0].display_name.startswith("Acme Ada Bcc")
    assert letter.recipients == (user.email,)
    assert "<style>" not in letter.text
    assert "p{}" not in letter.text
    page = await mail.http.get(link_in(letter))
    assert page.status_code == 200
    mail.installation.clock.advance(7190)
    assert (await mail.http.get(link_in(letter))).status_code == 200
    mail.installation.clock.advance(20)
    assert (await mail.http.get(link_in(letter))).status_code == 403


async def test_a_template_that_does_not_render_gives_way_to_the_built_in_letter(mail: Mailed) -> None:
    await template(mail, body="{{ url }} {{ user.name | divided_by: 0 }}")
    letter = await forgot(mail)
    assert "Choose a new password" in letter.html
    assert (await mail.http.get(link_in(letter))).status_code == 200
    [event] = await mail.rows("acme", "SELECT description FROM log_events WHERE type = 'fn'")
    assert "reset_email" in event.description
    assert "line 1" in event.description


async def test_one_that_is_switched_off_is_not_used(mail: Mailed) -> None:
    await template(mail, enabled=False)
    assert "Choose a new password" in (await forgot(mail)).html


async def test_the_code_of_a_connection_comes_in_the_connections_words(mail: Mailed) -> None:
    manager = await mail.installation.manager("acme")
    [connection] = await manager.get("/connections", strategy="email")
    words = {"body": "Code: <b>{{ code }}</b> for {{ application.name }}", "subject": "{{ code }}"}
    path = f"/connections/{connection['id']}"
    broken = {"options": {"email": {**words, "body": "{{ code"}}}
    assert await manager.status("PATCH", path, broken) == 400
    await manager.patch(path, {"options": {"email": words}})
    client = (await mail.client())["client_id"]
    asked = {"client_id": client, "connection": "email", "email": "new@example.org", "send": "code"}
    await mail.http.post(f"{mail.tenant().issuer}passwordless/start", json=asked)
    letter = (await mail.settle())[-1]
    code = str(letter.message["subject"])
    assert letter.html.strip() == f"Code: <b>{code}</b> for Phone"
    guess = {"grant_type": OTP, "client_id": client, "username": "new@example.org", "otp": code}
    url = f"{mail.tenant().issuer}oauth/token"
    assert (await mail.http.post(url, data={**guess, "realm": "email"})).status_code == 200


async def test_letters_are_in_the_readers_language_where_the_tenant_has_it(mail: Mailed) -> None:
    asked = {"x-request-language": "de-AT,en;q=0.5"}
    assert "Choose a new password" in (await forgot(mail, **asked)).html
    await mail.set(enabled_locales=["en", "de"])
    letter = await forgot(mail, **asked)
    assert "Neues Passwort wählen" in letter.html
    assert 'lang="de"' in letter.html
    assert str(letter.message["subject"]).startswith("Neues Passwort für")
    assert "Choose a new password" in (await forgot(mail, **{"accept-language": "fr"})).html
    await template(
        mail,
        body="Hello {{ request_language }} {{ url }}",
        subject="Hello",
        translations={"de": {"body": "Hallo {{ url }}"}},
    )
    letter = await forgot(mail, **asked)
    assert letter.html.startswith("Hallo http")
    assert letter.message["subject"] == "Hello"
    mail.begin_a_window()
    assert (await forgot(mail, **{"accept-language": "fr"})).html.startswith("Hello fr http")


async def test_a_template_of_tenant_one_is_every_tenants_but_its_sender_is_not(
    golden: tuple[Path, Demo], tmp_path: Path
) -> None:
    async with smtp_server() as own:
        allowed = frozenset({f"127.0.0.1:{own.port}"})
        async with mailed(golden, tmp_path, outbound_allowed=allowed) as mail:
            operator = await mail.installation.operator()
            said = {"template": "reset_email", "body": "From one: {{ url }}", "subject": "{{ tenant }}"}
            await operator.post(TEMPLATES, {**said, "from": "One <one@acme.example.com>"})
            assert await mail.installation.running.platform.lifecycle.wait_synced() == 0
            manager = await mail.installation.manager("acme")
            server = {"smtp_host": "127.0.0.1", "smtp_port": own.port}
            said = {"name": "smtp", "default_from_address": "post@acme.example.com", "credentials": server}
            await manager.post("/emails/provider", said)
            await forgot_by(mail)
            assert own.received[0].sender == "post@acme.example.com"
            assert own.received[0].html.startswith("From one: http")
            assert own.received[0].message["subject"] == "acme"
            for sender, comes_from in (
                ("help@acme.example.com", "help@acme.example.com"),
                ("help@one.example.com", "post@acme.example.com"),
            ):
                await manager.patch(f"{TEMPLATES}/reset_email", {"from": f"Help <{sender}>"})
                await forgot_by(mail)
                letter = own.received[-1]
                assert letter.sender == comes_from
                assert letter.message["from"] == f"Help <{comes_from}>"


async def forgot_by(mail: Mailed) -> None:
    """Where another server than the installation's has the letter."""
    mail.server.received.append(None)  # type: ignore[arg-type]
    await forgot(mail)


def test_every_language_says_everything_with_the_same_values() -> None:
    import string

    def names(text: str) -> set[str]:
        return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}

    english = LANGUAGES["en"]
    for texts in LANGUAGES.values():
        assert texts.phrases.keys() == english.phrases.keys()
        assert texts.letters.keys() == english.letters.keys()
        for letter, parts in texts.letters.items():
            assert parts.keys() == english.letters[letter].keys()
            for part, text in parts.items():
                assert names(text) == names(english.letters[letter][part]), (texts.language, letter, part)
