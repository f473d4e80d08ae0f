"""RFC 6749 section 4.4, client grants, and machine tokens for an organization."""

import pytest

from core.ids import digest
from tenant_runtime import models
from tests.protocol.issuer import API, OPEN_API, Issuers, claims_of, header_of

pytestmark = pytest.mark.anyio


async def test_a_client_gets_the_scopes_of_its_grant(issuers: Issuers) -> None:
    answer = await issuers.acme.machine(audience=API)
    assert answer.status_code == 200
    assert answer.json().keys() == {"access_token", "token_type", "expires_in", "scope"}
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["pragma"] == "no-cache"
    claims = claims_of(answer.json()["access_token"])
    assert claims["sub"] == "m2m@clients"
    assert claims["gty"] == "client-credentials"
    assert claims["aud"] == API
    assert claims["scope"] == "read:invoices write:invoices"
    assert claims["permissions"] == ["read:invoices", "write:invoices"]
    assert header_of(answer.json()["access_token"])["typ"] == "at+jwt"


async def test_a_client_may_ask_for_less(issuers: Issuers) -> None:
    answer = await issuers.acme.machine(audience=API, scope="read:invoices")
    assert answer.json()["scope"] == "read:invoices"
    assert claims_of(answer.json()["access_token"])["permissions"] == ["read:invoices"]


@pytest.mark.parametrize("scope", ["openid", "offline_access", "read:invoices openid", "delete:everything"])
async def test_what_is_not_in_the_grant_is_an_invalid_scope(issuers: Issuers, scope: str) -> None:
    answer = await issuers.acme.machine(audience=API, scope=scope)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_scope")


async def test_without_a_grant_for_the_api_there_is_no_token(issuers: Issuers) -> None:
    answer = await issuers.acme.machine(audience=OPEN_API)
    assert (answer.status_code, answer.json()["error"]) == (403, "access_denied")


async def test_an_unknown_audience_is_named_as_auth0_names_it(issuers: Issuers) -> None:
    answer = await issuers.acme.machine(audience="https://nowhere.example.com/")
    assert (answer.status_code, answer.json()["error"]) == (403, "access_denied")
    assert answer.json()["error_description"] == "Service not found: https://nowhere.example.com/"


async def test_the_management_api_in_plain_http_is_also_found_by_its_https_spelling(issuers: Issuers) -> None:
    plain = "http://acme.localhost:8000/api/v2/"
    await issuers.acme.remove(models.ClientGrant, id="cgr_management")
    await issuers.acme.change(models.ResourceServer, {"id": "management"}, identifier=plain)
    await issuers.acme.add(models.ClientGrant, id="cgr_plain", client_id="m2m", audience=plain, scope=[])
    answer = await issuers.acme.machine(audience="https://acme.localhost:8000/api/v2/")
    assert claims_of(answer.json()["access_token"])["aud"] == plain
    await issuers.acme.change(models.ResourceServer, {"id": "open"}, identifier="http://open.localhost/")
    answer = await issuers.acme.machine(audience="https://open.localhost/")
    assert answer.json()["error"] == "access_denied"


async def test_an_audience_is_needed_unless_the_tenant_has_a_default(issuers: Issuers) -> None:
    assert (await issuers.acme.machine()).json()["error"] == "access_denied"
    await issuers.acme.add(models.Setting, key="default_audience", source="tenant", value=API)
    assert claims_of((await issuers.acme.machine()).json()["access_token"])["aud"] == API


async def test_a_client_that_is_not_registered_for_the_grant_is_refused(issuers: Issuers) -> None:
    answer = await issuers.acme.machine("web2", audience=API)
    assert (answer.status_code, answer.json()["error"]) == (400, "unauthorized_client")


async def test_a_public_client_has_no_credentials(issuers: Issuers) -> None:
    await issuers.acme.change(models.Client, {"client_id": "spa"}, grant_types=["client_credentials"])
    answer = await issuers.acme.machine("spa", audience=API)
    assert (answer.status_code, answer.json()["error"]) == (400, "unauthorized_client")


@pytest.mark.parametrize("organization", ["org_north", "north", "North"])
async def test_a_token_for_an_organization_names_it(issuers: Issuers, organization: str) -> None:
    answer = await issuers.acme.machine(audience=API, organization=organization)
    claims = claims_of(answer.json()["access_token"])
    assert (claims["org_id"], claims["org_name"]) == ("org_north", "north")


