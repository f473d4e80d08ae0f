"""`q`, `sort` and `connection` of users: what Auth0 documents, what is found by an index, and what is too much."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.dialects import sqlite

from core.http.search import search
from tenant_runtime.management.users import search as searching
from tenant_runtime.management.users.resource import LISTING
from tests.management.world import Place

pytestmark = pytest.mark.anyio

DATABASE = "Username-Password-Authentication"


async def make_people(acme: Place) -> dict[str, str]:
    """By the first three letters of their addresses."""
    people: dict[str, dict[str, Any]] = {
        "ada@acme.example": {
            "name": "Ada Lovelace", "family_name": "Lovelace", "username": "Ada",
            "app_metadata": {"plan": "gold", "roles": ["admin", "author"], "age": 36, "is_old": True},
        },
        "ben@other.example": {
            "name": "Ben", "app_metadata": {"plan": {"gold": "gold"}, "roles": []}, "phone_number": "+4912345",
            "user_metadata": {"addresses": {"city": "Paris"}},
        },
        "cle@acme.example": {"name": "adam", "blocked": True, "email_verified": True},
    }  # fmt: skip
    made = {}
    for email, more in people.items():
        user = await acme.api().made("/users", {"connection": DATABASE, "email": email, **more})
        made[email[:3]] = user["user_id"]
        acme.world.clock.time += 1
    return made


FOUND = [
    ("email:ADA@acme.example", "ada"), ("email.raw:ADA@acme.example", ""), ("email.raw:ada@acme.example", "ada"),
    ('email.domain:"acme.example"', "ada cle"), ("email.domain:ACME.example", "ada cle"), ("email:AD*", "ada"),
    ("name:ADA*", "ada cle"), ('name:"ADAM"', "cle"), ("ada", "ada cle"), ("ada*", "ada cle"),
    ("username:Ada", "ada"), ("username:ada", ""), ('family_name:"lovelace"', "ada"),
    ("app_metadata.plan:gold", "ada"), ("app_metadata.plan:GOLD", ""), ("app_metadata.plan.gold:gold", "ben"),
    ("app_metadata.roles:author", "ada"), ('app_metadata.roles:("author" OR "nobody")', "ada"),
    ("app_metadata.age:36", "ada"), ("app_metadata.is_old:true", "ada"), ("app_metadata.plan:go*", "ada"),
    ('user_metadata.addresses.city:"Paris"', "ben"), ("_exists_:app_metadata.roles", "ada ben"),
    ("NOT _exists_:phone_number", "ada cle"), ("phone_number:+4912345", "ben"), ("phone_verified:true", ""),
    (f'identities.connection:"{DATABASE}" AND blocked:true', "cle"), ("identities.provider:auth0", "ada ben cle"),
    ("identities.isSocial:true", ""), ("NOT identities.provider:auth0", ""), ("organization_id:org_none", ""),
    ("email_verified:true AND NOT blocked:false", "cle"), ("name:ben OR name:adam", "ben cle"),
    ("logins_count:[0 TO 0] AND created_at:[2020-01-01 TO *]", "ada ben cle"), ("created_at:<2020-01-01", ""),
    ("last_login:*", ""), ("'; DROP TABLE users;", ""), ("app_metadata.plan:\"x') OR 1=1 --\"", ""),
]  # fmt: skip
"""What is asked, and who is found."""


async def test_a_search_finds_what_auth0_documents(acme: Place) -> None:
    await make_people(acme)
    api = acme.api()
    for q, found in FOUND:
        answer = await api.get("/users", q=q, search_engine="v3", primary_order="true")
        assert answer.status_code == 200, (q, answer.text)
        assert [user["email"][:3] for user in answer.json()] == found.split(), q


async def test_who_is_found_by_an_identity_an_organization_or_a_connection(acme: Place) -> None:
    api, ids = acme.api(), await make_people(acme)
    linked = {"provider": "auth0", "user_id": ids["ben"]}
    assert (await api.post(f"/users/{ids['ada']}/identities", linked)).status_code == 201
    q = f'identities.user_id:"{ids["ben"].partition("|")[2]}"'
    assert [user["user_id"] for user in (await api.get("/users", q=q)).json()] == [ids["ada"]]
    organization = await api.made("/organizations", {"name": "one"})
    await api.post(f"/organizations/{organization['id']}/members", {"members": [ids["cle"]]})
    q = f"organization_id:{organization['id']}"
    assert [user["user_id"] for user in (await api.get("/users", q=q)).json()] == [ids["cle"]]
    assert len((await api.get("/users", connection=DATABASE)).json()) == 2
    assert (await api.get("/users", connection="nobody")).json() == []


async def test_a_sort_goes_both_ways_and_equal_ones_keep_their_order(acme: Place) -> None:
    api = acme.api()
    await make_people(acme)
    for field in ("created_at", "email", "logins_count", "last_login"):
        up, down = [
            [user["user_id"] for user in (await api.get("/users", sort=f"{field}:{way}")).json()]
            for way in (1, -1)
        ]
        assert up == list(reversed(down)), field


REFUSED: list[dict[str, str]] = [
    {"search_engine": "v2"}, {"search_engine": ""}, {"primary_order": "x"}, {"sort": "password:1"},
    {"sort": "email"}, {"q": "app_metadata.age:[1 TO 99]"}, {"q": "password_hash:x"}, {"q": "sessions:*"},
    {"q": "identities.access_token:x"}, {"fields": "a b"}, {"per_page": "101"}, {"page": "-1"},
]  # fmt: skip


async def test_what_cannot_be_asked_is_refused(acme: Place) -> None:
    """`specs/bad-inputs.md` 129 and 130."""
    api = acme.api()
    for query in REFUSED:
        answer = await api.get("/users", **query)
        assert (answer.status_code, answer.json()["errorCode"]) == (400, "invalid_query_string"), query


BY_INDEX = {
    'email:"ada@acme.example"': "ix_users_email",
    "email:ada*": "ix_users_email",
    'name:"ada"': "ix_users_name",
    "name:ada*": "ix_users_name",
    "username:ada": "ix_users_username",
    "created_at:[2026-01-01 TO *]": "ix_users_created",
    "organization_id:org_1": "memberships",
    "email:ada* AND app_metadata.plan:gold": "ix_users_email",
}
"""What is asked, and what the database looks it up in."""


@pytest.mark.parametrize(("q", "index"), BY_INDEX.items())
def test_a_search_by_address_name_or_time_is_asked_of_an_index(schema: Path, q: str, index: str) -> None:
    statement = LISTING.page.where(search(q, searching.FIELDS, searching.DEFAULT))
    compiled = statement.compile(dialect=sqlite.dialect())
    values = {**compiled.params, "limit_": 50, "offset_": 0}
    engine = create_engine(f"sqlite:///{schema}")
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(
            f"EXPLAIN QUERY PLAN {compiled}", tuple(values[name] for name in compiled.positiontup or ())
        ).all()
    engine.dispose()
    plan = [row[3] for row in rows]
    assert any(index in step for step in plan), plan
    assert not any(step.startswith("SCAN users") for step in plan), plan
    assert not searching.reads_all(q, None, None)


READING: list[tuple[dict[str, str], bool]] = [
    ({}, False), ({"q": "email:ada*"}, False), ({"sort": "created_at:-1"}, False), ({"sort": "email:1"}, False),
    ({"q": "email:ada@acme.example", "sort": "last_login:1"}, False), ({"q": "email:a* OR name:b*"}, False),
    ({"q": "created_at:[2020-01-01 TO *]"}, False), ({"q": "ada"}, True), ({"q": "blocked:true"}, True),
    ({"q": "app_metadata.plan:gold"}, True), ({"sort": "last_login:1"}, True), ({"q": "NOT email:a*"}, True),
    ({"q": "email:a* OR blocked:true"}, True), ({"connection": DATABASE}, True), ({"q": "email:[a TO b]"}, True),
    ({"q": "created_at:[2020-01-01 TO *] AND blocked:true"}, True),
    ({"q": "created_at:[2020-01-01 TO *]", "sort": "email:1"}, True),
]  # fmt: skip
"""What is asked, and whether it reads everybody."""


async def test_what_would_read_everybody_is_refused_where_there_are_too_many(
    acme: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make_people(acme)
    api = acme.api()
    for query, _ in READING:
        assert (await api.get("/users", **query)).status_code == 200, query
    monkeypatch.setattr(searching, "MOST_READ", 2)
    for query, refused in READING:
        answer = await api.get("/users", **query)
        assert answer.status_code == (400 if refused else 200), query
        assert not refused or "too many" in answer.json()["message"]
