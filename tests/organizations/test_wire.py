"""What every endpoint of `/api/auth` has in common (`specs/organization-api.md` A.0, B.1 to B.3; `bad-inputs.md` 98 to
102, 113)."""

import hmac
import secrets
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from urllib.parse import quote, unquote, urljoin, urlsplit

import pytest

from entrypoints.demo_content import Demo
from tests.conftest import serving, settings_for
from tests.installation import Installation
from tests.organizations.people import AuthClient, signed_in, visitor

pytestmark = pytest.mark.anyio

APP = "http://app.acme.localhost:9872"
"""A web origin of one of the tenant's clients."""

API = "better-auth.session_token"
SIGN_ON = "keystead_session"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def test_it_is_alive_and_knows_no_other_path(shared: Installation) -> None:
    issuer = shared.tenant("acme").issuer
    alive = await shared.http.get(f"{issuer}api/auth/ok")
    assert (alive.status_code, alive.json()) == (200, {"ok": True})
    for method, path in (
        ("GET", "nothing"),
        ("GET", "ok/"),
        ("GET", "organization//list"),
        ("POST", "ok"),
        ("DELETE", "get-session"),
        ("GET", "sign-out"),
        ("POST", "organization/add-member"),
    ):
        answer = await shared.http.request(method, f"{issuer}api/auth/{path}")
        assert (answer.status_code, answer.content) == (404, b""), path


async def test_a_body_is_json_and_only_who_comes_in_may_send_a_form(shared: Installation) -> None:
    robin = await signed_in(shared)
    for kind in (
        "text/plain",
        "multipart/form-data; boundary=x",
        "application/x-www-form-urlencoded",
        "text/json",
    ):
        refused = await robin.call("POST", "/sign-out", content=b"a=b", headers={"Content-Type": kind})
        assert (refused.status, refused.code) == (415, "UNSUPPORTED_MEDIA_TYPE"), kind
    assert (await robin.call("POST", "/sign-out", content=b"{}")).status == 415
    broken = await robin.call(
        "POST", "/sign-in/email", content=b"{", headers={"Content-Type": "application/json"}
    )
    assert (broken.status, broken.code) == (400, "BAD_REQUEST")
    absent = await robin.post("/sign-in/email", email="a@b.example")
    assert (absent.status, absent.code) == (400, "VALIDATION_ERROR")
    assert absent.body["message"] == "[body.password] Required"
    form = f"email={quote(robin.email)}&password={quote(robin.password)}&rememberMe=false".encode()
    assert (await robin.call("POST", "/sign-in/email", content=form, headers=FORM)).status == 200
    assert await robin.session() is not None
    large = await robin.post("/sign-in/email", email="a@b.example", password="x" * 300_000)
    assert large.status == 413


async def test_a_page_of_somebody_else_changes_nothing(shared: Installation) -> None:
    robin = await signed_in(shared)
    own = robin.origin
    for origin in (
        "https://evil.example",
        f"{APP}.evil.example",
        APP.replace("app.acme", "appxacme"),
        APP.replace("http:", "https:"),
        APP.removesuffix("2"),
        f"{APP}/",
        f"{APP}@evil.example",
        own.replace("acme", "globex"),
        APP.upper(),
    ):
        refused = await robin.call("POST", "/sign-out", headers={"Origin": origin})
        assert (refused.status, refused.code) == (403, "INVALID_ORIGIN"), origin
        assert "access-control-allow-origin" not in refused.headers
    for missing in ({"Origin": "null"}, {"Origin": ""}, {"Origin": "null", "Sec-Fetch-Site": "cross-site"}):
        refused = await robin.call("POST", "/sign-out", headers=missing)
        assert (refused.status, refused.code) == (403, "MISSING_OR_NULL_ORIGIN"), missing
    twice = [("Origin", "null"), ("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Site", "cross-site")]
    assert (await robin.http.post(f"{robin.base}/sign-out", headers=twice)).status_code == 403
    referred = await robin.call("POST", "/sign-out", headers={"Origin": "", "Referer": f"{own}/some/page?x"})
    assert referred.status == 403, "an empty Origin is none that may be looked past"
    assert await robin.session() is not None
    for allowed in ({"Origin": APP}, {"Origin": "null", "Sec-Fetch-Site": "same-origin"}):
        assert (await robin.call("POST", "/update-session", json={}, headers=allowed)).status != 403
    assert (await robin.call("POST", "/sign-out", headers={"Origin": APP})).status == 200


