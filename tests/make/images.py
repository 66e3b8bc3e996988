"""Small images of every photometric interpretation, depth and transfer syntax that matters."""

from typing import Any, Literal

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom import uid as uids
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, encapsulate_extended
from pydicom.pixels.encoders.base import get_encoder
from pydicom.uid import ExplicitVRLittleEndian

from tests.make.files import EMPTY, dataset_with, part10, uid

Offsets = Literal["none", "basic", "extended"]


def small_image(
    *,
    photometric: str = "MONOCHROME2",
    bits: int = 16,
    signed: bool = False,
    frames: int = 1,
    rows: int = 8,
    columns: int = 8,
    planar: int = 0,
    transfer_syntax: str = ExplicitVRLittleEndian,
    offsets: Offsets = "basic",
    seed: int = 0,
    pixels: NDArray[Any] | None = None,
    **keywords: Any,
) -> bytes:
    """A Secondary Capture image of random pixels, as a PS3.10 file that lacks nothing mandatory.

    `bits` is Bits Stored (1 to 32); colour has 8. `planar` is the Planar Configuration of
    native colour. `offsets` says how an encapsulated image tells where its frames lie: an
    empty Basic Offset Table, a filled one, or an Extended Offset Table (PS3.5 A.4). JPEG
    Baseline is lossy, every other syntax holds the pixels of `small_pixels` exactly, or those of
    `pixels`, which are as it gives them.
    """
    shape = (photometric, bits, signed, frames, rows, columns, planar, transfer_syntax, offsets)
    dataset = dataset_with(
        **{
            "SOPClassUID": _secondary_capture(photometric, bits, frames),
            "SOPInstanceUID": uid("small", shape, seed, sorted(map(str, keywords.items()))),
            "StudyInstanceUID": uid("small study", seed),
            "SeriesInstanceUID": uid("small series", seed),
            **EMPTY,
            "ConversionType": "SYN",
        }
        | ({"BurnedInAnnotation": "NO"} if frames > 1 else {})
        | keywords
    )
    colour = photometric not in ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR")
    dataset.SamplesPerPixel = 3 if colour else 1
    dataset.PhotometricInterpretation = photometric
    if colour:
        dataset.PlanarConfiguration = planar
    if frames > 1:
        dataset.NumberOfFrames = frames
        dataset.FrameTime = "40"
        dataset.FrameIncrementPointer = 0x00181063  # Frame Time
    dataset.Rows, dataset.Columns = rows, columns
    dataset.BitsAllocated = next(size for size in (1, 8, 16, 32) if bits <= size)
    dataset.BitsStored, dataset.HighBit = bits, bits - 1
    dataset.PixelRepresentation = int(signed)
    if photometric == "PALETTE COLOR":
        _add_palette(dataset, entries=2 ** min(bits, 8))
    if pixels is None:
        pixels = small_pixels(
            photometric=photometric,
            bits=bits,
            signed=signed,
            frames=frames,
            rows=rows,
            columns=columns,
            seed=seed,
        )
    if uids.UID(transfer_syntax).is_encapsulated:
        coded = [_encode(frame, dataset, transfer_syntax) for frame in pixels]
        _encapsulate(dataset, coded, offsets)
    else:
        _add_native(dataset, pixels, big_endian=transfer_syntax == uids.ExplicitVRBigEndian)
    return part10(dataset, transfer_syntax)


def small_pixels(
    *,
    photometric: str = "MONOCHROME2",
    bits: int = 16,
    signed: bool = False,
    frames: int = 1,
    rows: int = 8,
    columns: int = 8,
    seed: int = 0,
) -> NDArray[Any]:
    """The stored values of `small_image`: (frames, rows, columns) or (…, columns, 3), u/int8–32.

    For YBR_FULL_422 (…, columns, 2): the luminance, and C_B and C_R in turn (PS3.3 C.7.6.3.1.2).
    """
    size = next(size for size in (8, 16, 32) if bits <= size)
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1)) if signed else (0, 2**bits)
    shape: tuple[int, ...] = (frames, rows, columns)
    if photometric == "YBR_FULL_422":
        shape = (*shape, 2)
    elif photometric not in ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR"):
        shape = (*shape, 3)
    kind = np.dtype(f"{'int' if signed else 'uint'}{size}")
    return np.random.default_rng(seed).integers(low, high, shape, dtype=kind)


def _secondary_capture(photometric: str, bits: int, frames: int) -> str:
    if frames == 1:
        return uids.SecondaryCaptureImageStorage
    if photometric not in ("MONOCHROME1", "MONOCHROME2"):
        return uids.MultiFrameTrueColorSecondaryCaptureImageStorage
    if bits == 1:
        return uids.MultiFrameSingleBitSecondaryCaptureImageStorage
    if bits <= 8:
        return uids.MultiFrameGrayscaleByteSecondaryCaptureImageStorage
    return uids.MultiFrameGrayscaleWordSecondaryCaptureImageStorage


