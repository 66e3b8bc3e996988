"""The run as one picture: beside Orthanc, beside what the machine allows, with many at once."""

import statistics
from collections.abc import Iterator, Mapping
from typing import Any

from conformance.benchmark.goals import BARE, NGINX, OURS
from conformance.benchmark.mixed.people import (
    FIRST_IMAGE,
    FRAME,
    METADATA,
    PICTURE,
    SEARCH,
    STORE,
    WORKLIST,
)
from conformance.benchmark.public.bars import Chart, drawn
from conformance.benchmark.public.report import PEERS, crowd_title, name_of
from conformance.benchmark.public.searching import POSTGRES_ALONE
from conformance.benchmark.render.report import CODECS
from conformance.benchmark.retrieve.hosts import STATIC

HEADLINES = (
    "STOW CT, 4 clients × 10",
    "STOW CT, one at a time",
    "STOW multi-frame",
    "list-1",
    "patient-1",
    "instances-1",
    "metadata-1000",
    "stored-1000",
    "frame-8",
    "instance-8",
    "series-4",
    "multiframe-8",
    "first-image",
    "open",
    "ct-8",
    "viewport-8",
    "us-8",
    "thumbnail-8",
)
"""What the keys of those items are, or begin with, that stand for all in the README."""

FEW = 40  # latencies, of which the longest two are beyond the mark of nineteen in twenty

BLUE, ORANGE, PINK = "#0072b2", "#e69f00", "#cc79a7"
SKY, GREEN, RED, GREY = "#56b4e9", "#009e73", "#d55e00", "#6e7781"
LIMIT_COLOURS = {BARE: SKY, POSTGRES_ALONE: GREEN, CODECS: RED, NGINX: GREY, STATIC: SKY}
COLOURS = dict(zip((OURS, *PEERS), (BLUE, ORANGE, PINK), strict=True))

LIMITS = (BARE, POSTGRES_ALONE, CODECS, STATIC, NGINX)
"""What the machine allows: of several, the first says most."""

Data = Mapping[str, Any]


def headlines(data: Data) -> Iterator[Data]:
    """The items that stand for all."""
    rows = [row for each in data["sections"].values() for row in each]
    for key in HEADLINES:
        exact = [row for row in rows if row["key"] == key]
        begun = [row for row in rows if row["key"].startswith(key) and key.startswith("STOW")]
        yield from (exact or begun)[:1]


def as_svg(data: Data) -> str:
    """The picture."""
    charts = [beside_orthanc(data), beside_limits(data)]
    if "mixed" in data:
        charts.append(crowd(data["mixed"]))
    return drawn([chart for chart in charts if chart.groups], "Benchmark of dicomweb-server")


def beside_orthanc(data: Data) -> Chart:
    """How many times Orthanc's rate."""
    groups = []
    for row in headlines(data):
        ratios = {
            name_of(peer): statistics.median(row["ratios"][peer])
            for peer in PEERS
            if row["ratios"].get(peer)
        }
        if ratios:
            groups.append((row["item"], ratios))
    return Chart(
        "How many times as fast as Orthanc",
        "Medians of the quotients of each round; each step of the grid is ten times the last.",
        {name_of(peer): COLOURS[peer] for peer in PEERS},
        groups,
        unit="×",
        log=True,
        line=(1.0, "as fast as Orthanc"),
    )


def beside_limits(data: Data) -> Chart:
    """How much of what the machine allows."""
    groups = []
    for row in headlines(data):
        known = [name for name in LIMITS if row["ratios_to_limits"].get(name)]
        for name in known[:1]:
            share = 100 * statistics.median(row["ratios_to_limits"][name])
            groups.append((row["item"], {name: share}))
    names = dict.fromkeys(name for _, values in groups for name in values)
    return Chart(
        "How much of what the machine allows",
        "The same asked of a bare receiver, of a bare server with our answers as files, and of "
        "Postgres alone; codecs alone.",
        {name: LIMIT_COLOURS[name] for name in names},
        groups,
        unit=" %",
    )


def crowd(mixed: Data) -> Chart:
    """What nineteen of twenty viewers wait for at most."""
    servers = {label: mixed["servers"][label] for label in COLOURS if label in mixed["servers"]}
    kinds = (FIRST_IMAGE, WORKLIST, SEARCH, METADATA, FRAME, PICTURE, STORE)
    groups = [
        (
            kind,
            {
                name_of(label): found["kinds"].get(kind, {}).get("p95_ms")
                for label, found in servers.items()
            },
        )
        for kind in kinds
    ]
    few = {
        (kind, name_of(label)): f" ({each['count']} in all)"
        for label, found in servers.items()
        for kind, each in found["kinds"].items()
        if each["count"] < FEW
    }
    reads = ", ".join(
        f"{name_of(label)} {found['reads_per_second']:,.0f}" for label, found in servers.items()
    )
    return Chart(
        f"{crowd_title(mixed)}: how long 19 of 20 wait at most",
        f"Milliseconds; each step of the grid is ten times the last. Answers a second: {reads}.",
        {name_of(label): COLOURS[label] for label in servers},
        groups if servers else [],
        unit=" ms",
        log=True,
        missing="none was answered",
        remarks=few,
    )
