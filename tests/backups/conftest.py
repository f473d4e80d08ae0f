from tests.provisioning.fixtures import clock, data, made, no_failpoints, platform, settings

__all__ = ["clock", "data", "made", "no_failpoints", "platform", "settings"]