def _add_palette(dataset: Dataset, *, entries: int) -> None:
    ramp = np.linspace(0, 65535, entries).astype("<u2")
    for number, colour in enumerate(("Red", "Green", "Blue")):
        setattr(dataset, f"{colour}PaletteColorLookupTableDescriptor", [entries, 0, 16])
        table = np.roll(ramp, number * entries // 3)
        setattr(dataset, f"{colour}PaletteColorLookupTableData", table.tobytes())


def _add_native(dataset: Dataset, pixels: NDArray[Any], *, big_endian: bool) -> None:
    if dataset.BitsAllocated == 1:
        stream = np.packbits(pixels.ravel(), bitorder="little").tobytes()
    elif dataset.PhotometricInterpretation == "YBR_FULL_422":
        frames, rows, columns, _ = pixels.shape
        pairs = pixels.reshape(frames, rows, columns // 2, 2, 2)
        # Two luminances, then the C_B and C_R that they share.
        quads = np.stack((*np.moveaxis(pairs[..., 0], -1, 0), *np.moveaxis(pairs[..., 1], -1, 0)))
        stream = np.moveaxis(quads, 0, -1).tobytes()
    elif dataset.get("PlanarConfiguration") == 1:
        stream = np.moveaxis(pixels, -1, 1).tobytes()
    else:
        stream = pixels.tobytes()
    # Elements of VR OB have no byte order; words of VR OW have that of the transfer syntax.
    if big_endian and pixels.itemsize > 1:
        stream = pixels.astype(pixels.dtype.newbyteorder(">")).tobytes()
    dataset.PixelData = stream + b"\0" * (len(stream) % 2)
    dataset["PixelData"].VR = "OW" if dataset.BitsAllocated > 8 else "OB"


def _encode(frame: NDArray[Any], dataset: Dataset, transfer_syntax: str) -> bytes:
    """One frame's code stream. Raises ValueError for a syntax that is not made here."""
    photometric = dataset.PhotometricInterpretation
    # These know samples without a sign only; PS3.5 8.2 has them coded as their bit pattern.
    pattern = frame.view(f"u{frame.itemsize}")
    if transfer_syntax == uids.RLELossless:
        return get_encoder(uids.RLELossless).encode(
            frame,
            rows=frame.shape[0],
            columns=frame.shape[1],
            number_of_frames=1,
            samples_per_pixel=dataset.SamplesPerPixel,
            bits_allocated=dataset.BitsAllocated,
            bits_stored=dataset.BitsStored,
            pixel_representation=dataset.PixelRepresentation,
            photometric_interpretation=photometric,
            planar_configuration=0,
        )
    if transfer_syntax == uids.JPEGBaseline8Bit:
        subsampling = "422" if photometric == "YBR_FULL_422" else "444"
        if frame.ndim == 2:
            return bytes(imagecodecs.jpeg8_encode(frame, level=95))
        rgb = frame if frame.shape[2] == 3 else np.dstack((frame, frame[..., :1]))
        space = "RGB" if photometric == "RGB" else "YCBCR"
        return bytes(
            imagecodecs.jpeg8_encode(
                rgb, level=95, colorspace="RGB", outcolorspace=space, subsampling=subsampling
            )
        )
    if transfer_syntax == uids.JPEGLosslessSV1:
        return bytes(imagecodecs.ljpeg_encode(pattern, bitspersample=dataset.BitsStored))
    if transfer_syntax == uids.JPEGLSLossless:
        return bytes(imagecodecs.jpegls_encode(pattern))
    if transfer_syntax == uids.JPEG2000Lossless:
        return bytes(
            imagecodecs.jpeg2k_encode(
                frame,
                level=0,
                codecformat="j2k",
                reversible=True,
                mct=photometric == "YBR_RCT",
                bitspersample=dataset.BitsStored,
            )
        )
    if transfer_syntax == uids.HTJ2KLossless:
        return bytes(imagecodecs.htj2k_encode(frame, reversible=True))
    raise ValueError(f"no encoder here for {transfer_syntax}")


def _encapsulate(dataset: Dataset, coded: list[bytes], offsets: Offsets) -> None:
    if offsets == "extended":
        stream, table, lengths = encapsulate_extended(coded)
        dataset.ExtendedOffsetTable = table
        dataset.ExtendedOffsetTableLengths = lengths
        dataset.PixelData = stream
    else:
        dataset.PixelData = encapsulate(coded, has_bot=offsets == "basic")
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
