from tests.isolation.conftest import log
from tests.organizations.conftest import behind

__all__ = ["behind", "log"]
