"""Who logs in for an organization, is no member, and may become one by that."""

from dataclasses import dataclass, field, replace

from sqlalchemy import Connection, insert

from core.crypto.sealing import DataKey
from core.errors import AccessDenied
from core.tenants import Tenant
from tenant_runtime.audit import Event, record
from tenant_runtime.audit.codes import CODES
from tenant_runtime.configuration import Configuration
from tenant_runtime.models import Membership, MembershipOrganizationRole
from tenant_runtime.organizations.access import MEMBER
from tenant_runtime.organizations.admission import NewMember, admit
from tenant_runtime.organizations.domains.addresses import has_address_of
from tenant_runtime.organizations.joining.letters import Post
from tenant_runtime.organizations.joining.requests import Asking, ask_at_login
from tenant_runtime.organizations.joining.turned_away import was_turned_away
from tenant_runtime.organizations.membership import brought_by_connection, open_to_more
from tenant_runtime.organizations.options import OPTIONS, OrganizationOptions
from tenant_runtime.organizations.policies import LoggedIn, settings_of
from tenant_runtime.organizations.rules import OrganizationRules
from tenant_runtime.organizations.wire.errors import ApiError

JOINED = "organization_member_added"


@dataclass(frozen=True, slots=True)
class WayIn:
    """`joined` is the event, to be completed; its time is now. `post` None: nobody is asked to let anybody in."""

    data_key: DataKey = field(repr=False)
    rules: OrganizationRules
    options: OrganizationOptions
    joined: Event
    membership_id: str
    post: Post | None = None

    @classmethod
    def of(
        cls,
        tenant: Tenant,
        configuration: Configuration,
        joined: Event,
        membership_id: str,
        post: Post | None = None,
    ) -> "WayIn":
        options = configuration.documents.value(OPTIONS)
        return cls(tenant.data_key, configuration.organization_rules, options, joined, membership_id, post)


def join_at_login(connection: Connection, way: WayIn, named: str, user_id: str, login: LoggedIn) -> bool:
    """Whether they are a member now. Where there is no room for one more, the log-in is refused with the reason.
    Letters may be on their way to whoever decides (`Deliveries.soon`)."""
    role, organization_id = MEMBER, brought_by_connection(connection, named, user_id, way.rules, login)
    if organization_id is None:
        organization_id = open_to_more(connection, named, way.rules) if way.rules.has_settings else None
        if organization_id is None:
            return False
        settings = settings_of(connection, organization_id)
        if settings.domain_joining == "approval" and way.post is not None:
            _ask(connection, way, way.post, organization_id, user_id)
        if settings.domain_joining != "automatic" or not has_address_of(connection, organization_id, user_id):
            return False
        role = settings.domain_joining_role
    now = way.joined.created_at
    if way.rules.has_settings and was_turned_away(connection, way.data_key, organization_id, user_id, now):
        return False
    _admit(connection, way, organization_id, user_id, role)
    record(connection, replace(way.joined, user_id=user_id, organization_id=organization_id))
    return True


def _ask(connection: Connection, way: WayIn, post: Post, organization_id: str, user_id: str) -> None:
    """The request is named by the one random text there is."""
    event = replace(
        way.joined,
        type="organization_join_requested",
        description=CODES["organization_join_requested"].description,
        user_id=user_id,
        organization_id=organization_id,
    )
    asking = Asking(
        id=f"jrq_{way.membership_id.partition('_')[2]}",
        organization_id=organization_id,
        user_id=user_id,
        message=None,
        event=event,
    )
    ask_at_login(connection, asking, post)


def _admit(connection: Connection, way: WayIn, organization_id: str, user_id: str, role: str) -> None:
    now = way.joined.created_at
    if not way.rules.has_settings:
        _admit_before_limits(connection, way, organization_id, user_id)
        return
    new = NewMember(
        id=way.membership_id, organization_id=organization_id, user_id=user_id, roles=(role,), now=now
    )
    try:
        admit(connection, new, way.options)
    except ApiError as refused:
        raise AccessDenied(refused.description) from refused


def _admit_before_limits(connection: Connection, way: WayIn, organization_id: str, user_id: str) -> None:
    """In a database that waits for its migration there are no seats yet."""
    id, now = way.membership_id, way.joined.created_at
    row = {"id": id, "organization_id": organization_id, "user_id": user_id, "created_at": now}
    connection.execute(insert(Membership.__table__), row)
    connection.execute(insert(MembershipOrganizationRole.__table__), {"membership_id": id, "role": MEMBER})
