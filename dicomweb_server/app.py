"""Wires the rooms together: settings → archive → ASGI application. Nobody imports it."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from dicomweb_server.archive.analyzing import analyzing
from dicomweb_server.archive.archive import Archive, MadeRun
from dicomweb_server.archive.arrivals import Arrivals
from dicomweb_server.archive.at_once import AtOnce
from dicomweb_server.archive.background import background
from dicomweb_server.archive.bounded_folder import BoundedFolder
from dicomweb_server.archive.commit import Committer
from dicomweb_server.archive.derived import DerivedCache
from dicomweb_server.archive.describing import Describer
from dicomweb_server.archive.expected_blobs import AT_A_TIME, ExpectedBlobs
from dicomweb_server.archive.expiring import expiring
from dicomweb_server.archive.flights import Flights
from dicomweb_server.archive.frame_lookups import FrameLookups
from dicomweb_server.archive.near_blobs import NearBlobs
from dicomweb_server.archive.neighbours import Neighbours
from dicomweb_server.archive.preparing import preparing
from dicomweb_server.archive.scratch import sweep
from dicomweb_server.archive.series_leases import SeriesLeases
from dicomweb_server.archive.thumbnailing import thumbnailing
from dicomweb_server.archive.workers import WorkerPool
from dicomweb_server.blobs.filesystem import FilesystemBlobs
from dicomweb_server.blobs.store import BlobDamaged, BlobStore
from dicomweb_server.config import Settings
from dicomweb_server.errors import Refusal
from dicomweb_server.index.database import acquire, open_pool
from dicomweb_server.index.indexed_attributes import AttributeList
from dicomweb_server.recent import RecentBytes
from dicomweb_server.web.errors import damaged, refuse, refuse_http
from dicomweb_server.web.logs import configure_logs
from dicomweb_server.web.middleware import RequestLog, TrailingSlash
from dicomweb_server.web.ohif import Ohif
from dicomweb_server.web.routes import routes

log = structlog.get_logger()

PICTURES = 64 << 20  # bytes of rendered pictures kept in memory
WORKER_MEMORY = 4 << 30  # bytes of data that one piece of CPU work may hold

# Digest §7.2: what viewers send and need to read.
_ALLOW = ["Accept", "Accept-Language", "Authorization", "Content-Type", "If-Match"]
_ALLOW += ["If-None-Match", "If-Range", "Range", "Cache-Control", "X-Requested-With"]
_ALLOW += ["traceparent"]
_EXPOSE = ["Content-Location", "Location", "ETag", "Warning", "Content-Range", "Accept-Ranges"]
_EXPOSE += ["Content-Length", "Content-Encoding", "Content-Disposition", "Retry-After", "Allow"]
_EXPOSE += ["WWW-Authenticate", "Link", "X-Total-Count", "X-Request-ID"]


@asynccontextmanager
async def open_archive(settings: Settings) -> AsyncIterator[Archive]:
    """An archive whose database is migrated already, ready for work; closed on leaving."""
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
        workers.start()
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


def create_app(settings: Settings) -> Starlette:
    """The ASGI application: routes, middleware, exception handlers, lifespan."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with open_archive(settings) as archive:
            app.state.archive = archive
            app.state.ohif = Ohif(settings.ohif_folder, settings.base_url)
            app.state.uploads = asyncio.Semaphore(settings.max_concurrent_uploads)
            async with (
                preparing(archive),
                thumbnailing(archive),
                expiring(archive),
                analyzing(archive),
                background(archive.at_once.warm_up()),
            ):
                yield

    middleware = [Middleware(RequestLog), Middleware(TrailingSlash)]
    if settings.cors_origins:
        cors = Middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"],
            allow_headers=_ALLOW,
            expose_headers=_EXPOSE,
            max_age=3600,
        )
        # Outermost, so that answers made by the others carry its headers too (digest §7.2).
        middleware.insert(0, cors)
    app = Starlette(
        routes=routes(),
        middleware=middleware,
        exception_handlers={
            Refusal: refuse,
            HTTPException: refuse_http,
            BlobDamaged: damaged,
        },
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    return app


def create() -> Starlette:
    """The application of a serving process, with its settings from the environment."""
    settings = Settings()
    configure_logs(settings.log_level)
    return create_app(settings)
