"""Code streams that promise more pixels than they can hold, refused before any decoder sees them.

That the header's size is the image's, and the image's within MAX_FRAME_BYTES, is checked before.
"""

from dicomweb_server.dicom.codestream import CodeStream
from dicomweb_server.dicom.image_pixel import ImagePixel
from dicomweb_server.errors import UndecodablePixels

# A blank frame may be coded in next to nothing. One that is both blank and larger than this, in
# bytes decoded, is none that a modality makes.
_LARGE = 64 << 20
_RATIO = 1 << 14

# Pixels that one byte of a JPEG stream may make: every block of 8 x 8 takes a bit at least.
_JPEG_PIXELS = 8 * 64
_LINES = 8  # that one byte of JPEG-LS may make: the end of a line takes a bit

# A decoder of JPEG 2000 takes some kilobytes a tile before it decodes one.
_FEW_TILES = 64
_TILE_PIXELS = 1 << 12


def refuse_bombs(family: str, stream: CodeStream, length: int, image: ImagePixel) -> None:
    """Raises UndecodablePixels if `length` bytes cannot hold the image, or are not to be believed
    to; and for more tiles than an image of this size has."""
    pixels = stream.rows * stream.columns
    decoded = pixels * stream.samples * image.dtype.itemsize
    short = (
        (family == "jpeg" and pixels > length * _JPEG_PIXELS)
        or (family == "jpegls" and stream.rows > length * _LINES)
        or (decoded > _LARGE and decoded > length * _RATIO)
    )
    if short:
        raise UndecodablePixels(
            f"{length} bytes do not hold {stream.rows} x {stream.columns} pixels"
        )
    if stream.tiles > _FEW_TILES + pixels // _TILE_PIXELS:
        raise UndecodablePixels(f"the code stream has {stream.tiles} tiles for {pixels} pixels")
