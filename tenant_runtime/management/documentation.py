"""What the OpenAPI document says of every operation alike: pages and repeated requests."""

from dataclasses import dataclass

from litestar.openapi.spec import OpenAPIResponse, OpenAPIType, Operation, Parameter, Schema

from core.http.paging import DEFAULT_PAGE, MAX_PAGE


def _query(
    name: str, type: OpenAPIType, description: str, *, minimum: int | None = None, maximum: int | None = None
) -> Parameter:
    schema = Schema(type=type, minimum=minimum, maximum=maximum)
    return Parameter(name=name, param_in="query", description=description, schema=schema)


LIST_PARAMETERS = (
    _query("page", OpenAPIType.INTEGER, "Number of the page, from 0.", minimum=0),
    _query(
        "per_page",
        OpenAPIType.INTEGER,
        f"Rows of a page; {DEFAULT_PAGE} if absent.",
        minimum=1,
        maximum=MAX_PAGE,
    ),
    _query("include_totals", OpenAPIType.BOOLEAN, "Answer an object with the total instead of an array."),
    _query("take", OpenAPIType.INTEGER, "Rows of a page by checkpoint.", minimum=1, maximum=MAX_PAGE),
    _query("from", OpenAPIType.STRING, "The `next` of the page before."),
    _query("fields", OpenAPIType.STRING, "Names of members, separated by commas."),
    _query(
        "include_fields", OpenAPIType.BOOLEAN, "Whether `fields` are those to show or those to leave out."
    ),
)
SEARCH = _query("q", OpenAPIType.STRING, "A search: terms, phrases, fields, ranges, AND, OR, NOT, prefix*.")
SORT = _query("sort", OpenAPIType.STRING, "FIELD:1 or FIELD:-1.")
WAIT = _query(
    "wait", OpenAPIType.STRING, "`sync`, on the control plane: answer when the tenants hold the change."
)
KEY = Parameter(
    name="Idempotency-Key",
    param_in="header",
    description="The same key answers the first answer again, for 24 hours.",
    schema=Schema(type=OpenAPIType.STRING, max_length=255),
)

SEARCHED = {"list_users": (SEARCH, SORT), "list_organizations": (SEARCH, SORT), "list_logs": (SEARCH, SORT)}
_POSTED = ("create_", "add_", "assign_", "rotate_", "redeliver_", "send_")
_SHARED = ("resource_server", "role", "role_permissions")


@dataclass
class ManagementOperation(Operation):
    def __post_init__(self) -> None:
        name = self.operation_id or ""
        own = self.parameters or []
        self.parameters = [*own, *_parameters(name)] or None
        if (
            self.responses and "204" in self.responses
        ):  # a handler may answer it with a response of its own making
            self.responses["204"] = OpenAPIResponse(description="Done; there is nothing to answer.")


def _parameters(operation_id: str) -> list[Parameter]:
    found: list[Parameter] = []
    verb, _, subject = operation_id.partition("_")
    if verb == "list":
        found += [*LIST_PARAMETERS, *SEARCHED.get(operation_id, ())]
    if operation_id.startswith(_POSTED):
        found.append(KEY)
    if verb != "list" and verb != "get" and subject in _SHARED:
        found.append(WAIT)
    return found
