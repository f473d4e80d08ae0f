"""What Auth0's clients do about people: their accounts, what they may do, where they are signed in, who is kept out."""

from collections.abc import Iterator

from tests.clients.management_step import Step, step

PASSWORD = "correct horse battery staple"
SESSIONS = ("first", "second", "third", "fourth")


def people(mark: str, api: str) -> Iterator[Step]:
    address = f"{mark}@sdk.example.com"
    database = "Username-Password-Authentication"
    yield step(
        "users.create",
        kept="users",
        connection=database,
        email=address,
        password=PASSWORD,
        email_verified=True,
    )
    yield step("users.get", "$users.user_id", gives={"email": address})
    yield step("users.list", holds={"user_id": "$users.user_id"}, q=f'email:"{address}"')
    yield step("users.list_users_by_email", holds={"user_id": "$users.user_id"}, email=address)
    yield step("users.update", "$users.user_id", gives={"nickname": "Sam"}, nickname="Sam")
    yield step("users.create", fails=409, connection=database, email=address, password=PASSWORD)
    yield step("users.roles.assign", "$users.user_id", roles=["$roles.id"])
    yield step("users.roles.list", "$users.user_id", holds={"id": "$roles.id"})
    yield step("users.roles.delete", "$users.user_id", roles=["$roles.id"])
    yield step("tickets.verify_email", user_id="$users.user_id")
    imported = f'[{{"email": "imported-{mark}@sdk.example.com", "email_verified": true}}]'
    yield step(
        "jobs.users_imports.create", kept="job", connection_id="$database.id", users={"$file": imported}
    )
    yield step("jobs.get", "$job.id", gives={"type": "users_import"})
    yield step("jobs.errors.get", "$job.id")
    yield step("jobs.users_exports.create", kept="export", format="json")
    yield step("jobs.get", "$export.id", gives={"type": "users_export"})
    yield from _access(api)
    yield from _other(mark, database)
    yield step("tickets.change_password", user_id="$users.user_id")
    yield step("jobs.verification_email.create", kept="letter", user_id="$users.user_id")
    yield step("jobs.get", "$letter.id", gives={"type": "verification_email"})


def _access(api: str) -> Iterator[Step]:
    person = "$users.user_id"
    permission = {"resource_server_identifier": api, "permission_name": "read:things"}
    yield step("users.permissions.create", person, permissions=[permission])
    yield step("users.permissions.list", person, holds=permission, per_page=1)
    yield step("users.permissions.delete", person, permissions=[permission])
    yield step("roles.users.assign", "$roles.id", users=[person])
    yield step("roles.users.list", "$roles.id", holds={"user_id": person}, take=1)


def _other(mark: str, database: str) -> Iterator[Step]:
    """Another account, which becomes an identity of the first, and one of its own again."""
    address, person, own_id = f"other-{mark}@sdk.example.com", "$users.user_id", "$other.identities.0.user_id"
    yield step("users.create", kept="other", connection=database, email=address, password=PASSWORD)
    asked = {"provider": "auth0", "user_id": "$other.user_id"}
    yield step("users.identities.link", person, holds={"user_id": own_id}, **asked)
    yield step("users.get", "$other.user_id", fails=404)
    yield step("users.identities.delete", person, "auth0", own_id, holds={"provider": "auth0"})
    yield step("users.identities.delete", person, "auth0", own_id, fails=404)
    yield step("users.get", "$other.user_id", gives={"email": address})
    yield step("connections.users.delete_by_email", "$database.id", email=address)
    yield step("users.get", "$other.user_id", fails=404)


def sessions() -> Iterator[Step]:
    """Of somebody who has signed in several times, each time for as long as they are not there as well."""
    person = "$person.user_id"
    for number in SESSIONS:
        sid = f"${number}.session_id"
        yield step("users.sessions.list", person, holds={"id": sid}, take=2)
        yield step(
            "users.refresh_token.list", person, holds={"session_id": sid}, kept=f"{number}_token", take=2
        )
    it, token = "$first.session_id", "$first_token.id"
    yield step("sessions.get", it, gives={"user_id": person})
    yield step("refresh_tokens.get", token, gives={"user_id": person, "client_id": "$person.client_id"})
    yield step("refresh_tokens.list", holds={"id": token}, user_id=person, take=1)
    yield step("sessions.revoke", it)
    yield step("sessions.get", it, fails=404)
    yield step("refresh_tokens.get", token, fails=404)
    it, token = "$second.session_id", "$second_token.id"
    yield step("sessions.delete", it)
    yield step("sessions.get", it, fails=404)
    yield step("refresh_tokens.get", token, gives={"id": token})
    yield step("refresh_tokens.delete", token)
    yield step("refresh_tokens.get", token, fails=404)
    it, token = "$third.session_id", "$third_token.id"
    yield step("users.revoke_access", person, session_id=it, preserve_refresh_tokens=True)
    yield step("sessions.get", it, fails=404)
    yield step("refresh_tokens.get", token, gives={"id": token})
    yield step("refresh_tokens.revoke", ids=[token])
    yield step("refresh_tokens.get", token, fails=404)
    it, token = "$fourth.session_id", "$fourth_token.id"
    yield step("users.sessions.delete", person)
    yield step("sessions.get", it, fails=404)
    yield step("users.refresh_token.delete", person)
    yield step("refresh_tokens.get", token, fails=404)
    yield step("users.logs.list", person, holds={"type": "s"}, per_page=5)
    methods = "users.authentication_methods"
    yield step(f"{methods}.list", person, holds={"type": "password"}, kept="method", per_page=5)
    yield step(f"{methods}.get", person, "$method.id", gives={"type": "password"})
    yield step("user_grants.list", user_id=person, per_page=5)
    yield step("user_grants.delete_by_user_id", user_id=person)
    yield step("device_credentials.list", user_id=person, per_page=5)


def blocks() -> Iterator[Step]:
    """Of somebody whose password was guessed at until no more is heard."""
    person, identifier = "$blocked.user_id", "$blocked.email"
    shown = {"blocked_for": [{"identifier": identifier, "ip": "127.0.0.1"}]}
    yield step("user_blocks.list", person, gives=shown)
    yield step("user_blocks.list_by_identifier", gives=shown, identifier=identifier)
    yield step("user_blocks.delete", person)
    yield step("user_blocks.list", person, gives={"blocked_for": []})
    yield step("user_blocks.delete_by_identifier", identifier=identifier)
    yield step("user_blocks.list_by_identifier", fails=404, identifier="nobody@sdk.example.com")
    yield step("anomaly.blocks.check_ip", "192.0.2.9", fails=404)
    yield step("anomaly.blocks.unblock_ip", "192.0.2.9")
