"""The browser flow between /authorize and the code.

    /authorize ──> log in ──> choose organization ──> consent ──> done: the code
        ^            │ ^             │                   │
        └────────────┴─┼─────────────┴───────────────────┘   (/authorize/resume)
                       └── again, where the organization asks for a better log-in

Who is no member, and may ask the organization to let them in, does so between the log-in and the rest.

`next_step` looks only at what the request asks and what is proved so far, and decides what the person must do now.
Steps never call each other: each finishes, records what it proved, and sends the browser back, which asks again.
Under prompt=none a step becomes its OIDC error instead (OpenID Connect Core 1.0, section 3.1.2.6).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from core.errors import AccessDenied, ConsentRequired, InteractionRequired, LoginRequired, OAuthError
from tenant_runtime.organizations.policies import Unmet


class Step(Enum):
    LOG_IN = "log in"
    LOG_IN_AGAIN = "log in again"
    ANSWER_INVITATION = "answer an invitation"
    ASK_TO_JOIN = "ask to join"
    CHOOSE_ORGANIZATION = "choose organization"
    CONSENT = "consent"
    DONE = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the request, its client and its API ask of the person."""

    prompt: frozenset[str] = frozenset()
    max_age: int | None = None
    expected_subject: str | None = None
    needs_organization: bool = False
    needs_consent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What is proved. `is_fresh`: the person authenticated for this very request. `refusal`: why they may not act
    in the organization that was named. `is_invited`: an invitation to it waits for an answer; `may_ask`: it takes
    requests to join from them. `has_consented`: in this
    request; `is_covered`: by an earlier consent."""

    subject: str | None = None
    authenticated_at: int = 0
    is_fresh: bool = False
    organization_id: str | None = None
    refusal: OAuthError | None = None
    is_invited: bool = False
    may_ask: bool = False
    has_consented: bool = False
    has_refused: bool = False
    is_covered: bool = False


def next_step(rules: Rules, standing: Standing, now: int) -> Step:
    """Raises the OIDC error that ends the request."""
    step = _wanted(rules, standing, now)
    if "none" in rules.prompt and step in _SILENTLY:
        raise _SILENTLY[step]()
    return step


def _wanted(rules: Rules, standing: Standing, now: int) -> Step:
    if standing.has_refused:
        raise _denial(standing)
    if _must_log_in(rules, standing, now):
        return Step.LOG_IN
    if not _is_expected(rules, standing):
        raise LoginRequired("Another person signed in than the request names.")
    if standing.is_invited:
        return Step.ANSWER_INVITATION
    if standing.refusal is not None:
        if _must_log_in_again(rules, standing, standing.refusal):
            return Step.LOG_IN_AGAIN
        if standing.may_ask:
            return Step.ASK_TO_JOIN
        raise standing.refusal
    if rules.needs_organization and standing.organization_id is None:
        return Step.CHOOSE_ORGANIZATION
    return Step.CONSENT if _must_consent(rules, standing) else Step.DONE


def _denial(standing: Standing) -> OAuthError:
    """Who could not have gone on anyway is told why."""
    if isinstance(standing.refusal, AccessDenied):
        return standing.refusal
    return AccessDenied("The person did not consent.")


def _must_log_in(rules: Rules, standing: Standing, now: int) -> bool:
    if standing.subject is None:
        return True
    if standing.is_fresh:
        return False
    if rules.prompt & {"login", "select_account", "create"} or not _is_expected(rules, standing):
        return True
    return rules.max_age is not None and now - standing.authenticated_at >= rules.max_age * 1000


def _must_log_in_again(rules: Rules, standing: Standing, refusal: OAuthError) -> bool:
    """The organization asks for more than the session has: silently that is said, whatever can be done about it. Who
    has just logged in for it has no more to offer."""
    if not isinstance(refusal, Unmet) or standing.is_fresh:
        return False
    return refusal.is_of_login if "none" in rules.prompt else refusal.login_helps


def _is_expected(rules: Rules, standing: Standing) -> bool:
    return rules.expected_subject in (None, standing.subject)


def _must_consent(rules: Rules, standing: Standing) -> bool:
    if "consent" in rules.prompt and not standing.has_consented:
        return True
    return rules.needs_consent and not standing.is_covered


_SILENTLY: Mapping[Step, type[OAuthError]] = {
    Step.LOG_IN: LoginRequired,
    Step.LOG_IN_AGAIN: InteractionRequired,
    Step.ANSWER_INVITATION: InteractionRequired,
    Step.ASK_TO_JOIN: AccessDenied,
    Step.CHOOSE_ORGANIZATION: InteractionRequired,
    Step.CONSENT: ConsentRequired,
}
