"""The four ways an answer of /authorize travels; `iss` always goes along (RFC 9207).

query and fragment (OAuth 2.0 Multiple Response Types), form_post (OAuth 2.0 Form Post Response Mode) and
web_message, as Auth0's SDKs expect it: an error is posted too, because a page that says nothing is a minute's wait.
"""

from collections.abc import Iterable, Mapping

from litestar import Response
from litestar.datastructures import Cookie

from core.errors import IdentityError, OAuthError
from core.http.errors import printable
from tenant_runtime.login.addresses import origin_of
from tenant_runtime.login.answers import redirect, show
from tenant_runtime.login.branding import Branding
from tenant_runtime.login.custom_texts import Speech
from tenant_runtime.login.pages import FormPostPage, WebMessagePage
from tenant_runtime.oauth.authorization.acceptance import Destination, web_origins
from tenant_runtime.oauth.authorization.redirect_uris import with_fragment, with_query


def error_parameters(error: IdentityError) -> dict[str, str]:
    """What is not an OAuth error by name becomes one of the two that RFC 6749 section 4.1.2.1 has for it."""
    if isinstance(error, OAuthError):
        code = error.code
    elif error.code == "tenant_suspended":
        code = "access_denied"
    else:
        code = "temporarily_unavailable" if error.status in (429, 503) else "server_error"
    return {"error": code, "error_description": printable(error.description)}


def answer(
    to: Destination,
    parameters: Mapping[str, str],
    *,
    branding: Branding,
    speech: Speech,
    after_form: bool,
    cookies: Iterable[Cookie] = (),
) -> Response[str]:
    values = dict(parameters)
    if to.state is not None:
        values["state"] = to.state
    values["iss"] = to.issuer
    status = 303 if after_form else 302
    match to.response_mode:
        case "query":
            return redirect(with_query(to.redirect_uri, values), status=status, cookies=cookies)
        case "fragment":
            return redirect(with_fragment(to.redirect_uri, values), status=status, cookies=cookies)
        case "form_post":
            return _form_post(to, values, branding, speech, cookies)
        case "web_message":
            return _web_message(to, values, branding, speech, cookies)


def _form_post(
    to: Destination,
    values: dict[str, str],
    branding: Branding,
    speech: Speech,
    cookies: Iterable[Cookie],
) -> Response[str]:
    page = FormPostPage(
        branding=branding,
        speech=speech,
        redirect_uri=to.redirect_uri,
        parameters=values,
        client_name=to.client.name,
    )
    return show(page, cookies=cookies)


def _web_message(
    to: Destination,
    values: dict[str, str],
    branding: Branding,
    speech: Speech,
    cookies: Iterable[Cookie],
) -> Response[str]:
    """The target is the origin of the redirect address, never a pattern; the client's origins alone may frame it."""
    target = origin_of(to.redirect_uri)
    assert target is not None  # a destination of this mode has a registered web origin
    page = WebMessagePage(
        branding=branding,
        speech=speech,
        target_origin=target,
        response=values,
        frame_origins=tuple(sorted(web_origins(to.client))),
    )
    return show(page, cookies=cookies)
