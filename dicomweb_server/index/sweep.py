"""What a sweep has to know of the index before it trusts its silence."""

import datetime

from dicomweb_server.index.database import Connection

# Migrations are applied once; the first is when the database became one of ours.
BEGAN = "SELECT min(applied_at) FROM schema_migrations"


async def began_at(conn: Connection) -> datetime.datetime:
    """When the index was made: of what was stored before that it may know nothing."""
    began: datetime.datetime = await conn.fetchval(BEGAN)
    return began
