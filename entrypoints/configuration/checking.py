"""What is wrong with files, before anything is sent: each entry by the type that its route takes, names of other
entries by what stands and what is about to be made."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from core.errors import InvalidInput
from entrypoints.configuration import bodies, keywords
from entrypoints.configuration.files import Files, Said
from entrypoints.configuration.kinds import BY_NAME, Collection, Documents, Entry, Kind
from entrypoints.configuration.state import State
from tenant_runtime.management.addresses import check_callbacks, check_link, check_origins

_PROTOCOL = re.compile(r"`(\w+)`")


def check_entry(kind: Kind, part: str, said: Said, members: Entry, action: str) -> Iterator[str]:
    """`members`: those that would be sent."""
    if (left := _drop_unset(kind, members)) is not None:
        yield f"{said.place.at(left[0])}: {left[1]} is not set in the environment."
        return
    body = _body(kind, members, action)
    if not body:
        return
    method, path = _route(kind, part, action)
    found = bodies.fault(method, path, body) if bodies.known(method, path) else None
    if found is not None:
        text, steps = found
        yield f"{said.place.at(*steps)}: {_where(kind, said, steps)}{text}"
    elif kind.name == "clients":
        yield from _check_addresses(said, body)


def _drop_unset(kind: Kind, members: Entry) -> tuple[str, str] | None:
    """A keyword that nobody set is a fault, but in a secret: that is then not said."""
    for name in list(members):
        keyword = keywords.unresolved(members[name])
        if keyword is None:
            continue
        nested = [secret.partition(".")[2] for secret in kind.secrets if secret.startswith(f"{name}.")]
        if name in kind.secrets:
            del members[name]
        elif isinstance(members[name], dict) and nested:
            kept = {
                member: value
                for member, value in members[name].items()
                if member not in nested or keywords.unresolved(value) is None
            }
            if (keyword := keywords.unresolved(kept)) is not None:
                return name, keyword
            members[name] = kept
        else:
            return name, keyword
    return None


def _body(kind: Kind, members: Entry, action: str) -> Entry:
    parts = {part.member for part in kind.parts} if isinstance(kind, Collection) else set[str]()
    fixed = kind.fixed if isinstance(kind, Collection) and action != "create" else frozenset[str]()
    left_out = kind.not_said | parts | fixed
    if isinstance(kind, Collection) and action == "create":
        left_out -= set(kind.label)
    return {name: value for name, value in members.items() if name not in left_out}


def _route(kind: Kind, part: str, action: str) -> tuple[str, str]:
    if isinstance(kind, Documents):
        method, path = kind.route(part)
        if part not in kind.parts:
            path = "/prompts/{}/custom-text/{}"
        return "POST" if action == "create" else method, path
    return ("POST", kind.path) if action == "create" else ("PATCH", f"{kind.path}/{{}}")


def _where(kind: Kind, said: Said, steps: Iterable[str | int]) -> str:
    label = kind.label_of(said.entry) if isinstance(kind, Collection) else kind.name
    way = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
    return f"{label}{way}: "


def _check_addresses(said: Said, client: Entry) -> Iterator[str]:
    for name in ("callbacks", "allowed_logout_urls"):
        yield from _checked(said, name, check_callbacks, client.get(name) or ())
    for name in ("web_origins", "allowed_origins"):
        yield from _checked(said, name, check_origins, client.get(name) or ())
    for name in ("logo_uri", "initiate_login_uri"):
        yield from _checked(said, name, check_link, client.get(name))


def _checked(said: Said, name: str, check: Any, value: Any) -> Iterator[str]:
    try:
        check(name, value)
    except InvalidInput as error:
        yield f"{said.place.at(name)}: {said.entry.get('name')}: {error.description}"


def check_references(files: Files, state: State) -> Iterator[str]:
    for name, entries in files.entries.items():
        kind = BY_NAME[name]
        assert isinstance(kind, Collection)
        yield from _check_labels(kind, entries)
        for said in entries:
            yield from _check_names(kind, said, files, state)
    scopes = _scopes(files, state)
    for said in files.entries.get("clientGrants", ()):
        yield from _check_scopes(said.entry.get("audience"), said.entry.get("scope"), said, "scope", scopes)
    for said in files.entries.get("roles", ()):
        if not said.entry.get("is_system"):
            yield from _check_permissions(said, scopes)


def _check_labels(kind: Collection, entries: list[Said]) -> Iterator[str]:
    for said in entries:
        for name in kind.label:
            if not isinstance(said.entry.get(name), str):
                yield f"{said.place}: an entry of `{kind.name}` needs `{name}`, a text."
    times = Counter(kind.label_of(said.entry) for said in entries)
    for said in entries:
        if times[kind.label_of(said.entry)] > 1:
            yield f"{said.place}: {kind.label_of(said.entry)} stands more than once in `{kind.name}`."


def _check_names(kind: Collection, said: Said, files: Files, state: State) -> Iterator[str]:
    named = [(member, of, said.entry.get(member)) for member, of in kind.names.items()]
    for part in kind.parts:
        items = said.entry.get(part.member)
        if part.how == "clients" and isinstance(items, list):
            named += [(part.member, "clients", item) for item in items]
        if part.how == "grants" and isinstance(items, list):
            named += [
                (part.member, "clients", item.get("client_id")) for item in items if isinstance(item, dict)
            ]
        if part.how == "connections" and isinstance(items, list):
            named += [
                (part.member, "connections", item.get("name")) for item in items if isinstance(item, dict)
            ]
    for member, of, name in named:
        if isinstance(name, str) and not _is_known(of, name, files, state):
            yield f"{said.place.at(member)}: `{member}` names {name}, which is neither in the files nor here."


def _is_known(of: str, name: str, files: Files, state: State) -> bool:
    kinds = ("connections", "databases") if of == "connections" else (of,)
    for kind in kinds:
        known = state.ids.get(kind, {})
        if name in known or name in known.values():
            return True
        if any(said.entry.get("name") == name for said in files.entries.get(kind, ())):
            return True
    return False


def _scopes(files: Files, state: State) -> dict[str, frozenset[str]]:
    found = dict(state.scopes)
    for said in files.entries.get("resourceServers", ()):
        scopes = said.entry.get("scopes")
        if isinstance(scopes, list) and isinstance(said.entry.get("identifier"), str):
            values = {str(scope.get("value")) for scope in scopes if isinstance(scope, dict)}
            found[said.entry["identifier"]] = frozenset(values)
        else:
            found.setdefault(str(said.entry.get("identifier")), frozenset())
    return found


def _check_permissions(said: Said, scopes: dict[str, frozenset[str]]) -> Iterator[str]:
    for permission in said.entry.get("permissions") or ():
        if not isinstance(permission, dict):
            yield f"{said.place.at('permissions')}: each of `permissions` must be an object."
            continue
        api, name = permission.get("resource_server_identifier"), permission.get("permission_name")
        yield from _check_scopes(api, [name], said, "permissions", scopes)


def _check_scopes(
    api: Any, values: Any, said: Said, member: str, scopes: dict[str, frozenset[str]]
) -> Iterator[str]:
    if not isinstance(api, str) or not isinstance(values, list):
        return
    if api not in scopes:
        yield (
            f"{said.place.at(member)}: {api} is no API of the files or of this tenant. (This tenant's own Management"
            " API is ##TENANT_ISSUER##api/v2/.)"
        )
        return
    for value in values:
        if value not in scopes[api]:
            yield f"{said.place.at(member)}: {api} does not define {value}."
