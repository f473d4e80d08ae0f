"""Two applications of one tenant: who is signed in to one is signed in to the other, and out of both at once.

The tenant tells each of the end of a session (OpenID Connect Back-Channel Logout 1.0), wherever it was ended.
"""

import asyncio
from collections import deque
from html import escape
from typing import Annotated

import uvicorn
from litestar import Litestar, Response, get, post
from litestar.enums import RequestEncodingType
from litestar.params import Body

from entrypoints.demo_content import DemoClient
from examples import demo
from examples.two_applications.clients import PORTS, address_of, make_clients
from examples.two_applications.logout_tokens import session_ended
from keystead_sdk.litestar_sign_in import AnyRequest
from keystead_sdk.sign_in import claims_of

TENANT = demo.tenant()
MOST_REMEMBERED = 10_000
Form = Annotated[dict[str, str], Body(media_type=RequestEncodingType.URL_ENCODED)]
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{name}</title>
<meta name="viewport" content="width=device-width"><style>:root {{ color-scheme: light dark }}
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 40rem; margin: 2rem auto; padding: 0 1rem }}</style>
<h1>{name}</h1><p>{said}</p><p><a href="{next}">{does}</a></p><p><a href="{elsewhere}">The other application</a></p>"""


def create_app(name: str, client: DemoClient) -> Litestar:
    ended: deque[str] = deque(maxlen=MOST_REMEMBERED)
    elsewhere = next(address_of(other) for other in PORTS if other != name)

    @get("/")
    async def home(request: AnyRequest) -> Response[str]:
        id_token = request.session.get("id_token")
        person = claims_of(id_token) if id_token else {}
        if person.get("sid") in ended:
            request.clear_session()
            person = {}
        name_or_id = escape(str(person.get("name") or person.get("sub")))
        said = f"You are {name_or_id}." if person else "You are signed out."
        step = ("/logout", "Sign out") if person else ("/login", "Sign in")
        page = PAGE.format(name=name.title(), said=said, next=step[0], does=step[1], elsewhere=elsewhere)
        return Response(page, media_type="text/html", headers={"Cache-Control": "no-store"})

    @post("/backchannel-logout", status_code=200)
    async def backchannel_logout(data: Form) -> Response[None]:
        sid = await session_ended(data.get("logout_token", ""), TENANT.issuer, client.client_id)
        if sid is None:
            return Response(None, status_code=400)
        ended.append(sid)
        return Response(None, headers={"Cache-Control": "no-store"})

    sign_in = demo.sign_in(TENANT, client, address_of(name))
    return Litestar([home, backchannel_logout], plugins=[sign_in], openapi_config=None)


async def main() -> None:
    clients = await make_clients(TENANT)
    servers = [
        uvicorn.Server(uvicorn.Config(create_app(name, clients[name]), port=port, log_level="warning"))
        for name, port in PORTS.items()
    ]
    await asyncio.gather(*(server.serve() for server in servers))


if __name__ == "__main__":
    asyncio.run(main())
