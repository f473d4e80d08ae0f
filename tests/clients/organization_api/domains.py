"""What the reference has not: several invitations at once, domains, joining, what an organization asks of log-ins."""

from tests.clients.organization_api.steps import Refusal, Scene, Step, organization, people

OURS = "the reference has no such path"
NOT_HERE = (403, "YOU_ARE_NOT_A_MEMBER_OF_THIS_ORGANIZATION")
NOT_JOINABLE = (403, "YOU_ARE_NOT_ALLOWED_TO_JOIN_THIS_ORGANIZATION")
NO_REQUEST = (400, "JOIN_REQUEST_NOT_FOUND")


def ours(by: str, do: str, fails: Refusal | None = None, keep: str = "", **given: object) -> Step:
    return organization(by, do, fails=fails, keep=keep, differs=OURS, **given)


def read(by: str, do: str, fails: Refusal | None = None, **query: object) -> Step:
    return organization(by, do, fails=fails, differs=OURS, query=query)


DOMAINS = Scene(
    "domains",
    people("ada", "ben"),
    (
        organization("ada", "create", keep="org", name="Acres", slug="domains-acres"),
        ours("ada", "inviteMembers", email=["one@domains.example", "no address"], role="member"),
        ours("ada", "addDomain", keep="domain", domain="acres.example"),
        ours("ada", "addDomain", domain="no domain", fails=(400, "INVALID_DOMAIN")),
        ours("ben", "addDomain", domain="acres.example", organizationId="$org.id", fails=NOT_HERE),
        read("ada", "listDomains", organizationId="$org.id"),
        read("ben", "listDomains", organizationId="$org.id", fails=NOT_HERE),
        ours("ben", "verifyDomain", domainId="$domain.id", organizationId="$org.id", fails=NOT_HERE),
        ours("ada", "updateDomain", domainId="$domain.id", useForDiscovery=False),
        ours("ada", "removeDomain", domainId="$domain.id"),
        read("ada", "getSettings", organizationId="$org.id"),
        ours("ada", "updateSettings", data={"domainJoining": "request"}),
        ours(
            "ben", "updateSettings", data={"domainJoining": "off"}, organizationId="$org.id", fails=NOT_HERE
        ),
        read("ben", "listJoinableOrganizations"),
        ours("ben", "requestToJoin", organizationId="$org.id", fails=NOT_JOINABLE),
        ours("ben", "join", organizationId="$org.id", fails=NOT_JOINABLE),
        ours("ben", "cancelJoinRequest", requestId="no-such", fails=NO_REQUEST),
        read("ada", "listJoinRequests", organizationId="$org.id"),
        ours("ada", "approveJoinRequest", requestId="no-such", fails=NO_REQUEST),
        ours("ada", "rejectJoinRequest", requestId="no-such", fails=NO_REQUEST),
    ),
)