async def test_who_comes_in_without_a_cookie_is_asked_where_from_as_soon_as_a_browser_asks(
    shared: Installation,
) -> None:
    robin = await signed_in(shared)
    body = {"email": robin.email, "password": robin.password}
    url = f"{robin.base}/sign-in/email"
    assert (await shared.http.post(url, json=body)).status_code == 200, "curl has no origin"
    shared.http.cookies.clear()
    for headers, code in (
        ({"Sec-Fetch-Mode": "cors"}, "MISSING_OR_NULL_ORIGIN"),
        ({"Origin": "https://evil.example"}, "INVALID_ORIGIN"),
        ({"Referer": "https://evil.example/x"}, "INVALID_ORIGIN"),
        (
            {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
            "CROSS_SITE_NAVIGATION_LOGIN_BLOCKED",
        ),
    ):
        refused = await shared.http.post(url, json=body, headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (403, code), headers
        assert not refused.cookies
    allowed = await shared.http.post(url, json=body, headers={"Referer": f"{APP}/sign-in"})
    assert allowed.status_code == 200
    shared.http.cookies.clear()


async def test_a_page_of_a_clients_origin_may_read_what_it_is_answered(shared: Installation) -> None:
    robin = await signed_in(shared)
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    for origin, is_allowed in (
        (APP, True),
        (robin.origin, True),
        (f"{APP}.evil.example", False),
        ("null", False),
    ):
        preflight = await robin.call("OPTIONS", "/organization/list", headers={"Origin": origin, **asked})
        read = await robin.call("GET", "/get-session", headers={"Origin": origin})
        unknown = await robin.call("GET", "/nothing", headers={"Origin": origin})
        assert (preflight.status, read.status, unknown.status) == (204, 200, 404)
        for answer in (preflight, read, unknown):
            assert answer.headers["vary"] == "Origin"
            assert answer.headers.get("access-control-allow-origin") == (origin if is_allowed else None)
            assert answer.headers.get("access-control-allow-credentials") == ("true" if is_allowed else None)
        methods = preflight.headers.get("access-control-allow-methods")
        assert methods == ("GET, POST" if is_allowed else None)


async def test_a_callback_leads_to_this_host_or_to_a_trusted_origin(shared: Installation) -> None:
    robin = await signed_in(shared)
    body = {"email": robin.email, "password": robin.password}
    for address in (
        "https://evil.example/", "//evil.example", "/\\evil.example", "/%2fevil.example", "/%5Cevil.example",
        "javascript:alert(1)", f"{APP}.evil.example/", f"{APP}@evil.example/", "http:evil.example", "evil", " ",
        "/a\nb", f"{robin.origin.replace('acme', 'globex')}/",
    ):  # fmt: skip
        refused = await robin.post("/sign-in/email", **body, callbackURL=address)
        assert (refused.status, refused.code) == (403, "INVALID_CALLBACK_URL"), address
    for address in ("/", "/home?tab=1&x=a%20b", f"{APP}/home", f"{robin.origin}/home"):
        answer = await robin.post("/sign-in/email", **body, callbackURL=address)
        assert (answer.status, answer.body["redirect"], answer.body["url"]) == (200, True, address)
        assert answer.headers["location"] == address
    nowhere = await robin.post("/sign-in/email", **body, callbackURL="")
    assert (nowhere.status, nowhere.body["redirect"]) == (200, False)
    assert "location" not in nowhere.headers


async def test_no_address_that_is_led_to_is_of_another_site_as_a_browser_reads_it(
    shared: Installation,
) -> None:
    robin, dice = visitor(shared), Random(20_26)
    parts = (
        "/", "//", "\\", "%2f", "%5C", ".", "..", "@", ":", "?", "#", "&", "=", "\t", "\n", " ", "evil.example", "x",
        "http:", "https:", "javascript:", APP, robin.origin, "home", "%00", "\u2044", "\uff0f",
    )  # fmt: skip
    first, led = ("", "/", APP, robin.origin), set()
    for _ in range(400):
        address = "".join((dice.choice(first), *dice.choices(parts, k=dice.randrange(1, 4))))
        answer = await robin.get("/verify-email", token="none", callbackURL=address)
        assert answer.status in (302, 403), address
        if answer.status == 302:
            led.add(answer.headers["location"])
    assert len(led) >= 20
    for address in led:
        read = urljoin(robin.base, address.replace("\\", "/").translate({9: None, 10: None, 13: None}))
        assert f"{urlsplit(read).scheme}://{urlsplit(read).netloc}" in (APP, robin.origin), address


async def test_the_cookies_are_host_only_and_unreadable_and_no_answer_is_stored(shared: Installation) -> None:
    robin = await signed_in(shared)
    entry = await robin.post("/sign-in/email", email=robin.email, password=robin.password)
    session = {API: "", SIGN_ON: ""}
    for header in entry.headers.get_list("set-cookie"):
        name, attributes = header.partition("=")[0], header.lower().split("; ")[1:]
        assert {"httponly", "path=/", "samesite=lax"} <= set(attributes), header
        assert not any(attribute.startswith("domain") for attribute in attributes)
        session.pop(name, None)
        lasts = "0" if name == "better-auth.dont_remember" else "604800"
        assert f"max-age={lasts}" in attributes, header
    assert not session
    for answer in (
        entry,
        await robin.get("/get-session"),
        await robin.get("/nothing"),
        await robin.post("/sign-out"),
    ):
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["pragma"] == "no-cache"


async def test_only_the_tenants_own_whole_cookie_is_a_session(shared: Installation) -> None:
    robin, sam = await signed_in(shared), await signed_in(shared)
    elsewhere = await signed_in(shared, "globex")
    cookie, others = cookie_of(robin), cookie_of(sam)
    token, signature = unquote(cookie).split(".")
    others_token = unquote(others).split(".")[0]
    foreign_signature = unquote(cookie_of(elsewhere)).split(".")[1]
    good = visitor(shared)
    assert await token_by(good, f"{API}={cookie}") == token
    for header in (
        f"{API}={token}",
        f"{API}={token}.",
        f"{API}={cookie[:-4]}",
        f"{API}={quote(f'{token[:-1]}A.{signature}', safe='')}",
        f"{API}={quote(f'{others_token}.{signature}', safe='')}",
        f"{API}={cookie_of(elsewhere)}",
        f"{API}={quote(f'{token}.{foreign_signature}', safe='')}",
        f"{API}={quote(f'{token}.{signed_with_another_key(token)}', safe='')}",
        f"{API}={cookie}; {API}={cookie}",
        f"{API}={others}; {API}={cookie}",
        f"__Secure-{API}={cookie}",
        f"{SIGN_ON}={cookie}",
        f"{API}={robin.http.cookies[SIGN_ON]}",
    ):
        assert await token_by(good, header) is None, header


async def test_a_cookie_from_before_is_worth_nothing_after_signing_in_again(shared: Installation) -> None:
    """Whoever planted it, or saw it, before (`bad-inputs.md` 101)."""
    robin, stranger = await signed_in(shared), visitor(shared)
    before = cookie_of(robin)
    first = await robin.session()
    await robin.sign_in()
    assert await token_by(stranger, f"{API}={before}") is None
    after = await robin.session()
    assert first is not None
    assert after is not None
    assert (after["id"], after["token"] != first["token"]) == (first["id"], True)
    for sent in (
        {"params": {"token": after["token"], API: cookie_of(robin)}},
        {"headers": {"Authorization": f"Bearer {after['token']}"}},
    ):
        assert (await stranger.call("GET", "/get-session", **sent)).text == "null", (
            "it comes by its cookie only"
        )


@pytest.mark.parametrize(
    "query", ["organizationId={}&organizationId=x", "organizationSlug=a&organizationSlug=a"]
)
async def test_a_parameter_that_comes_twice_means_nothing(shared: Installation, query: str) -> None:
    robin = await signed_in(shared)
    created = await robin.post("/organization/create", name="Twice", slug=f"twice-{secrets.token_hex(4)}")
    for path in ("get-organization", "list-members"):
        answer = await robin.call("GET", f"/organization/{path}?{query.format(created.body['id'])}")
        assert (answer.status, answer.code) == (400, "VALIDATION_ERROR")


async def test_a_suspended_tenant_says_so(installation: Installation) -> None:
    robin = await signed_in(installation)
    await (await installation.operator()).post("/tenants/acme/suspend")
    refused = await robin.get("/get-session")
    assert (refused.status, refused.code) == (403, "TENANT_SUSPENDED")


async def test_a_tenant_that_waits_to_be_migrated_has_the_api_afterwards(behind: Installation) -> None:
    robin = visitor(behind)
    for path in ("/ok", "/get-session", "/organization/list-teams"):
        answer = await robin.get(path)
        assert (answer.status, answer.code) == (503, "TEMPORARILY_UNAVAILABLE"), path
        assert answer.headers["retry-after"] == "60"
    assert (await robin.post("/sign-in/email", email="a@b.example", password="x")).status == 503


@pytest.fixture
async def bounded(golden: tuple[Path, Demo], data_dir: Path) -> AsyncIterator[Installation]:
    """With the rates of production."""
    async with serving(settings_for(data_dir, rates={}), golden[1], None) as installation:
        yield installation


async def test_passwords_are_tried_three_times_in_ten_seconds_from_one_place(bounded: Installation) -> None:
    robin = visitor(bounded)
    answers = [await robin.post("/sign-in/email", email="a@b.example", password=f"no {n}") for n in range(5)]
    assert [answer.status for answer in answers] == [401, 401, 401, 429, 429]
    assert answers[-1].body == {"message": "Too many requests. Please try again later."}
    assert 1 <= int(answers[-1].headers["x-retry-after"]) <= 10
    assert answers[-1].headers["access-control-allow-origin"] == robin.origin
    assert (await robin.get("/get-session")).status == 200
    assert (await robin.post("/sign-up/email", name="", email="x", password="")).status == 400, "by path"
    assert (
        await visitor(bounded, "globex").post("/sign-in/email", email="a@b.example", password="x")
    ).status == 401


def signed_with_another_key(token: str) -> str:
    return b64encode(hmac.digest(b"another key", token.encode(), "sha256")).decode()


def cookie_of(person: AuthClient) -> str:
    return person.http.cookies[API]


async def token_by(person: AuthClient, cookies: str) -> str | None:
    answer = await person.call("GET", "/get-session", headers={"Cookie": cookies})
    assert answer.status == 200
    return answer.body["session"]["token"] if answer.body is not None else None
