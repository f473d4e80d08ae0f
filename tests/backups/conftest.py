from tests.backups.keeper import keeper
from tests.provisioning.fixtures import clock, data, made, no_failpoints, platform, settings

__all__ = ["clock", "data", "keeper", "made", "no_failpoints", "platform", "settings"]
