"""The endpoints that applications call, for the application to mount with `as_oauth` as their renderer of errors."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from core.clock import Clock
from tenant_runtime.oauth.authentication_api import dbconnections, passwordless
from tenant_runtime.oauth.authorization.pushed_requests import push
from tenant_runtime.oauth.device.authorization import device_code
from tenant_runtime.oauth.introspection import introspect
from tenant_runtime.oauth.keys.key_set import key_set, send_key_set
from tenant_runtime.oauth.metadata import PATHS, metadata
from tenant_runtime.oauth.protected_resource import PATHS as RESOURCES
from tenant_runtime.oauth.protected_resource import protected_resource
from tenant_runtime.oauth.revocation import revoke
from tenant_runtime.oauth.token import token
from tenant_runtime.oauth.userinfo import userinfo
from tenant_runtime.registration import endpoint as registration

handlers = [key_set, metadata, protected_resource, token, userinfo, introspect, revoke, push, device_code]
handlers += registration.handlers
handlers += [passwordless.start, dbconnections.signup, dbconnections.change_password]


def documents(clock: Clock) -> Mapping[str, Any]:
    """What everybody fetches and nobody signs in for, by path: an edge may call these without any router."""
    return {
        "/.well-known/jwks.json": partial(send_key_set, clock),
        **dict.fromkeys(PATHS, metadata.fn),
        **dict.fromkeys(RESOURCES, protected_resource.fn),
    }
