"""Lists: stable, bounded, and with page tokens that are nobody else's (`specs/bad-inputs.md` 129)."""

import pytest

from tests.management.world import Place, World

pytestmark = pytest.mark.anyio

LISTS = ("/roles", "/clients", "/client-grants", "/resource-servers", "/users", "/organizations", "/logs")


async def make_roles(acme: Place, count: int) -> None:
    for number in range(count):
        await acme.api().made("/roles", {"name": f"Role {number}"})
        acme.world.clock.time += number % 2  # some within the same millisecond


@pytest.mark.parametrize("path", LISTS)
async def test_a_malformed_window_is_refused(acme: Place, path: str) -> None:
    for query in (
        "page=-1", "page=x", "page=1.5", "page=999999999999", "per_page=0", "per_page=101", "per_page=1e9",
        "per_page=5&per_page=6", "take=0", "take=101", "take=-1", "from=forged", "from=", "from='%20OR%201=1",
        "from=" + "A" * 3000, "include_totals=yes", "sort=password:1", "sort=name", "sort=name;drop:1",
        "fields=a%20b", "fields=", "include_fields=1",
    ):  # fmt: skip
        answer = await acme.api()("GET", f"{path}?{query}")
        assert (answer.status_code, answer.json()["errorCode"]) == (400, "invalid_query_string"), (
            query,
            answer.text,
        )
        assert "sql" not in answer.text.lower()


async def test_by_offset_no_row_is_skipped_or_repeated(acme: Place) -> None:
    await make_roles(acme, 7)
    seen = []
    for page in range(4):
        answer = (await acme.api().get("/roles", page=page, per_page=2, include_totals="true")).json()
        assert (answer["start"], answer["limit"], answer["total"]) == (page * 2, 2, 7)
        seen += [role["id"] for role in answer["roles"]]
    assert seen == [role["id"] for role in (await acme.api().get("/roles")).json()]
    assert len(set(seen)) == 7


async def test_by_checkpoint_rows_added_meanwhile_disturb_nothing(acme: Place) -> None:
    await make_roles(acme, 5)
    before = [role["id"] for role in (await acme.api().get("/roles")).json()]
    seen, query = [], {"take": "2"}
    while True:
        answer = (await acme.api().get("/roles", **query)).json()
        seen += [role["id"] for role in answer["roles"]]
        if "next" not in answer:
            break
        query = {"take": "2", "from": answer["next"]}
        if len(seen) == 2:
            acme.world.clock.time += 1
            await acme.api().made("/roles", {"name": "Late"})
    assert seen[:5] == before
    assert len(seen) == len(set(seen)) == 6


async def test_a_page_token_is_good_for_its_own_question_only(world: World) -> None:
    acme = world.acme
    await make_roles(acme, 3)
    token = (await acme.api().get("/roles", take=1)).json()["next"]
    assert (await acme.api().get("/roles", **{"take": 1, "from": token})).status_code == 200
    for place, path, query in (
        (acme, "/users", {}),
        (acme, "/roles", {"name_filter": "Role"}),
        (world.globex, "/roles", {}),
        (world.one, "/roles", {}),
    ):
        answer = await place.api().get(path, **{"take": 1, "from": token, **query})
        assert answer.status_code == 400, (path, query)
    assert (await acme.api().get("/roles", **{"take": 1, "from": token[:-2] + "AA"})).status_code == 400


async def test_the_last_page_has_no_next_even_when_it_is_full(acme: Place) -> None:
    await make_roles(acme, 2)
    assert "next" not in (await acme.api().get("/roles", take=2)).json()


async def test_an_empty_list_is_a_list(acme: Place) -> None:
    assert (await acme.api().get("/roles")).json() == []
    assert (await acme.api().get("/roles", take=5)).json() == {"roles": []}
    totals = (await acme.api().get("/roles", include_totals="true", page=9)).json()
    assert totals == {"start": 450, "limit": 50, "length": 0, "total": 0, "roles": []}
