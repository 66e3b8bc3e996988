"""Pixels as they are sent: bits, bytes, fragments, colours, video (PS3.18 8.7.3.3, PS3.5 A.4)."""

from io import BytesIO

import numpy as np
from PIL import Image
from pydicom.pixels import convert_color_space
from pydicom.uid import MPEG4HP41, RLELossless

from conformance.suite.checks.store import made, report_of
from conformance.suite.http import Answer
from conformance.suite.model import Deviation, Level, NotOffered, check, expect, only
from conformance.suite.multipart import Part, parts_of
from conformance.suite.pictures import FRAME_COLOURS, VIDEO, bits, colour_bars
from conformance.suite.retrieving import ANY, ELE, frames, instances, octets, read, syntax_of
from conformance.suite.run import DICOM, OCTETS, Run, multipart, status

_MP4 = "video/mp4"


@check(
    "frames",
    Level.MUST,
    "PS3.18 8.7.3.3.1",
    "WADO-05, trap 35",
    "A frame of single bits begins with its own first bit",
)
def single_bits(run: Run) -> None:
    [item] = run.stored("bits")
    for number in (1, 2, 3):
        part = only(frames(run, item, str(number)), "part")
        got = np.unpackbits(np.frombuffer(part.body, np.uint8), bitorder="little")[:25]
        wanted = bits()[number - 1].ravel()
        expect(np.array_equal(got, wanted), f"the 25 bits of frame {number}", "others")


@check(
    "frames",
    Level.MUST,
    "PS3.5 A.4, Annex F; PS3.3 C.7.6.3.1.8",
    "WADO-06",
    "Frames are found by any table of offsets, and without one",
)
def offsets(run: Run) -> None:
    for item in run.stored("fragments"):
        parts = frames(run, item, "1,2,3")
        expect(len(parts) == 3, "three parts", len(parts))
        for part, colour in zip(parts, FRAME_COLOURS, strict=True):
            _is_of(part, colour, f"instance {item.dataset.InstanceNumber}")


def _is_of(part: Part, colour: tuple[int, int, int], where: str) -> None:
    if part.body.startswith(b"\xff\xd8"):  # as it is stored (TS-04)
        mean = np.asarray(Image.open(BytesIO(part.body)).convert("RGB")).reshape(-1, 3).mean(0)
    else:
        expect(len(part.body) == 16 * 24 * 3, f"{16 * 24 * 3} bytes", len(part.body))
        mean = np.frombuffer(part.body, np.uint8).reshape(-1, 3).astype(float).mean(0)
        if np.abs(mean - colour).max() > 40:
            mean = convert_color_space(np.uint8(mean)[None, None], "YBR_FULL", "RGB")[0, 0]
    off = float(np.abs(np.asarray(mean, dtype=float) - colour).max())
    expect(off <= 12, f"the colour {colour} in {where}", np.round(mean))


@check(
    "frames",
    Level.MAY,
    "PS3.18 8.7.3.2, PS3.5 7.3",
    "WADO-04, trap 36",
    "Pixels that were stored big endian are sent little endian",
)
def byte_order(run: Run) -> None:
    [item] = run.stored("swapped")
    wanted = np.frombuffer(item.dataset.PixelData, ">u2").astype("<u2").tobytes()
    part = only(frames(run, item, "1"), "part")
    expect(part.body == wanted, "the values in little endian", "others")
    _, parts = instances(run, item.path)
    dataset = read(only(parts, "part").body)
    expect(syntax_of(dataset) == ELE, ELE, syntax_of(dataset))
    expect(dataset.PixelData == wanted, "the same in the file", "others")


# Media types of Table 8.7.3-5: the default syntax, how a code stream begins, and a marker in it.
_MADE = {
    "image/jpeg": ("1.2.840.10008.1.2.4.70", b"\xff\xd8", b"\xff\xc3"),
    "image/jls": ("1.2.840.10008.1.2.4.80", b"\xff\xd8", b"\xff\xf7"),
    "image/jp2": ("1.2.840.10008.1.2.4.90", b"\xff\x4f\xff\x51", b"\xff\x52"),
    "image/jphc": ("1.2.840.10008.1.2.4.201", b"\xff\x4f\xff\x51", b"\xff\x50"),
    "image/jxl": ("1.2.840.10008.1.2.4.110", b"\xff\x0a", b""),
}


