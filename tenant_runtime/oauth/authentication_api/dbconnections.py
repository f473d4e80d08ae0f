"""`POST /dbconnections/signup` and `/change_password`, as Auth0's SDKs send them, in Auth0's shape of errors.

What a person may say of themself is a list: never that an address is verified, nor metadata of the application, nor
roles (`specs/bad-inputs.md` 111). A taken address is `invalid_signup`, as at Auth0, so the calls of one caller are
counted. The other endpoint changes nothing: it sends the link of `login.reset`, and says that it did to everybody.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from litestar import asgi
from litestar.types import Receive, Scope, Send
from sqlalchemy import Connection, bindparam, select

from core.crypto.sealing import DataKey
from core.errors import InvalidInput, InvalidRequest
from core.http.errors import as_authentication
from core.ids import new_user_id
from tenant_runtime.attack_protection.addresses import admit_registration
from tenant_runtime.attack_protection.leaks import Chosen, is_refused
from tenant_runtime.audit import Event, record
from tenant_runtime.configuration import (
    ClientConfiguration,
    Configuration,
    ConnectionConfiguration,
    configuration,
)
from tenant_runtime.deliveries import Outgoing, enqueue
from tenant_runtime.login.accounts import PROVIDER, NewAccount, create_account
from tenant_runtime.login.addresses import image_of
from tenant_runtime.login.email_verification import letter_at_signup
from tenant_runtime.login.password_rules import problem_of
from tenant_runtime.login.reset import Asked, ask
from tenant_runtime.models import User
from tenant_runtime.oauth.authentication_api.shared import Body, languages_of, read
from tenant_runtime.oauth.wire import Answer, Call, json_answer, serve, text_answer

METHODS = ("POST",)
SENT = "We've just sent you an email to reset your password."
TEXT_LENGTH = 300
METADATA_MEMBERS = 10
METADATA_LENGTH = 500
_PROFILE = ("name", "given_name", "family_name", "nickname", "username", "picture")
_ECHOED = ("username", "given_name", "family_name", "name", "nickname", "picture")

_username = User.__table__.c.username
_TAKEN = select(_username).where(_username == bindparam("of"))


class SignupRefused(InvalidInput):
    code, description = "invalid_signup", "Invalid sign up"


class SignupClosed(InvalidInput):
    code, description = "signup_disabled", "Public signup is disabled"


class PasswordRefused(InvalidInput):
    """The SDKs look at `code` and at `name`."""

    code, description = "invalid_password", "Password is too weak"
    name: ClassVar[str] = "PasswordStrengthError"


class PasswordGuessable(PasswordRefused):
    description = "Password is too common"
    name: ClassVar[str] = "PasswordDictionaryError"


class PasswordLeaked(PasswordRefused):
    code, description = "password_leaked", "Password has been leaked"
    name: ClassVar[str] = "PasswordLeakedError"


@asgi("/dbconnections/signup", copy_scope=False, exception_handlers={Exception: as_authentication})
async def signup(scope: Scope, receive: Receive, send: Send) -> None:
    await serve(scope, receive, send, METHODS, _signup)


@asgi("/dbconnections/change_password", copy_scope=False, exception_handlers={Exception: as_authentication})
async def change_password(scope: Scope, receive: Receive, send: Send) -> None:
    await serve(scope, receive, send, METHODS, _change_password)


async def _signup(call: Call) -> Answer:
    body = await read(call, "user_metadata")
    current = await configuration(call.tenant)
    client, database = _named(body, current)
    if not current.takes_signups(database):
        raise SignupClosed()
    email, password = body.address(), body.required("password")
    profile = _profile(body)
    _check_username(profile, database)
    _check_password(password, database, email, profile.get("name", ""), call.tenant.id, client.name)
    limited = _event(call, client, database, "limit_mu", "Too many new accounts from one address.")
    await admit_registration(call.tenant, call.services, current, limited)
    leaked = _event(
        call, client, database, "signup_pwd_leak", "The password is known from a leak.", user_name=email
    )
    if await is_refused(
        Chosen(tenant=call.tenant, services=call.services, current=current, password=password, event=leaked)
    ):
        raise PasswordLeaked()
    account = NewAccount(
        user_id=new_user_id(PROVIDER),
        connection_id=database.id,
        email=email,
        name=profile.get("name", ""),
        hash=await call.services.passwords.hash(password, tenant=call.tenant.id),
        now=call.now_ms,
        profile={name: value for name, value in profile.items() if name != "name"},
    )
    made = _event(call, client, database, "ss", user_id=account.user_id, user_name=email)
    letter = await letter_at_signup(
        call.services, call.tenant, call.ip, account, client.client_id, languages_of(call)
    )
    if not await call.tenant.database.write(_create, account, made, letter, call.tenant.data_key):
        refused = _event(call, client, database, "fs", "The address or name is taken.", user_name=email)
        call.services.audit.add(call.tenant, refused)
        raise SignupRefused()
    if letter is not None:
        call.services.deliveries.soon(call.tenant)
    shown = {name: profile[name] for name in (*_ECHOED, "user_metadata") if name in profile}
    identity = {"_id": account.user_id.partition("|")[2], "email": email, "email_verified": False}
    return json_answer({**identity, **shown})


async def _change_password(call: Call) -> Answer:
    body = await read(call)
    client, database = _named(body, await configuration(call.tenant))
    if database.database.disable_self_service_change_password:
        raise InvalidRequest("Passwords of this connection are not changed here.")
    asked = Asked(
        connection_id=database.id,
        connection_name=database.name,
        email=body.address(),
        client_id=client.client_id,
        client_name=client.name,
        now=call.now_ms,
        ip=call.ip,
        user_agent=call.user_agent,
        request_id=call.request_id,
        languages=languages_of(call),
    )
    await ask(call.tenant, call.services, asked)
    return text_answer(SENT)


def _named(body: Body, current: Configuration) -> tuple[ClientConfiguration, ConnectionConfiguration]:
    client = current.clients.get(body.required("client_id"))
    if client is None:
        raise InvalidRequest("The client is unknown.")
    name = body.required("connection")
    for connection in current.connections.values():
        if (connection.name, connection.strategy) == (name, PROVIDER) and connection.id in client.connections:
            return client, connection
    raise InvalidRequest("The connection is no database of users, or not enabled for this client.")


def _profile(body: Body) -> dict[str, Any]:
    profile: dict[str, Any] = {name: body.texts[name] for name in _PROFILE if name in body.texts}
    too_long = next((name for name, value in profile.items() if len(value) > TEXT_LENGTH), None)
    if too_long is not None:
        raise InvalidRequest(f"{too_long} is too long.")
    if "picture" in profile and image_of(profile["picture"]) is None:
        raise InvalidRequest("picture is no address of an image.")
    if "user_metadata" in body.objects:
        profile["user_metadata"] = _metadata(body.objects["user_metadata"])
    return profile


def _metadata(members: Mapping[str, Any]) -> dict[str, str]:
    """Texts only, and few of them: whoever signs up is a stranger."""
    if len(members) > METADATA_MEMBERS:
        raise InvalidRequest("user_metadata has too many members.")
    for name, value in members.items():
        if not isinstance(value, str) or len(name) > TEXT_LENGTH or len(value) > METADATA_LENGTH:
            raise InvalidRequest("The members of user_metadata must be short texts.")
        if not f"{name}{value}".isprintable():
            raise InvalidRequest("user_metadata holds characters that are not allowed.")
    return dict(members)


def _check_username(profile: Mapping[str, Any], connection: ConnectionConfiguration) -> None:
    rules, username = connection.database, profile.get("username")
    if not rules.requires_username:
        return
    if username is None:
        raise InvalidRequest("username is required.")
    if not rules.name_length.min <= len(username) <= rules.name_length.max:
        raise InvalidRequest(
            f"username must have {rules.name_length.min} to {rules.name_length.max} characters."
        )


def _check_password(password: str, connection: ConnectionConfiguration, *names: str) -> None:
    rules = connection.database
    problem = problem_of(password, *names, *rules.blocked_words, least=rules.least_length)
    if problem == "password_common":
        raise PasswordGuessable()
    if problem is not None:
        raise PasswordRefused()


def _create(
    connection: Connection, account: NewAccount, made: Event, letter: Outgoing | None, data_key: DataKey
) -> bool:
    username = account.profile.get("username")
    if username is not None and connection.execute(_TAKEN, {"of": username}).first() is not None:
        return False
    if not create_account(connection, account):
        return False
    record(connection, made)
    if letter is not None:
        enqueue(connection, data_key, letter, account.now)
    return True


def _event(
    call: Call,
    client: ClientConfiguration,
    database: ConnectionConfiguration,
    type: str,
    description: str | None = None,
    **values: Any,
) -> Event:
    return Event(
        type=type,
        created_at=call.now_ms,
        description=description,
        client_id=client.client_id,
        client_name=client.name,
        connection=database.name,
        ip=call.ip,
        user_agent=call.user_agent,
        request_id=call.request_id,
        **values,
    )
