"""How much is stored, and whether the archive can be used at all."""

import os

from dicomweb_server.access.policy import Action
from dicomweb_server.access.principal import Principal
from dicomweb_server.archive.archive import Archive
from dicomweb_server.errors import Unavailable
from dicomweb_server.index import summary as index
from dicomweb_server.index.summary import Summary

__all__ = ["Summary", "check", "summarise"]


async def summarise(archive: Archive, principal: Principal) -> Summary:
    """The totals within the caller's scope."""
    async with archive.session(principal, Action.SEARCH) as session:
        return await index.summarise(session.conn, session.scope)


async def check(archive: Archive) -> None:
    """Raises Unavailable while the database or the blob store is away or the scratch folder
    cannot be written."""
    await index.ping(archive.pool)
    if not os.access(archive.settings.tmp_dir, os.W_OK):
        raise Unavailable("the data folder cannot be written")
    await archive.blobs.check()
