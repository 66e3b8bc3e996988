"""GET /, /healthz and /readyz: for people and for what watches the server."""

from html import escape
from pathlib import Path
from string import Template

import structlog
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from dicomweb_server import __version__
from dicomweb_server.archive.summary import StudyLine, Summary, check, summarise
from dicomweb_server.errors import Unavailable
from dicomweb_server.web.requests import archive_of, base_url_of, principal_of

log = structlog.get_logger()

_PAGES = Path(__file__).parent / "pages"
_HOME = Template((_PAGES / "home.html").read_text(encoding="utf-8"))
_STYLE = (_PAGES / "home.css").read_text(encoding="utf-8")

_POLICY = "default-src 'none'; style-src 'self'; img-src 'self'; frame-ancestors 'none'"


async def healthz(request: Request) -> Response:
    """200 while the process answers at all."""
    del request
    return PlainTextResponse("ok\n")


async def readyz(request: Request) -> Response:
    """200 when requests can be served; 503 while the database or the storage is away."""
    await check(archive_of(request))
    return PlainTextResponse("ready\n")


async def style(request: Request) -> Response:
    """The style sheet of the page."""
    del request
    return Response(_STYLE, media_type="text/css", headers={"Cache-Control": "max-age=3600"})


async def home(request: Request) -> Response:
    """What this is, where its services are, how much it holds, and what came last."""
    try:
        summary = await summarise(archive_of(request), principal_of(request))
    except Unavailable as error:
        log.error("no summary for the page", reason=str(error))
        summary = None
    page = _HOME.substitute(
        version=escape(__version__),
        base=escape(base_url_of(request)),
        counts=_counts(summary),
        studies=_table(summary),
    )
    headers = {"Content-Security-Policy": _POLICY, "Cache-Control": "private, no-store"}
    return HTMLResponse(page, headers=headers)


def _counts(summary: Summary | None) -> str:
    if summary is None:
        return "<p>The index is not available at the moment.</p>"
    counts = {
        "studies": summary.studies,
        "series": summary.series,
        "instances": summary.instances,
    }
    items = "".join(f"<li><b>{number:,}</b> {name}</li>" for name, number in counts.items())
    return f"<ul class=counts>{items}<li><b>{_bytes(summary.bytes)}</b> stored</li></ul>"


def _bytes(size: int) -> str:
    amount = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def _table(summary: Summary | None) -> str:
    if summary is None or not summary.latest:
        return "<p>Nothing is stored yet. The tour in the README stores a first image.</p>"
    rows = "".join(_row(line) for line in summary.latest)
    head = "".join(
        f"<th scope=col>{name}</th>"
        for name in ("", "Patient", "Study", "Date", "Modalities", "Series", "Instances", "Links")
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _row(line: StudyLine) -> str:
    # Paths, not the configured base: the page works under whatever name it was reached by.
    url = f"dicomweb/studies/{escape(line.study_instance_uid, quote=True)}"
    picture = f'<img src="{url}/thumbnail" alt="" width=64 height=64 loading=lazy>'
    links = " ".join(
        f'<a href="{url}/{path}">{name}</a>'
        for name, path in (("series", "series"), ("metadata", "metadata"), ("image", "rendered"))
    )
    cells = [
        picture,
        f"{escape(line.patient_name) or '—'}<br><small>{escape(line.patient_id)}</small>",
        escape(line.study_description) or "—",
        escape(line.study_date),
        escape(", ".join(line.modalities)),
        str(line.series),
        str(line.instances),
        links,
    ]
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
