"""What workers do with single frames."""

from pathlib import Path

from pydicom import uid

from dicomweb_server.archive.work import rendered_frame, transcoded_frame, uncompressed_frame
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
