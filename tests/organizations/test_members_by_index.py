"""What is asked of some members reads no others, however many there are: the plans of what is really executed.

A step that has the organization alone reads all of its members. Only a covering index is walked like that, for a page
that is far and for a count.
"""

import sqlite3
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Connection

import migrations
from core.database.engine import connection_over
from tenant_runtime.management.endings import end_memberships
from tenant_runtime.organizations.accounts.deletion import check_not_needed
from tenant_runtime.organizations.admission import check_room
from tenant_runtime.organizations.invitations.inviting import check_not_member
from tenant_runtime.organizations.members import Member
from tenant_runtime.organizations.options import OrganizationOptions
from tenant_runtime.organizations.people.listing import Wanted, page_of
from tenant_runtime.organizations.people.rows import is_last_owner, is_last_owner_anywhere, member_named

OWNER = Member("mem_1", "org_1", "auth0|1", ("owner",), 1)
OF_ROLE = Wanted(filter_field="role", filter_values=("owner",))
WITHOUT_READING_ALL: dict[str, Callable[[Connection], object]] = {
    "members of a role": lambda connection: page_of(connection, "org_1", OF_ROLE),
    "whether somebody is the last owner": lambda connection: is_last_owner(connection, OWNER),
    "whether somebody is the last owner anywhere": lambda connection: is_last_owner_anywhere(
        connection, "auth0|1"
    ),
    "whether an address is a member's": lambda connection: check_not_member(
        connection, "org_1", "a@x.example"
    ),
    "a member by address": lambda connection: member_named(connection, "org_1", "a@x.example"),
}
BY_INDEX_ALONE: dict[str, Wanted] = {
    "a far page": Wanted(offset=90_000),
    "the last who joined": Wanted(sort_by="createdAt", direction="desc"),
    "by role": Wanted(sort_by="role"),
    "by role, backwards": Wanted(sort_by="role", direction="desc", offset=90_000),
}


@pytest.fixture(scope="module")
def driver() -> Iterator[sqlite3.Connection]:
    made = sqlite3.connect(":memory:", isolation_level=None)
    made.execute("BEGIN")
    migrations.upgrade(connection_over(made), "tenant")
    yield made
    made.close()


def asked_of(driver: sqlite3.Connection, ask: Callable[[Connection], object]) -> int:
    """How many different statements; for what its triggers do the database names the same one again."""
    statements: list[str] = []
    driver.set_trace_callback(statements.append)
    ask(connection_over(driver))
    driver.set_trace_callback(None)
    return len(set(statements))


def test_whoever_is_deleted_takes_as_many_statements_however_many_organizations_they_are_in(
    driver: sqlite3.Connection,
) -> None:
    """Each is a round trip to a server, and all of them have seconds."""

    def goes(connection: Connection) -> None:
        check_not_needed(connection, "auth0|9")
        end_memberships(connection, "auth0|9", 1)

    once = asked_of(driver, goes)
    for number in range(20):
        row = (f"mem_{number}", f"org_{number}", "auth0|9", 1)
        driver.execute(
            "INSERT INTO memberships (id, organization_id, user_id, created_at) VALUES (?, ?, ?, ?)", row
        )
    assert asked_of(driver, goes) == once > 0


def plan(driver: sqlite3.Connection, ask: Callable[[Connection], object]) -> list[str]:
    """The steps that look for members, of each statement."""
    statements: list[str] = []
    driver.set_trace_callback(statements.append)
    ask(connection_over(driver))
    driver.set_trace_callback(None)
    steps = [row[3] for each in statements for row in driver.execute(f"EXPLAIN QUERY PLAN {each}")]
    return [step for step in steps if " memberships " in step]


@pytest.mark.parametrize("ask", WITHOUT_READING_ALL.values(), ids=WITHOUT_READING_ALL.keys())
def test_what_is_asked_of_some_reads_no_others(
    driver: sqlite3.Connection, ask: Callable[[Connection], object]
) -> None:
    steps = plan(driver, ask)
    assert steps
    assert not [step for step in steps if step.startswith("SCAN") or step.endswith("(organization_id=?)")], (
        steps
    )


def test_members_whom_nobody_limits_are_not_counted_to_let_one_more_in(driver: sqlite3.Connection) -> None:
    unlimited = OrganizationOptions(membership_limit=None)
    assert plan(driver, lambda connection: check_room(connection, "org_1", unlimited, 1)) == []
    limited = OrganizationOptions(membership_limit=100)
    [step] = plan(driver, lambda connection: check_room(connection, "org_1", limited, 1))
    assert "USING COVERING INDEX" in step


@pytest.mark.parametrize("wanted", BY_INDEX_ALONE.values(), ids=BY_INDEX_ALONE.keys())
def test_a_page_is_found_in_an_index_and_only_its_members_are_looked_up(
    driver: sqlite3.Connection, wanted: Wanted
) -> None:
    steps = plan(driver, lambda connection: page_of(connection, "org_1", wanted))
    walks = [step for step in steps if step.endswith("(organization_id=?)")]
    assert walks
    assert all("USING COVERING INDEX" in step for step in walks), steps
    assert [step for step in steps if step.endswith("(id=?)")], steps
