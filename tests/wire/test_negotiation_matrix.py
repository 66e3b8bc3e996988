"""What is sent, for each resource, stored transfer syntax and Accept (PS3.18 §8.7, digest 1.4-1.6).

Each table has a row an Accept. In an Accept, ``{own}`` is the media type of the stored syntax and
``{stored}`` its UID. What is expected reads "multi" or "single", the media type (dicom, octets,
own, or as it is named) and the transfer syntax (ele, stored, * for as stored, or what stands in
its UID behind 1.2.840.10008.1.2); None is 406.
"""

from collections.abc import Callable, Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomweb_server.dicom.transfer_syntaxes import is_encapsulated, is_video, media_type_of
from dicomweb_server.errors import NotAcceptable
from dicomweb_server.wire.media_types import (
    AS_STORED,
    Choice,
    MediaRange,
    Offer,
    choose,
    parse_accept,
)
from dicomweb_server.wire.offers import (
    DICOM,
    ELE,
    METADATA,
    OCTETS,
    ZIP,
    bulk_offers,
    frame_offers,
    instance_offers,
    may_be_encoded_in,
    pixel_offers,
    targets,
    value_offers,
)

ARC = "1.2.840.10008.1.2"
NATIVE = [ARC, ELE, f"{ARC}.1.99", f"{ARC}.2"]
COMPRESSED = [f"{ARC}.5", *(f"{ARC}.4.{arc}" for arc in (50, 51, 57, 70, 80, 81, 90, 91, 92))]
COMPRESSED += [f"{ARC}.4.{arc}" for arc in (110, 112, 201, 202, 203)]
OPAQUE = [f"{ARC}.1.98", f"{ARC}.8.1"]  # encapsulated, without a media type of their own
VIDEO = [f"{ARC}.4.{arc}" for arc in ("100", "101", "102", "103.1", "106", "107", "108")]
OTHER = f"{ARC}.4.999"

Expected = str | None
Row = tuple[str | None, Expected]
Group = tuple[Sequence[str], Callable[[str], Sequence[Offer]], Sequence[Row]]

# ------------------------------------------------------------------------------------ the tables

M_DICOM, M_OCTETS = f'multipart/related; type="{DICOM}"', f'multipart/related; type="{OCTETS}"'

