"""The one file that the pages load."""

from litestar import Response, get
from litestar.params import FromPath

from core.errors import NotFound
from tenant_runtime.login.static_files import STATIC, STATIC_PATH


@get(STATIC_PATH + "{name:str}", include_in_schema=False)
async def static_file(name: FromPath[str]) -> Response[bytes]:
    found = STATIC.get(name)
    if found is None:
        raise NotFound()
    return Response(found.body, headers=found.headers, media_type=found.content_type)


handlers = [static_file]
