"""A template is used for many tenants: nothing of one is ever in the file of another, not even between its rows."""

import sqlite3

import pytest

from core.crypto.keys import SigningKey
from core.crypto.sealing import DataKey, new_data_key
from provisioning.backends.template import Draft, Template, Templates
from provisioning.first_rows import FirstRows, prepare

INCARNATION = "inc_0123456789abcdef"


@pytest.fixture(scope="module")
def template() -> Template:
    return Templates().get("", lambda _: None)


def first_rows(tenant_id: str) -> FirstRows:
    return prepare(
        DataKey(tenant_id, new_data_key()),
        SigningKey.generate("ES256"),
        management_audience=f"https://{tenant_id}.example/api/v2/",
        now=1,
    )


def image(template: Template, tenant_id: str, first: FirstRows) -> bytes:
    def put(draft: Draft) -> None:
        for sql, rows in first.statements:
            draft.driver.executemany(sql, rows)

    return template.image(tenant_id, INCARNATION, put)


def values_of(first: FirstRows) -> list[bytes]:
    values = {value for _, rows in first.statements for row in rows for value in row}
    return [
        value.encode() if isinstance(value, str) else value
        for value in values
        if isinstance(value, str | bytes) and len(value) > 12
    ]


def test_an_image_is_the_same_whoever_came_before(template: Template) -> None:
    acme, globex = first_rows("acme"), first_rows("globex")
    alone = image(template, "globex", globex)
    content = image(template, "acme", acme)
    assert image(template, "globex", globex) == alone
    assert len([value for value in values_of(acme) if value in content and value not in alone]) >= 10
    assert b"acme" not in alone


def test_what_fails_leaves_nothing(template: Template) -> None:
    acme, globex = first_rows("acme"), first_rows("globex")
    alone = image(template, "globex", globex)

    def fail(draft: Draft) -> None:
        sql, rows = acme.statements[0]
        draft.driver.executemany(sql, rows)
        draft.driver.executemany(sql, rows)

    with pytest.raises(sqlite3.IntegrityError):
        template.image("acme", INCARNATION, fail)
    assert image(template, "globex", globex) == alone


def test_an_image_is_a_whole_database(template: Template) -> None:
    driver = sqlite3.connect(":memory:")
    driver.deserialize(image(template, "acme", first_rows("acme")))
    assert driver.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert driver.execute("PRAGMA foreign_key_check").fetchall() == []
    assert driver.execute("SELECT id, incarnation, converging FROM tenant").fetchall() == [
        ("acme", INCARNATION, 0)
    ]
    with pytest.raises(sqlite3.IntegrityError, match="managed_by_control_plane"):
        driver.execute("UPDATE tenant SET id = 'globex'")
    driver.close()