INSTANCES: list[Row] = [
    (None, "multi dicom ele"),  # HDR-01
    ("", "multi dicom ele"),
    ("*/*", "multi dicom ele"),  # NEG-04, trap 6
    ("*; q=.2", "multi dicom ele"),
    ("text/html, application/xhtml+xml, */*;q=0.8", "multi dicom ele"),  # NEG-10
    ("multipart/related", "multi dicom ele"),  # NEG-05
    ('multipart/related; type="*/*"', "multi dicom ele"),
    ("multipart/*", "multi dicom ele"),
    (M_DICOM, "multi dicom ele"),  # TS-02, trap 5
    ("multipart/related; type=application/dicom", "multi dicom ele"),  # trap 1
    ("Multipart/Related ; Boundary=x;TYPE=Application/DICOM", "multi dicom ele"),  # NEG-06
    (f"{M_DICOM}; transfer-syntax={ELE}", "multi dicom ele"),
    (f"{M_DICOM}; transfer-syntax=*", "multi dicom *"),  # TS-03
    (f"{M_DICOM}; transfer-syntax={{stored}}", "multi dicom stored"),
    (f'multipart/related; type="{DICOM}; transfer-syntax={{stored}}"', "multi dicom stored"),
    (f"{M_DICOM}; transfer-syntax={OTHER}", None),
    (f"{M_DICOM}; transfer-syntax={OTHER}, {M_DICOM};q=0.1", "multi dicom ele"),
    (f"{M_DICOM}; transfer-syntax=*; q=0.9, {M_DICOM}; q=0.5", "multi dicom *"),
    (f"{M_DICOM}; transfer-syntax=*; q=0.4, {M_DICOM}; q=0.5", "multi dicom ele"),
    (f"{M_DICOM};q=0, */*", None),  # NEG-08; the wildcard means the default alone (NEG-01)
    (M_OCTETS, "multi octets ele"),  # trap 7
    (f"{M_OCTETS}; transfer-syntax=*", "multi octets *"),
    (f"{M_OCTETS}, {M_DICOM};q=0.9", "multi octets ele"),
    ("image/png", None),
    ("application/dicom+json", None),
    ("multipart/related; type=image/jpeg", None),
    ("*/*;q=0", None),
    ("junk", None),  # HDR-03: ignored, and nothing is left
    ("junk, */*", "multi dicom ele"),
]
OF_ONE_INSTANCE: list[Row] = [
    (DICOM, "single dicom ele"),
    ("application/*", "single dicom ele"),
    (f"{DICOM}; transfer-syntax=*", "single dicom *"),
    (f"{DICOM}; transfer-syntax={{stored}}", "single dicom stored"),
    (f"{DICOM}; transfer-syntax={OTHER}", None),
    (f"{DICOM}, {M_DICOM};q=0.5", "single dicom ele"),  # trap 8
    (f"{DICOM};q=0.5, {M_DICOM}", "multi dicom ele"),
    (f"{DICOM};q=0.5, */*;q=0.1", "single dicom ele"),
    (OCTETS, None),
]
OF_SEVERAL_INSTANCES: list[Row] = [
    (DICOM, None),  # NEG-03
    (f"{DICOM}; transfer-syntax=*", None),
    (f"{DICOM}, */*;q=0.1", "multi dicom ele"),
    ("application/*", None),  # the File-set is for who names it
]
AS_FILE_SET: list[Row] = [
    (ZIP, "single application/zip *"),
    (f"{ZIP}; transfer-syntax=*", "single application/zip *"),
    (f"{ZIP}; transfer-syntax={ELE}", None),
    (f"{ZIP};q=0.5, */*;q=0.4", "single application/zip *"),
    (f"{ZIP};q=0.5, */*", "multi dicom ele"),
    (f"{ZIP};q=0, */*;q=0.1", "multi dicom ele"),
    (f'multipart/related; type="{ZIP}"', None),
]
VIDEO_INSTANCE: list[Row] = [
    ("*/*", "multi dicom *"),  # TS-04
    (M_DICOM, "multi dicom *"),
    (DICOM, "single dicom *"),
    (f"{DICOM}; transfer-syntax={{stored}}", "single dicom stored"),
    (f"{DICOM}; transfer-syntax={ELE}", None),
]

