"""What workers do with single frames."""

from pathlib import Path

import orjson
from pydicom import uid

from dicomweb_server.archive.work import (
    rendered_frame,
    small_picture,
    transcoded_frame,
    uncompressed_frame,
)
from dicomweb_server.dicom.image_pixel import image_pixel
from dicomweb_server.dicom.images import picture
from dicomweb_server.dicom.packing import pack_metadata
from dicomweb_server.dicom.pixels import decode_frame
from dicomweb_server.dicom.viewing import RenderOptions, Viewport, Window
from tests.dicom.golden_pictures import EXACT, FRAMES
from tests.dicom.still_images import described, read_still_image
from tests.make import small_image


def test_a_frame_is_transcoded_by_the_packed_metadata(tmp_path: Path) -> None:
    path = tmp_path / "source.dcm"
    path.write_bytes(small_image(frames=2, bits=12))
    still = read_still_image(path)
    assert still is not None
    packed = pack_metadata(still.description.metadata)
    native, target = str(uid.ExplicitVRLittleEndian), str(uid.HTJ2KLossless)

    code = transcoded_frame(packed, still.frame(2), native, target)

    decoded = decode_frame(code, image_pixel(still.dataset), target)
    assert decoded.array.tobytes() == still.frame(2)
    assert uncompressed_frame(packed, code, target) == still.frame(2)


def test_frames_are_rendered_the_same_whatever_was_rendered_before() -> None:
    """The worker keeps what it parsed, and nothing may write to it."""
    choices = [RenderOptions(), RenderOptions(Window(9, 99)), RenderOptions(None, Viewport(30, 30))]
    stills = [(described(files()[0]), FRAMES.get(name, 1)) for name, files in EXACT.items()]
    for options in choices:
        for one, other in zip(stills, stills[1:] + stills[:1], strict=True):
            for still, number in (one, other, one):
                metadata, frame = still.description.metadata, still.frame(number)
                syntax = still.transfer_syntax_uid
                asked = (syntax, number, options, "image/jpeg", 90, None)

                made = rendered_frame(pack_metadata(metadata), frame, *asked, False)

                assert made == picture(metadata, frame, *asked)


def test_small_pictures_are_the_same_pictures() -> None:
    options = RenderOptions(Window(9, 99))
    made = 0
    for name, files in EXACT.items():
        still, number = described(files()[0]), FRAMES.get(name, 1)
        packed, frame = pack_metadata(still.description.metadata), still.frame(number)
        asked = (still.transfer_syntax_uid, number, options, "image/jpeg", 90, None)
        small = small_picture(packed, frame, *asked)
        image = image_pixel(still.dataset)
        grey = image.photometric_interpretation.startswith("MONOCHROME")
        if small is None:
            assert not grey or image.bits_allocated > 16 or "00283000" in still.dataset, name
        else:
            made += 1
            assert grey
            assert small == rendered_frame(packed, frame, *asked, False), name
    assert made > 10


def test_what_may_take_long_is_no_small_picture(tmp_path: Path) -> None:
    path = tmp_path / "source.dcm"
    path.write_bytes(small_image(bits=12))
    still = read_still_image(path)
    assert still is not None
    asked = (str(uid.ExplicitVRLittleEndian), 1, RenderOptions(), "image/jpeg", 90, None)

    def made_with(values: dict[str, tuple[str, object]]) -> bytes | None:
        changed = {tag: {"vr": vr, "Value": [value]} for tag, (vr, value) in values.items()}
        metadata = orjson.dumps(still.dataset | changed)
        return small_picture(pack_metadata(metadata), still.frame(1), *asked)

    assert made_with({"00204000": ("LT", "short")})
    assert made_with({"00204000": ("LT", "long" * (1 << 16))}) is None
    assert made_with({"00280010": ("US", 1025), "00280011": ("US", 512)}) is None
    assert made_with({"00283000": ("SQ", {})}) is None
    assert made_with({"00280002": ("US", 3)}) is None
