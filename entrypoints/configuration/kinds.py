"""What there is in a tenant's files, in the order in which it is made.

A collection is a list of entries that are known by their label (a name); documents are there once. Members that are
`owned` are the server's, those that are `fixed` are only said when an entry is made. A member of `names` holds the
names of other entries in files, and their ids over HTTP.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Entry = dict[str, Any]

ALWAYS_OWNED = frozenset({"id", "is_system", "created_at", "updated_at", "provenance"})


@dataclass(frozen=True, slots=True)
class Text:
    """A member (`a.b`: of a member) that is a file of its own. In the form with one file it is in the folder
    `beside_yaml`, and named with that folder or, where it is `inside`, from within it."""

    member: str
    beside_yaml: str
    inside: bool = False
    strategy: str = ""
    """Only connections of this one have it, and then always: Auth0's tool wants a file."""

    def of(self, entry: Entry) -> Any:
        found: Any = entry
        for name in self.member.split("."):
            found = found.get(name) if isinstance(found, dict) else None
        return "" if found is None and self.strategy and self.belongs_to(entry) else found

    def belongs_to(self, entry: Entry) -> bool:
        return not self.strategy or entry.get("strategy") == self.strategy

    def put(self, entry: Entry, value: str) -> Entry:
        return _put(entry, self.member.split("."), value)


def _put(entry: Entry, names: list[str], value: str) -> Entry:
    first, *rest = names
    return {**entry, first: _put(entry.get(first) or {}, rest, value) if rest else value}


@dataclass(frozen=True, slots=True)
class Part:
    """A list that belongs to an entry and has a path of its own below it. `own` are the members of its items."""

    member: str
    path: str
    own: tuple[str, ...]
    how: Literal["permissions", "connections", "clients", "domains", "grants"]
    added: frozenset[str] = frozenset()
    """Members of its items that only the tenant says; the deploy tool writes them into its files as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    name: str
    folder: str
    path: str
    label: tuple[str, ...] = ("name",)
    id: str = "id"
    owned: frozenset[str] = frozenset()
    fixed: frozenset[str] = frozenset()
    names: Mapping[str, str] = field(default_factory=dict)
    secrets: frozenset[str] = frozenset()
    parts: tuple[Part, ...] = ()
    text: Text | None = None
    only: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Of a path that two kinds share: the values of a member that are this one's."""
    never: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    within: str | None = None
    """Each entry has a folder, and there its file has this name."""
    by_label: tuple[str, ...] = ()
    """There is no list: these are asked for one by one, by their label."""
    whole: bool = False
    """The folder holds one file with the whole list."""
    unique: frozenset[str] = frozenset()
    """Members beside the label that no two entries may share."""
    sets: frozenset[str] = frozenset()
    """Members that are lists whose order says nothing."""
    needed: frozenset[str] = frozenset()
    """Members that are said even where they are empty."""

    def has(self, entry: Entry) -> bool:
        return all(entry.get(name) in values for name, values in self.only.items()) and not any(
            entry.get(name) in values for name, values in self.never.items()
        )

    def label_of(self, entry: Mapping[str, Any]) -> str:
        return " -> ".join(str(entry.get(name, "")) for name in self.label)

    @property
    def not_said(self) -> frozenset[str]:
        """Members that no file needs to hold."""
        return ALWAYS_OWNED | self.owned | ({self.id} - set(self.label))


@dataclass(frozen=True, slots=True, kw_only=True)
class Documents:
    """`parts`: by the member that each one is in the file (empty: the whole), its path and its file in the folder."""

    name: str
    parts: Mapping[str, tuple[str, str]]
    secrets: frozenset[str] = frozenset()
    owned: frozenset[str] = frozenset()
    makes: bool = False
    """It is not there until it is made (POST)."""
    texts: str = ""
    """The member that holds the pages' texts, by language, prompt and screen: each prompt's are a document."""

    @property
    def not_said(self) -> frozenset[str]:
        return ALWAYS_OWNED | self.owned

    def text(self, language: str, prompt: str) -> str:
        """The part that a prompt's texts are."""
        return f"{self.texts}/{language}/{prompt}"

    def route(self, part: str) -> tuple[str, str]:
        """The method that writes it, and its path."""
        if part in self.parts:
            return "PATCH", self.parts[part][0]
        _, language, prompt = part.split("/")
        return "PUT", f"/prompts/{prompt}/custom-text/{language}"


Kind = Collection | Documents