DECODED: list[Row] = [  # frames, and one value of pixel data
    (None, "multi octets ele"),
    ("*/*", "multi octets ele"),
    ("multipart/related", "multi octets ele"),
    ('multipart/related; type="*/*"', "multi octets ele"),  # the Python dicomweb-client
    (M_OCTETS, "multi octets ele"),
    (f"{M_OCTETS}; transfer-syntax={ELE}", "multi octets ele"),
    (f"{M_OCTETS}; transfer-syntax=*", "multi octets *"),  # OHIF
    (f"{M_OCTETS}; transfer-syntax={OTHER}", None),
    (f"{M_OCTETS};q=0, */*;q=0.1", None),
    ("image/png, image/gif;q=0.5", None),
    (M_DICOM, None),
    (f"{M_DICOM}, */*;q=0.1", "multi octets ele"),
    ("multipart/related; type=image/x-none", None),
]
ONE_ITEM: list[Row] = [
    (OCTETS, "single octets ele"),
    (f"{OCTETS}; transfer-syntax=*", "single octets *"),
    ("application/*", "single octets ele"),
    (f"{OCTETS};q=0.5, */*;q=0.4", "single octets ele"),
    (f"{OCTETS}, {M_OCTETS}", "multi octets ele"),
]
SEVERAL_ITEMS: list[Row] = [(OCTETS, None), ("{own}", None), ("application/*", None)]
OWN: list[Row] = [  # the compressed stream
    ("multipart/related; type={own}", "multi own stored"),
    ('multipart/related; type="{own}"; transfer-syntax=*', "multi own *"),
    ("multipart/related; type={own}; transfer-syntax={stored}", "multi own stored"),
    ('multipart/related; type="{own}; transfer-syntax={stored}"', "multi own stored"),  # trap 4
    (f"multipart/related; type={{own}}; transfer-syntax={OTHER}", None),
    (f"multipart/related; type={{own}}; transfer-syntax={ELE}", None),
    (f"multipart/related; type={{own}};q=0.8, {M_OCTETS};q=0.9", "multi octets ele"),
    (f"multipart/related; type={{own}}, {M_OCTETS};q=0.9", "multi own stored"),
    ("multipart/related; type={own}, */*;q=0.9", "multi own stored"),
]
ONE_OWN: list[Row] = [
    ("{own}", "single own stored"),
    ("{own}; transfer-syntax=*", "single own *"),
    (f"{{own}}; transfer-syntax={OTHER}", None),
    (f"{{own}}, {OCTETS};q=0.9", "single own stored"),
]
DECODED_IN_ONE: list[Row] = [  # several frames are one item if they are decoded (TS-11)
    (OCTETS, "single octets ele"),
    ("{own}", None),
    (f"{OCTETS}; transfer-syntax={{stored}}", None),
]
VIDEO_VALUE: list[Row] = [
    ("*/*", "multi own stored"),
    ("multipart/related", "multi own stored"),
    ("multipart/related; type={own}", "multi own stored"),
    ("{own}", "single own stored"),
    ("video/*", "single own stored"),
    ("{own}; transfer-syntax={stored}", "single own stored"),
    ("{own}; transfer-syntax=*", "single own *"),
    (f"{{own}}; transfer-syntax={OTHER}", None),
    (M_OCTETS, "multi octets *"),
    (OCTETS, "single octets *"),
    ("image/jpeg", None),
]
ALL_VALUES: list[Row] = [*DECODED, (OCTETS, None), (f"{M_OCTETS}, image/jpeg", "multi octets ele")]

