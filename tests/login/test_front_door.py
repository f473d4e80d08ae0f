"""The same through a whole installation: edge, hosts and the demo's own clients."""

from tests.installation import Installation
from tests.relying_party import RelyingParty


async def test_a_member_switches_silently_and_a_stranger_is_denied(installation: Installation) -> None:
    rp = installation.relying_party("acme", "web")
    first, second, third = installation.tenant("acme").organizations[:3]
    signed_in = await rp.sign_in()
    assert "org_id" not in signed_in.claims
    for organization in (first, second):
        switched = await rp.redeem((await rp.silent(organization=organization.id))["code"])
        assert switched.claims["org_id"] == organization.id
        assert switched.id_claims["sub"] == signed_in.id_claims["sub"]
    assert (await rp.silent(organization=third.id))["error"] == "access_denied"
    theirs = installation.tenant("globex").organizations[0]
    assert (await rp.silent(organization=theirs.id))["error"] == "invalid_request"


async def test_the_browser_application_gets_its_answer_as_a_message(installation: Installation) -> None:
    rp = installation.relying_party("acme", "spa")
    await rp.sign_in()
    rp.redirect_uri = "http://app.acme.localhost:9872/"
    page = await rp.authorize(prompt="none", response_mode="web_message", redirect_uri=rp.redirect_uri)
    assert page.status_code == 200
    assert '"code"' in page.text
    assert "frame-ancestors http://app.acme.localhost:9872" in page.headers["content-security-policy"]


async def test_one_tenants_client_and_session_are_nothing_at_another(installation: Installation) -> None:
    acme, globex = (installation.relying_party(name) for name in ("acme", "globex"))
    await acme.sign_in()
    secret = next(c.value for c in installation.http.cookies.jar if c.name == "keystead_session")
    stranger = await installation.http.get(
        acme.authorize_url().replace(acme.issuer, globex.issuer),
        headers={"Cookie": f"keystead_session={secret}"},
    )
    assert stranger.status_code == 400
    assert "location" not in stranger.headers
    planted = await installation.http.get(
        globex.authorize_url(prompt="none"), headers={"Cookie": f"keystead_session={secret}"}
    )
    assert "error=login_required" in planted.headers["location"]


async def test_an_operator_becomes_a_member_and_switches_to_the_tenant_silently(
    installation: Installation,
) -> None:
    plane = installation.demo.control_plane
    http, client, user = installation.http, plane.clients["console"], plane.users[0]
    rp = RelyingParty(http, plane.issuer, client, plane.management_audience, user)
    sub = (await rp.sign_in(scope="openid")).id_claims["sub"]
    assert (await rp.silent(organization="acme"))["error"] == "access_denied"
    operator = await installation.operator()
    organization = await operator.get("/organizations/name/acme")
    await operator.post(f"/organizations/{organization['id']}/members", {"members": [sub]})
    answer = await rp.redeem((await rp.silent(organization="acme"))["code"])
    assert (answer.claims["iss"], answer.claims["org_id"]) == (plane.issuer, organization["id"])
