"""RFC 6749 sections 2.3 and 3.2: who calls, in exactly one way, with a body that reads in exactly one way."""

import base64
from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from core.ids import digest
from tenant_runtime import models
from tests.protocol.issuer import API, Issuers, add_client, add_secret, second_worker

pytestmark = pytest.mark.anyio

FORM = "application/x-www-form-urlencoded"


def basic(client_id: str | bytes, secret: str | bytes) -> dict[str, str]:
    parts = [part.encode() if isinstance(part, str) else part for part in (client_id, secret)]
    return {"Authorization": "Basic " + base64.b64encode(b":".join(parts)).decode()}


async def ask(
    issuers: Issuers, headers: Mapping[str, str] | None = None, url: str = "/oauth/token", **form: str
) -> httpx.Response:
    body = {"grant_type": "client_credentials", "audience": API} | form
    return await issuers.acme.http.post(url, data=body, headers=headers)


def outcome(answer: httpx.Response) -> tuple[int, str | None]:
    if answer.status_code == 401:
        assert answer.headers["www-authenticate"].startswith("Basic ")
    return answer.status_code, answer.json().get("error")


async def test_basic_and_post_are_both_accepted_of_a_confidential_client(issuers: Issuers) -> None:
    secret = issuers.acme.secrets["m2m"]
    assert (await ask(issuers, basic("m2m", secret))).status_code == 200
    assert (await ask(issuers, basic("m2m", secret), client_id="m2m")).status_code == 200
    assert (await ask(issuers, client_id="m2m", client_secret=secret)).status_code == 200


async def test_the_scheme_name_is_read_in_any_letter_case(issuers: Issuers) -> None:
    header = basic("m2m", issuers.acme.secrets["m2m"])["Authorization"]
    for scheme in ("basic", "BASIC"):
        answer = await ask(issuers, {"Authorization": header.replace("Basic", scheme)})
        assert answer.status_code == 200


async def test_both_parts_of_basic_are_form_decoded(issuers: Issuers) -> None:
    name, secret = "a client:with %", "se+cret & ünïcode"
    await add_client(issuers.acme, name, grant_types=["client_credentials"])
    await issuers.acme.add(
        models.ClientSecret, id="sec_odd", client_id=name, digest=digest(secret), sealed=b""
    )
    await issuers.acme.add(models.ClientGrant, id="cgr_odd", client_id=name, audience=API, scope=[])
    encoded = "se%2Bcret+%26+%C3%BCn%C3%AFcode"
    assert (await ask(issuers, basic("a+client%3Awith+%25", encoded))).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        basic("m2m", b"\xff\xfe"),
        basic(b"\xff", "x"),
        basic("m2m", "%FF%FE"),
        {"Authorization": "Basic !!!"},
        {"Authorization": "Basic "},
        {"Authorization": "Basic " + base64.b64encode(b"m2m").decode()},
        {"Authorization": "Bearer abc"},
        basic("m2m", "wrong"),
        basic("m2m", ""),
        basic("nobody", "x"),
        basic("", ""),
    ],
    ids=str,
)
async def test_a_header_that_proves_nothing_is_an_invalid_client(
    issuers: Issuers, headers: dict[str, str]
) -> None:
    assert outcome(await ask(issuers, headers)) == (401, "invalid_client")


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"client_id": "m2m"},
        {"client_id": "m2m", "client_secret": ""},
        {"client_id": "m2m", "client_secret": "wrong"},
        {"client_id": "nobody", "client_secret": "x"},
        {"client_id": "m2m", "client_assertion": "x.y.z", "client_assertion_type": "jwt"},
    ],
    ids=str,
)
async def test_a_confidential_client_must_prove_itself(issuers: Issuers, form: dict[str, str]) -> None:
    assert outcome(await ask(issuers, **form)) == (401, "invalid_client")


async def test_an_unknown_client_and_a_wrong_secret_are_one_answer(issuers: Issuers) -> None:
    unknown = await ask(issuers, client_id="nobody", client_secret="x")
    wrong = await ask(issuers, client_id="m2m", client_secret="x")
    assert unknown.json() == wrong.json()


