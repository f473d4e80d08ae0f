"""W8 once more, at a tenant with a thousand people and at one with a million, in the same run and server. All of the
thousand are members of one organization, and a hundred thousand of the million.

The rows are written straight into the two files while no server has them open: a million sign-ups would take a day.
They are what the Management API would have made, but for passwords, which no list reads.
"""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from bench.installation import Installation, web
from bench.protocol import bearer_request, repeat
from bench.rounds import CONNECTIONS, Effort, Side, take_turns
from bench.table import Row
from bench.wire import Connection
from entrypoints.network import Api

FEW = 1_000
MEMBERS = 100_000
ORGANIZATION = "org_000000000000000000000001"
QUESTIONS = (
    ("list 50 users", "users?per_page=50"),
    ("q by address", 'users?q=email:"person7@large.example"'),
    ("q by the beginning of a name, ten people", "users?q=name:person000012*"),
    ("newest 50 users", "users?sort=created_at:-1"),
    ("list 50 members", f"organizations/{ORGANIZATION}/members?per_page=50"),
    ("list members 950 to 999", f"organizations/{ORGANIZATION}/members?per_page=50&page=19"),
    (
        "list 50 members and count them",
        f"organizations/{ORGANIZATION}/members?per_page=50&include_totals=true",
    ),
)
_PEOPLE = """
INSERT INTO users (user_id, email, email_verified, phone_verified, name, given_name, family_name, nickname, profile,
                   user_metadata, app_metadata, blocked, created_at, updated_at, sessions_valid_from, logins_count)
WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :count)
SELECT 'auth0|' || printf('%024x', n), 'person' || n || '@large.example', 1, 0, printf('Person%07d', n), 'Person', n,
       'person' || n, '{}', '{}', '{}', 0, 1700000000000 + n, 1700000000000 + n, 0, 0 FROM numbers
"""
_IDENTITIES = """
INSERT INTO identities (connection_id, provider_user_id, user_id, provider, is_social, email, profile_data)
SELECT (SELECT id FROM connections WHERE strategy = 'auth0' ORDER BY created_at LIMIT 1), substr(user_id, 7),
       user_id, 'auth0', 0, email, '{}' FROM users
"""
_ORGANIZATION = """
INSERT INTO organizations (id, name, display_name, branding, metadata, created_at, updated_at)
VALUES (:organization, 'everybody', 'Everybody', '{}', '{}', 1700000000000, 1700000000000)
"""
_MEMBERSHIPS = """
INSERT INTO memberships (id, organization_id, user_id, created_at)
SELECT 'mem_' || substr(user_id, 7), :organization, user_id, created_at FROM users ORDER BY created_at LIMIT :members
"""
_ROLES = (
    "INSERT INTO membership_organization_roles (membership_id, role) SELECT id, 'member' FROM memberships"
)
_TRIGGERS = """
SELECT name, sql FROM sqlite_master
WHERE type = 'trigger' AND tbl_name IN ('users', 'identities', 'organizations', 'memberships')
"""


async def measure(installation: Installation, many: int, effort: Effort) -> list[Row]:
    """`many` people beside `FEW`."""
    sizes = {"few-people": FEW, "many-people": many}
    async with installation.platform() as platform:
        for tenant_id in sizes:
            await platform.post("/tenants", {"id": tenant_id})
    installation.program.stop()
    for tenant_id, count in sizes.items():
        _fill(_file(installation.data, tenant_id), count)
    installation.restart()
    async with web() as http:
        token = await installation.platform_token(http)
        for tenant_id, count in sizes.items():
            await _check(Api(http, f"http://{installation.host(tenant_id)}/api/v2", token), count)
    return [await _row(installation, token, work, query, many, effort) for work, query in QUESTIONS]


def _file(data: Path, tenant_id: str) -> Path:
    [file] = data.glob(f"tenants/*/{tenant_id}.*.db")
    return file


def _fill(file: Path, count: int) -> None:
    """Without the triggers that tell others of each change, which nobody here listens to."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        triggers: Sequence[tuple[str, str]] = connection.execute(_TRIGGERS).fetchall()
        connection.execute("BEGIN IMMEDIATE")
        for name, _ in triggers:
            connection.execute(f'DROP TRIGGER "{name}"')
        connection.execute(_PEOPLE, {"count": count})
        connection.execute(_IDENTITIES)
        connection.execute(_ORGANIZATION, {"organization": ORGANIZATION})
        connection.execute(_MEMBERSHIPS, {"organization": ORGANIZATION, "members": MEMBERS})
        connection.execute(_ROLES)
        for _, sql in triggers:
            connection.execute(sql)
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


async def _check(api: Api, count: int) -> None:
    """Totals stop being counted at some number (`management.listing`)."""
    page = await api.get("/users", include_totals="true", per_page=1)
    if page["total"] != min(count, 100_000):
        raise RuntimeError(f"{page['total']} people where {count} should be")


async def _row(
    installation: Installation, token: str, work: str, query: str, many: int, effort: Effort
) -> Row:
    """Both take turns; the small tenant's cost is in the column of the floor."""
    opened: list[Connection] = []
    sides = []
    try:
        for tenant_id in ("many-people", "few-people"):
            mine = [await Connection.open(installation.port) for _ in range(CONNECTIONS)]
            opened += mine
            message = bearer_request(installation.host(tenant_id), f"/api/v2/{query}", token)
            sides.append(Side(installation.program, [repeat(connection, message) for connection in mine]))
        measured, beside = await take_turns(sides, effort)
    finally:
        for connection in opened:
            connection.close()
    return Row(
        workload="W8",
        work=f"{work}: of {many:,} / of {FEW:,}",
        unit="CPU ms",
        measured=measured.cpu_ms,
        floor=beside.cpu_ms,
        rate=measured.rate,
        p50_ms=measured.p50_ms,
        p99_ms=measured.p99_ms,
        spread=measured.spread,
    )
