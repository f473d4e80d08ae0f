"""What is shown when the link of a letter did what it was for: the address that its ticket names, or a page of ours."""

from collections.abc import Mapping
from typing import Any, Protocol

from litestar import Request, Response

from tenant_runtime.configuration import Configuration
from tenant_runtime.dependencies import tenant_of
from tenant_runtime.login.answers import branding_of, redirect, show, speech_of
from tenant_runtime.login.pages import MessagePage
from tenant_runtime.login.result_urls import is_at_known_origin, is_known, way_back, with_result


class Followed(Protocol):
    """What a link was for, and where its ticket says that it leads."""

    @property
    def email(self) -> str: ...

    @property
    def client_id(self) -> str | None: ...

    @property
    def organization(self) -> Mapping[str, str]: ...

    @property
    def result_url(self) -> str | None: ...

    @property
    def shows_email(self) -> bool: ...


def result_url_of(found: Configuration, link: Followed) -> str | None:
    """Judged again: it may be the tenant's no more."""
    address = link.result_url
    return address if address and (is_known(found, address) or is_at_known_origin(found, address)) else None


def done_page(
    request: Request[Any, Any, Any], found: Configuration, link: Followed, screen: str
) -> Response[str]:
    """`screen` is the page's name among those with own words; its sentences begin with it."""
    speech, branding = speech_of(request, found), branding_of(tenant_of(request), found.settings)
    texts = speech.of(screen, company=branding.display_name, email=link.email)
    result_url = result_url_of(found, link)
    if result_url is not None:
        said = texts.say(f"{screen}_lead")
        return redirect(with_result(result_url, said, link.email if link.shows_email else None))
    page = MessagePage(
        branding=branding,
        speech=speech,
        heading=texts.say(f"{screen}_title"),
        text=texts.say(f"{screen}_lead"),
        link_url=way_back(found, link.client_id, link.organization),
        link_label=texts.say(f"{screen}_link"),
        done=True,
    )
    return show(page)
