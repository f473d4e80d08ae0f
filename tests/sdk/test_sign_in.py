"""An application that people sign in to: what it asks of the issuer, and which answers it takes."""

import base64
import hashlib
import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from litestar import Litestar, Request, get
from litestar.di import NamedDependency
from litestar.params import FromQuery
from litestar.response import Response
from litestar.testing import TestClient

from keystead_sdk import Principal
from keystead_sdk.litestar_sign_in import SignInPlugin
from keystead_sdk.sign_in import SignIn
from keystead_sdk.testing import FakeIssuer

APPLICATION = "https://app.test/"
CLIENT_ID, CLIENT_SECRET = "invoices", "known to two"
DISCOVERY = "/.well-known/openid-configuration"


class Issuer:
    """Its endpoints, and what they answer: good tokens, unless a test says otherwise."""

    def __init__(self) -> None:
        self.now = time.time()
        self.keys = FakeIssuer(clock=lambda: self.now)
        self.asked: dict[str, str] = {}
        self.form: dict[str, str] = {}
        self.id_claims: dict[str, Any] = {}
        self.token: dict[str, Any] = {"org_id": "org_north"}
        self.is_away = False

    @property
    def answer(self) -> dict[str, str]:
        return {"code": "the code", "state": self.asked["state"], "iss": self.keys.issuer}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if self.is_away:
            raise httpx.ConnectError("away")
        at = self.keys.issuer
        if request.url.path == DISCOVERY:
            endpoints = {
                "authorization_endpoint": f"{at}authorize",
                "token_endpoint": f"{at}token",
                "end_session_endpoint": f"{at}logout",
            }
            promised = {"authorization_response_iss_parameter_supported": True}
            return httpx.Response(200, json={"issuer": at, **endpoints, **promised})
        self.form = dict(parse_qsl(request.content.decode()))
        claims = {"iss": at, "aud": "invoices", "sub": "ada", "exp": 9e9, "nonce": self.asked["nonce"]}
        id_token = self.keys.sign({"alg": "ES256"}, json.dumps(claims | self.id_claims).encode())
        return httpx.Response(
            200, json={"access_token": self.keys.token(subject="ada", **self.token), "id_token": id_token}
        )


@get("/")
async def home(
    request: Request[Any, Any, Any], principal: NamedDependency[Principal]
) -> dict[str, str | None]:
    problem = request.session.pop("problem", None)
    return {"sub": principal.subject, "org_id": principal.org_id, "problem": problem}


@get("/note")
async def note(
    request: Request[Any, Any, Any],
    principal: NamedDependency[Principal],
    text: FromQuery[str | None] = None,
) -> Response[dict[str, str | None]]:
    """What an application keeps of a person."""
    if text is not None:
        request.session["note"] = text
    kept = {"sub": principal.subject, "note": request.session.get("note")}
    return Response(kept, headers={"Cache-Control": "private, no-cache"})


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


SECRET = bytes(range(32))


def application_of(issuer: Issuer, path: str = "") -> Litestar:
    http = httpx.AsyncClient(transport=httpx.MockTransport(issuer))
    sign_in = SignIn(
        issuer=issuer.keys.issuer,
        client_id=CLIENT_ID,
        client_secret=CLIENT_SECRET,
        application=f"{APPLICATION}{path}",
        audience=issuer.keys.audience,
        client=http,
    )
    plugin = SignInPlugin(sign_in, issuer.keys.verifier(), secret=SECRET)
    return Litestar([home, note], path=f"/{path}", plugins=[plugin])


@pytest.fixture
def browser(issuer: Issuer) -> Iterator[TestClient[Litestar]]:
    with TestClient(application_of(issuer), base_url=APPLICATION) as client:
        client.follow_redirects = False
        yield client


def go_to_issuer(browser: TestClient[Litestar], issuer: Issuer, path: str = "/login") -> None:
    address = urlsplit(browser.get(path).headers["location"])
    assert (address.netloc, address.path) == ("issuer.test", "/authorize")
    issuer.asked = dict(parse_qsl(address.query))