async def test_two_ways_at_once_are_an_invalid_request(issuers: Issuers) -> None:
    secret = issuers.acme.secrets["m2m"]
    answer = await ask(issuers, basic("m2m", secret), client_id="m2m", client_secret=secret)
    assert outcome(answer) == (400, "invalid_request")


async def test_two_authorization_headers_are_an_invalid_request(issuers: Issuers) -> None:
    header = basic("m2m", issuers.acme.secrets["m2m"])["Authorization"]
    answer = await issuers.acme.http.post(
        "/oauth/token",
        content="grant_type=client_credentials",
        headers=[("authorization", header), ("authorization", header), ("content-type", FORM)],
    )
    assert outcome(answer) == (400, "invalid_request")


async def test_the_body_may_not_name_another_client(issuers: Issuers) -> None:
    answer = await ask(issuers, basic("m2m", issuers.acme.secrets["m2m"]), client_id="web")
    assert outcome(answer) == (400, "invalid_request")


@pytest.mark.parametrize("name", ["client_secret", "client_assertion", "code", "refresh_token"])
async def test_credentials_in_the_address_are_refused(issuers: Issuers, name: str) -> None:
    secret = issuers.acme.secrets["m2m"]
    answer = await ask(issuers, url=f"/oauth/token?{name}={secret}", client_id="m2m", client_secret=secret)
    assert outcome(answer) == (400, "invalid_request")


async def test_a_public_client_with_a_secret_is_an_invalid_client(issuers: Issuers) -> None:
    code = await issuers.acme.code("spa")
    answer = await issuers.acme.redeem(code, "spa", client_secret="anything")
    assert outcome(answer) == (401, "invalid_client")
    answer = await issuers.acme.token(
        "spa", headers=basic("spa", "x"), grant_type="authorization_code", code=code
    )
    assert outcome(answer) == (401, "invalid_client")
    assert (await issuers.acme.redeem(code, "spa")).status_code == 200


async def test_a_secret_does_not_stand_in_for_another_way_that_was_registered(issuers: Issuers) -> None:
    way = {"token_endpoint_auth_method": "private_key_jwt"}
    await issuers.acme.change(models.Client, {"client_id": "m2m"}, **way)
    answer = await ask(issuers, client_id="m2m", client_secret=issuers.acme.secrets["m2m"])
    assert outcome(answer) == (401, "invalid_client")


async def test_a_secret_or_client_taken_away_by_another_worker_is_refused_at_once(issuers: Issuers) -> None:
    secret = await add_secret(issuers.acme, "web")
    token = (await issuers.acme.tokens())["refresh_token"]
    async with second_worker(issuers.acme, issuers.services) as other:
        assert (await other.refresh(token)).status_code == 200
        code = await issuers.acme.code()
        await issuers.acme.remove(models.ClientSecret, digest=digest(issuers.acme.secrets["web"]))
        assert outcome(await other.redeem(code)) == (401, "invalid_client")
        assert (await other.redeem(code, client_secret=secret)).status_code == 200


async def test_two_secrets_are_good_while_they_are_rotated(issuers: Issuers) -> None:
    new = await add_secret(issuers.acme, "m2m")
    for secret in (issuers.acme.secrets["m2m"], new):
        assert (await ask(issuers, client_id="m2m", client_secret=secret)).status_code == 200


async def test_a_secret_ends_at_its_time(issuers: Issuers) -> None:
    secret = await add_secret(issuers.acme, "m2m", expires_at=issuers.acme.now_ms + 1000)
    assert (await ask(issuers, client_id="m2m", client_secret=secret)).status_code == 200
    issuers.clock.time += 1
    assert outcome(await ask(issuers, client_id="m2m", client_secret=secret)) == (401, "invalid_client")


async def test_a_secret_of_one_tenant_is_nothing_at_another(issuers: Issuers) -> None:
    form = {"client_id": "m2m", "client_secret": issuers.acme.secrets["m2m"]}
    body = {"grant_type": "client_credentials", "audience": API} | form
    assert outcome(await issuers.globex.http.post("/oauth/token", data=body)) == (401, "invalid_client")


# --- The body ------------------------------------------------------------------------------------------------------


async def post(issuers: Issuers, content: bytes | str, content_type: str | None = FORM) -> httpx.Response:
    headers = {"content-type": content_type} if content_type is not None else {}
    return await issuers.acme.http.post("/oauth/token", content=content, headers=headers)