_PERMISSIONS = Part(
    "permissions", "permissions", ("permission_name", "resource_server_identifier"), how="permissions"
)
_CLIENTS = Part("enabled_clients", "clients", (), how="clients")
_ORGANIZATION_CONNECTIONS = Part(
    "connections",
    "enabled_connections",
    ("name", "assign_membership_on_login", "is_signup_enabled", "show_as_button"),
    how="connections",
)
_GRANTS = Part("client_grants", "client-grants", (), how="grants")
_DOMAINS = Part(
    "discovery_domains",
    "discovery-domains",
    ("domain", "status", "use_for_organization_discovery"),
    how="domains",
    added=frozenset({"id", "verification_host", "verification_txt"}),
)
_TEMPLATES = (
    "verify_email", "verify_email_by_code", "reset_email", "reset_email_by_code", "welcome_email", "blocked_account",
    "stolen_credentials", "enrollment_email", "mfa_oob_code", "change_password", "password_reset", "user_invitation",
)  # fmt: skip

KINDS: tuple[Kind, ...] = (
    Collection(
        name="resourceServers",
        folder="resource-servers",
        path="/resource-servers",
        label=("identifier",),
        fixed=frozenset({"identifier"}),
        unique=frozenset({"name"}),
        sets=frozenset({"scopes"}),
    ),
    Collection(
        name="clients",
        folder="clients",
        path="/clients",
        id="client_id",
        owned=frozenset({"global", "is_global", "path_id", "client_secret", "signing_keys", "tenant"}),
        secrets=frozenset({"client_secret"}),
        sets=frozenset({"grant_types"}),
    ),
    Collection(
        name="clientGrants",
        folder="grants",
        path="/client-grants",
        label=("client_id", "audience"),
        fixed=frozenset({"client_id", "audience", "subject_type"}),
        names={"client_id": "clients"},
        needed=frozenset({"scope"}),
        sets=frozenset({"scope"}),
    ),
    Collection(
        name="databases",
        folder="database-connections",
        path="/connections",
        fixed=frozenset({"name", "strategy"}),
        parts=(_CLIENTS,),
        only={"strategy": ("auth0",)},
        within="database.json",
    ),
    Collection(
        name="connections",
        folder="connections",
        path="/connections",
        fixed=frozenset({"name", "strategy"}),
        secrets=frozenset({"options.client_secret", "options.app_secret", "options.twilio_token"}),
        parts=(_CLIENTS,),
        text=Text("options.email.body", "connections", inside=True, strategy="email"),
        never={"strategy": ("auth0",)},
    ),
    Collection(name="roles", folder="roles", path="/roles", owned=frozenset({"type"}), parts=(_PERMISSIONS,)),
    Collection(
        name="organizations",
        folder="organizations",
        path="/organizations",
        owned=frozenset({"managed_by", "suspended"}),
        parts=(_ORGANIZATION_CONNECTIONS, _GRANTS, _DOMAINS),
    ),
    Documents(
        name="attackProtection",
        parts={
            "breachedPasswordDetection": (
                "/attack-protection/breached-password-detection",
                "attack-protection/breached-password-detection.json",
            ),
            "bruteForceProtection": (
                "/attack-protection/brute-force-protection",
                "attack-protection/brute-force-protection.json",
            ),
            "suspiciousIpThrottling": (
                "/attack-protection/suspicious-ip-throttling",
                "attack-protection/suspicious-ip-throttling.json",
            ),
        },
    ),
    Documents(name="branding", parts={"": ("/branding", "branding/branding.json")}),
    Documents(
        name="emailProvider",
        parts={"": ("/emails/provider", "emails/provider.json")},
        secrets=frozenset({"credentials"}),
        makes=True,
    ),
    Collection(
        name="emailTemplates",
        folder="emails",
        path="/email-templates",
        label=("template",),
        id="template",
        text=Text("body", "emailTemplates"),
        by_label=_TEMPLATES,
    ),
    Collection(
        name="logStreams",
        folder="log-streams",
        path="/log-streams",
        fixed=frozenset({"type"}),
        secrets=frozenset({"sink.httpAuthorization"}),
    ),
    Collection(
        name="customDomains",
        folder="custom-domains",
        path="/custom-domains",
        label=("domain",),
        id="custom_domain_id",
        fixed=frozenset({"domain", "type", "verification_method"}),
        owned=frozenset(
            {"status", "primary", "origin_domain_name", "verification", "certificate", "is_default"}
        ),
        whole=True,
    ),
    Documents(name="tenant", parts={"": ("/tenants/settings", "tenant.json")}),
    Documents(name="prompts", parts={"": ("/prompts", "prompts/prompts.json")}, texts="customText"),
)
BY_NAME: Mapping[str, Kind] = {kind.name: kind for kind in KINDS}
