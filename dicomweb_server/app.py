"""Wires the rooms together: settings → archive → ASGI application. Nobody imports it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from dicomweb_server.archive.analyzing import analyzing
from dicomweb_server.archive.background import background
from dicomweb_server.archive.expiring import expiring
from dicomweb_server.archive.opening import open_archive
from dicomweb_server.archive.preparing import preparing
from dicomweb_server.archive.thumbnailing import thumbnailing
from dicomweb_server.blobs.store import BlobDamaged
from dicomweb_server.config import Settings
from dicomweb_server.errors import Refusal
from dicomweb_server.web.errors import damaged, refuse, refuse_http
from dicomweb_server.web.logs import configure_logs
from dicomweb_server.web.middleware import Lingering, RequestLog, TrailingSlash
from dicomweb_server.web.ohif import Ohif
from dicomweb_server.web.routes import routes

# Digest §7.2: what viewers send and need to read.
_ALLOW = ["Accept", "Accept-Language", "Authorization", "Content-Type", "If-Match"]
_ALLOW += ["If-None-Match", "If-Range", "Range", "Cache-Control", "X-Requested-With"]
_ALLOW += ["traceparent", "Content-Encoding"]
_EXPOSE = ["Content-Location", "Location", "ETag", "Warning", "Content-Range", "Accept-Ranges"]
_EXPOSE += ["Content-Length", "Content-Encoding", "Content-Disposition", "Retry-After", "Allow"]
_EXPOSE += ["WWW-Authenticate", "Link", "X-Total-Count", "X-Request-ID"]


def create_app(settings: Settings) -> Starlette:
    """The ASGI application: routes, middleware, exception handlers, lifespan."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with open_archive(settings) as archive:
            archive.workers.start()
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

    middleware = [Middleware(RequestLog), Middleware(Lingering), Middleware(TrailingSlash)]
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
        routes=routes(deleting=settings.allow_delete),
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
