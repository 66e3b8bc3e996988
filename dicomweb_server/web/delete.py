"""DELETE on a study, series or instance (digest §6.1 [D])."""

from starlette.requests import Request
from starlette.responses import Response

from dicomweb_server.archive.delete import delete
from dicomweb_server.web.preconditions import check_preconditions
from dicomweb_server.web.requests import archive_of, principal_of, uids_of
from dicomweb_server.web.retrieve import retrieve_instances


async def delete_resource(request: Request) -> Response:
    """204 when it is gone."""
    await check_preconditions(request, retrieve_instances, creates=False)
    await delete(archive_of(request), principal_of(request), *uids_of(request))
    return Response(status_code=204)
