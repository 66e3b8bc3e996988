"""Search (PS3.18 §10.6): one statement, results joined from what was stored."""

from dicomweb_server.access.policy import Action
from dicomweb_server.access.principal import Principal
from dicomweb_server.archive.archive import Archive
from dicomweb_server.dicom.query import SearchQuery
from dicomweb_server.index import search as index
from dicomweb_server.index.search import SearchPage


async def search(archive: Archive, principal: Principal, query: SearchQuery) -> SearchPage:
    """What matches `query`, a page of it. Raises NotFound for a parent that is not there
    (QRY-03), Unavailable when the search took too long."""
    async with archive.session(principal, Action.SEARCH) as session:
        return await index.search(session.conn, session.scope, query)
