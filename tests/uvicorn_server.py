"""The application under uvicorn, with the embedded Postgres: what ``serve`` is for granian."""

import asyncio
import os
import signal
import sys
from types import FrameType

import asyncpg
import uvicorn

from dicomweb_server.config import Settings
from dicomweb_server.index.embedded import start_postgres
from dicomweb_server.index.migrate import migrate


async def _migrate(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await migrate(connection)
    finally:
        await connection.close()


def _leave(number: int, frame: FrameType | None) -> None:
    sys.exit(0)


def main() -> None:
    settings = Settings()
    signal.signal(signal.SIGTERM, _leave)
    with start_postgres(settings.data_dir, fsync=False) as postgres:
        asyncio.run(_migrate(postgres.url))
        os.environ["DATABASE_URL"] = postgres.url
        uvicorn.run(
            "dicomweb_server.app:create",
            factory=True,
            host="127.0.0.1",
            port=settings.port,
            log_level="warning",
            access_log=False,
        )


if __name__ == "__main__":
    main()
