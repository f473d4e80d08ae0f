"""Every route of `/api/auth`, with what is sent to it: `$name` is the id of something that stands there."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from litestar.routes import HTTPRoute

from tenant_runtime.organizations.api import BASE, router

Ids = Mapping[str, str]
ORGANIZATION = {"organizationId": "$organization"}
PASSWORD = "correct horse battery staple"

GIVEN: dict[str, dict[str, Any]] = {
    "/ok": {},
    "/sign-up/email": {"name": "Taken", "email": "$email", "password": PASSWORD},
    "/sign-in/email": {"email": "$email", "password": "not " + PASSWORD},
    "/sign-out": {},
    "/get-session": {},
    "/list-sessions": {},
    "/list-accounts": {},
    "/revoke-session": {"token": "$token"},
    "/revoke-sessions": {},
    "/revoke-other-sessions": {},
    "/update-session": {"theme": "dark"},
    "/update-user": {"name": "Taken over"},
    "/change-password": {"currentPassword": "not " + PASSWORD, "newPassword": PASSWORD},
    "/verify-password": {"password": "not " + PASSWORD},
    "/change-email": {"newEmail": "taken@over.example"},
    "/delete-user": {"password": "not " + PASSWORD},
    "/request-password-reset": {"email": "nobody@nowhere.example"},
    "/reset-password": {"newPassword": PASSWORD, "token": "$secret"},
    "/reset-password/{token}": {},
    "/send-verification-email": {"email": "nobody@nowhere.example"},
    "/verify-email": {"token": "$secret"},
    "/organization/create": {"name": "Taken", "slug": "$slug"},
    "/organization/check-slug": {"slug": "$slug"},
    "/organization/list": {},
    "/organization/get-organization": ORGANIZATION,
    "/organization/get-full-organization": {"organizationSlug": "$slug"},
    "/organization/set-active": ORGANIZATION,
    "/organization/update": {"data": {"name": "Taken over"}, **ORGANIZATION},
    "/organization/delete": ORGANIZATION,
    "/organization/list-members": ORGANIZATION,
    "/organization/update-member-role": {"memberId": "$member", "role": "admin", **ORGANIZATION},
    "/organization/transfer-ownership": {"memberId": "$member", **ORGANIZATION},
    "/organization/remove-member": {"memberIdOrEmail": "$member", **ORGANIZATION},
    "/organization/leave": ORGANIZATION,
    "/organization/get-active-member": {},
    "/organization/get-active-member-role": {"userId": "$user", **ORGANIZATION},
    "/organization/has-permission": {"permissions": {"member": ["create"]}, **ORGANIZATION},
    "/organization/get-settings": ORGANIZATION,
    "/organization/update-settings": {"data": {"requireMfa": False}, **ORGANIZATION},
    "/organization/invite-member": {"email": "taken@over.example", "role": "member", "teamId": "$team", **ORGANIZATION},
    "/organization/invite-members": {"email": ["taken@over.example"], "role": "member", **ORGANIZATION},
    "/organization/accept-invitation": {"invitationId": "$invitation"},
    "/organization/reject-invitation": {"invitationId": "$invitation"},
    "/organization/cancel-invitation": {"invitationId": "$invitation"},
    "/organization/get-invitation": {"id": "$invitation"},
    "/organization/list-invitations": ORGANIZATION,
    "/organization/list-user-invitations": {},
    "/organization/create-team": {"name": "Taken", **ORGANIZATION},
    "/organization/update-team": {"teamId": "$team", "data": {"name": "Taken over", **ORGANIZATION}},
    "/organization/remove-team": {"teamId": "$team", **ORGANIZATION},
    "/organization/list-teams": ORGANIZATION,
    "/organization/set-active-team": {"teamId": "$team"},
    "/organization/list-user-teams": {"userId": "$user", **ORGANIZATION},
    "/organization/list-team-members": {"teamId": "$team"},
    "/organization/add-team-member": {"teamId": "$team", "userId": "$user", **ORGANIZATION},
    "/organization/remove-team-member": {"teamId": "$team", "userId": "$user", **ORGANIZATION},
    "/organization/create-role": {"role": "taken", "permission": {"ac": ["read"]}, **ORGANIZATION},
    "/organization/update-role": {"roleId": "$role", "data": {"permission": {"ac": ["read"]}}, **ORGANIZATION},
    "/organization/delete-role": {"roleId": "$role", **ORGANIZATION},
    "/organization/list-roles": ORGANIZATION,
    "/organization/get-role": {"roleId": "$role", **ORGANIZATION},
    "/organization/add-domain": {"domain": "taken-over.example", **ORGANIZATION},
    "/organization/list-domains": ORGANIZATION,
    "/organization/verify-domain": {"domainId": "$domain", **ORGANIZATION},
    "/organization/update-domain": {"domainId": "$domain", "useForDiscovery": False, **ORGANIZATION},
    "/organization/remove-domain": {"domainId": "$domain", **ORGANIZATION},
    "/organization/list-joinable-organizations": {},
    "/organization/request-to-join": ORGANIZATION,
    "/organization/join": ORGANIZATION,
    "/organization/list-join-requests": ORGANIZATION,
    "/organization/approve-join-request": {"requestId": "$request"},
    "/organization/reject-join-request": {"requestId": "$request"},
    "/organization/cancel-join-request": {"requestId": "$request"},
}  # fmt: skip
"""A route that is added is named here, or the tests that ask every route say so."""

PUBLIC = frozenset(
    {
        *("/ok", "/sign-up/email", "/sign-in/email", "/sign-out", "/get-session", "/request-password-reset"),
        *("/reset-password", "/reset-password/{token}", "/send-verification-email", "/verify-email"),
    }
)
"""What anybody may ask who has no session."""


@dataclass(frozen=True, slots=True)
class ApiRoute:
    method: str
    path: str

    @property
    def given(self) -> dict[str, Any]:
        return GIVEN[self.path]

    @property
    def names(self) -> frozenset[str]:
        """Whose ids it is sent: `team`, `member`."""
        return frozenset(_names(self.given))

    @property
    def is_of_an_organization(self) -> bool:
        return self.path.startswith("/organization/")

    def sent(self, ids: Ids) -> dict[str, Any]:
        filled = _filled(self.given, ids)
        return {"params" if self.method == "GET" else "json": filled}


def api_routes() -> list[ApiRoute]:
    found = [
        ApiRoute(method, route.path.removeprefix(BASE).replace(":str}", "}"))
        for route in router().routes
        if isinstance(route, HTTPRoute)
        for method in sorted(route.methods - {"OPTIONS", "HEAD"})
    ]
    unnamed = {route.path for route in found} - GIVEN.keys()
    assert not unnamed, f"what is sent to them is not said: {sorted(unnamed)}"
    return found


def _names(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value[1:]] if value.startswith("$") else []
    if isinstance(value, dict):
        return [name for item in value.values() for name in _names(item)]
    return [name for item in value for name in _names(item)] if isinstance(value, list) else []


def _filled(value: Any, ids: Ids) -> Any:
    if isinstance(value, str):
        return ids[value[1:]] if value.startswith("$") else value
    if isinstance(value, dict):
        return {name: _filled(item, ids) for name, item in value.items()}
    return [_filled(item, ids) for item in value] if isinstance(value, list) else value
