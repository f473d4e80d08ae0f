"""Litestar without the plugins that it adds for what happens to be installed.

`mcp` brings pydantic and attrs along. Nothing here is a model of theirs, and a process that imports them at its start
for nobody takes 13 MB and half a second more.
"""

from litestar import Litestar
from litestar.plugins import PluginProtocol
from litestar.plugins.core import MsgspecDIPlugin


class Application(Litestar):
    @staticmethod
    def _get_default_plugins(plugins: list[PluginProtocol]) -> list[PluginProtocol]:
        return [*plugins, MsgspecDIPlugin()]