@check(
    "frames",
    Level.MAY,
    "PS3.18 Table 8.7.3-5",
    "1.5, trap 10",
    "A frame made in another type is a bare code stream, in the default syntax of the type",
)
def made_in_other_types(run: Run) -> None:
    item = run.stored("ct")[0]
    offered = 0
    for media, (syntax, begin, marker) in _MADE.items():
        answer = run.get(f"{item.path}/frames/1", multipart(media))
        if answer.status in (400, 406):
            continue
        offered += 1
        part = only(parts_of(status(answer, 200), media), "part")
        named = part.content_type.parameters.get("transfer-syntax")
        expect(named == syntax, f"transfer-syntax={syntax}", named)
        bare = part.body.startswith(begin) and marker in part.body
        expect(bare, f"a code stream of {media} without a container", part.body[:12])
    if not offered:
        raise NotOffered("frames in other types than they are stored in")


@check(
    "retrieve",
    Level.MUST,
    "PS3.3 C.7.6.3.1.2, PS3.5 8.2",
    "TS-05, trap 37",
    "Of a decoded colour image the Photometric Interpretation tells what its samples are",
)
def colours(run: Run) -> None:
    for kind in ("photo", "planes", "full", "halved"):
        [item] = run.stored(kind)
        _, parts = instances(run, item.path)
        dataset = read(only(parts, "part").body)
        try:
            array = dataset.pixel_array  # RGB, by what the attributes tell
        except (ValueError, AttributeError, RuntimeError) as error:
            raise Deviation("pixels as the attributes tell", str(error)[:200]) from None
        told = str(dataset.PhotometricInterpretation)
        wanted = colour_bars()[:, 2::6].astype(int)  # the middles of the bars
        off = int(np.abs(array[:, 2::6].astype(int) - wanted).max())
        expect(off <= 12, f"the colours of '{kind}', as {told}", f"{off} levels off")


@check(
    "retrieve",
    Level.MUST,
    "PS3.18 10.4.3, 8.7.8.1",
    "WADO-09, ERR-03",
    "A study of which some has no such syntax is whole, or says that it is not",
)
def partly_acceptable(run: Run) -> None:
    path = run.stored("mixed")[0].study_path
    both = {item.uid for item in run.stored("mixed")}
    answer = run.get(path, multipart(DICOM, RLELossless))
    status(answer, 200, 206, 406)
    if answer.status == 406:
        return
    got = {str(read(part.body).SOPInstanceUID) for part in parts_of(answer, DICOM)}
    if answer.status == 200:
        expect(got == both, "both instances with 200", len(got))
    else:
        expect(answer.header("Warning") or got == both, "a Warning with 206", "none")


@check(
    "retrieve", Level.MAY, "PS3.3 C.7.3.1", "trap 42", "One series UID in two studies: two series"
)
def series_of_two_studies(run: Run) -> None:
    first = made(run)
    second = made(run, SeriesInstanceUID=first.series)
    status(run.store([first.file]), 200, 202)
    answer = run.store([second.file])
    if answer.status == 409:
        report_of(answer)
        raise NotOffered("one series UID in two studies")
    for item in (first, second):
        _, parts = instances(run, item.series_path)
        got = [str(read(part.body).SOPInstanceUID) for part in parts]
        expect(got == [item.uid], "the one instance of each study", len(got))


# --- video and documents -------------------------------------------------------------------------


def _own(run: Run, kind: str, media: str) -> Answer:
    [item] = run.stored(kind)
    answer = run.get(f"{item.path}/rendered", media)
    if answer.status in (400, 404, 406, 501):
        raise NotOffered(f"rendering to {media}")
    status(answer, 200)
    expect(answer.content_type.name == media, media, answer.header("Content-Type"))
    return answer


