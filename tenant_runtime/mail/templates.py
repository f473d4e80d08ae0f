"""Letters as a tenant wrote them: Auth0's templates, by Auth0's names.

Each is a document that is inherited member by member, but for `from`: whose letter it is, a tenant says itself
(`specs/tenancy.md` section 6). One that is switched on and has a body takes the place of the built-in letter.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import msgspec

from tenant_runtime.configuration import Configuration
from tenant_runtime.documents import Documents, Family
from tenant_runtime.login.language import choose
from tenant_runtime.mail.texts import Template

TemplateName: TypeAlias = Literal[
    "verify_email",
    "verify_email_by_code",
    "reset_email",
    "reset_email_by_code",
    "welcome_email",
    "blocked_account",
    "stolen_credentials",
    "enrollment_email",
    "mfa_oob_code",
    "user_invitation",
    "async_approval",
    "change_password",
    "password_reset",
]
NAMES: frozenset[str] = frozenset(get_args(TemplateName))

USED: Mapping[Template, tuple[TemplateName, ...]] = {
    "verify_email": ("verify_email",),
    "change_email": ("verify_email",),
    "new_email": ("verify_email",),
    "password_reset": ("reset_email", "change_password"),
    "blocked_account": ("blocked_account",),
    "stolen_credentials": ("stolen_credentials",),
    "invitation": ("user_invitation",),
}
"""Which of them a letter of ours may be; the first that somebody wrote. `change_password` is Auth0's older name."""


class Translation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    subject: str | None = None
    body: str | None = None


class EmailTemplate(msgspec.Struct, frozen=True, kw_only=True):
    """`translations`, ours: other languages' subject and body, by their tags. The rest is Auth0's."""

    body: str | None = None
    from_: str | None = msgspec.field(default=None, name="from")
    subject: str | None = None
    syntax: str = "liquid"
    resultUrl: str | None = None
    urlLifetimeInSeconds: int | None = None
    includeEmailInRedirect: bool = False
    enabled: bool = True
    translations: Mapping[str, Translation] = msgspec.field(default_factory=dict)


TEMPLATES = Family("email_templates", EmailTemplate)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What somebody wrote for one letter, in the reader's language. `sender` only if the tenant said it."""

    name: str
    body: str
    subject: str | None
    sender: str | None


@dataclass(frozen=True, slots=True)
class LinkOptions:
    """What a template says of the link in it: how long it is good, and where the browser goes afterwards, which is
    looked at again by then. An address with Liquid in it is kept, and none."""

    lifetime_ms: int | None = None
    result_url: str | None = None
    shows_email: bool = False


def written_for(
    configuration: Configuration, template: Template, asked: str, connection_id: str | None = None
) -> Written | None:
    """None: the built-in letter."""
    if template == "login_code":
        return _of_connection(configuration, connection_id)
    name = _name(configuration.documents, template)
    if name is None:
        return None
    document, documents = TEMPLATES.of(name), configuration.documents
    said = documents.value(document)
    if not said.enabled or not said.body:
        return None
    other = _translation(said, configuration.settings.enabled_locales, asked)
    own_sender = documents.source(document, "from") == "tenant"
    return Written(
        name=name,
        body=other.body or said.body,
        subject=other.subject or said.subject,
        sender=said.from_ if own_sender else None,
    )


def link_options(configuration: Configuration, template: Template) -> LinkOptions:
    name = _name(configuration.documents, template)
    if name is None:
        return LinkOptions()
    said = configuration.documents.value(TEMPLATES.of(name))
    if not said.enabled:
        return LinkOptions()
    seconds, result_url = said.urlLifetimeInSeconds, said.resultUrl
    is_plain = result_url is not None and "{" not in result_url
    return LinkOptions(
        seconds * 1000 if seconds else None, result_url if is_plain else None, said.includeEmailInRedirect
    )


def _name(documents: Documents, template: Template) -> TemplateName | None:
    names = USED.get(template, ())
    return next((name for name in names if documents.is_said(TEMPLATES.of(name))), None)


def _translation(said: EmailTemplate, enabled: tuple[str, ...], asked: str) -> Translation:
    """The template's own words are in the tenant's first language."""
    language = choose(asked, enabled, {*said.translations, *enabled[:1]})
    return said.translations.get(language, Translation())


def _of_connection(configuration: Configuration, connection_id: str | None) -> Written | None:
    """Auth0 keeps the letter with a code to sign in with in its connection: `options.email`."""
    connection = configuration.connections.get(connection_id or "")
    letter = connection.codes.letter if connection is not None else None
    if letter is None or not letter.body:
        return None
    return Written(
        name="email connection",
        body=letter.body,
        subject=letter.subject or None,
        sender=letter.sender or None,
    )