JLS, JPHC, JPEG = "image/jls", "image/jphc", "image/jpeg"
ENCODED_INSTANCE: list[Row] = [  # what is encoded anew, of stored syntaxes that are none of these
    (f"{DICOM}; transfer-syntax={ARC}.4.80", "single dicom .4.80"),
    (f"{M_DICOM}; transfer-syntax={ARC}.4.202", "multi dicom .4.202"),
    (f'multipart/related; type="{DICOM}; transfer-syntax={ARC}.4.70"', "multi dicom .4.70"),
    (
        f"{DICOM}; transfer-syntax={ARC}.4.90, {DICOM}; transfer-syntax=*;q=0.5",
        "single dicom .4.90",
    ),
    (
        f"{DICOM}; transfer-syntax={ARC}.4.90, {DICOM}; transfer-syntax={{stored}}",
        "single dicom stored",
    ),
    (f"{DICOM}; transfer-syntax={ARC}.4.90, {DICOM}", "single dicom ele"),
    (f"{DICOM}; transfer-syntax={ARC}.4.90;q=0.4, {DICOM}; q=0.5", "single dicom ele"),
    (f"{DICOM}; transfer-syntax={ARC}.4.90;q=0, {DICOM}", "single dicom ele"),
    (f"{DICOM}; transfer-syntax={ARC}.4.81", None),  # TS-06
    (f"{DICOM}; transfer-syntax={ARC}.4.91", None),
    (f"{DICOM}; transfer-syntax={ARC}.4.203", None),
]
ENCODED_FRAMES: list[Row] = [  # of native ones
    (f"multipart/related; type={JLS}", "multi image/jls .4.80"),  # TS-02
    ("multipart/related; type=image/x-jls", "multi image/jls .4.80"),
    ("multipart/related; type=image/jp2", "multi image/jp2 .4.90"),
    (f"multipart/related; type={JPHC}", "multi image/jphc .4.201"),
    (f"multipart/related; type={JPHC}; transfer-syntax={ARC}.4.202", "multi image/jphc .4.202"),
    (f"multipart/related; type={JPEG}", "multi image/jpeg .4.70"),
    ("multipart/related; type=image/dicom-rle", "multi image/dicom-rle .5"),
    (f"multipart/related; type={JLS}; transfer-syntax=*", None),  # TS-03
    (f"multipart/related; type={JLS}; transfer-syntax=*, {M_OCTETS};q=0.1", "multi octets ele"),
    ('multipart/related; type="image/*"; transfer-syntax=*', None),
    (f'multipart/related; type="{JLS}; transfer-syntax={ARC}.4.80"', "multi image/jls .4.80"),
    ('multipart/related; type="image/*"', None),  # NEG-01: nothing is encoded for a wildcard
    (f'multipart/related; type="image/*", {M_OCTETS};q=0.1', "multi octets ele"),
    (
        f'multipart/related; type="image/*"; transfer-syntax={ARC}.4.80',
        "multi image/jls .4.80",
    ),
    (f"multipart/related; type={JLS};q=0.5, {M_OCTETS}", "multi octets ele"),
    (f"multipart/related; type={JLS}, {M_OCTETS};q=0.9", "multi image/jls .4.80"),
    (f"multipart/related; type={JPEG}; transfer-syntax={ARC}.4.50", None),  # TS-06
    (f"multipart/related; type={JPEG}; transfer-syntax={ARC}.4.50, */*;q=0.1", "multi octets ele"),
    (f"multipart/related; type={JLS}; transfer-syntax={ARC}.4.81", None),
    (f"multipart/related; type={JPHC}; transfer-syntax={ARC}.4.203", None),
    (f"multipart/related; type={JLS}; transfer-syntax={ARC}.4.90", None),
    (f"{M_OCTETS}; transfer-syntax={ARC}.4.80", None),
    ("multipart/related; type=image/jxl", None),
]
ENCODED_FRAME: list[Row] = [
    (JLS, "single image/jls .4.80"),
    (f"{JPHC}; transfer-syntax={ARC}.4.202", "single image/jphc .4.202"),
    ("image/*", None),
    ("image/*, */*;q=0.1", "multi octets ele"),
    ("image/*;q=0.5, image/jp2;q=0.4", "single image/jp2 .4.90"),
    (f"image/*; transfer-syntax={ARC}.4.90", "single image/jp2 .4.90"),
    (f"{JPEG}; transfer-syntax={ARC}.4.50", None),
]
OF_LOSSY: list[Row] = [  # a type's own stored syntax stands before what it can be encoded in
    ("{own}", "single own stored"),
    ("image/*", "single own stored"),
    ("image/dicom-rle", "single image/dicom-rle .5"),
]

LOSSY = f"{ARC}.4.50"
WITH_LOSS_FRAME: list[Row] = [  # TS-06: where it is allowed, for who names the very syntax
    (f"{JPEG}; transfer-syntax={LOSSY}", "single image/jpeg .4.50"),
    (f"image/*; transfer-syntax={LOSSY}", "single image/jpeg .4.50"),
    (f"{JPEG}; transfer-syntax={LOSSY};q=0", None),
    (JPEG, "single image/jpeg .4.70"),
    (f"{JPEG}; transfer-syntax=*", None),
    ("image/*", None),
    (f"{JPEG};q=0.9, {JPEG}; transfer-syntax={LOSSY};q=0.8", "single image/jpeg .4.70"),
    (f"{JPEG};q=0.7, {JPEG}; transfer-syntax={LOSSY};q=0.8", "single image/jpeg .4.50"),
    ("*/*", "multi octets ele"),
]
WITH_LOSS_INSTANCE: list[Row] = [
    (f"{DICOM}; transfer-syntax={LOSSY}", "single dicom .4.50"),
    (f"{M_DICOM}; transfer-syntax={LOSSY}", "multi dicom .4.50"),
    (f"{M_DICOM}; transfer-syntax=*", "multi dicom *"),
    (DICOM, "single dicom ele"),
    ("*/*", "multi dicom ele"),
]

