"""Delete a study, series or instance. Not in PS3.18; common practice (digest §6.1 [D])."""

import asyncio
import time
from collections.abc import Sequence
from functools import partial

import structlog

from dicomweb_server.access.policy import Action
from dicomweb_server.access.principal import Principal
from dicomweb_server.archive.archive import Archive
from dicomweb_server.archive.background import to_the_end
from dicomweb_server.errors import MethodNotAllowed
from dicomweb_server.index import delete as index
from dicomweb_server.index.attribute_values import Attributes
from dicomweb_server.index.parents import Kept, Parents, parents_of
from dicomweb_server.index.restating import Restating

log = structlog.get_logger()


async def delete(
    archive: Archive,
    principal: Principal,
    study: str,
    series: str | None = None,
    instance: str | None = None,
) -> None:
    """Rows first, with what the study and series say of what is left; blobs, and what was made of
    them, second, when nobody takes them for stored any more: a crash in between leaves blobs that
    no row names.

    So do blobs that cannot be removed: with its rows gone the resource is deleted, and another
    request for it would find nothing.

    Raises MethodNotAllowed unless ALLOW_DELETE is set; NotFound.
    """
    if not archive.settings.allow_delete:
        allowed = ["GET", "HEAD"] if series else ["GET", "HEAD", "POST"]
        raise MethodNotAllowed("deleting is switched off (ALLOW_DELETE)", allowed)
    restating = Restating(archive.attributes, partial(_describe, archive))
    if series is not None:
        # Before anything is locked: workers may be busy.
        async with archive.session(principal, Action.DELETE) as session:
            await restating.read(session.conn, session.scope, study, series, instance)
        await restating.describe()
    try:
        async with archive.session(principal, Action.DELETE) as session:
            uids = study, series, instance
            keys = await index.delete(session.conn, session.scope, *uids, restating)
    finally:  # also where another request has just deleted it
        scope = archive.scope(principal, Action.DELETE)
        await archive.leases.outlive(scope, {study: time.monotonic()})
    await to_the_end(asyncio.create_task(_clear(archive, study, keys)))
    log.info("deleted", instances=len(keys))


async def _clear(archive: Archive, study: str, keys: Sequence[str]) -> None:
    try:
        await archive.blobs.delete(keys)
    except OSError as error:
        log.error("blobs of deleted instances stay behind", reason=error.strerror)
    await asyncio.to_thread(archive.derived.forget, study)


async def _describe(
    archive: Archive, instances: Sequence[Kept], attributes: Attributes
) -> list[Parents]:
    return await archive.workers.run(parents_of, instances, attributes)
