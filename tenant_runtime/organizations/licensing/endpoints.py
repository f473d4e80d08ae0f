"""`GET /api/v1/licenses/check?feature=` and `/api/v1/licenses/entitlements`: what the caller's organization may use.

Asked with a person's access token for an organization, or by the browser's session about the organization it is in.
Which organization is never a parameter. The token must be good at `/userinfo`, where the same is told; one of a client
that has to ask people for consent needs the scope `entitlements`. Machines ask the Management API.
"""

import re
from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import parse_qs

from litestar import Router, asgi
from litestar.types import Receive, Scope, Send
from sqlalchemy import Connection, bindparam, select

from core.database import Prepared
from core.errors import Forbidden, InsufficientScope, InvalidQuery, InvalidToken, Unauthenticated
from core.http.errors import as_management
from core.http.security import ShownToken, shown_token
from tenant_runtime.configuration import Configuration, configuration
from tenant_runtime.login.cookies import api_token_of
from tenant_runtime.models import Membership
from tenant_runtime.oauth.clients.authentication import refuse_credentials_in_address
from tenant_runtime.oauth.dpop.proofs import Proof
from tenant_runtime.oauth.policy import needs_consent
from tenant_runtime.oauth.tokens.access_tokens import Presented
from tenant_runtime.oauth.tokens.persons import answered, person_behind
from tenant_runtime.oauth.tokens.subject import Subject
from tenant_runtime.oauth.wire import Answer, Call, json_answer, serve
from tenant_runtime.organizations.licensing.entitlements import Entitlements, entitlements_of, shown
from tenant_runtime.organizations.licensing.features import KEY
from tenant_runtime.organizations.membership import NotAMember
from tenant_runtime.organizations.policies import refused_in
from tenant_runtime.organizations.wire.sessions import load_api_session
from tenant_runtime.schema import require_organization_api

CHECK, ENTITLEMENTS = "/api/v1/licenses/check", "/api/v1/licenses/entitlements"
SCOPE = "entitlements"
_FEATURE, _NUMBER = re.compile(KEY), re.compile(r"[1-9][0-9]{0,11}")

_m = Membership.__table__.c
_STANDS = Prepared(
    select(_m.id).where(_m.organization_id == bindparam("organization"), _m.user_id == bindparam("user"))
)

Has = tuple[str, Entitlements]
"""An organization, by id, and what it has."""


@asgi(CHECK, copy_scope=False)
async def check(scope: Scope, receive: Receive, send: Send) -> None:
    await serve(scope, receive, send, ("GET",), _check)


@asgi(ENTITLEMENTS, copy_scope=False)
async def entitlements(scope: Scope, receive: Receive, send: Send) -> None:
    await serve(scope, receive, send, ("GET",), _entitlements)


def router() -> Router:
    return Router("/", route_handlers=[check, entitlements], exception_handlers={Exception: as_management})


async def _check(call: Call) -> Answer:
    refuse_credentials_in_address(call)
    query = _query(call, "feature", "need")
    feature, need = query.get("feature", ""), query.get("need", "1")
    if not _FEATURE.fullmatch(feature):
        raise InvalidQuery("The parameter 'feature' must name a feature.")
    if not _NUMBER.fullmatch(need):
        raise InvalidQuery("The parameter 'need' must be a number, 1 or more.")

    def checked(has: Has) -> Mapping[str, Any]:
        id, found = has
        licensed, limit = found.allows(feature, int(need)), found.limit(feature)
        return {"feature": feature, "licensed": licensed, "limit": limit, "organization_id": id}

    return await _answer(call, CHECK, checked)


async def _entitlements(call: Call) -> Answer:
    refuse_credentials_in_address(call)
    _query(call)
    return await _answer(call, ENTITLEMENTS, lambda has: shown(*has))


def _query(call: Call, *known: str) -> dict[str, str]:
    given = parse_qs(call.query.decode("latin-1"), keep_blank_values=True, max_num_fields=10)
    if given.keys() - set(known) or any(len(values) > 1 for values in given.values()):
        raise InvalidQuery("A parameter is unknown, or sent twice.")
    return {name: values[0] for name, values in given.items()}


async def _answer(call: Call, path: str, show: Any) -> Answer:
    given = call.headers.get(b"authorization")
    if given is None:
        return json_answer(show(await _of_session(call)))
    found = shown_token([(b"authorization", value) for value in given])
    if found is None:
        raise InvalidToken
    return await answered(call, path, found, "licenses", partial(_of_token, call, found, show))


async def _of_token(call: Call, found: ShownToken, show: Any, proof: Proof | None) -> Answer:
    current = await configuration(call.tenant)

    def has(connection: Connection, presented: Presented, subject: Subject) -> Has:
        _require_scope(current, presented)
        return _has(connection, subject.organization_id, call.now_ms)

    *_, answer = await person_behind(call, current, found.token, proof, has)
    return json_answer(show(answer))


def _require_scope(current: Configuration, presented: Presented) -> None:
    if "openid" not in presented.scope:
        raise InsufficientScope("openid")
    if needs_consent(current.clients[presented.client_id], None) and SCOPE not in presented.scope:
        raise InsufficientScope(SCOPE)


async def _of_session(call: Call) -> Has:
    headers = [(b"cookie", value) for value in call.headers.get(b"cookie", ())]
    token = api_token_of(headers, call.tenant.issuer, call.tenant.data_key)
    if token is None:
        raise Unauthenticated("An access token or a session is required.")
    return await call.tenant.database.read(_in_session, token, call.tenant.issuer, call.now_ms)


def _in_session(connection: Connection, token: str, issuer: str, now_ms: int) -> Has:
    """What the session says it is in is looked at again: whether the person still belongs to it."""
    require_organization_api(connection)
    session = load_api_session(connection, token, issuer, now_ms)
    if session is None:
        raise Unauthenticated("An access token or a session is required.")
    id = session.active_organization_id
    if id is not None and _STANDS.first(connection, {"organization": id, "user": session.user_id}) is None:
        raise NotAMember
    refused = refused_in(connection, id, session.id, session.user_id, now_ms) if id is not None else None
    if refused is not None:
        raise refused
    return _has(connection, id, now_ms)


def _has(connection: Connection, organization_id: str | None, now_ms: int) -> Has:
    require_organization_api(connection)
    if organization_id is None:
        raise Forbidden("This is about an organization, and there is none.", code="organization_required")
    return organization_id, entitlements_of(connection, organization_id, now_ms)
