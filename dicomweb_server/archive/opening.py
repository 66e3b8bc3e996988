"""Opens an archive: settings → index, blobs, workers and caches, wired together."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from dicomweb_server.archive.archive import Archive, MadeRun
from dicomweb_server.archive.arrivals import Arrivals
from dicomweb_server.archive.at_once import AtOnce
from dicomweb_server.archive.bounded_folder import BoundedFolder
from dicomweb_server.archive.commit import Committer
from dicomweb_server.archive.derived import DerivedCache
from dicomweb_server.archive.describing import Describer
from dicomweb_server.archive.expected_blobs import AT_A_TIME, ExpectedBlobs
from dicomweb_server.archive.flights import Flights
from dicomweb_server.archive.frame_lookups import FrameLookups
from dicomweb_server.archive.near_blobs import NearBlobs
from dicomweb_server.archive.neighbours import Neighbours
from dicomweb_server.archive.scratch import sweep
from dicomweb_server.archive.series_leases import SeriesLeases
from dicomweb_server.archive.workers import WorkerPool
from dicomweb_server.blobs.filesystem import FilesystemBlobs
from dicomweb_server.blobs.store import BlobStore
from dicomweb_server.config import Settings
from dicomweb_server.index.database import acquire, open_pool
from dicomweb_server.index.indexed_attributes import AttributeList
from dicomweb_server.recent import RecentBytes

log = structlog.get_logger()

PICTURES = 64 << 20  # bytes of rendered pictures kept in memory
WORKER_MEMORY = 4 << 30  # bytes of data that one piece of CPU work may hold


@asynccontextmanager
async def open_archive(settings: Settings) -> AsyncIterator[Archive]:
    """An archive whose database is migrated already, ready for work; closed on leaving.

    Its workers start with the first work for them, or ``workers.start()``.
    """
    for folder in (settings.blobs_dir, settings.tmp_dir):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    left = await asyncio.to_thread(sweep, settings.tmp_dir)
    if left:
        log.warning("removed what was left of uploads that were cut off", files=left)
    cores, processes = len(os.sched_getaffinity(0)), settings.workers or 1
    workers = WorkerPool(
        settings.cpu_workers or max(1, cores // processes),
        timeout=settings.worker_timeout_seconds,
        memory=WORKER_MEMORY,
    )
    copies = BoundedFolder(
        settings.cache_dir / "blobs", settings.s3_local_bytes, settings.min_free_bytes
    )
    blobs = open_blobs(settings, copies)
    pool = await open_pool(settings.database_url, max_size=settings.database_pool, plan_anew=False)
    searches = await open_pool(
        settings.database_url,
        max_size=settings.database_pool,
        statement_timeout=settings.search_timeout_seconds,
    )
    leases = SeriesLeases(pool)
    at_once = AtOnce(workers, cores // processes)
    try:
        attributes = AttributeList()
        async with acquire(pool) as conn:
            await attributes.reload(conn)
        committer = Committer(pool, blobs, attributes)
        describer = Describer(workers, settings.inflate_limit_bytes, attributes)
        derived = DerivedCache(
            settings.cache_dir / "derived", settings.cache_limit_bytes, settings.min_free_bytes
        )
        neighbours = (
            Neighbours(pool, blobs) if isinstance(blobs, ExpectedBlobs | NearBlobs) else None
        )
        runs_made: Flights[MadeRun] = Flights(2)
        yield Archive(
            settings,
            pool,
            searches,
            blobs,
            workers,
            describer,
            committer,
            RecentBytes(PICTURES, PICTURES // 8),
            at_once,
            derived,
            copies,
            runs_made,
            Arrivals(),
            attributes,
            FrameLookups(pool),
            leases,
            neighbours,
        )
        if neighbours is not None:
            await neighbours.close()
        await runs_made.close()
        await committer.close()
    finally:
        await leases.close()
        at_once.close()
        await workers.close()
        await searches.close()
        await pool.close()
        await blobs.close()


def open_blobs(settings: Settings, copies: BoundedFolder) -> BlobStore:
    """The bucket of the settings, with some copies here; or the data folder if they name none."""
    if not settings.s3_bucket:
        return FilesystemBlobs(settings.blobs_dir)
    from dicomweb_server.blobs.s3 import S3Blobs  # boto3 would slow down every start

    blobs = S3Blobs(settings)
    far = ExpectedBlobs(blobs, at_a_time=min(AT_A_TIME, max(1, blobs.reads * 3 // 4)))
    return NearBlobs(far, copies, settings.tmp_dir) if settings.s3_local_bytes else far
