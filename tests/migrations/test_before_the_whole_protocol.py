"""What version 0002 kept of a client without acting on it is acted on from 0003 on."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, select, text

import migrations
from core.database.engine import connection_over
from tenant_runtime.models import Client

LOGOUT = {
    "backchannel_logout_urls": ["https://app.example.com/logout"],
    "backchannel_logout_initiators": {"mode": "custom", "selected_initiators": ["rp-logout"]},
}


@pytest.fixture
def connection() -> Iterator[Connection]:
    """At 0002."""
    driver = sqlite3.connect(":memory:", isolation_level=None)
    driver.execute("BEGIN")
    connection = connection_over(driver)
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent / "tenant"))
    config.attributes["connection"] = connection
    command.upgrade(config, "0002")
    yield connection
    connection.close()
    driver.close()


def upgraded(connection: Connection, attributes: dict[str, Any]) -> Any:
    columns = {row[1] for row in connection.execute(text("PRAGMA table_info(clients)"))}
    usual = {
        "client_id": "c1",
        "name": "C",
        "app_type": "regular_web",
        "token_endpoint_auth_method": "client_secret_post",
        "organization_usage": "allow",
        "organization_require_behavior": "no_prompt",
        "created_at": 1,
        "updated_at": 1,
    }
    flags = dict.fromkeys(("is_first_party", "is_global", "require_pkce"), 1)
    lists = dict.fromkeys(
        ("grant_types", "callbacks", "allowed_logout_urls", "web_origins", "allowed_origins"), "[]"
    )
    objects = dict.fromkeys(("jwt_configuration", "refresh_token", "client_metadata"), "{}")
    row = {**usual, **flags, **lists, **objects, "attributes": json.dumps(attributes)}
    assert row.keys() <= columns
    names = ", ".join(row)
    connection.execute(text(f"INSERT INTO clients ({names}) VALUES (:{', :'.join(row)})"), row)
    migrations.upgrade(connection, "tenant")
    return connection.execute(select(Client.__table__)).one()


def test_members_that_mean_something_now_are_taken_over(connection: Connection) -> None:
    row = upgraded(
        connection,
        {
            "require_proof_of_possession": True,
            "require_pushed_authorization_requests": True,
            "signed_request_object": {"required": True, "credentials": [{"id": "cred_elsewhere"}]},
            "oidc_logout": LOGOUT,
            "compliance_level": "none",
            "oidc_conformant": True,
        },
    )
    assert row.attributes == {"oidc_conformant": True}
    assert row.require_proof_of_possession is True
    assert row.require_pushed_authorization_requests is True
    assert row.signed_request_object == {"required": True}
    assert row.oidc_logout == LOGOUT
    assert row.compliance_level == "none"


def test_the_earlier_name_of_logout_addresses_counts_where_the_later_one_is_not(
    connection: Connection,
) -> None:
    old = {"backchannel_logout_urls": ["https://app.example.com/old"]}
    row = upgraded(connection, {"oidc_backchannel_logout": old})
    assert (row.oidc_logout, row.attributes) == (old, {})


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"compliance_level": "fapi2_sp_pkj_dpop"},
        {"compliance_level": "fapi1_adv_pkj_par"},
        {"require_proof_of_possession": False, "require_pushed_authorization_requests": False},
        {"require_proof_of_possession": "yes"},
        {"signed_request_object": {"required": False}},
        {"signed_request_object": "x"},
        {"oidc_logout": {"backchannel_logout_urls": "https://app.example.com/"}},
        {"oidc_logout": {"backchannel_logout_urls": ["http://app.example.com/"]}},
        {"oidc_logout": [], "oidc_backchannel_logout": 7},
    ],
    ids=str,
)
def test_what_was_never_looked_at_switches_nothing_on(
    connection: Connection, attributes: dict[str, Any]
) -> None:
    row = upgraded(connection, attributes)
    assert row.attributes == {}
    assert row.require_proof_of_possession is row.require_pushed_authorization_requests is False
    assert (row.signed_request_object, row.oidc_logout, row.compliance_level) == ({}, {}, None)


def test_initiators_of_no_known_shape_mean_all_of_them(connection: Connection) -> None:
    row = upgraded(connection, {"oidc_logout": {**LOGOUT, "backchannel_logout_initiators": {"mode": 1}}})
    assert row.oidc_logout == {"backchannel_logout_urls": LOGOUT["backchannel_logout_urls"]}


def test_a_second_run_finds_nothing(connection: Connection) -> None:
    upgraded(connection, {"oidc_logout": LOGOUT})
    before = connection.execute(select(Client.__table__)).one()
    migrations.upgrade(connection, "tenant")
    assert connection.execute(select(Client.__table__)).one() == before


def connections_of(connection: Connection) -> list[tuple[str, str]]:
    rows = connection.execute(text("SELECT name, strategy FROM connections"))
    return [(row[0], row[1]) for row in rows]


def test_a_tenant_gets_the_connection_that_new_ones_begin_with(connection: Connection) -> None:
    connection.execute(
        text(
            "INSERT INTO tenant (id, incarnation, config_version, converging, conflicts, dangling)"
            " VALUES ('acme', 'acme-1', 1, 0, '[]', '[]')"
        )
    )
    migrations.upgrade(connection, "tenant")
    assert connections_of(connection) == [("email", "email")]


def test_an_empty_database_gets_none(connection: Connection) -> None:
    migrations.upgrade(connection, "tenant")
    assert connections_of(connection) == []
