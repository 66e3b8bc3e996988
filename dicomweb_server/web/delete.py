"""DELETE on a study, series or instance (digest §6.1 [D])."""

from starlette.requests import Request
from starlette.responses import Response

from dicomweb_server.archive.delete import delete
from dicomweb_server.web.requests import archive_of, principal_of, uids_of


async def delete_resource(request: Request) -> Response:
    """204 when it is gone; 405 unless ALLOW_DELETE is set."""
    await delete(archive_of(request), principal_of(request), *uids_of(request))
    return Response(status_code=204)
