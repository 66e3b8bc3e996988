"""Pictures kept as files in tests/golden/rendering: what each kind of image is to look like.

One pattern in every photometric interpretation, depth, sign, layout and codec: a ramp from black
at the left to white at the right, an F in white at the top left, which tells flips from turns,
and a black square at the bottom right. ``python -m tests.dicom.golden_pictures`` writes them anew,
and a sheet of all of them to the path that it is given; look at it before the change is kept.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset
from pydicom import uid as uids

from dicomweb_server.dicom.image_pixel import image_pixel
from dicomweb_server.dicom.pixels import decode_frame
from dicomweb_server.dicom.rendering import RenderOptions, render
from tests.dicom.still_images import StillImage, described
from tests.make import part10, small_image
from tests.make.files import dataset_with
from tests.make.states import item

FOLDER = Path(__file__).parents[1] / "golden" / "rendering"
ROWS, COLUMNS = 48, 64

NATIVE = str(uids.ExplicitVRLittleEndian)
LOSSLESS = (
    NATIVE,
    str(uids.ImplicitVRLittleEndian),
    str(uids.ExplicitVRBigEndian),
    str(uids.RLELossless),
    str(uids.JPEGLosslessSV1),
    str(uids.JPEGLSLossless),
    str(uids.JPEG2000Lossless),
    str(uids.HTJ2KLossless),
)

_F = ("1111", "1000", "1000", "1110", "1000", "1000")


def pattern() -> NDArray[np.float64]:
    """(rows, columns), 0 to 1."""
    levels = np.tile(np.linspace(0, 1, COLUMNS), (ROWS, 1))
    for row, cells in enumerate(_F):
        for column, cell in enumerate(cells):
            if cell == "1":
                levels[4 + 3 * row : 7 + 3 * row, 4 + 3 * column : 7 + 3 * column] = 1
    levels[-16:-4, -16:-4] = 0
    return levels


def stored(bits: int, signed: bool = False, levels: NDArray[Any] | None = None) -> NDArray[Any]:
    """The pattern over the whole range of Bits Stored: (1, rows, columns)."""
    low = -(2 ** (bits - 1)) if signed else 0
    size = next(size for size in (8, 16, 32) if bits <= size)
    values = np.rint((pattern() if levels is None else levels) * (2**bits - 1)) + low
    return values.astype(f"{'i' if signed else 'u'}{size // 8}")[np.newaxis]


def rgb() -> NDArray[np.uint8]:
    """(1, rows, columns, 3): red as the pattern, green falling downwards, blue to the left."""
    down = np.linspace(1, 0, ROWS)[:, np.newaxis].repeat(COLUMNS, 1)
    left = np.linspace(1, 0, COLUMNS)[np.newaxis].repeat(ROWS, 0)
    planes = np.stack([pattern(), down, left], -1)
    return np.rint(planes * 255).astype(np.uint8)[np.newaxis]


def ybr() -> NDArray[np.uint8]:
    """The same as YBR_FULL (PS3.3 C.7.6.3.1.2)."""
    red, green, blue = np.moveaxis(rgb().astype(float), -1, 0)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    planes = luma, (blue - luma) / 1.772 + 128, (red - luma) / 1.402 + 128
    return np.clip(np.rint(np.stack(planes, -1)), 0, 255).astype(np.uint8)


def halved(full: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Luminance, and the chrominance of each pair of pixels in turn: (1, rows, columns, 2)."""
    chroma = full[:, :, ::2, 1:].reshape(1, ROWS, COLUMNS)
    return np.stack([full[..., 0], chroma], -1)


def partial() -> NDArray[np.uint8]:
    """The same as YBR_PARTIAL: luminance of 16 to 235, chrominance of 16 to 240."""
    scale = np.array([219, 224, 224]) / 255
    return np.rint((ybr() - [0.0, 128, 128]) * scale + [16, 128, 128]).astype(np.uint8)


def grey_image(bits: int, signed: bool = False, **keywords: Any) -> bytes:
    """The pattern as an image of one sample."""
    return _image(stored(bits, signed), bits=bits, signed=signed, **keywords)


