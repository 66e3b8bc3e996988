"""Content-Type, Accept and the choice of a representation (PS3.18 §8.7, traps 1 to 12)."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomweb_server.errors import MalformedContent, NotAcceptable, UnsupportedContent
from dicomweb_server.wire.media_types import (
    MAX_RANGES,
    Choice,
    ContentType,
    MediaRange,
    Offer,
    choose,
    parse_accept,
    parse_content_type,
)

ELE = "1.2.840.10008.1.2.1"
HTJ2K = "1.2.840.10008.1.2.4.201"
JPEG, JPEG_SV1 = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.70"
JLS, JLS_NEAR = "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81"

DICOM = Offer("application/dicom", True, (ELE, "*", JLS), default=True)
DICOM_SINGLE = Offer("application/dicom", False, (ELE, "*", JLS))
OCTETS = Offer("application/octet-stream", True, (ELE, "*"), default=True)
OCTETS_SINGLE = Offer("application/octet-stream", False, (ELE, "*"))
JLS_PARTS = Offer("image/jls", True, (JLS, "*"))
JLS_SINGLE = Offer("image/jls", False, (JLS, "*"))
JSON = Offer("application/dicom+json", False, default=True)
XML = Offer("application/dicom+xml", True)
JPEG_IMAGE = Offer("image/jpeg", False, default=True)
PNG_IMAGE = Offer("image/png", False)
SVG = Offer("image/svg+xml", multipart=False)

INSTANCE = [DICOM, DICOM_SINGLE, Offer("application/octet-stream", True, (ELE,))]
FRAME = [OCTETS, JLS_PARTS, OCTETS_SINGLE, JLS_SINGLE]
FRAMES = [OCTETS, JLS_PARTS]
METADATA = [JSON, XML]
RENDERED = [JPEG_IMAGE, PNG_IMAGE]


@pytest.mark.parametrize(
    ("text", "media_type", "parameters"),
    [
        ("application/dicom", "application/dicom", {}),
        ("Application/DICOM ; ", "application/dicom", {}),
        (
            'multipart/related; type="application/dicom"; boundary="a b"',
            "multipart/related",
            {"type": "application/dicom", "boundary": "a b"},
        ),
        (
            "multipart/related;Boundary=x=y:z?;TYPE=application/dicom",
            "multipart/related",
            {"type": "application/dicom", "boundary": "x=y:z?"},
        ),
        (r'a/b; c="\"\\;,"', "a/b", {"c": '"\\;,'}),
        (
            'multipart/related; type="image/jpeg; transfer-syntax=1.2"; boundary=b',  # NEG-07
            "multipart/related",
            {"type": "image/jpeg", "transfer-syntax": "1.2", "boundary": "b"},
        ),
    ],
)
def test_mp_01_content_types(text: str, media_type: str, parameters: dict[str, str]) -> None:
    assert parse_content_type(text) == ContentType(media_type, parameters)


@pytest.mark.parametrize("text", [None, "", "junk", "/", "a/", "*/*", ";boundary=x"])
def test_content_without_a_media_type_is_unsupported(text: str | None) -> None:
    with pytest.raises(UnsupportedContent):
        parse_content_type(text)


@pytest.mark.parametrize("text", ["a/b c", 'a/b; c="d', 'a/b; c="d"e', "a/b; c=1; C=2", "a/b; =1"])
def test_parameters_that_cannot_be_read_are_malformed(text: str) -> None:
    with pytest.raises(MalformedContent):
        parse_content_type(text)


@given(st.text() | st.text(alphabet='ab/;="\\ *,'))
def test_any_text_is_a_content_type_or_refused(text: str) -> None:
    with contextlib.suppress(UnsupportedContent, MalformedContent):
        parse_content_type(text)


PARTS = MediaRange("multipart/related", "application/octet-stream")


@pytest.mark.parametrize(
    ("text", "ranges"),
    [
        (None, [MediaRange("*/*")]),
        ("  ", [MediaRange("*/*")]),
        # trap 1, NEG-06: quotes, order, spaces, case, boundary
        ("multipart/related; type=application/octet-stream", [PARTS]),
        ('Multipart/Related;boundary=x; TYPE="application/octet-stream"', [PARTS]),
        ('multipart/related ; type = "Application/Octet-Stream" ;', [PARTS]),
        # trap 2: separators within quotes
        ('a/b; x=";,q=0", c/d;q=0.5', [MediaRange("a/b"), MediaRange("c/d", q=0.5)]),
        # trap 4, NEG-07
        (
            f'multipart/related; type="image/jpeg; transfer-syntax={JPEG}"',
            [MediaRange("multipart/related", "image/jpeg", JPEG)],
        ),
        # NEG-05
        ("multipart/related", [MediaRange("multipart/related", "*/*")]),
        # trap 12 and names of older editions
        ("application/json", [MediaRange("application/dicom+json")]),
        (
            "multipart/related; type=image/x-jls",
            [MediaRange("multipart/related", "image/jls")],
        ),
        # the npm dicomweb-client 0.11.3 has no other name for HTJ2K
        (
            f'multipart/related; type="image/jhc"; transfer-syntax={HTJ2K}',
            [MediaRange("multipart/related", "image/jphc", HTJ2K)],
        ),
        # the PyPI dicomweb-client 0.61
        ("multipart/related; type=video/mpeg2", [MediaRange("multipart/related", "video/mpeg")]),
        # HDR-03: invalid elements and parameters are left out
        ("junk, a/b", [MediaRange("a/b")]),
        (", ,a/b,", [MediaRange("a/b")]),
        ('a/b, c/d; x="unbalanced, e/f', [MediaRange("a/b")]),
        ("a/b;q=high", [MediaRange("a/b")]),
        ("a/b;q=nan", [MediaRange("a/b")]),
        ("a/b;q=7", [MediaRange("a/b")]),
        ("a/b;q=.2", [MediaRange("a/b", q=0.2)]),
        ("*; q=.2", [MediaRange("*/*", q=0.2)]),
    ],
)
def test_accept_headers(text: str | None, ranges: list[MediaRange]) -> None:
    assert parse_accept(text) == ranges


def test_the_number_of_ranges_looked_at_is_bounded() -> None:
    assert len(parse_accept(",".join(["a/b;q=0.1"] * 10_000))) == MAX_RANGES


@pytest.mark.parametrize(
    ("accept", "offers", "offer", "syntax"),
    [
        # NEG-04, HDR-01: full wildcards, absent
        (None, INSTANCE, DICOM, ELE),
        ("*/*", INSTANCE, DICOM, ELE),
        ("*/*", FRAME, OCTETS, ELE),
        ("*/*", METADATA, JSON, None),
        ("*/*", RENDERED, JPEG_IMAGE, None),
        # the Python dicomweb-client's default, and NEG-05
        ('multipart/related; type="*/*"', FRAME, OCTETS, ELE),
        ("multipart/related", INSTANCE, DICOM, ELE),
        ("multipart/*", INSTANCE, DICOM, ELE),
        ("multipart/related", METADATA, XML, None),
        # TS-02, trap 5: no parameter is the default of the type, not as stored
        ('multipart/related; type="application/dicom"', INSTANCE, DICOM, ELE),
        ("multipart/related; type=image/jls", FRAMES, JLS_PARTS, JLS),
        # TS-01, TS-03
        (f"multipart/related; type=application/dicom; transfer-syntax={JLS}", INSTANCE, DICOM, JLS),
        ("multipart/related; type=application/dicom; transfer-syntax=*", INSTANCE, DICOM, "*"),
        ("multipart/related; type=image/*; transfer-syntax=*", FRAMES, JLS_PARTS, "*"),
        ("*/*; transfer-syntax=*", INSTANCE, DICOM, "*"),
        # trap 8: single part or multipart as asked
        ("application/dicom", INSTANCE, DICOM_SINGLE, ELE),
        ("image/jls", FRAME, JLS_SINGLE, JLS),
        # weights
        ("application/dicom;q=0.1, multipart/related;type=application/dicom", INSTANCE, DICOM, ELE),
        (
            "application/dicom, multipart/related;type=application/dicom;q=0.1",
            INSTANCE,
            DICOM_SINGLE,
            ELE,
        ),
        ("*/*, application/dicom+json;q=0.1", METADATA, JSON, None),
        ("image/png, */*", RENDERED, PNG_IMAGE, None),
        ("image/png, image/*;q=0.8", RENDERED, PNG_IMAGE, None),
        ("image/png;q=0.5, image/*;q=0.8", RENDERED, JPEG_IMAGE, None),
        ("image/avif,image/webp,*/*;q=0.8", RENDERED, JPEG_IMAGE, None),
        ("text/html,application/xhtml+xml,*/*;q=0.8", METADATA, JSON, None),
        # NEG-08: 0 bars
        ("image/*, image/jpeg;q=0", RENDERED, PNG_IMAGE, None),
        (
            f"image/jls;transfer-syntax=*, image/jls;transfer-syntax={JLS};q=0",
            [JLS_SINGLE],
            JLS_SINGLE,
            "*",
        ),
        # NEG-09, trap 3: OHIF on metadata and search
        (
            "application/dicom+json, "
            "multipart/related; type=application/octet-stream; transfer-syntax=*",
            METADATA,
            JSON,
            None,
        ),
        # HDR-03: a type without transfer syntaxes ignores the parameter
        ("application/dicom+json; transfer-syntax=*", METADATA, JSON, None),
        # an unusable range gives way to the next
        (
            f"image/jls; transfer-syntax={JLS_NEAR}, application/octet-stream",
            FRAME,
            OCTETS_SINGLE,
            ELE,
        ),
        # the server's order among equals
        ("image/png, image/jpeg", RENDERED, JPEG_IMAGE, None),
    ],
)
def test_what_is_chosen(
    accept: str | None, offers: list[Offer], offer: Offer, syntax: str | None
) -> None:
    assert choose(accept, offers) == Choice(offer, syntax)


@pytest.mark.parametrize(
    ("accept", "offers"),
    [
        ("image/jls", FRAMES),  # NEG-03
        ("application/dicom", [DICOM]),
        ("multipart/related; type=image/jls", RENDERED),
        (f"multipart/related; type=image/jls; transfer-syntax={JLS_NEAR}", FRAMES),
        ("multipart/related; type=application/octet-stream; transfer-syntax=" + JPEG_SV1, FRAMES),
        ("text/html", METADATA),  # NEG-02: no default without a wildcard
        ("junk", METADATA),
        ("*/*;q=0", METADATA),
        ("*/*, application/dicom+json;q=0", METADATA),
        ('multipart/related; type="application/dicom', [DICOM]),
        ("*/*", []),
    ],
)
def test_neg_02_nothing_acceptable(accept: str, offers: list[Offer]) -> None:
    with pytest.raises(NotAcceptable):
        choose(accept, offers)


def test_neg_11_the_refusal_names_what_is_available() -> None:
    with pytest.raises(NotAcceptable) as refusal:
        choose("text/html", FRAMES)

    assert refusal.value.available == (
        'multipart/related; type="application/octet-stream"',
        'multipart/related; type="application/octet-stream"; transfer-syntax=*',
        'multipart/related; type="image/jls"',
        'multipart/related; type="image/jls"; transfer-syntax=*',
    )


@pytest.mark.parametrize(
    ("header", "parameter", "offers", "chosen"),
    [
        ("*/*", "image/png", RENDERED, PNG_IMAGE),
        (None, "image/png", RENDERED, PNG_IMAGE),
        ("image/*", "image/png", RENDERED, PNG_IMAGE),
        ("image/jpeg", "image/png", RENDERED, JPEG_IMAGE),  # ACC-02
        ("*/*", "text/html", RENDERED, JPEG_IMAGE),  # ACC-03
        ("image/png", "*/*", RENDERED, PNG_IMAGE),  # ACC-01
        ("*/*", "multipart/related; type=application/dicom xml", METADATA, XML),  # ACC-04
        ("*/*", "image/jpeg;q=0.1, image/svg xml", [JPEG_IMAGE, SVG], SVG),  # of any type
        ("*/*", f"application/dicom;transfer-syntax={JLS}", INSTANCE, DICOM_SINGLE),  # ACC-05
    ],
)
def test_acc_the_accept_parameter(
    header: str | None, parameter: str, offers: list[Offer], chosen: Offer
) -> None:
    assert choose(header, offers, parameter).offer == chosen


media_types = st.sampled_from(
    ["application/dicom", "image/jls", "image/png", "application/dicom+json", "image/*", "*/*"]
)
syntaxes = st.sampled_from([ELE, JLS, JPEG, "*"])
accept_elements = st.builds(
    lambda shape, media_type, syntax, q: (
        shape.format(media_type)
        + (f"; transfer-syntax={syntax}" if syntax else "")
        + (f"; q={q}" if q else "")
    ),
    st.sampled_from(["{}", 'multipart/related; type="{}"', "multipart/related;type={}"]),
    media_types,
    st.none() | syntaxes,
    st.none() | st.sampled_from(["0", "0.5", "1", "0.25"]),
)
offer_lists = st.lists(
    st.builds(
        Offer,
        media_types.filter(lambda name: "*" not in name),
        st.booleans(),
        st.lists(syntaxes, max_size=3, unique=True).map(tuple),
    ),
    max_size=4,
    unique_by=lambda offer: (offer.media_type, offer.multipart),
)


def accepts(media_range: MediaRange, choice: Choice) -> bool:
    """The plain reading of a range, without preference and without what a wildcard means."""
    offer, asked = choice.offer, media_range.transfer_syntax
    kind = media_range.part_type if media_range.part_type and offer.multipart else (
        "" if media_range.part_type else media_range.media_type
    )  # fmt: skip
    major = offer.media_type.partition("/")[0]
    named = kind == "*/*" or (
        (bool(media_range.part_type) is offer.multipart)
        and kind in (offer.media_type, f"{major}/*")
    )
    return named and (
        choice.transfer_syntax in (None, asked)
        or (asked is None and choice.transfer_syntax == offer.transfer_syntaxes[0])
        or asked == "*"
    )


@given(st.lists(accept_elements, min_size=1, max_size=5), offer_lists)
def test_what_is_chosen_was_offered_and_accepted(elements: list[str], offers: list[Offer]) -> None:
    accept = ", ".join(elements)
    with contextlib.suppress(NotAcceptable):
        choice = choose(accept, offers)

        assert choice.offer in offers
        assert choice.transfer_syntax in (choice.offer.transfer_syntaxes or (None,))
        assert any(r.q > 0 and accepts(r, choice) for r in parse_accept(accept))


@given(st.text() | st.text(alphabet='*/;="\\ ,aq01.'), st.none() | st.text(), offer_lists)
def test_nothing_raises_but_not_acceptable(
    accept: str, parameter: str | None, offers: list[Offer]
) -> None:
    with contextlib.suppress(NotAcceptable):
        choose(accept, offers, parameter)