def form_of(issuers: Issuers, extra: str = "") -> str:
    secret = issuers.acme.secrets["m2m"]
    return f"grant_type=client_credentials&audience={API}&client_id=m2m&client_secret={secret}{extra}"


def json_of(issuers: Issuers, **extra: Any) -> str:
    values = [f'"{name}":{value}' for name, value in extra.items()]
    secret = issuers.acme.secrets["m2m"]
    known = (
        f'"grant_type":"client_credentials","audience":"{API}","client_id":"m2m","client_secret":"{secret}"'
    )
    return "{" + ",".join([known, *values]) + "}"


@pytest.mark.parametrize(
    "content_type",
    [FORM, f"{FORM}; charset=utf-8", f'{FORM};charset="UTF-8"', "Application/X-WWW-Form-Urlencoded"],
)
async def test_a_form_is_read(issuers: Issuers, content_type: str) -> None:
    assert (await post(issuers, form_of(issuers), content_type)).status_code == 200


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8"])
async def test_json_is_read_as_auth0s_sdks_send_it(issuers: Issuers, content_type: str) -> None:
    assert (await post(issuers, json_of(issuers, scope="null"), content_type)).status_code == 200


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        (None, 400),
        ("text/plain", 415),
        ("multipart/form-data; boundary=x", 415),
        ("application/jwt", 415),
        (f"{FORM}; charset=utf-16", 415),
        (f"{FORM}; charset=utf-7", 415),
        (f"{FORM}, application/json", 415),
    ],
)
async def test_any_other_content_type_is_refused(
    issuers: Issuers, content_type: str | None, status: int
) -> None:
    answer = await post(issuers, form_of(issuers), content_type)
    assert outcome(answer) == (status, "invalid_request")


async def test_two_content_types_are_refused(issuers: Issuers) -> None:
    answer = await issuers.acme.http.post(
        "/oauth/token",
        content=form_of(issuers),
        headers=[("content-type", FORM), ("content-type", "application/json")],
    )
    assert outcome(answer) == (400, "invalid_request")


@pytest.mark.parametrize(
    "extra",
    [
        "&grant_type=client_credentials",
        "&audience=",
        "&client_id=m2m",
        "&scope=a&scope=b",
        "&scope=a%00b",
        "&scope=%FF",
        "&x=1" * 100,
    ],
    ids=["grant_type", "empty", "client_id", "scope", "NUL", "not UTF-8", "too many"],
)
async def test_a_form_that_reads_in_two_ways_is_refused(issuers: Issuers, extra: str) -> None:
    assert outcome(await post(issuers, form_of(issuers, extra))) == (400, "invalid_request")


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "null", "1", '"x"', "{", "{}", '{"grant_type": 1}', '{"grant_type": ["client_credentials"]}',
        '{"grant_type": true}', '{"grant_type": {}}', '{"a":' * 5000, '{"grant_type": "\\ud800"}',
        '{"grant_type": "a\\u0000b"}', '{"grant_type": "x", "grant_type": "client_credentials"}',
        '{"grant_type": NaN}', "1" * 10_000,
    ],
)  # fmt: skip
async def test_json_that_is_no_set_of_texts_is_refused(issuers: Issuers, text: str) -> None:
    assert outcome(await post(issuers, text, "application/json")) == (400, "invalid_request")


async def test_a_form_where_json_is_declared_and_the_reverse_are_refused(issuers: Issuers) -> None:
    assert outcome(await post(issuers, form_of(issuers), "application/json")) == (400, "invalid_request")
    assert outcome(await post(issuers, json_of(issuers), FORM)) == (400, "invalid_request")


@pytest.mark.parametrize("content_type", [FORM, "application/json"])
async def test_a_body_that_is_too_long_is_refused(issuers: Issuers, content_type: str) -> None:
    answer = await post(issuers, form_of(issuers, "&pad=" + "x" * 70_000), content_type)
    assert outcome(answer) == (413, "invalid_request")


