"""What a password must be that somebody chooses here: the rules of the login pages, in this wire's words."""

from tenant_runtime.configuration import ConnectionConfiguration
from tenant_runtime.login.password_rules import problem_of
from tenant_runtime.organizations.wire import refusal


def check_password(password: str, database: ConnectionConfiguration, *names: str) -> None:
    """`names`: what belongs to the account or the tenant, and is guessed first."""
    if "\0" in password:  # no page could send it
        raise refusal(400, "VALIDATION_ERROR", "Password must not contain the character NUL")
    rules = database.database
    match problem_of(password, *names, *rules.blocked_words, least=rules.least_length):
        case None:
            return
        case "password_long":
            raise refusal(400, "PASSWORD_TOO_LONG", "Password too long")
        case "password_common":
            raise refusal(400, "PASSWORD_TOO_COMMON", "Password is too easy to guess")
    raise refusal(400, "PASSWORD_TOO_SHORT", "Password too short")