def come_back(browser: TestClient[Litestar], answer: dict[str, str]) -> httpx.Response:
    return browser.get("/callback", params=answer)


def signed_in(browser: TestClient[Litestar], issuer: Issuer) -> None:
    go_to_issuer(browser, issuer)
    assert come_back(browser, issuer.answer).headers["location"] == "/"


def test_who_is_not_signed_in_is_sent_to_the_issuer_and_comes_back(
    browser: TestClient[Litestar], issuer: Issuer
) -> None:
    assert browser.get("/").headers["location"] == "/login"
    go_to_issuer(browser, issuer)
    back = come_back(browser, issuer.answer)
    assert back.headers["location"] == "/"
    assert back.headers["set-cookie"].startswith("__Host-session="), "no neighbouring domain plants one"
    kept = back.headers["set-cookie"].lower()
    assert "httponly" in kept
    assert "secure" in kept
    assert "samesite=lax" in kept
    assert browser.get("/").json() == {"sub": "ada", "org_id": "org_north", "problem": None}
    hashed = hashlib.sha256(issuer.form["code_verifier"].encode()).digest()
    assert issuer.asked["code_challenge"] == base64.urlsafe_b64encode(hashed).rstrip(b"=").decode()
    assert issuer.asked["audience"] == issuer.keys.audience
    assert issuer.asked["redirect_uri"] == issuer.form["redirect_uri"] == f"{APPLICATION}callback"
    assert (issuer.form["client_id"], issuer.form["client_secret"]) == (CLIENT_ID, CLIENT_SECRET)


@pytest.mark.parametrize(
    "wrong", [{"state": "made up"}, {"state": ""}, {"iss": "https://other.test/"}, {"iss": None}]
)
def test_an_answer_that_is_not_for_this_browser_or_of_this_issuer_signs_nobody_in(
    browser: TestClient[Litestar], issuer: Issuer, wrong: dict[str, str | None]
) -> None:
    go_to_issuer(browser, issuer)
    answer = {name: value for name, value in (issuer.answer | wrong).items() if value is not None}
    assert come_back(browser, answer).status_code == 400
    assert issuer.form == {}, "the code went nowhere"
    assert browser.get("/").headers["location"] == "/login"


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "another"},
        {"aud": "another"},
        {"azp": "another"},
        {"iss": "https://other.test/"},
        {"exp": 1},
    ],
)
def test_an_id_token_that_is_not_for_this_sign_in_signs_nobody_in(
    browser: TestClient[Litestar], issuer: Issuer, claims: dict[str, Any]
) -> None:
    go_to_issuer(browser, issuer)
    issuer.id_claims = claims
    assert come_back(browser, issuer.answer).json()["error"] == "sign_in_failed"
    assert browser.get("/").headers["location"] == "/login"


def test_an_access_token_that_no_page_would_take_is_said_once_not_asked_for_without_an_end(
    browser: TestClient[Litestar], issuer: Issuer
) -> None:
    go_to_issuer(browser, issuer)
    issuer.token = {"aud": "https://another.test"}
    answer = come_back(browser, issuer.answer)
    assert answer.status_code == 400
    assert answer.json()["error_description"] == "The access token is for another audience."


def test_an_answer_is_good_once(browser: TestClient[Litestar], issuer: Issuer) -> None:
    signed_in(browser, issuer)
    issuer.form = {}
    come_back(browser, issuer.answer)
    assert issuer.form == {}
    assert browser.get("/").json()["problem"] == "This sign-in was not begun in this browser, or is over."


def test_people_sign_in_in_whichever_of_their_tabs(browser: TestClient[Litestar], issuer: Issuer) -> None:
    tabs = []
    for _ in range(3):
        go_to_issuer(browser, issuer)
        tabs.append(issuer.asked)
    come_back(browser, {"code": "the code", "state": "made up"})  # by a link of somebody else's
    for asked in tabs:
        issuer.asked = asked
        assert come_back(browser, issuer.answer).headers["location"] == "/"
    assert browser.get("/").json()["problem"] is None


