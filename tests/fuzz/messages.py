"""Targets: the readers of what a request says (PS3.18 §8, §10; RFC 2046, 9110)."""

import contextlib
import re
import zlib
from random import Random
from urllib.parse import parse_qsl

import numpy as np

from dicomweb_server.access.policy import Scope
from dicomweb_server.dicom.match_values import match_values, prefilter
from dicomweb_server.dicom.matching import matches_query
from dicomweb_server.dicom.query import Level, Returned
from dicomweb_server.dicom.rendering import fit
from dicomweb_server.errors import (
    ContentTooLarge,
    InvalidParameter,
    MalformedContent,
    MalformedMultipart,
    NotAcceptable,
    PreconditionFailed,
    RangeNotSatisfiable,
    UnsupportedContent,
)
from dicomweb_server.index.search_statements import compile_search
from dicomweb_server.wire.bulk_parts import BulkParts, read_part_type
from dicomweb_server.wire.conditions import check_match, is_unmodified, range_applies
from dicomweb_server.wire.content_coding import CODINGS, Gunzip, accepted_codings, is_gzip
from dicomweb_server.wire.cursors import next_query, read_cursor
from dicomweb_server.wire.media_types import choose, parse_accept, parse_content_type
from dicomweb_server.wire.multipart import (
    Event,
    MultipartParser,
    PartBegin,
    PartData,
    PartEnd,
    check_boundary,
)
from dicomweb_server.wire.offers import bulk_offers, frame_offers, instance_offers
from dicomweb_server.wire.projection import parse_projection
from dicomweb_server.wire.ranges import MAX_RANGES, parse_range
from dicomweb_server.wire.rendered_offers import rendered_offers
from dicomweb_server.wire.rendering import parse_rendered_query, parse_thumbnail_query
from dicomweb_server.wire.resources import is_uid, parse_bulk_path, parse_frame_list, parse_uid
from dicomweb_server.wire.search import parse_search
from tests.fuzz.stored import in_window

BOUNDARY = "b"

OFFERS = (
    instance_offers(["1.2.840.10008.1.2.4.90"], complete=True, single=True),
    instance_offers([], complete=False, single=False),
    frame_offers("1.2.840.10008.1.2.4.50", single=True, encoded=("1.2.840.10008.1.2.4.80",)),
    bulk_offers("1.2.840.10008.1.2.1", pixels=False),
    rendered_offers(2),
)

# What searches are held against: one entity of each level, with odd values among the others.
ENTITY = {
    Level.STUDY: {
        "00080005": {"vr": "CS", "Value": ["ISO_IR 192"]},
        "00080020": {"vr": "DA", "Value": ["20240131"]},
        "00080030": {"vr": "TM", "Value": ["101500.5"]},
        "00080050": {"vr": "SH"},
        "00080201": {"vr": "SH", "Value": ["+0130"]},
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Müller^Hans", "Ideographic": "山田"}]},
        "00100020": {"vr": "LO", "Value": ["P*1", None]},
        "0020000D": {"vr": "UI", "Value": ["1.2.3"]},
    },
    Level.SERIES: {
        "00080060": {"vr": "CS", "Value": ["CT"]},
        "0020000E": {"vr": "UI", "Value": ["1.2.3.4"]},
        "00200011": {"vr": "IS", "Value": [3]},
        "00400275": {"vr": "SQ", "Value": [{"00401001": {"vr": "SH", "Value": ["R1"]}}, {}]},
    },
    Level.INSTANCE: {
        "00080018": {"vr": "UI", "Value": ["1.2.3.4.5"]},
        "0008002A": {"vr": "DT", "Value": ["20240131101500-0500", "2024"]},
        "00180050": {"vr": "DS", "Value": [1.25, "1e400"]},
        "00280010": {"vr": "US", "Value": [512]},
        "7FE00010": {"vr": "OW", "BulkDataURI": "/7FE00010"},
    },
}


def _lines(data: bytes, count: int) -> list[str]:
    """As many header fields out of `data`, as a server decodes them."""
    lines = data.decode("latin-1").split("\n")
    return (lines + [""] * count)[:count]


# ----------------------------------------------------------------------------------- multipart


