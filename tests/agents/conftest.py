from tests.organizations.conftest import behind

__all__ = ["behind"]