def test_an_answer_that_took_its_time_brings_nothing_back(
    browser: TestClient[Litestar], issuer: Issuer
) -> None:
    signed_in(browser, issuer)
    assert "set-cookie" not in browser.get("/").headers


def test_a_script_is_told_and_begins_no_sign_in(browser: TestClient[Litestar], issuer: Issuer) -> None:
    script = {"Sec-Fetch-Mode": "cors"}
    go_to_issuer(browser, issuer)
    answer = browser.get("/", headers=script)
    assert (answer.status_code, answer.json()["error"]) == (401, "unauthenticated")
    come_back(browser, issuer.answer)
    issuer.now += 7200
    answer = browser.get("/", headers=script)
    assert (answer.status_code, "set-cookie" in answer.headers) == (401, False)
    assert browser.get("/", headers={"Sec-Fetch-Mode": "navigate"}).headers["location"] == "/login"


def test_a_link_does_not_fill_the_cookie(browser: TestClient[Litestar], issuer: Issuer) -> None:
    signed_in(browser, issuer)
    refused = browser.get(f"/login?organization={'a' * 256}")
    assert (refused.status_code, "set-cookie" in refused.headers) == (400, False)
    for _ in range(9):
        browser.get(f"/login?organization={'a' * 255}")
    assert sum(len(cookie.value or "") for cookie in browser.cookies.jar) < 8000, (
        "what servers take in a header"
    )


def test_an_application_below_a_path_stays_there(issuer: Issuer) -> None:
    with TestClient(application_of(issuer, "app"), base_url=APPLICATION) as browser:
        browser.follow_redirects = False
        assert browser.get("/app").headers["location"] == "/app/login"
        go_to_issuer(browser, issuer, "/app/login")
        assert issuer.asked["redirect_uri"] == f"{APPLICATION}app/callback"
        assert browser.get("/app/callback", params=issuer.answer).headers["location"] == "/app/"


def test_another_organization_is_asked_for_silently(browser: TestClient[Litestar], issuer: Issuer) -> None:
    signed_in(browser, issuer)
    go_to_issuer(browser, issuer, "/login?organization=org_south")
    assert (issuer.asked["organization"], issuer.asked["prompt"]) == ("org_south", "none")
    issuer.token = {"org_id": "org_south"}
    come_back(browser, issuer.answer)
    assert browser.get("/").json()["org_id"] == "org_south"


@pytest.mark.parametrize("other", [{"sub": "robin"}, {"org_id": "org_east"}, {"org_id": None}])
def test_a_change_of_organization_brings_nobody_else_and_no_other_organization(
    browser: TestClient[Litestar], issuer: Issuer, other: dict[str, str | None]
) -> None:
    signed_in(browser, issuer)
    go_to_issuer(browser, issuer, "/login?organization=org_south")
    issuer.token = {"org_id": "org_south"} | other
    assert come_back(browser, issuer.answer).headers["location"] == "/"
    page = browser.get("/").json()
    assert page["problem"] in (
        "Somebody else is signed in by now.",
        "The issuer answered for another organization.",
    )
    assert (page["sub"], page["org_id"]) == ("ada", "org_north")


def test_who_is_refused_stays_where_they_are_and_reads_why(
    browser: TestClient[Litestar], issuer: Issuer
) -> None:
    signed_in(browser, issuer)
    go_to_issuer(browser, issuer, "/login?organization=org_south")
    refused = issuer.answer | {"error": "access_denied", "error_description": "You are no member of it."}
    assert come_back(browser, refused).headers["location"] == "/"
    assert browser.get("/").json() == {
        "sub": "ada",
        "org_id": "org_north",
        "problem": "You are no member of it.",
    }
    assert browser.get("/").json()["problem"] is None


def test_whose_session_is_over_signs_in_by_hand(browser: TestClient[Litestar], issuer: Issuer) -> None:
    signed_in(browser, issuer)
    go_to_issuer(browser, issuer, "/login?organization=org_south")
    assert come_back(browser, issuer.answer | {"error": "login_required"}).headers["location"] == "/login"


