"""A process that creates tenants one after the other and says each when it was answered. Tests kill it."""

import asyncio
import sys

from core import failpoints
from core.settings import Settings
from core.tenants import NewTenant
from provisioning.platform import open_platform


async def main(number: int) -> None:
    settings = Settings.from_env()
    failpoints.configure(settings.failpoints)
    platform = await open_platform(settings)
    for place in range(number):
        await platform.lifecycle.create(NewTenant(id=f"t{place}", display_name=f"Tenant {place}"))
        print(f"t{place}", flush=True)
    await platform.close()


asyncio.run(main(int(sys.argv[1])))
