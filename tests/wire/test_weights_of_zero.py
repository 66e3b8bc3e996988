"""NEG-08: what a weight of 0 names is never sent, whatever else it is called."""

import pytest

from dicomweb_server.errors import NotAcceptable
from dicomweb_server.wire.media_types import AS_STORED, Offer, choose
from dicomweb_server.wire.offers import (
    ELE,
    bulk_offers,
    frame_offers,
    instance_offers,
    may_be_encoded_in,
    pixel_offers,
)
from dicomweb_server.wire.rendered_offers import rendered_offers

JP2, MP4 = "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.102"
IMPLICIT = "1.2.840.10008.1.2"
FILE, OCTETS = "application/dicom", "application/octet-stream"


def files(stored: str) -> list[Offer]:
    encoded = may_be_encoded_in(stored)
    return instance_offers([stored], complete=True, single=True, encoded=encoded)


def several(accept: str) -> str:
    """The same Accept, of parts."""
    elements = [element.strip().partition(";") for element in accept.split(",")]
    return ", ".join(f'multipart/related; type="{kind}";{rest}' for kind, _, rest in elements)


@pytest.mark.parametrize("written", [str, several])
@pytest.mark.parametrize(
    ("stored", "accept", "syntax"),
    [
        (JP2, f"{FILE};transfer-syntax=*, {FILE};transfer-syntax={JP2};q=0", ELE),
        (JP2, f"{FILE};transfer-syntax=*, {FILE};transfer-syntax={IMPLICIT};q=0", AS_STORED),
        (JP2, f"{FILE}, {FILE};transfer-syntax={ELE};q=0", None),
        (JP2, f"{FILE};q=0, {FILE};transfer-syntax=*", AS_STORED),
        (ELE, f"{FILE};transfer-syntax=*, {FILE};transfer-syntax={ELE};q=0", None),
        (IMPLICIT, f"{FILE};transfer-syntax=*, {FILE};transfer-syntax={ELE};q=0", None),
        (MP4, f"{FILE};transfer-syntax=*, {FILE};transfer-syntax={MP4};q=0", None),
        (MP4, f"{FILE}, {FILE};transfer-syntax={MP4};q=0", None),
    ],
)
def test_a_syntax_is_barred_as_stored_too(
    written: type[str], stored: str, accept: str, syntax: str | None
) -> None:
    if syntax is None:
        with pytest.raises(NotAcceptable):
            choose(written(accept), files(stored))
    else:
        assert choose(written(accept), files(stored)).transfer_syntax == syntax


@pytest.mark.parametrize("bar", ["image/jp2", "image/*", f"image/jp2;transfer-syntax={JP2}"])
@pytest.mark.parametrize("written", [str, several])
def test_a_compressed_type_is_barred_as_octets_too(written: type[str], bar: str) -> None:
    accept = written(f"{OCTETS};transfer-syntax=*, {bar};q=0")
    for offers in (frame_offers(JP2, single=True), pixel_offers(JP2, 1)):
        assert choose(accept, offers).transfer_syntax == ELE
    accept = f'multipart/related; type="{OCTETS}"; transfer-syntax=*, {bar};q=0'
    choice = choose(accept, bulk_offers(JP2, pixels=True))  # barred by itself, so in parts too
    assert choice.transfer_syntax == ELE


def test_a_video_is_barred_as_octets_too() -> None:
    accept = f"{OCTETS};transfer-syntax=*"
    assert choose(accept, pixel_offers(MP4, 1)).transfer_syntax == AS_STORED
    with pytest.raises(NotAcceptable):
        choose(f"{accept}, video/mp4;q=0", pixel_offers(MP4, 1))


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("*/*", "image/jpeg"),
        ("image/jpeg;q=0, */*", "image/png"),
        ("image/jpeg;q=0, image/*;q=0.1", "image/png"),
        ("multipart/related, image/jpeg;q=0", 'multipart/related; type="image/png"'),
        (
            'image/jpeg;q=0, multipart/related; type="image/jpeg"',
            'multipart/related; type="image/jpeg"',
        ),
        ("image/png;q=0.5, */*;q=0.1", "image/png"),
    ],
)
def test_rendered_pictures(accept: str, chosen: str) -> None:
    assert choose(accept, rendered_offers(0)).offer.content_type == chosen
