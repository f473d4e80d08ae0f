"""The engines are what they are taken for, before anything is tested on them."""

import httpx
import pytest

from tests.engines.postgres import Postgres
from tests.engines.sqld import Sqld
from tests.engines.tokens import TokenKey


@pytest.mark.libsql
def test_what_was_committed_is_there_after_sqld_is_killed_and_started_again(own_sqld: Sqld) -> None:
    own_sqld.create("kept")
    own_sqld.script("kept", "create table t(x); insert into t values (9223372036854775807)")
    own_sqld.kill()
    own_sqld.start()
    assert own_sqld.query("kept", "select x from t") == [(9223372036854775807,)]


@pytest.mark.libsql
def test_a_namespace_with_a_key_takes_the_tokens_of_that_key_alone(sqld: Sqld) -> None:
    key = TokenKey()
    sqld.create("own-key", jwt_key=key.public)
    assert sqld.query("own-key", "select 1", token=key.mint("own-key")) == [(1,)]
    refused = httpx.post(
        f"{sqld.url}/v3/pipeline",
        json={"requests": []},
        headers={"host": "own-key.localhost", "authorization": f"Bearer {sqld.token()}"},
    )
    assert refused.status_code == 401


@pytest.mark.postgresql
def test_what_was_committed_is_there_after_postgresql_is_killed_and_started_again(
    own_postgres: Postgres,
) -> None:
    own_postgres.query("create table t(x bigint)")
    own_postgres.query("insert into t values (9223372036854775807)")
    own_postgres.kill()
    own_postgres.start()
    assert own_postgres.query("select x from t") == [["9223372036854775807"]]


@pytest.mark.postgresql
def test_postgresql_wants_a_password(postgres: Postgres) -> None:
    stranger = Postgres(password="not-this-one", folder=postgres.folder, port=postgres.port)
    with pytest.raises(AssertionError, match="password authentication failed"):
        stranger.query("select 1")
