from tests.backends.conftest import libsql_home, postgresql_home, postgresql_operator
from tests.provisioning.fixtures import clock, data, made, no_failpoints, platform, settings

__all__ = [
    "clock",
    "data",
    "libsql_home",
    "made",
    "no_failpoints",
    "platform",
    "postgresql_home",
    "postgresql_operator",
    "settings",
]
