"""Invoices, each of an organization: who signs in sees those of the one they act in, and changes it in the page."""

from pathlib import Path

import uvicorn
from litestar import Litestar, get, post
from litestar.contrib.jinja import JinjaTemplateEngine
from litestar.di import NamedDependency
from litestar.response import Redirect, Template
from litestar.template.config import TemplateConfig
from sqlalchemy import select
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from examples import demo
from keystead_sdk import Principal
from keystead_sdk.litestar_sign_in import AnyRequest
from keystead_sdk.organizations import OrgScoped, OrgSession

PORT, TENANT = 9872, demo.tenant()
ENGINE = create_async_engine(f"sqlite+aiosqlite:///{demo.DATA / 'invoices.db'}")
OPEN = async_sessionmaker(ENGINE, sync_session_class=OrgSession)
PAGES = TemplateConfig(directory=Path(__file__).parent, engine=JinjaTemplateEngine)


class Base(DeclarativeBase): ...


class Invoice(OrgScoped, Base):
    """Its column `org_id` is not ours to fill or to ask for: the session does both."""

    __tablename__ = "invoices"
    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]


@get("/")
async def invoices(request: AnyRequest, principal: NamedDependency[Principal]) -> Template:
    shown = {"principal": principal, "problem": request.session.pop("problem", "")}
    if principal.org_id is not None:
        async with OPEN(organization=principal.org_id) as session:
            shown["invoices"] = (await session.scalars(select(Invoice).order_by(Invoice.id))).all()
    return Template("page.html", context=shown)


@post("/invoices")
async def add_invoice(request: AnyRequest, principal: NamedDependency[Principal]) -> Redirect:
    form = await request.form()
    if form.get("organization") != principal.org_id:
        request.session["problem"] = "The organization was changed in another tab: nothing was added."
        return Redirect("/", status_code=303)
    async with OPEN(organization=principal.org_id) as session, session.begin():
        session.add(Invoice(text=form.get("text", "")))
    return Redirect("/", status_code=303)


async def make_tables() -> None:
    async with ENGINE.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)


sign_in = demo.sign_in(TENANT, TENANT.clients["spa"], f"http://app.acme.localhost:{PORT}/")
app = Litestar([invoices, add_invoice], plugins=[sign_in], template_config=PAGES, on_startup=[make_tables])

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=PORT, log_level="warning")