@check(
    "rendered",
    Level.MAY,
    "PS3.18 10.4.1.1.3, Table 8.7.4-1",
    "3.3.6, trap 34",
    "A video is rendered as what it is, whole, and by ranges",
)
def video(run: Run) -> None:
    answer = _own(run, "video", _MP4)
    expect(answer.body.rstrip(b"\0") == VIDEO.rstrip(b"\0"), "the video", f"{len(answer.body)}")
    [item] = run.stored("video")
    part = run.get(f"{item.path}/rendered", _MP4, ("Range", "bytes=4-11"))
    if part.status == 206:
        told = f"bytes 4-11/{len(answer.body)}"
        expect(part.header("Content-Range") == told, told, part.header("Content-Range"))
        expect(part.body == VIDEO[4:12], "bytes 4 to 11", part.body)


@check(
    "rendered",
    Level.MAY,
    "PS3.18 10.4.1.1.3, Table 8.7.4-1",
    "3.3.6, trap 34",
    "A PDF document is rendered as what it is",
)
def document(run: Run) -> None:
    answer = _own(run, "pdf", "application/pdf")
    [item] = run.stored("pdf")
    wanted = bytes(item.dataset.EncapsulatedDocument)
    expect(answer.body in (wanted, wanted[:-1]), "the document", f"{len(answer.body)} bytes")


@check(
    "rendered",
    Level.MUST,
    "PS3.18 8.5, 8.7.5",
    "3.3.6, trap 34, trap 40",
    "What cannot be rendered as asked is 4xx, never a fault or an empty picture",
)
def no_picture(run: Run) -> None:
    for kind in ("video", "pdf"):
        [item] = run.stored(kind)
        for path in (f"{item.path}/rendered", f"{item.path}/frames/9999/rendered"):
            answer = run.get(path, "image/x-suite")
            expect(400 <= answer.status < 500, "a 4xx", answer.status)
        answer = run.get(f"{item.path}/rendered", "image/jpeg")
        expect(answer.status < 500, "200, or a 4xx", answer.status)
        if answer.status == 200:
            expect(answer.body.startswith(b"\xff\xd8\xff"), "a JPEG image", answer.body[:20])


@check(
    "frames",
    Level.MUST,
    "PS3.18 8.7.3.3, Table 8.7.3-5",
    "WADO-08, trap 34",
    "A frame of a video is a frame of pixels, or refused",
)
def frames_of_video(run: Run) -> None:
    [item] = run.stored("video")
    answer = run.get(f"{item.path}/frames/1", multipart(OCTETS))
    status(answer, 200, 400, 404, 406)
    if answer.status == 200:
        part = only(parts_of(answer), "part")
        expect(len(part.body) == 64 * 64 * 3, "64 by 64 pixels in colour", len(part.body))


@check(
    "bulkdata",
    Level.MAY,
    "PS3.18 Table 8.7.3-5",
    "WADO-08, trap 33",
    "The video is one value, of its own media type, with its own length",
)
def video_value(run: Run) -> None:
    [item] = run.stored("video")
    answer = run.get(f"{item.path}/pixeldata", multipart(_MP4, ANY))
    if answer.status in (400, 404, 405, 406, 501):
        raise NotOffered("pixel data of a video as video/mp4")
    part = only(parts_of(status(answer, 200), _MP4), "part")
    named = part.content_type.parameters.get("transfer-syntax")
    expect(named == MPEG4HP41, f"transfer-syntax={MPEG4HP41}", named)
    expect(part.body.rstrip(b"\0") == VIDEO.rstrip(b"\0"), "the video", f"{len(part.body)} bytes")
    single = run.get(f"{item.path}/pixeldata", _MP4, ("Range", "bytes=0-7"))
    if single.status == 206:
        total = single.header("Content-Range").rpartition("/")[2]
        sizes = (str(len(VIDEO)), str(len(part.body)))
        expect(total in sizes, f"the video's length {sizes[0]}", total)


@check(
    "bulkdata",
    Level.MAY,
    "PS3.18 Table 8.7.3-5",
    "trap 32",
    "One value in a single part, or in multipart, as it is asked for",
)
def single_value(run: Run) -> None:
    item = run.stored("ct")[0]
    many = parts_of(octets(run, item), OCTETS)
    answer = run.get(f"{item.path}/frames/1", f"{OCTETS}, {multipart(OCTETS)};q=0.1")
    if answer.status != 200 or answer.content_type.name != OCTETS:
        raise NotOffered("single parts of application/octet-stream")
    bodies = [part.body for part in many]
    expect(answer.body in bodies, "the same bytes as in multipart", len(answer.body))
