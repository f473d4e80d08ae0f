"""Invoices, each of an organization: who signs in sees those of the one they act in, and changes it in the page."""

from pathlib import Path
from typing import Annotated

import uvicorn
from litestar import Litestar, get, post
from litestar.contrib.jinja import JinjaTemplateEngine
from litestar.enums import RequestEncodingType
from litestar.params import Body
from litestar.response import Redirect, Template
from litestar.template.config import TemplateConfig
from sqlalchemy import select
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from examples import demo
from examples.signing_in import AnyRequest, Application, sessions
from keystead_sdk import KeysteadError, Principal
from keystead_sdk.organizations import OrgScoped, OrgSession

PORT = 9872
TENANT = demo.tenant()
APPLICATION = Application(TENANT, TENANT.clients["spa"], f"http://app.acme.localhost:{PORT}/")
VERIFIER = demo.verifier(TENANT)
ENGINE = create_async_engine(f"sqlite+aiosqlite:///{demo.DATA / 'invoices.db'}")
OPEN = async_sessionmaker(ENGINE, sync_session_class=OrgSession)
Form = Annotated[dict[str, str], Body(media_type=RequestEncodingType.URL_ENCODED)]


class Base(DeclarativeBase): ...


class Invoice(OrgScoped, Base):
    """Its column `org_id` is not ours to fill or to ask for: the session does both."""

    __tablename__ = "invoices"
    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]


async def principal_of(request: AnyRequest) -> Principal:
    return await VERIFIER.verify(request.session.get("token", ""))


@get("/")
async def invoices(request: AnyRequest) -> Template:
    principal = await principal_of(request)
    problem = request.session.pop("problem", "")
    shown = {"issuer": TENANT.issuer, "active": principal.org_id, "problem": problem}
    if principal.org_id is None:
        return Template("page.html", context=shown)
    async with OPEN(organization=principal.org_id) as session:
        rows = (await session.scalars(select(Invoice).order_by(Invoice.id))).all()
    return Template("page.html", context={**shown, "invoices": rows})


@post("/invoices")
async def add_invoice(request: AnyRequest, data: Form) -> Redirect:
    principal = await principal_of(request)
    async with OPEN(organization=principal.org_id) as session, session.begin():
        session.add(Invoice(text=data.get("text", "")))
    return Redirect("/", status_code=303)


def sign_in(_: AnyRequest, __: KeysteadError) -> Redirect:
    """There is no token, its time is over, or it is for no organization."""
    return Redirect("/login", status_code=303)


async def make_tables() -> None:
    async with ENGINE.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)


app = Litestar(
    [*APPLICATION.handlers(), invoices, add_invoice],
    exception_handlers={KeysteadError: sign_in},
    middleware=[sessions()],
    template_config=TemplateConfig(directory=Path(__file__).parent, engine=JinjaTemplateEngine),
    on_startup=[make_tables],
    openapi_config=None,
)

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=PORT, log_level="warning")
