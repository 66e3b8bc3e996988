"""Rendering beside DCMTK's dcmj2pnm, another implementation of PS3.3 C.7.6.3, C.11.1 and C.11.2.

Every kind of still image of the corpus, and one of each kind made here, within one grey level.
What is left out is named in EXCEPTIONS and NOT_DECODED. Where DCMTK has another default than we
(it begins without a window, and knows neither padding nor functional groups) it is told ours.
"""

import io
import os
import shutil
import subprocess
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset

from dicomweb_server.dicom.description import JsonDataset
from dicomweb_server.dicom.grayscale import background_of, ends_of, padding_of
from dicomweb_server.dicom.image_pixel import ImagePixel, image_pixel
from dicomweb_server.dicom.json_values import first_number, first_text, functional_group, values
from dicomweb_server.dicom.pixels import Decoded, decode_frame
from dicomweb_server.dicom.rendering import RenderOptions, Window, render
from dicomweb_server.errors import Refusal
from tests.dicom.still_images import StillImage, read_still_image, still_images
from tests.dicom.test_dcm2json import DICTIONARY
from tests.make import small_image

if shutil.which("dcmj2pnm") is None or shutil.which("dcmdjpls") is None:
    pytest.skip("dcmj2pnm is not installed: apt-get install dcmtk", allow_module_level=True)

JPEG_LS = ("1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81")
LARGE = 4 << 20  # pixels, which take seconds

# Transfer syntaxes without a decoder in DCMTK 3.6. A lossless one is held against the same pixels
# in another (test_golden_rendering.py), a lossy one against OpenJPEG's (test_pixels.py).
NOT_DECODED = {
    "1.2.840.10008.1.2.4.90": "JPEG 2000",
    "1.2.840.10008.1.2.4.91": "JPEG 2000",
    "1.2.840.10008.1.2.4.110": "JPEG XL",
    "1.2.840.10008.1.2.4.111": "JPEG XL",
    "1.2.840.10008.1.2.4.112": "JPEG XL",
    "1.2.840.10008.1.2.4.201": "HTJ2K",
    "1.2.840.10008.1.2.4.202": "HTJ2K",
    "1.2.840.10008.1.2.4.203": "HTJ2K",
    "1.2.840.10008.1.2.8.1": "Deflated Image Frame Compression",
}

# By what their names begin with: what differs, and who is right.
EXCEPTIONS = {
    "SC_rgb_jpeg.dcm": "DCMTK: premature end of stream; libjpeg-turbo reads it",
    "badVR.dcm": "DCMTK counts fewer frames than Number of Frames and the length tell",
    "gdcm-US-ALOKA-16": "DCMTK refuses palettes whose descriptors tell more entries than there are",
    "IM00001.fragmented_no_bot_jpeg_baseline": "DCMTK: invalid image; the stream is a JPEG",
    "rtdose_expb": "DCMTK swaps cells of 32 bits by words; the pixels are those of rtdose.dcm",
}


def reason_to_leave_out(still: StillImage, image: ImagePixel) -> str:
    """Why DCMTK is not asked, empty if it is."""
    if still.transfer_syntax_uid in NOT_DECODED:
        return f"DCMTK does not decode {NOT_DECODED[still.transfer_syntax_uid]}"
    if image.kind != "integer":
        return "DCMTK does not know Float Pixel Data"
    if image.samples_per_pixel == 3 and image.bits_allocated == 32:
        return "DCMTK has no colour of 32 bits"
    if image.bits_allocated == 1 and still.transfer_syntax_uid == "1.2.840.10008.1.2.5":
        return "DCMTK has no single bits in RLE"
    if image.photometric_interpretation == "MONOCHROME2" and "00281101" in still.dataset:
        return "DCMTK knows no Supplemental Palette Color Lookup Table"
    return next((why for name, why in EXCEPTIONS.items() if still.path.name.startswith(name)), "")


def shown_by_dcmtk(path: Path, number: int, options: list[str], scratch: Path) -> np.ndarray:
    """A frame as DCMTK shows it: uint8, (rows, columns) or (rows, columns, 3)."""
    environment = os.environ | DICTIONARY
    meta = read_still_image(path)
    assert meta is not None
    if meta.transfer_syntax_uid in JPEG_LS:
        plain = scratch / "plain.dcm"
        subprocess.run(["dcmdjpls", path, plain], env=environment, check=True, capture_output=True)
        path = plain
    # Of lossy JPEG the stream itself tells whether it is YCbCr, as it does to us.
    command = ["dcmj2pnm", "-q", "--no-overlays", "--write-raw-pnm", "--frame", str(number)]
    done = subprocess.run([*command, *options, path], env=environment, capture_output=True)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return np.asarray(Image.open(io.BytesIO(done.stdout)))


