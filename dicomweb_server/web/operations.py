"""GET /healthz and /readyz: for what watches the server."""

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from dicomweb_server.archive.summary import check
from dicomweb_server.web.requests import archive_of


async def healthz(request: Request) -> Response:
    """200 while the process answers at all."""
    del request
    return PlainTextResponse("ok\n")


async def readyz(request: Request) -> Response:
    """200 when requests can be served; 503 while the database or the storage is away."""
    await check(archive_of(request))
    return PlainTextResponse("ready\n")
