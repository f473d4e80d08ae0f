"""A tenant's configuration as one immutable value, read from memory on every request.

Clients, APIs, roles with permissions, client grants, connections, effective settings and parsed signing keys, as
they stood at one `config_version`. Built in one read transaction, kept by the tenant's database handle while its
generation holds (`core.database`). What must be exact at the moment of issue (a revoked secret, a removed
membership) is checked again in the unit that issues.
"""

from tenant_runtime.configuration.reading import configuration, load_configuration
from tenant_runtime.configuration.values import (
    DEVICE_CODE,
    FAPI,
    ClientConfiguration,
    Configuration,
    ConnectionConfiguration,
    PublicClientKey,
    ResourceServerConfiguration,
)

__all__ = [
    "DEVICE_CODE",
    "FAPI",
    "ClientConfiguration",
    "Configuration",
    "ConnectionConfiguration",
    "PublicClientKey",
    "ResourceServerConfiguration",
    "configuration",
    "load_configuration",
]