JSON, XML = "application/dicom+json", 'multipart/related; type="application/dicom+xml"'
OF_METADATA: list[tuple[str | None, str | None]] = [
    (None, JSON),
    ("*/*", JSON),  # trap 11
    (JSON, JSON),
    ("application/json", JSON),  # trap 12
    ("application/*", JSON),
    (f"{JSON}, multipart/related; type={OCTETS}; transfer-syntax=*", JSON),  # NEG-09, trap 3
    (f"{JSON}; transfer-syntax=*", JSON),
    (XML, XML),
    ("multipart/related", XML),
    (f"{XML};q=0.9, {JSON};q=0.8", XML),
    (f"{JSON};q=0, */*", None),
    ("application/dicom+xml", None),
    (f"multipart/related; type={JSON}", None),
    ("text/html", None),
]


def of_frames(single: bool) -> Callable[[str], Sequence[Offer]]:
    return lambda stored: frame_offers(stored, single=single)


def of_instances(single: bool) -> Callable[[str], Sequence[Offer]]:
    return lambda stored: instance_offers([stored], complete=True, single=single)


def of_all(pixels_only: bool) -> Callable[[str], Sequence[Offer]]:
    return lambda stored: bulk_offers(stored, pixels=pixels_only)


def of_encoded_frames(single: bool) -> Callable[[str], Sequence[Offer]]:
    return lambda stored: frame_offers(stored, single=single, encoded=may_be_encoded_in(stored))


def of_encoded_pixels(count: int) -> Callable[[str], Sequence[Offer]]:
    return lambda stored: pixel_offers(stored, count, encoded=may_be_encoded_in(stored))


def of_encoded_instances(stored: str) -> Sequence[Offer]:
    encoded = may_be_encoded_in(stored)
    return instance_offers([stored], complete=True, single=True, encoded=encoded)


def with_loss_of_frames(stored: str) -> Sequence[Offer]:
    return frame_offers(stored, single=True, encoded=may_be_encoded_in(stored, lossy=True))


def with_loss_of_instances(stored: str) -> Sequence[Offer]:
    encoded = may_be_encoded_in(stored, lossy=True)
    return instance_offers([stored], complete=True, single=True, encoded=encoded)


STILL = [*NATIVE, *COMPRESSED[:3], *OPAQUE]  # a few stand for all where their kind is not asked for
GROUPS: dict[str, Group] = {
    "an instance": (STILL, of_instances(True), [*INSTANCES, *OF_ONE_INSTANCE, *AS_FILE_SET]),
    "a series": (STILL, of_instances(False), [*INSTANCES, *OF_SEVERAL_INSTANCES, *AS_FILE_SET]),
    "an instance of video": (VIDEO, of_instances(True), VIDEO_INSTANCE),
    "a frame": (STILL, of_frames(True), [*DECODED, *ONE_ITEM]),
    "a compressed frame": (COMPRESSED, of_frames(True), [*OWN, *ONE_OWN]),
    "frames": (STILL, of_frames(False), [*DECODED, *SEVERAL_ITEMS]),
    "compressed frames": (COMPRESSED, of_frames(False), OWN),
    "pixel data of a frame": (
        COMPRESSED, lambda stored: pixel_offers(stored, 1), [*DECODED, *ONE_ITEM, *OWN, *ONE_OWN]
    ),
    "pixel data of frames": (
        COMPRESSED, lambda stored: pixel_offers(stored, 3), [*DECODED, *OWN, *DECODED_IN_ONE]
    ),
    "pixel data that are decoded in any case": (
        OPAQUE, lambda stored: pixel_offers(stored, 3), [*DECODED, *ONE_ITEM]
    ),
    "an instance that can be encoded": (
        STILL, of_encoded_instances, [*INSTANCES, *OF_ONE_INSTANCE, *ENCODED_INSTANCE]
    ),
    "a frame that can be encoded": (
        [*NATIVE, *OPAQUE], of_encoded_frames(True),
        [*DECODED, *ONE_ITEM, *ENCODED_FRAMES, *ENCODED_FRAME],
    ),
    "frames that can be encoded": (
        [*NATIVE, *OPAQUE], of_encoded_frames(False),
        [*DECODED, *ENCODED_FRAMES, (OCTETS, None), (JLS, None)],
    ),
    "a compressed frame that can be encoded": (
        COMPRESSED, of_encoded_frames(True), [*DECODED, *ONE_ITEM, *OWN, *ONE_OWN]
    ),
    "a lossy frame": (
        [f"{ARC}.4.{arc}" for arc in (50, 81, 91, 203, 112)], of_encoded_frames(True), OF_LOSSY
    ),
    "a frame that may lose something": ([*NATIVE, *OPAQUE], with_loss_of_frames, WITH_LOSS_FRAME),
    "an instance that may lose something": (
        [*NATIVE, *OPAQUE, f"{ARC}.5"], with_loss_of_instances, WITH_LOSS_INSTANCE
    ),
    "pixel data of frames that can be encoded": (
        NATIVE, of_encoded_pixels(3), [*DECODED, *ENCODED_FRAMES, *ONE_ITEM, (JLS, None)]
    ),
    "video": (VIDEO, lambda stored: pixel_offers(stored, 1), VIDEO_VALUE),
    "a native value": (
        NATIVE, lambda _: value_offers(OCTETS, ELE), [*DECODED, *ONE_ITEM]
    ),
    "bulk data": ([*STILL, *VIDEO], of_all(False), ALL_VALUES),
    "pixel data": (COMPRESSED, of_all(True), [*ALL_VALUES, *OWN]),
    "pixel data of videos": (VIDEO, of_all(True), [row for row in VIDEO_VALUE if row[1] is None
                                                   or row[1].startswith("multi")]),
}  # fmt: skip