def _parsed(pieces: list[bytes]) -> tuple[list[tuple[dict[str, str], bytes, bool]], str]:
    """Headers, content and whether it ended, of each part; and what the body was refused for."""
    parser = MultipartParser(BOUNDARY, max_header_bytes=1000, max_parts=100)
    parts: list[tuple[dict[str, str], bytes, bool]] = []
    content: list[bytes] = []

    def take(events: list[Event]) -> None:
        for event in events:
            if isinstance(event, PartBegin):
                content.clear()
                parts.append((dict(event.headers), b"", False))
            elif isinstance(event, PartData):
                assert event.data
                content.append(bytes(event.data))
                parts[-1] = (parts[-1][0], b"".join(content), False)
            else:
                assert isinstance(event, PartEnd)
                parts[-1] = (*parts[-1][:2], True)

    try:
        for piece in pieces:
            take(parser.feed(piece))
        parser.finish()
    except (MalformedMultipart, ContentTooLarge) as refusal:
        return parts, f"{type(refusal).__name__}: {refusal}"
    return parts, ""


def multipart(data: bytes) -> None:
    """A body gives the same parts, or the same refusal, however it is cut (MP-01 to MP-10)."""
    with contextlib.suppress(MalformedMultipart):
        check_boundary(data[:80].decode("latin-1"))
    seed, body = data[:1], data[1:]
    random = Random(seed)
    cuts = sorted(random.randrange(len(body) + 1) for _ in range(random.randrange(8)))
    pieces = [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    parts, refusal = _parsed([body])
    others, other_refusal = _parsed(pieces)
    assert refusal == other_refusal
    assert parts == others or (refusal and _shorter(parts) == _shorter(others))
    for headers, _, _ in parts:
        with contextlib.suppress(UnsupportedContent):
            read_part_type(headers, "application/dicom", "<start>")


def _shorter(parts: list[tuple[dict[str, str], bytes, bool]]) -> object:
    """All but the content of a part that has no end, of which some may be held back."""
    return [(headers, content if whole else b"", whole) for headers, content, whole in parts]


# --------------------------------------------------------------------------------- negotiation


def accept(data: bytes) -> None:
    """Accept, its parameter, Content-Type and the codings (§8.7.5, RFC 9110 §12.5)."""
    header, parameter, coding = _lines(data, 3)
    ranges = parse_accept(header)
    assert all(0 <= each.q <= 1 for each in ranges)
    for offers in OFFERS:
        with contextlib.suppress(NotAcceptable):
            choice = choose(header or None, offers, parameter or None)
            assert choice.offer in offers
            syntaxes = choice.offer.transfer_syntaxes
            assert (choice.transfer_syntax in syntaxes) if syntaxes else not choice.transfer_syntax
    for text in (header, parameter, coding):
        with contextlib.suppress(UnsupportedContent, MalformedContent):
            content = parse_content_type(text)
            assert content.media_type == content.media_type.lower()
    accepted = accepted_codings(coding)
    assert set(accepted) <= set(CODINGS)
    assert len(set(accepted)) == len(accepted)
    with contextlib.suppress(UnsupportedContent):
        is_gzip(coding)


def conditions(data: bytes) -> None:
    """Range and the conditions (RFC 9110 §13, §14): spans lie within the representation."""
    field, match, none_match, if_range = _lines(data[2:], 4)
    total = int.from_bytes(data[:2], "little")
    tags = ['"a"', '"b-gzip"']
    with contextlib.suppress(RangeNotSatisfiable):
        spans = parse_range(field, total)
        assert spans is None or 0 < len(spans) <= MAX_RANGES
        ends = sorted((span.first, span.last) for span in spans or ())
        assert all(0 <= first <= last < total for first, last in ends)
        assert all(ends[n][1] + 1 < ends[n + 1][0] for n in range(len(ends) - 1))
    with contextlib.suppress(PreconditionFailed):
        check_match(match, tags)
    assert is_unmodified(none_match, tags) in (None, *tags)
    range_applies(if_range, tags[0])


# ------------------------------------------------------------------------------------- queries


def search(data: bytes) -> None:
    """A query is refused or can be held against anything (§10.6, PS3.4 C.2.2.2)."""
    level = Level(1 + (data[0] if data else 0) % 3)
    query_string = data[1:]
    try:
        parsed = parse_search(level, query_string, study_instance_uid="1.2.3", local_zone=60)
    except InvalidParameter:
        return
    query = parsed.query
    assert 0 <= query.limit <= 1000
    matches_query(query, ENTITY, [ENTITY])
    with contextlib.suppress(InvalidParameter):  # a cursor of another order, NUL
        statement, _ = compile_search(query, Scope((1,)), Returned(frozenset({level})))
        assert statement.isascii()  # what is asked for is in the arguments, and nowhere else
    for path, condition in query.conditions.items():
        needed = prefilter(path, condition)
        assert needed is None or match_values(path, ENTITY[Level.STUDY]) is not None
    orderby = dict(parse_qsl(query_string.decode("latin-1"))).get("orderby", "")
    if orderby.isascii() and query.after is None:
        again = next_query(query_string, ("a", None, 1), orderby)
        following = parse_search(level, again, study_instance_uid="1.2.3", local_zone=60).query
        assert following.conditions == query.conditions
        assert following.after == ("a", None, 1)


def rendered(data: bytes) -> None:
    """The query of rendered resources and thumbnails (§8.3.5)."""
    params = parse_qsl(data.decode("latin-1"), keep_blank_values=True)
    with contextlib.suppress(InvalidParameter):
        query = parse_rendered_query(params)
        in_window(query.window)
        if query.viewport is not None and query.viewport.width * query.viewport.height < 10_000:
            picture = fit(np.zeros((8, 8), np.uint8), query.viewport, 1.0)
            assert picture.shape[0] <= query.viewport.height
            assert picture.shape[1] <= query.viewport.width
        assert query.quality is None or 1 <= query.quality <= 100
    with contextlib.suppress(InvalidParameter):
        viewport = parse_thumbnail_query(params)
        assert viewport is None or (viewport.width > 0 and viewport.height > 0)


def paths(data: bytes) -> None:
    """What stands in a path, cursors, projections and the names of parts."""
    text, more = _lines(data, 2)
    with contextlib.suppress(InvalidParameter):
        assert is_uid(parse_uid("study", text))
    with contextlib.suppress(InvalidParameter):
        numbers = parse_frame_list(text)
        assert 0 < len(numbers) == len(set(numbers)) <= 10_000
        assert min(numbers) > 0
    with contextlib.suppress(InvalidParameter):
        assert re.fullmatch(r"[0-9A-F]{8}(/[1-9][0-9]*/[0-9A-F]{8})*", parse_bulk_path(text))
    with contextlib.suppress(InvalidParameter):
        read_cursor(text, more)
    with contextlib.suppress(InvalidParameter):
        parse_projection([text, more])
    headers = {"content-type": more, "content-location": text, "content-id": f"<{more}>"}
    with contextlib.suppress(UnsupportedContent):
        parts = BulkParts("http://host/studies")
        parts.add(0, read_part_type(headers, "application/dicom+json"))
        del headers["content-type"]
        parts.add(1, read_part_type(headers, "application/dicom+json"))
        for uri in (text, more, f"cid:{more}"):
            assert set(parts.find(uri)) <= {0, 1}
        assert set(parts.unused([0, 1])) <= {0, 1}


# ------------------------------------------------------------------------------------- codings

_LIMIT = 1 << 16  # bytes


def gzip(data: bytes) -> None:
    """A body unpacks to the same, or is refused, however it is cut (RFC 1952)."""
    cut = data[0] if data else 0
    body = data[1:]
    whole, refused = _gunzipped([body])
    pieces, also_refused = _gunzipped([body[:cut], body[cut:]])
    assert refused == also_refused
    assert refused or whole == pieces
    stream = zlib.decompressobj(31)
    with contextlib.suppress(zlib.error):
        first = stream.decompress(body, _LIMIT + 1)
        if stream.eof and not refused:
            assert whole.startswith(first)


def _gunzipped(pieces: list[bytes]) -> tuple[bytes, bool]:
    gunzip = Gunzip(_LIMIT)
    found = b""
    try:
        for piece in pieces:
            gunzip.feed(piece)
            while content := gunzip.next():
                found += content
        gunzip.finish()
    except (MalformedContent, ContentTooLarge):
        return found, True
    assert len(found) <= _LIMIT
    return found, False