def colour_image(pixels: NDArray[Any], photometric: str, **keywords: Any) -> bytes:
    """Pixels of 8 bits as an image of three samples."""
    return _image(pixels, bits=8, photometric=photometric, **keywords)


def _image(pixels: NDArray[Any], **keywords: Any) -> bytes:
    return small_image(rows=ROWS, columns=COLUMNS, pixels=pixels, **keywords)


def coded_image(stream: bytes, syntax: str, **keywords: Any) -> bytes:
    """An image of one code stream, which was made with options of its own."""
    from pydicom.encaps import encapsulate

    dataset = dataset_with(**(_described(**keywords) | {"PixelData": encapsulate([stream])}))
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    return part10(dataset, syntax)


def float_image(double: bool) -> bytes:
    """The pattern from -1 to 1, with NaN in the middle, which is shown as background."""
    values = (pattern() * 2 - 1).astype("<f8" if double else "<f4")
    values[20:28, 28:36] = np.nan
    keyword = "DoubleFloatPixelData" if double else "FloatPixelData"
    about = _described(BitsAllocated=64 if double else 32)
    for name in ("BitsStored", "HighBit", "PixelRepresentation"):
        about.pop(name)
    return part10(dataset_with(**about, **{keyword: values.tobytes()}))


def _described(**keywords: Any) -> dict[str, Any]:
    bits = keywords.get("BitsAllocated", 8)
    return {
        "Rows": ROWS,
        "Columns": COLUMNS,
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": bits,
        "BitsStored": bits,
        "HighBit": bits - 1,
        "PixelRepresentation": 0,
    } | keywords


def lut(descriptor: list[int], data: bytes) -> Dataset:
    """An item of a Modality or VOI LUT Sequence."""
    made = Dataset()
    made.add_new(0x00283002, "US", descriptor)
    made.add_new(0x00283006, "OW", data)
    return made


def palette(first: int = 0) -> dict[str, Any]:
    """Black over red and yellow to white, 256 entries of 16 bits."""
    ramp = np.arange(256) * 3
    found: dict[str, Any] = {}
    for number, colour in enumerate(("Red", "Green", "Blue")):
        entries = (np.clip(ramp - 255 * number, 0, 255) * 257).astype("<u2")
        found[f"{colour}PaletteColorLookupTableDescriptor"] = [256, first, 16]
        found[f"{colour}PaletteColorLookupTableData"] = entries.tobytes()
    return found


def palette_image(first: int = 0, segmented: bool = False, **keywords: Any) -> bytes:
    """The pattern in indices from `first` on, of 8 bits, or 16 where they begin above 0."""
    pixels = (stored(8).astype(np.uint16) + first).astype(np.uint16 if first else np.uint8)
    bits = 16 if first else 8
    about = dict(palette(first))
    if segmented:  # two linear segments and what comes before and after (PS3.3 C.7.9.2)
        for number, colour in enumerate(("Red", "Green", "Blue")):
            del about[f"{colour}PaletteColorLookupTableData"]
            words = [0, 1, 0]
            words += [1, 85 * number, 0] if number else []
            words += [1, 85, 65535]
            words += [1, 255 - 85 * number - 85, 65535] if number < 2 else []
            data = np.array(words, "<u2").tobytes()
            about[f"Segmented{colour}PaletteColorLookupTableData"] = data
    dataset = {"photometric": "PALETTE COLOR", "bits": bits} | keywords
    return _with(_image(pixels, **dataset), **about)


def _with(file: bytes, **attributes: Any) -> bytes:
    from io import BytesIO

    from pydicom import dcmread

    dataset = dcmread(BytesIO(file))
    for colour in ("Red", "Green", "Blue"):
        if f"Segmented{colour}PaletteColorLookupTableData" in attributes:
            delattr(dataset, f"{colour}PaletteColorLookupTableData")
    for name, value in attributes.items():
        setattr(dataset, name, value)
    return part10(dataset, dataset.file_meta.TransferSyntaxUID)