def cases() -> Iterator[object]:
    for name, (syntaxes, offers, rows) in GROUPS.items():
        for stored in syntaxes:
            for accept, expected in rows:
                text = accept and accept.format(own=media_type_of(stored), stored=stored)
                yield pytest.param(offers, stored, text, expected, id=f"{name}-{stored}-{accept}")


def told(choice: Choice, stored: str) -> str:
    """A choice as the tables write it."""
    kinds = {DICOM: "dicom", OCTETS: "octets", media_type_of(stored): "own"}
    media_type, uid = choice.offer.media_type, choice.transfer_syntax or ""
    kind = "octets" if media_type == OCTETS else kinds.get(media_type, media_type)
    encoded = {each: each.removeprefix(ARC) for each in targets(lossy=True)}
    syntax = {**encoded, stored: "stored", AS_STORED: "*", ELE: "ele"}[uid]
    return f"{'multi' if choice.offer.multipart else 'single'} {kind} {syntax}"


@pytest.mark.parametrize(("offers", "stored", "accept", "expected"), [*cases()])
def test_neg_what_is_asked_for_of_what_is_stored(
    offers: Callable[[str], Sequence[Offer]], stored: str, accept: str | None, expected: Expected
) -> None:
    if expected is not None and stored == ELE:
        expected = expected.replace("stored", "ele")  # it is the same
    try:
        found = told(choose(accept, offers(stored)), stored)
    except NotAcceptable as refusal:
        found = None
        assert refusal.available  # NEG-11
    assert found == expected


@pytest.mark.parametrize(("accept", "expected"), OF_METADATA)
def test_neg_metadata(accept: str | None, expected: str | None) -> None:
    try:
        found = choose(accept, METADATA).offer.content_type
    except NotAcceptable:
        found = None
    assert found == expected


@pytest.mark.parametrize("stored", VIDEO)
@pytest.mark.parametrize("single", [True, False])
def test_wado_08_video_has_no_frames(stored: str, single: bool) -> None:
    with pytest.raises(NotAcceptable):
        frame_offers(stored, single=single)