def voi_options(
    decoded: Decoded, image: ImagePixel, dataset: JsonDataset, number: int
) -> list[str]:
    """How DCMTK is told the VOI transform that holds for a frame without the request's window."""
    if decoded.array.ndim == 3 or image.photometric_interpretation == "PALETTE COLOR":
        return []
    if values(dataset, "00283010"):
        return ["--use-voi-lut", "1"]
    transformation = functional_group(dataset, number, "00289145") or {}
    slope = first_number(transformation, "00281053") or 1.0
    intercept = first_number(transformation, "00281052") or 0.0
    for source in (functional_group(dataset, number, "00289132") or {}, dataset):
        center, width = first_number(source, "00281050"), first_number(source, "00281051")
        if center is not None and width is not None and width >= 1:
            if source is dataset and not transformation:
                return ["--use-window", "1"]
            low, high = center - 0.5 - (width - 1) / 2, center - 0.5 + (width - 1) / 2
            return _of_stored((low - intercept) / slope, (high - intercept) / slope)
    if first_text(dataset, "00620001") == "FRACTIONAL":
        return _from_to(0, first_number(dataset, "0062000E") or 255)
    seen = decoded.array[~background_of(decoded.array, padding_of(image, dataset))]
    if not seen.size or seen.min() == seen.max():
        seen = ends_of(image)
    if transformation:
        return _of_stored(float(seen.min()), float(seen.max()))
    if values(dataset, "00283000"):
        return ["--min-max-window"]
    slope = first_number(dataset, "00281053") or 1.0
    intercept = first_number(dataset, "00281052") or 0.0
    return _from_to(float(seen.min()) * slope + intercept, float(seen.max()) * slope + intercept)


def _of_stored(low: float, high: float) -> list[str]:
    """The same of stored values: DCMTK takes some functional groups for what holds everywhere."""
    return ["--no-modality", *_from_to(low, high)]


def _from_to(low: float, high: float) -> list[str]:
    """The window of the function LINEAR that shows `low` as black and `high` as white."""
    return ["--set-window", f"{(low + high) / 2 + 0.5:.12g}", f"{high - low + 1:.12g}"]


def assert_alike(
    still: StillImage, scratch: Path, options: list[str] | None = None, window: Window | None = None
) -> None:
    """The middle frame. DCMTK makes YBR to RGB in integers, which adds up to one level more."""
    dataset, number = still.dataset, (still.count + 1) // 2
    image = image_pixel(dataset)
    decoded = decode_frame(still.frame(number), image, still.transfer_syntax_uid)
    ours = render(decoded, image, dataset, number, RenderOptions(window))
    if options is None:
        options = voi_options(decoded, image, dataset, number)
    theirs = shown_by_dcmtk(still.path, number, options, scratch)

    assert ours.shape == theirs.shape
    difference = np.abs(ours.astype(int) - theirs)
    difference[background_of(decoded.array, padding_of(image, dataset))] = 0  # GRY-08
    most = 2 if decoded.photometric_interpretation.startswith("YBR") else 1
    assert difference.max() <= most, (options, int(difference.max()), float(difference.mean()))


def kinds() -> Iterator[Path]:
    """One image of each kind beside each other."""
    seen = set()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for still in still_images():
            try:
                image = image_pixel(still.dataset)
            except Refusal:
                continue
            kind = still.path.parent, still.transfer_syntax_uid, replace(image, number_of_frames=0)
            if kind not in seen and image.rows * image.columns <= LARGE:
                seen.add(kind)
                if not reason_to_leave_out(still, image):
                    yield still.path


PATHS = list(kinds())


@pytest.mark.parametrize("path", PATHS, ids=["/".join(path.parts[-2:]) for path in PATHS])
def test_real_images_are_shown_as_dcmtk_shows_them(path: Path, tmp_path: Path) -> None:
    still = read_still_image(path)
    assert still is not None

    assert_alike(still, tmp_path)


# --- made here --------------------------------------------------------------------------------

NATIVE = "1.2.840.10008.1.2.1"
RLE, SV1, BASELINE = "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.50"
SYNTAXES = (NATIVE, "1.2.840.10008.1.2", "1.2.840.10008.1.2.2", RLE, SV1, JPEG_LS[0])