def enhanced() -> bytes:
    """Two frames: each with a window of its own, the rescaling shared."""
    frames = np.concatenate([stored(12), stored(12)])
    windows = [("1024", "2048"), ("3072", "2048")]
    return small_image(
        rows=ROWS,
        columns=COLUMNS,
        bits=12,
        frames=2,
        pixels=frames,
        SharedFunctionalGroupsSequence=[
            item(PixelValueTransformationSequence=[
                item(RescaleSlope="1", RescaleIntercept="-100", RescaleType="US")
            ])
        ],
        PerFrameFunctionalGroupsSequence=[
            item(FrameVOILUTSequence=[
                item(WindowCenter=str(float(center) - 100), WindowWidth=width)
            ])
            for center, width in windows
        ],
    )  # fmt: skip


def lossy_jpeg(subsampling: str) -> bytes:
    """JPEG Baseline of the colours, with the chrominance whole or halved."""
    stream = imagecodecs.jpeg8_encode(
        rgb()[0], level=95, colorspace="RGB", outcolorspace="YCBCR", subsampling=subsampling
    )
    interpretation = "YBR_FULL" if subsampling == "444" else "YBR_FULL_422"
    return coded_image(bytes(stream), str(uids.JPEGBaseline8Bit), **_colour(interpretation))


def jpeg2000_ict() -> bytes:
    """JPEG 2000 with the irreversible transform."""
    stream = imagecodecs.jpeg2k_encode(
        rgb()[0], level=60, codecformat="j2k", reversible=False, mct=True
    )
    return coded_image(bytes(stream), str(uids.JPEG2000), **_colour("YBR_ICT"))


def jpeg_12_bits() -> bytes:
    """JPEG Extended."""
    stream = imagecodecs.jpeg8_encode(stored(12)[0], level=98, bitspersample=12)
    about = {"BitsAllocated": 16, "BitsStored": 12, "HighBit": 11}
    return coded_image(bytes(stream), str(uids.JPEGExtended12Bit), **about)


def _colour(interpretation: str) -> dict[str, Any]:
    return {
        "SamplesPerPixel": 3,
        "PhotometricInterpretation": interpretation,
        "PlanarConfiguration": 0,
    }


def _coded(bits: int, signed: bool) -> list[bytes]:
    syntaxes = LOSSLESS if bits <= 16 else LOSSLESS[:3]
    return [grey_image(bits, signed, transfer_syntax=syntax) for syntax in syntaxes]


def _voi(bits: int = 12, **attributes: Any) -> Callable[[], list[bytes]]:
    return lambda: [grey_image(bits, **attributes)]