def test_a_token_that_ran_out_is_asked_for_anew(browser: TestClient[Litestar], issuer: Issuer) -> None:
    signed_in(browser, issuer)
    issuer.now += 7200
    assert browser.get("/").headers["location"] == "/login"
    signed_in(browser, issuer)
    assert browser.get("/").status_code == 200


def test_who_signs_out_is_out_here_and_at_the_issuer(browser: TestClient[Litestar], issuer: Issuer) -> None:
    signed_in(browser, issuer)
    address = urlsplit(browser.get("/logout").headers["location"])
    assert (address.netloc, address.path) == ("issuer.test", "/logout")
    asked = dict(parse_qsl(address.query))
    assert asked["post_logout_redirect_uri"] == APPLICATION
    assert asked["id_token_hint"]
    assert browser.get("/").headers["location"] == "/login"
    assert browser.get("/logout").headers["location"] == "/"


def test_who_signs_out_while_the_issuer_is_away_is_out_here_and_can_do_it_again(
    browser: TestClient[Litestar], issuer: Issuer
) -> None:
    signed_in(browser, issuer)
    with TestClient(application_of(issuer), base_url=APPLICATION, cookies=browser.cookies) as restarted:
        restarted.follow_redirects = False
        issuer.is_away = True
        assert restarted.get("/logout").status_code == 503
        assert restarted.get("/").headers["location"] == "/login"
        issuer.is_away = False
        assert restarted.get("/logout").headers["location"].startswith(f"{issuer.keys.issuer}logout?")


def test_an_issuer_that_is_away_is_said_to_be(browser: TestClient[Litestar], issuer: Issuer) -> None:
    issuer.is_away = True
    assert browser.get("/login").status_code == 503
    issuer.is_away = False
    go_to_issuer(browser, issuer)


def test_what_the_pages_kept_of_somebody_is_not_there_for_who_signs_in_after_them(
    browser: TestClient[Litestar], issuer: Issuer
) -> None:
    signed_in(browser, issuer)
    assert browser.get("/note?text=of+ada").json() == {"sub": "ada", "note": "of ada"}
    signed_in(browser, issuer)
    assert browser.get("/note").json() == {"sub": "ada", "note": "of ada"}, "whose token was renewed"
    issuer.now += 7200
    browser.get("/")
    issuer.token, issuer.id_claims = {"sub": "robin"}, {"sub": "robin"}
    signed_in(browser, issuer)
    assert browser.get("/note").json() == {"sub": "robin", "note": None}


def test_a_page_of_another_site_signs_nobody_out_and_changes_no_organization(
    browser: TestClient[Litestar], issuer: Issuer
) -> None:
    led = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    issuer.asked = dict(parse_qsl(urlsplit(browser.get("/login", headers=led).headers["location"]).query))
    assert come_back(browser, issuer.answer).headers["location"] == "/", "signing in may begin anywhere"
    assert browser.get("/logout", headers=led).headers["location"] == "/"
    assert browser.get("/login?organization=org_south", headers=led).headers["location"] == "/"
    page = browser.get("/", headers=led).json()
    assert (page["sub"], page["org_id"]) == ("ada", "org_north")
    assert page["problem"] == "A page of another site asked to change the organization."
    led["Sec-Fetch-Site"] = "same-site"
    assert "org_south" in browser.get("/login?organization=org_south", headers=led).headers["location"]
    assert browser.get("/logout", headers=led).headers["location"].startswith(issuer.keys.issuer)


def test_a_page_for_a_person_is_kept_nowhere_unless_it_says_so(
    browser: TestClient[Litestar], issuer: Issuer
) -> None:
    assert browser.get("/").headers["cache-control"] == "no-store"
    signed_in(browser, issuer)
    assert browser.get("/").headers["cache-control"] == "no-store"
    assert browser.get("/note").headers["cache-control"] == "private, no-cache"