async def test_names_of_organizations_may_be_switched_off(issuers: Issuers) -> None:
    key = "allow_organization_name_in_authentication_api"
    await issuers.acme.add(models.Setting, key=key, source="tenant", value=False)
    assert (await issuers.acme.machine(audience=API, organization="north")).json()[
        "error"
    ] == "invalid_request"
    answer = await issuers.acme.machine(audience=API, organization="org_north")
    assert "org_name" not in claims_of(answer.json()["access_token"])


async def test_an_unknown_organization_is_one_answer_whatever_is_wrong_with_it(issuers: Issuers) -> None:
    answers = [
        (await issuers.acme.machine(audience=API, organization=name)).json()
        for name in ("org_nowhere", "nowhere", "org_")
    ]
    assert answers[0]["error"] == "invalid_request"
    assert answers.count(answers[0]) == 3


async def test_a_suspended_organization_is_refused(issuers: Issuers) -> None:
    await issuers.acme.change(models.Organization, {"id": "org_north"}, suspended_at=1)
    answer = await issuers.acme.machine(audience=API, organization="org_north")
    assert answer.json()["error"] == "access_denied"


@pytest.mark.parametrize(
    ("usage", "any_organization", "organization", "error"),
    [
        (None, True, "org_north", "access_denied"),
        ("deny", True, "org_north", "access_denied"),
        ("allow", False, "org_north", "access_denied"),
        ("require", True, None, "invalid_request"),
        ("require", True, "org_north", None),
        ("deny", False, None, None),
    ],
)
async def test_the_grant_says_which_organizations(
    issuers: Issuers, usage: str | None, any_organization: bool, organization: str | None, error: str | None
) -> None:
    await issuers.acme.change(
        models.ClientGrant,
        {"id": "cgr_api"},
        organization_usage=usage,
        allow_any_organization=any_organization,
    )
    form = {"audience": API} | ({"organization": organization} if organization else {})
    answer = await issuers.acme.machine(**form)
    assert answer.json().get("error") == error


async def test_a_platform_scope_is_never_beside_an_organization(issuers: Issuers) -> None:
    audience = issuers.acme.tenant.management_audience
    alone = await issuers.acme.machine(audience=audience)
    assert claims_of(alone.json()["access_token"])["permissions"] == ["read:tenants", "read:users"]
    beside = await issuers.acme.machine(audience=audience, organization="org_north")
    assert claims_of(beside.json()["access_token"])["permissions"] == ["read:users"]
    asked = await issuers.acme.machine(audience=audience, organization="org_north", scope="read:tenants")
    assert asked.json()["error"] == "invalid_scope"


async def test_a_scope_that_the_api_lost_is_not_granted_any_more(issuers: Issuers) -> None:
    await issuers.acme.remove(models.Scope, resource_server_id="api", value="write:invoices")
    assert (await issuers.acme.machine(audience=API)).json()["scope"] == "read:invoices"


async def test_a_secret_that_was_taken_away_is_refused_at_once(issuers: Issuers) -> None:
    assert (await issuers.acme.machine(audience=API)).status_code == 200
    await issuers.acme.remove(models.ClientSecret, digest=digest(issuers.acme.secrets["m2m"]))
    answer = await issuers.acme.machine(audience=API)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


async def test_both_outcomes_are_in_the_log(issuers: Issuers) -> None:
    await issuers.acme.machine(audience=API)
    await issuers.acme.machine(audience=OPEN_API)
    assert await issuers.acme.events() == ["seccft", "feccft"]
    assert await issuers.globex.events() == []


async def test_a_client_acts_for_the_organizations_its_grant_was_given_to(issuers: Issuers) -> None:
    acme = issuers.acme
    await acme.change(
        models.ClientGrant, {"audience": API}, organization_usage="allow", allow_any_organization=False
    )
    [grant] = await acme.rows(models.ClientGrant, audience=API)
    first, second, *_ = await acme.rows(models.Organization)
    assert (await acme.machine(audience=API, organization=first.id)).json()["error"] == "access_denied"
    await acme.add(models.OrganizationClientGrant, organization_id=first.id, client_grant_id=grant.id)
    for named in (first.id, first.name):
        token = (await acme.machine(audience=API, organization=named)).json()["access_token"]
        assert claims_of(token)["org_id"] == first.id
    for named in (second.id, second.name, "org_0000000000000000"):
        answer = (await acme.machine(audience=API, organization=named)).json()
        assert answer["error_description"] == "The client may not act for this organization."