_WORDS = (np.arange(4096) ** 2 // 4096).astype("<u2").tobytes()
_BYTES = (np.arange(256) ** 2 // 256).astype("u1").tobytes()

# By the name of the golden picture: files that are all shown as it. Decoded, they are equal.
EXACT: dict[str, Callable[[], list[bytes]]] = {
    "grey-1": lambda: [grey_image(1)],
    **{
        f"grey-{bits}-{'signed' if signed else 'unsigned'}": lambda b=bits, s=signed: _coded(b, s)
        for bits in (8, 10, 12, 16, 32)
        for signed in (False, True)
    },
    "monochrome1": lambda: (
        [grey_image(12, photometric="MONOCHROME1", transfer_syntax=syntax) for syntax in LOSSLESS]
        + [grey_image(12, PresentationLUTShape="INVERSE")]
    ),
    "shape-identity": _voi(photometric="MONOCHROME1", PresentationLUTShape="IDENTITY"),
    "window-linear": _voi(WindowCenter="2048", WindowWidth="1024"),
    "window-linear-exact": _voi(
        WindowCenter="2048", WindowWidth="1024", VOILUTFunction="LINEAR_EXACT"
    ),
    "window-sigmoid": _voi(WindowCenter="2048", WindowWidth="1024", VOILUTFunction="SIGMOID"),
    "window-threshold": _voi(WindowCenter="2048", WindowWidth="1"),
    "rescaled": _voi(
        RescaleSlope="-2", RescaleIntercept="4096", WindowCenter="0", WindowWidth="4096"
    ),
    "padding": _voi(PixelPaddingValue=3000, PixelPaddingRangeLimit=4095),
    "modality-lut": _voi(ModalityLUTSequence=[lut([4096, 0, 12], _WORDS)]),
    "voi-lut": _voi(VOILUTSequence=[lut([4096, 0, 12], _WORDS)]),
    "voi-lut-bytes": _voi(8, VOILUTSequence=[lut([256, 0, 8], _BYTES)]),
    "voi-lut-shorter": _voi(VOILUTSequence=[lut([256, 2000, 16], _BYTES)]),
    "enhanced-1": lambda: [enhanced()],
    "float": lambda: [float_image(False), float_image(True)],
    "palette": lambda: [
        palette_image(),
        palette_image(transfer_syntax=str(uids.RLELossless)),
        palette_image(1000),
        palette_image(segmented=True),
    ],
    "rgb": lambda: [
        colour_image(rgb(), "RGB"),
        colour_image(rgb(), "RGB", planar=1),
        *(colour_image(rgb(), "RGB", transfer_syntax=syntax) for syntax in LOSSLESS[1:4]),
        *(colour_image(rgb(), "RGB", transfer_syntax=syntax) for syntax in LOSSLESS[5:]),
        colour_image(rgb(), "YBR_RCT", transfer_syntax=LOSSLESS[6]),
    ],
    "ybr-full": lambda: [
        colour_image(ybr(), "YBR_FULL"),
        colour_image(ybr(), "YBR_FULL", planar=1),
        colour_image(ybr(), "YBR_FULL", transfer_syntax=str(uids.RLELossless)),
    ],
    "ybr-full-422": lambda: [colour_image(halved(ybr()), "YBR_FULL_422")],
    "ybr-partial-422": lambda: [
        _with(
            colour_image(halved(partial()), "YBR_FULL_422"),
            PhotometricInterpretation="YBR_PARTIAL_422",
        )
    ],
}
# Lossy: a codec's next version may decode them a little otherwise.
LOSSY: dict[str, Callable[[], list[bytes]]] = {
    "jpeg-444": lambda: [lossy_jpeg("444")],
    "jpeg-422": lambda: [lossy_jpeg("422")],
    "jpeg-12": lambda: [jpeg_12_bits()],
    "jpeg2000-ict": lambda: [jpeg2000_ict()],
}
FRAMES = {"enhanced-1": 1, "enhanced-2": 2}
EXACT["enhanced-2"] = EXACT["enhanced-1"]


def picture_of(file: bytes, number: int = 1) -> NDArray[np.uint8]:
    """What /rendered shows of a file."""
    still: StillImage = described(file)
    dataset = still.dataset
    image = image_pixel(dataset)
    decoded = decode_frame(still.frame(number), image, still.transfer_syntax_uid)
    return render(decoded, image, dataset, number, RenderOptions())


def golden(name: str) -> NDArray[np.uint8]:
    """The picture kept under a name."""
    return np.asarray(Image.open(FOLDER / f"{name}.png"))


def main() -> None:
    """Write the pictures, and the sheet to the path of the first argument."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    names = [*EXACT, *LOSSY]
    across = 7
    sheet = Image.new("RGB", (across * (COLUMNS + 6) * 2, -(-len(names) // across) * 120), "navy")
    for place, name in enumerate(names):
        picture = picture_of((EXACT | LOSSY)[name]()[0], FRAMES.get(name, 1))
        Image.fromarray(picture).save(FOLDER / f"{name}.png", optimize=True)
        row, column = divmod(place, across)
        shown = Image.fromarray(picture).convert("RGB").resize((COLUMNS * 2, ROWS * 2), 0)
        sheet.paste(shown, (column * (COLUMNS + 6) * 2 + 6, row * 120 + 6))
    if len(sys.argv) > 1:
        sheet.save(sys.argv[1])
    print("\n".join(f"{place}: {name}" for place, name in enumerate(names)))


if __name__ == "__main__":
    main()