async def test_a_body_without_declared_length_is_cut_off_too(issuers: Issuers) -> None:
    async def endless() -> Any:
        for _ in range(1000):
            yield b"x" * 1000

    answer = await issuers.acme.http.post("/oauth/token", content=endless(), headers={"content-type": FORM})
    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"grant_type": ""}, "invalid_request"),
        ({"grant_type": "password", "username": "a", "password": "b"}, "unsupported_grant_type"),
        ({"grant_type": "implicit"}, "unsupported_grant_type"),
        ({"grant_type": "Client_Credentials"}, "unsupported_grant_type"),
        ({"grant_type": "urn:ietf:params:oauth:grant-type:saml2-bearer"}, "unsupported_grant_type"),
        ({"grant_type": "urn:ietf:params:oauth:grant-type:device_code"}, "unauthorized_client"),
        ({"grant_type": "authorization_code"}, "unauthorized_client"),
        ({"grant_type": "refresh_token"}, "unauthorized_client"),
    ],
    ids=str,
)
async def test_a_grant_type_is_known_and_the_clients_own(
    issuers: Issuers, form: dict[str, str], error: str
) -> None:
    answer = await issuers.acme.token("m2m", **form)
    assert (answer.status_code, answer.json()["error"]) == (400, error)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
async def test_only_post_is_answered(issuers: Issuers, method: str) -> None:
    answer = await issuers.acme.http.request(method, "/oauth/token")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"


# --- Browsers ------------------------------------------------------------------------------------------------------

ORIGIN = "https://spa.example.com"


async def preflight(issuers: Issuers, path: str, origin: str) -> httpx.Response:
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "auth0-client,content-type",
    }
    return await issuers.acme.http.options(path, headers=headers)


@pytest.mark.parametrize("path", ["/oauth/token", "/userinfo", "/oauth/revoke"])
async def test_a_browser_application_may_call_from_its_registered_origin(issuers: Issuers, path: str) -> None:
    answer = await preflight(issuers, path, ORIGIN)
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert "access-control-allow-credentials" not in answer.headers
    allowed = set(answer.headers["access-control-allow-headers"].split(", "))
    assert allowed >= {"content-type", "authorization", "dpop", "auth0-client", "mcp-protocol-version"}
    assert "Origin" in answer.headers["vary"]


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example.com",
        "https://spa.example.com.evil",
        "https://spa.example.com:444",
        "http://spa.example.com",
        "https://sub.spa.example.com",
        "https://spaXexample.com",
        "null",
        "*",
    ],
)
async def test_any_other_origin_is_allowed_nothing(issuers: Issuers, origin: str) -> None:
    answer = await preflight(issuers, "/oauth/token", origin)
    assert "access-control-allow-origin" not in answer.headers
    assert "access-control-allow-methods" not in answer.headers
    assert answer.headers["vary"] == "Origin"


async def test_success_and_error_can_both_be_read_by_the_application(issuers: Issuers) -> None:
    body = {"grant_type": "refresh_token", "refresh_token": "x", "client_id": "spa"}
    answer = await issuers.acme.http.post("/oauth/token", data=body, headers={"Origin": ORIGIN})
    assert answer.json()["error"] == "invalid_grant"
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    body = {"grant_type": "authorization_code", "code": await issuers.acme.code("spa"), "client_id": "spa"}
    body |= {"redirect_uri": "https://app.example.com/callback", "code_verifier": "v" * 64}
    answer = await issuers.acme.http.post("/oauth/token", data=body, headers={"Origin": ORIGIN})
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == ORIGIN


async def test_an_origin_of_one_tenant_is_nothing_at_another_and_is_forgotten_with_its_client(
    issuers: Issuers,
) -> None:
    await issuers.globex.change(models.Client, {"client_id": "spa"}, web_origins=[], callbacks=[])
    headers = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
    answer = await issuers.globex.http.options("/oauth/token", headers=headers)
    assert "access-control-allow-origin" not in answer.headers


async def test_the_origin_of_a_callback_counts_for_public_clients_only(issuers: Issuers) -> None:
    await issuers.acme.change(models.Client, {"client_id": "spa"}, callbacks=["https://one.example.com/cb"])
    await issuers.acme.change(models.Client, {"client_id": "web"}, callbacks=["https://two.example.com/cb"])
    one = await preflight(issuers, "/oauth/token", "https://one.example.com")
    two = await preflight(issuers, "/oauth/token", "https://two.example.com")
    assert "access-control-allow-origin" in one.headers
    assert "access-control-allow-origin" not in two.headers
