"""What an answer is compared with: what its step says, and what the reference answers to the same."""

from typing import Any

from tests.clients.organization_api.script import Answer
from tests.clients.organization_api.steps import Refusal, Step

NOT_ANSWERED = {"memberCount"}
"""Members that the reference tells of and we do not: section 0.9 of `specs/organization-api.md`."""

SAID_FREELY = {"VALIDATION_ERROR", "UNSUPPORTED_MEDIA_TYPE", "METHOD_NOT_ALLOWED_DEFER_SESSION_REQUIRED"}
"""Codes whose sentences nobody compares."""


def is_as_said(step: Step, answer: Answer) -> bool:
    if not step.together:
        return _got(answer) == _said(step)
    return sorted(map(str, map(_said, step.together))) == sorted(map(str, map(_got, answer["together"])))


def is_alike(ours: Answer, reference: Answer) -> bool:
    return bool(_comparable(ours) == _comparable(reference))


def _said(step: Step) -> Refusal:
    return step.fails or (200, None)


def _got(answer: Answer) -> Refusal:
    body = answer.get("refused")
    return answer["status"], body.get("code") if isinstance(body, dict) else None


def _comparable(value: Any) -> Any:
    """Without what may differ: some sentences, and members that are null (tables in memory leave them
    out)."""
    if isinstance(value, list):
        return [_comparable(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "together" in value:
        return sorted(map(str, map(_comparable, value["together"])))
    if value.get("code") in SAID_FREELY:
        return {"code": value["code"]}
    return {
        name: _comparable(item)
        for name, item in value.items()
        if item is not None and name not in NOT_ANSWERED
    }