GREY = [
    {"photometric": photometric, "bits": bits, "signed": signed, "transfer_syntax": syntax}
    for photometric in ("MONOCHROME1", "MONOCHROME2")
    for bits in (1, 8, 10, 12, 16, 32)
    for signed in ((False, True) if photometric == "MONOCHROME2" else (False,))
    for syntax in SYNTAXES
    # One bit has no sign; of 32 bits there is no JPEG, none make RLE, and DCMTK swaps them wrongly
    if not (bits == 1 and (signed or syntax != NATIVE))
    and not (bits == 32 and syntax not in SYNTAXES[:2])
]
COLOUR = [
    {"photometric": photometric, "bits": 8, "planar": planar, "transfer_syntax": syntax}
    for photometric, planar, syntax in (
        ("RGB", 0, NATIVE),
        ("RGB", 1, NATIVE),
        ("RGB", 0, RLE),
        ("RGB", 0, JPEG_LS[0]),
        ("YBR_FULL", 0, NATIVE),
        ("YBR_FULL", 1, NATIVE),
        ("YBR_FULL_422", 0, NATIVE),
        ("RGB", 0, BASELINE),
        ("YBR_FULL", 0, BASELINE),
        ("PALETTE COLOR", 0, NATIVE),
        ("PALETTE COLOR", 0, RLE),
    )
] + [{"photometric": "PALETTE COLOR", "bits": 16, "transfer_syntax": NATIVE}]


def made(tmp_path: Path, **shape: Any) -> StillImage:
    path = tmp_path / "made.dcm"
    path.write_bytes(small_image(rows=24, columns=20, **shape))
    still = read_still_image(path)
    assert still is not None
    return still


def name(shape: dict[str, Any]) -> str:
    return "-".join(str(value).removeprefix("1.2.840.10008.1.2") for value in shape.values())


@pytest.mark.parametrize("shape", [*GREY, *COLOUR], ids=name)
def test_every_kind_is_shown_as_dcmtk_shows_it(shape: dict[str, Any], tmp_path: Path) -> None:
    assert_alike(made(tmp_path, **shape), tmp_path)


def lut(first: int, bits: int, entries: list[int], *, count: int | None = None) -> Dataset:
    """An item of a Modality or VOI LUT Sequence, its entries in words."""
    item = Dataset()
    item.add_new(0x00283002, "US", [len(entries) if count is None else count, first & 0xFFFF, bits])
    item.add_new(0x00283006, "OW", np.array(entries, "<u2").tobytes())
    item.ModalityLUTType = "US"
    return item


RAMP = [n * n // 4096 for n in range(4096)]


@pytest.mark.parametrize(
    ("bits", "signed", "attributes"),
    [
        (12, False, {"WindowCenter": "2048", "WindowWidth": "4096"}),
        (12, False, {"WindowCenter": "1000.5", "WindowWidth": "1"}),
        (12, False, {"WindowCenter": "1000", "WindowWidth": "2"}),
        (12, True, {"WindowCenter": "-3", "WindowWidth": "555.5"}),
        (12, False, {"WindowCenter": "900", "WindowWidth": "800", "VOILUTFunction": "SIGMOID"}),
        (16, True, {"RescaleSlope": "0.37", "RescaleIntercept": "-1024.5"}),
        (12, False, {"RescaleSlope": "2", "RescaleIntercept": "-1024",
                     "WindowCenter": "40", "WindowWidth": "400"}),
        (12, False, {"RescaleSlope": "-1", "RescaleIntercept": "4095",
                     "WindowCenter": "700", "WindowWidth": "1400"}),
        (12, False, {"VOILUTSequence": [lut(0, 12, RAMP)]}),
        (12, False, {"VOILUTSequence": [lut(1000, 8, list(range(256)))]}),
        (12, False, {"VOILUTSequence": [lut(0, 16, [n * 16 for n in RAMP])]}),
        (12, True, {"VOILUTSequence": [lut(-2048, 12, RAMP)]}),
        (12, False, {"RescaleSlope": "1", "RescaleIntercept": "-1000",
                     "VOILUTSequence": [lut(-1000, 12, RAMP)]}),
        (8, False, {"ModalityLUTSequence": [lut(0, 12, RAMP[::16])],
                    "WindowCenter": "2000", "WindowWidth": "3000"}),
        (8, True, {"ModalityLUTSequence": [lut(-100, 16, [n * 16 for n in RAMP[::32]])],
                   "WindowCenter": "20000", "WindowWidth": "30000"}),
        (16, False, {"VOILUTSequence": [lut(0, 16, list(range(65536)), count=0)]}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_windows_and_tables_are_applied_as_dcmtk_applies_them(
    bits: int, signed: bool, attributes: dict[str, Any], photometric: str, tmp_path: Path
) -> None:
    shape = {"bits": bits, "signed": signed, "photometric": photometric}

    assert_alike(made(tmp_path, **shape, **attributes), tmp_path)


@pytest.mark.parametrize("function", ["linear", "sigmoid"])
def test_the_window_of_the_request_is_dcmtk_s(function: str, tmp_path: Path) -> None:
    still = made(tmp_path, bits=12, signed=True, RescaleSlope="1.5", RescaleIntercept="-100")
    options = ["--set-window", "40.5", "1234.5", f"--{function}-function"]

    assert_alike(still, tmp_path, options, Window(40.5, 1234.5, function))
