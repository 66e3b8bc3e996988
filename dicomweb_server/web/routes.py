"""The URL table on one page (PS3.18 §10.1, Table 10.1-1)."""

from collections.abc import Awaitable, Callable, Iterator

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from dicomweb_server.web.all_bulk_data import retrieve_all_bulk_data, retrieve_all_pixel_data
from dicomweb_server.web.bulk_data import retrieve_bulk_data
from dicomweb_server.web.capabilities import describe, retrieve_capabilities
from dicomweb_server.web.delete import delete_resource
from dicomweb_server.web.frames import retrieve_frames
from dicomweb_server.web.metadata import retrieve_metadata
from dicomweb_server.web.ohif import ohif
from dicomweb_server.web.operations import healthz, readyz
from dicomweb_server.web.page import page_routes
from dicomweb_server.web.rendered import retrieve_rendered
from dicomweb_server.web.retrieve import retrieve_instances
from dicomweb_server.web.search import search_instances, search_series, search_studies
from dicomweb_server.web.store import store_instances
from dicomweb_server.web.thumbnails import retrieve_thumbnail

Handler = Callable[[Request], Awaitable[Response]]

STUDY = "/studies/{study}"
SERIES = STUDY + "/series/{series}"
INSTANCE = SERIES + "/instances/{instance}"
FRAMES = INSTANCE + "/frames/{frames}"

# Resource → method → handler. They are tried in this order: first what viewers ask for by the
# thousand; no two match the same path.
TABLE: dict[str, dict[str, Handler]] = {
    FRAMES: {"GET": retrieve_frames},
    INSTANCE: {"GET": retrieve_instances, "DELETE": delete_resource},
    "/studies": {"GET": search_studies, "POST": store_instances},
    STUDY + "/series": {"GET": search_series},
    SERIES + "/metadata": {"GET": retrieve_metadata},
    FRAMES + "/rendered": {"GET": retrieve_rendered},
    INSTANCE + "/rendered": {"GET": retrieve_rendered},
    FRAMES + "/thumbnail": {"GET": retrieve_thumbnail},
    INSTANCE + "/metadata": {"GET": retrieve_metadata},
    INSTANCE + "/bulkdata": {"GET": retrieve_all_bulk_data},
    INSTANCE + "/pixeldata": {"GET": retrieve_all_pixel_data},
    INSTANCE + "/thumbnail": {"GET": retrieve_thumbnail},
    INSTANCE + "/bulkdata/{path:path}": {"GET": retrieve_bulk_data},
    SERIES: {"GET": retrieve_instances, "DELETE": delete_resource},
    SERIES + "/bulkdata": {"GET": retrieve_all_bulk_data},
    SERIES + "/pixeldata": {"GET": retrieve_all_pixel_data},
    SERIES + "/rendered": {"GET": retrieve_rendered},
    SERIES + "/thumbnail": {"GET": retrieve_thumbnail},
    SERIES + "/instances": {"GET": search_instances},
    STUDY: {"GET": retrieve_instances, "POST": store_instances, "DELETE": delete_resource},
    STUDY + "/metadata": {"GET": retrieve_metadata},
    STUDY + "/bulkdata": {"GET": retrieve_all_bulk_data},
    STUDY + "/pixeldata": {"GET": retrieve_all_pixel_data},
    STUDY + "/rendered": {"GET": retrieve_rendered},
    STUDY + "/thumbnail": {"GET": retrieve_thumbnail},
    STUDY + "/instances": {"GET": search_instances},
    "/series": {"GET": search_series},
    "/instances": {"GET": search_instances},
    "": {"OPTIONS": retrieve_capabilities},
}


def routes(*, deleting: bool) -> list[BaseRoute]:
    """Everything the server answers; `deleting`, or not."""
    return [
        *_resources("/dicomweb", deleting=deleting),
        *page_routes(),
        Route("/ohif", ohif),
        Route("/ohif/{path:path}", ohif),
        Route("/openapi.json", describe),
        Route("/healthz", healthz),
        Route("/readyz", readyz),
    ]


def _resources(base: str, *, deleting: bool) -> Iterator[BaseRoute]:
    for path, handlers in TABLE.items():
        if not deleting:  # then Allow does not say so either (RFC 9110 §10.2.1)
            handlers = {name: each for name, each in handlers.items() if name != "DELETE"}
        yield Route(base + path, _Resource(handlers), methods=list(handlers))


class _Resource:
    """One route a resource, so that 405 names every method of it (RES-07).

    An ASGI application, not a function of a request: what that would be wrapped in handles
    refusals a second time, at a twentieth of the cost of a frame.
    """

    def __init__(self, handlers: dict[str, Handler]) -> None:
        self._handlers = handlers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        response = await self._handlers[method](Request(scope, receive, send))
        await response(scope, receive, send)
