"""What workers do with single frames."""

from pathlib import Path

from pydicom import uid

from dicomweb_server.archive.work import transcoded_frame, uncompressed_frame
from dicomweb_server.dicom.image_pixel import image_pixel
from dicomweb_server.dicom.packing import pack_metadata
from dicomweb_server.dicom.pixels import decode_frame
from tests.dicom.still_images import read_still_image
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