def test_wado_09_each_stored_syntax_of_several_can_be_named() -> None:
    stored = [f"{ARC}.4.80", ELE, f"{ARC}.4.50"]
    for offer in instance_offers(stored, complete=True, single=False)[:1]:
        assert offer.transfer_syntaxes == (ELE, AS_STORED, f"{ARC}.4.50", f"{ARC}.4.80")
    for offer in instance_offers(stored, complete=False, single=False)[:1]:
        assert offer.transfer_syntaxes == (ELE, AS_STORED)


# ------------------------------------------------------------------------------- any text at all

ALL_OFFERS = [
    list(METADATA),
    *(
        offers(stored)
        for _, (syntaxes, offers, _) in GROUPS.items()
        for stored in (syntaxes[0], syntaxes[-1])
    ),
]
_types = st.sampled_from(
    f"*/* * application/* image/* multipart/* multipart/related {DICOM} {OCTETS} {JSON} a/b "
    "application/json image/jpeg image/jls video/mp4 video/H265 image/dicom-rle".split()
)
_parameters = st.sampled_from(
    f"""type={DICOM}|type="{OCTETS}"|type="*/*"|type="application/dicom+xml"|type=image/jls|x="|=||
    transfer-syntax=*|transfer-syntax={ELE}|transfer-syntax={ARC}.4.80|q=0|q=0.5|q=1|q=x|boundary=b|
    type="image/jls; transfer-syntax={ARC}.4.80\"""".split("|")
)
_ranges = st.tuples(_types, st.lists(_parameters, max_size=4)).map(
    lambda each: "; ".join([each[0], *each[1]])
)
accepts = st.one_of(
    st.none(),
    st.lists(_ranges, max_size=5).map(", ".join),
    st.text(alphabet='*/;,=" \\aqmt.01\x00é', max_size=40),
    st.text(max_size=40),
)


def allows(media_range: MediaRange, choice: Choice) -> bool:
    """Whether a range of Accept, read by itself, covers a choice."""
    if media_range.q == 0:
        return False
    kind = choice.offer.media_type
    if choice.offer.multipart and media_range.media_type != "*/*":
        if media_range.media_type not in ("multipart/related", "multipart/*"):
            return False
        pattern = media_range.part_type or "*/*"
    else:
        pattern = media_range.media_type
    if pattern not in ("*/*", f"{kind.partition('/')[0]}/*", kind.lower()):
        return False
    asked = media_range.transfer_syntax
    offered = choice.offer.transfer_syntaxes
    if not offered:
        return True
    encoded = choice.transfer_syntax in choice.offer.encoded
    if asked is None or (asked == AS_STORED and AS_STORED not in offered and not encoded):
        return choice.transfer_syntax == offered[0]
    return asked == choice.transfer_syntax


@given(accepts, st.sampled_from(ALL_OFFERS), accepts)
def test_what_is_chosen_was_offered_and_accepted(
    accept: str | None, offers: list[Offer], parameter: str | None
) -> None:
    try:
        choice = choose(accept, offers, parameter)
    except NotAcceptable:
        return
    assert choice.offer in offers
    assert choice.transfer_syntax in (choice.offer.transfer_syntaxes or (None,))
    named = parse_accept(parameter) if parameter is not None else []
    assert any(allows(each, choice) for each in [*parse_accept(accept), *named])


@given(st.sampled_from(ALL_OFFERS))
def test_whatever_can_be_had_can_be_asked_for(offers: list[Offer]) -> None:
    for offer in offers:
        for syntax in offer.transfer_syntaxes or (None,):
            accept = offer.content_type + (f"; transfer-syntax={syntax}" if syntax else "")
            assert choose(accept, offers) == Choice(offer, syntax)
            if syntax in offer.lossy:
                assert choose(offer.content_type, offers).transfer_syntax != syntax
        assert choose(offer.content_type, offers).offer == offer


def test_every_stored_syntax_is_in_one_group() -> None:
    for stored in [*COMPRESSED, *OPAQUE, *VIDEO]:
        assert is_encapsulated(stored)
        assert is_video(stored) is (stored in VIDEO)
        assert (media_type_of(stored) == OCTETS) is (stored in OPAQUE)
    assert not any(is_encapsulated(stored) for stored in NATIVE)
