"""The session's cookies, given again: what they name has not changed, only for how long, or what it is in."""

from litestar.datastructures import Cookie

from core.ids import digest
from tenant_runtime.login.cookies import api_token, session_cookies
from tenant_runtime.organizations.wire.calls import ApiCall
from tenant_runtime.organizations.wire.sessions import ApiSession


def cookies_again(call: ApiCall, session: ApiSession) -> list[Cookie]:
    """Both, if the browser showed both, and of one session."""
    secret, key = call.browser.session, call.tenant.data_key
    if secret is None or api_token(key, digest(secret)) != session.token:
        return []
    max_age = (session.expires_at - call.now) // 1000 if session.remembers else None
    return session_cookies(secret, key, is_https=call.browser.is_https, max_age=max_age)
