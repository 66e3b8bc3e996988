"""GET on a study, series or instance as ``application/zip``: a DICOM File-set (extension)."""

from starlette.requests import Request
from starlette.responses import Response

from dicomweb_server.archive import retrieve
from dicomweb_server.archive.file_set import MAX_RESUMABLE, FileSet
from dicomweb_server.archive.file_set_plan import plan_file_set
from dicomweb_server.web.conditions import not_modified, tag_of
from dicomweb_server.web.leaving import while_connected
from dicomweb_server.web.requests import archive_of, principal_of, uids_of
from dicomweb_server.web.responses import PRIVATE
from dicomweb_server.web.single_part import single_part
from dicomweb_server.wire.offers import ZIP

_ATTEMPTS = 3  # to plan what does not change meanwhile


async def retrieve_file_set(request: Request) -> Response:
    """All of the resource, as stored, with a DICOMDIR; in ranges while it is not too large.

    The tag stands for all that the resource holds. Of a resource that changes faster than it can
    be planned there is none, and so nothing that a download could go on with.
    """
    archive, principal, uids = archive_of(request), principal_of(request), uids_of(request)
    headers = {
        **PRIVATE,
        "Vary": "Accept",
        "Content-Disposition": f'attachment; filename="{uids[-1]}.zip"',
    }
    planned: FileSet | None = None
    before = await retrieve.version(archive, principal, *uids)
    for _ in range(_ATTEMPTS):
        headers["ETag"] = tag_of(ZIP, before.digest, *uids)
        if answer := not_modified(request, headers):
            return answer
        if planned is not None:
            await planned.close()
        planning = plan_file_set(archive, principal, before.digest, *uids)
        planned = await while_connected(request, planning)  # of many instances it takes long
        now = await retrieve.version(archive, principal, *uids)
        if now.digest == before.digest:
            break
        before = now
    else:
        del headers["ETag"]
    assert planned is not None
    ranges = planned.length <= MAX_RESUMABLE and "ETag" in headers
    return await single_part(request, planned.content, headers, ranges=ranges)
