"""Why goals are missed, as far as that is known, with what the same run shows of it."""

from collections.abc import Mapping
from typing import Any

from conformance.benchmark.goals import BARE, NGINX, ORTHANC
from conformance.benchmark.public.searching import POSTGRES_ALONE
from conformance.benchmark.render.report import CODECS
from conformance.benchmark.report import figure
from conformance.benchmark.retrieve.hosts import STATIC

UNKNOWN = "not known"

SHARED = "servers, their databases and the load generator share the processors"

_FRAME = (
    "each frame is a request through an HTTP server in Python, and is read and sent by it; nginx "
    "hands the kernel a file"
)

REASONS: tuple[tuple[str, str, str], ...] = (
    (
        "STOW CT, 4",
        "CPU",
        "to receive, hash and write half a megabyte in Python takes a good part of that already",
    ),
    ("STOW CT, 4", "/s", SHARED),
    (
        "STOW CT, one",
        "orthanc",
        "one instance after the other waits for the disk, whoever stores: the file, its folder and "
        "the commit are flushed in turn",
    ),
    ("STOW", "orthanc", "files are flushed on both sides, and the disk sets the pace"),
    (
        "STOW",
        "“STOW",
        "senders of one study wait for each other where its counts are brought up to date",
    ),
    (
        "frame-8",
        "orthanc",
        "set beside Orthanc with one connection to Postgres, its default; with eight it is faster",
    ),
    ("frame", "nginx", _FRAME),
    ("frame", "CPU", _FRAME),
    (
        "series-4",
        "nginx",
        "each of the hundred files is opened and framed in Python; nginx hands the kernel one file",
    ),
    (
        "series-4",
        "orthanc",
        "half a hundred megabytes for each answer: copying them to the client bounds both",
    ),
    (
        "open",
        "p50",
        "a thousand frames are as many requests through Python, on the processors that the client "
        "uses too",
    ),
    ("first-image", "p50", "four requests one after the other, the list of studies the longest"),
    ("metadata", "p50", "ten megabytes of JSON are sent; the rest is HTTP in Python"),
    ("stored", "p50", "what is kept ready to be sent has yet to be joined by the last instances"),
    ("list", "p50", "what remains is HTTP in Python, and JSON of 101 studies"),
    ("patient", "p50", "what remains is HTTP in Python"),
    ("instances", "p50", "what remains is HTTP in Python, and JSON of a thousand instances"),
    ("archive", "p50", "what remains is HTTP in Python"),
    (
        "ct",
        "codecs alone",
        "a request through Python comes on top of decoding and coding, which take few milliseconds "
        "of a CT slice",
    ),
    ("ct", "orthanc", "to code a JPEG is libjpeg's work on both sides, and a good part of it all"),
    ("mixed", "frame p95", SHARED),
    ("mixed", "stored", SHARED),
    ("mixed", "orthanc", "viewers look at images for seconds, however fast these come"),
    (
        "memory",
        "",
        "pages of the uploaded file that are mapped while it is described count, though the kernel "
        "takes them back at will",
    ),
)
"""What an item's key begins with, what the goal contains, and the reason. The first counts."""


def why(key: str, goal: Mapping[str, Any], row: Mapping[str, Any]) -> str:
    """The reason why a goal of an item was missed, with its figures; empty where it was not."""
    if goal["verdict"] != "missed":
        return ""
    reasons = (
        reason
        for item, measure, reason in REASONS
        if key.startswith(item) and measure in goal["goal"]
    )
    reason = next(reasons, UNKNOWN)
    return "; ".join([reason, *shown(goal["goal"], row)])


def shown(goal: str, row: Mapping[str, Any]) -> list[str]:
    """What the run itself shows of a goal that was missed."""
    limits, servers = row.get("limits", {}), row.get("servers", {})
    facts = []
    bare = limits.get(BARE)
    if bare is not None and "CPU" in goal:
        facts.append(f"the bare receiver takes {figure(bare['cpu_ms'])} ms")
    elif bare is not None and f"× {ORTHANC}" in goal and ORTHANC in servers:
        times = bare["per_second"] / servers[ORTHANC]["per_second"]
        facts.append(f"the bare receiver itself is at {figure(times)}×")
    elif bare is not None and "/s" in goal:
        facts.append(f"the bare receiver takes {figure(bare['per_second'])} a second")
    facts += _of_bare_server(goal, limits)
    alone = limits.get(POSTGRES_ALONE)
    if alone is not None and "p50" in goal:
        facts.append(f"the statement alone takes {figure(alone['p50_ms'])} ms")
    return facts


def _of_bare_server(goal: str, limits: Mapping[str, Any]) -> list[str]:
    """What the same HTTP server takes for the same bytes, read from a file, or for the same picture
    made by the codecs, all in one window."""
    bare, nginx = limits.get(STATIC), limits.get(NGINX)
    if bare is None:
        return []
    if "CPU" in goal:
        return [f"the bare server takes {figure(bare['cpu_ms'])} ms"]
    if CODECS in goal and CODECS in limits:
        times = limits[CODECS]["per_second"] / bare["per_second"]
        return [f"the bare server itself takes {figure(times)}×"]
    if f"× {NGINX}" in goal and nginx is not None:
        return [f"the bare server itself is at {figure(bare['per_second'] / nginx['per_second'])}×"]
    if "p50" in goal:
        return [f"the bare server takes {figure(bare['p50_ms'])} ms"]
    return []
