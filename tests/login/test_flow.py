"""The next step, as a table: what is asked, what is proved, what follows."""

import pytest

from core.errors import (
    AccessDenied,
    ConsentRequired,
    InteractionRequired,
    InvalidRequest,
    LoginRequired,
    OAuthError,
)
from tenant_runtime.login.flow import Rules, Standing, Step, next_step

NOW = 1_000_000
NOBODY = Standing()
ADA = Standing(subject="ada", authenticated_at=NOW - 10_000, is_covered=True)
FRESH = Standing(subject="ada", authenticated_at=NOW, is_fresh=True, is_covered=True)
UNCOVERED = Standing(subject="ada", authenticated_at=NOW)
REFUSED = Standing(subject="ada", authenticated_at=NOW, refusal=AccessDenied("no"))
ASKING = Standing(subject="ada", authenticated_at=NOW, refusal=AccessDenied("no"), may_ask=True)
CHOSEN = Standing(subject="ada", authenticated_at=NOW, organization_id="org_1")
SAID_NO = Standing(subject="ada", has_refused=True)
SAID_YES = Standing(subject="ada", authenticated_at=NOW, is_covered=True, has_consented=True)


def prompt(*values: str, **rules: object) -> Rules:
    return Rules(prompt=frozenset(values), **rules)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rules", "standing", "expected"),
    [
        (Rules(), NOBODY, Step.LOG_IN),
        (Rules(), ADA, Step.DONE),
        (prompt("login"), ADA, Step.LOG_IN),
        (prompt("select_account"), ADA, Step.LOG_IN),
        (prompt("create"), ADA, Step.LOG_IN),
        (prompt("login"), FRESH, Step.DONE),
        (Rules(max_age=10), ADA, Step.LOG_IN),
        (Rules(max_age=11), ADA, Step.DONE),
        (Rules(max_age=0), FRESH, Step.DONE),
        (Rules(expected_subject="ada"), ADA, Step.DONE),
        (Rules(expected_subject="bob"), ADA, Step.LOG_IN),
        (Rules(expected_subject="bob"), FRESH, LoginRequired),
        (Rules(needs_organization=True), NOBODY, Step.LOG_IN),
        (Rules(needs_organization=True), ADA, Step.CHOOSE_ORGANIZATION),
        (Rules(needs_organization=True), CHOSEN, Step.DONE),
        (Rules(), REFUSED, AccessDenied),
        (prompt("login"), REFUSED, Step.LOG_IN),
        (Rules(), ASKING, Step.ASK_TO_JOIN),
        (prompt("login"), ASKING, Step.LOG_IN),
        (Rules(needs_consent=True), ASKING, Step.ASK_TO_JOIN),
        (Rules(needs_consent=True), UNCOVERED, Step.CONSENT),
        (Rules(needs_consent=True), ADA, Step.DONE),
        (Rules(needs_consent=True, needs_organization=True), UNCOVERED, Step.CHOOSE_ORGANIZATION),
        (prompt("consent"), ADA, Step.CONSENT),
        (prompt("consent"), SAID_YES, Step.DONE),
        (Rules(), SAID_NO, AccessDenied),
        (prompt("none"), NOBODY, LoginRequired),
        (prompt("none"), ADA, Step.DONE),
        (prompt("none", max_age=10), ADA, LoginRequired),
        (prompt("none", expected_subject="bob"), ADA, LoginRequired),
        (prompt("none", needs_organization=True), ADA, InteractionRequired),
        (prompt("none", needs_consent=True), UNCOVERED, ConsentRequired),
        (prompt("none"), REFUSED, AccessDenied),
        (prompt("none"), ASKING, AccessDenied),
    ],
)
def test_what_follows(rules: Rules, standing: Standing, expected: Step | type[OAuthError]) -> None:
    if isinstance(expected, Step):
        assert next_step(rules, standing, NOW) is expected
        return
    with pytest.raises(expected) as raised:
        next_step(rules, standing, NOW)
    assert not isinstance(raised.value, InvalidRequest)
