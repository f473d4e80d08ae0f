"""What every endpoint of `/api/auth` has in common."""

from tests.installation import Installation


async def test_it_is_alive_and_knows_no_other_path(shared: Installation) -> None:
    issuer = shared.tenant("acme").issuer
    alive = await shared.http.get(f"{issuer}api/auth/ok")
    assert (alive.status_code, alive.json()) == (200, {"ok": True})
    for method, path in (("GET", "nothing"), ("POST", "ok"), ("POST", "organization/add-member")):
        answer = await shared.http.request(method, f"{issuer}api/auth/{path}")
        assert (answer.status_code, answer.content) == (404, b"")
