"""Frames and bulk data (PS3.18 10.4.1.1.5 and 10.4.1.1.6)."""

from pydicom.uid import JPEGBaseline8Bit, RLELossless

from conformance.suite.http import resolve
from conformance.suite.json_model import bulk_uris, datasets_of
from conformance.suite.model import Deviation, Level, NotOffered, check, expect, only
from conformance.suite.multipart import parts_of
from conformance.suite.retrieving import ANY, ELE, frames, native_frames
from conformance.suite.run import DICOM_JSON, OCTETS, Run, multipart, status


@check("frames", Level.MUST, "PS3.18 8.7.3.3.1", "WADO-04", "A frame has its bytes, and no more")
def native(run: Run) -> None:
    for kind in ("ct", "colour"):
        item = run.stored(kind)[0]
        parts = frames(run, item, "1")
        expect(len(parts) == 1, "one part for one frame", len(parts))
        wanted = native_frames(item)[0]
        expect(parts[0].body == wanted, f"the {len(wanted)} bytes", f"{len(parts[0].body)}, others")


@check(
    "frames", Level.MUST, "PS3.18 10.4.1.1.6", "RES-01", "A list of frames: a part each, in order"
)
def several(run: Run) -> None:
    [item] = run.stored("frames")
    wanted = native_frames(item)
    for numbers in ("2,4", "2%2C4"):
        bodies = [part.body for part in frames(run, item, numbers)]
        expect(bodies == [wanted[1], wanted[3]], f"frames 2 and 4 for {numbers}", len(bodies))


@check(
    "frames",
    Level.MUST,
    "PS3.18 8.7.3.5.2",
    "TS-02, WADO-06",
    "Compressed frames are sent without compression as application/octet-stream",
)
def decoded(run: Run) -> None:
    [item] = run.stored("rle")
    wanted = [frame.tobytes() for frame in item.dataset.pixel_array]
    bodies = [part.body for part in frames(run, item, "1,3")]
    expect(bodies == [wanted[0], wanted[2]], "frames 1 and 3, decoded", [len(b) for b in bodies])


@check("frames", Level.MUST, "PS3.18 8.7.3.5.2", "TS-09", "Parts name their transfer syntax, not *")
def named_syntax(run: Run) -> None:
    [item] = run.stored("rle")
    part = only(frames(run, item, "1", multipart(OCTETS)), "part")
    named = part.content_type.parameters.get("transfer-syntax", ELE)
    expect(named == ELE, f"transfer-syntax={ELE}, or none", named)
    answer = run.get(f"{item.path}/frames/1", f"{multipart(OCTETS, ANY)}, {multipart('*/*', ANY)}")
    if answer.status == 200:
        for part in parts_of(answer):
            named = part.content_type.parameters.get("transfer-syntax", "none")
            expect(named != ANY, "a transfer syntax, not *", named)


@check(
    "frames",
    Level.MAY,
    "PS3.18 Table 8.7.3-5",
    "WADO-06, trap 10",
    "A compressed frame as it is stored, by its media type",
)
def as_stored(run: Run) -> None:
    offered = 0
    for kind, media, syntax in (
        ("rle", "image/dicom-rle", RLELossless),
        ("jpeg", "image/jpeg", JPEGBaseline8Bit),
    ):
        [item] = run.stored(kind)
        answer = run.get(f"{item.path}/frames/1", multipart(media, syntax))
        if answer.status == 406:
            continue
        offered += 1
        part = only(parts_of(status(answer, 200), media), "part")
        named = part.content_type.parameters.get("transfer-syntax")
        expect(named == syntax, f"transfer-syntax={syntax}", named)
        stored = item.dataset.PixelData
        body = part.body.rstrip(b"\0")
        expect(body and body in stored, "the stored code stream", f"{len(part.body)} other bytes")
        expect(not body.startswith(b"\xfe\xff\x00\xe0"), "no item delimiters", body[:8])
    if not offered:
        raise NotOffered("compressed frames")


@check("frames", Level.MAY, "PS3.18 Table 10.4.4-1", "NEG-03", "One frame in a single part")
def single_part(run: Run) -> None:
    item = run.stored("ct")[0]
    answer = run.get(f"{item.path}/frames/1", OCTETS)
    if answer.status in (400, 406):
        raise NotOffered("single parts of application/octet-stream")
    status(answer, 200)
    expect(answer.content_type.name == OCTETS, OCTETS, answer.header("Content-Type"))
    expect(answer.body == native_frames(item)[0], "the frame's bytes", len(answer.body))


@check("frames", Level.MUST, "PS3.18 8.7.5", "NEG-03", "Several frames are never a single part")
def no_single_part_of_several(run: Run) -> None:
    [item] = run.stored("frames")
    answer = run.get(f"{item.path}/frames/1,2", OCTETS)
    expect(answer.status == 406, "status 406", answer.status)


@check("frames", Level.MUST, "PS3.18 8.7.8", "NEG-04", "*/* gives octets in multipart/related")
def default_type(run: Run) -> None:
    [item] = run.stored("frames")
    parts = parts_of(run.ok(f"{item.path}/frames/1", "*/*"), OCTETS)
    expect(parts[0].body == native_frames(item)[0], "the frame", len(parts[0].body))


@check(
    "frames",
    Level.MUST,
    "RFC 9110 12.5.1, RFC 2387",
    "NEG-06, trap 1",
    "Accept with and without quotes, in any case and order",
)
def spellings_of_accept(run: Run) -> None:
    [item] = run.stored("frames")
    for accept in (
        "multipart/related; type=application/octet-stream",
        'multipart/related;type="application/octet-stream"',
        'Multipart/Related; TYPE="application/octet-stream"; boundary=x',
        f'multipart/related; transfer-syntax={ELE}; type="application/octet-stream"',
        'image/x-unknown;q=0.1, multipart/related; type="application/octet-stream"; q=0.5',
    ):
        answer = run.get(f"{item.path}/frames/1", accept)
        expect(answer.status == 200, f"status 200 for Accept: {accept}", answer.status)
        parts_of(answer, OCTETS)


@check("frames", Level.MUST, "PS3.18 10.4.3", "WADO-07", "Frames that are not there are 404")
def beyond_the_end(run: Run) -> None:
    [item] = run.stored("frames")
    report = run.stored("mixed")[1]
    for path in (f"{item.path}/frames/5", f"{report.path}/frames/1"):
        answer = run.get(path, multipart(OCTETS))
        expect(answer.status in (400, 404, 406), "a 4xx", answer.status)
    answer = run.get(f"{item.path}/frames/5", multipart(OCTETS))
    expect(answer.status in (400, 404), "404", answer.status)


@check("frames", Level.MUST, "PS3.18 8.5, 10.4.1", "WADO-07", "What is no frame number is 400")
def not_a_number(run: Run) -> None:
    [item] = run.stored("frames")
    for numbers in ("0", "-1", "one", "1,,2"):
        answer = run.get(f"{item.path}/frames/{numbers}", multipart(OCTETS))
        expect(answer.status in (400, 404), f"400 for frames/{numbers}", answer.status)


# --- bulk data ---------------------------------------------------------------------------------


def _uris(run: Run, kind: str) -> dict[str, str]:
    item = run.stored(kind)[0]
    path = f"{item.path}/metadata"
    dataset = only(datasets_of(run.ok(path, DICOM_JSON)), "data set")
    base = run.server.url(path)
    return {where: resolve(base, uri) for where, uri in bulk_uris(dataset)}


@check(
    "bulkdata",
    Level.MUST,
    "PS3.18 10.4.1.1.5, F.2.6",
    "BLK-01",
    "Pixel data are named by a URI in the metadata, and had from it",
)
def pixel_data(run: Run) -> None:
    item = run.stored("ct")[0]
    uris = _uris(run, "ct")
    if "7FE00010" not in uris:
        raise NotOffered("a BulkDataURI of pixel data: they are inline")
    parts = parts_of(run.ok(uris["7FE00010"], multipart(OCTETS)), OCTETS)
    expect(len(parts) == 1, "one part", len(parts))
    expect(parts[0].body == item.dataset.PixelData, "the value", f"{len(parts[0].body)} bytes")


@check("bulkdata", Level.MUST, "PS3.18 10.4.1.1.5", "BLK-01", "Every BulkDataURI can be retrieved")
def every_uri(run: Run) -> None:
    for kind in ("values", "pdf", "rle", "frames"):
        for where, uri in _uris(run, kind).items():
            answer = run.get(uri, f"{multipart(OCTETS)}, */*;q=0.1")
            expect(answer.status == 200, f"200 for the URI of {where}", answer.status)


@check("bulkdata", Level.MUST, "PS3.18 10.4.1.1.5", "STOW-15", "A document has its own bytes")
def document(run: Run) -> None:
    [item] = run.stored("pdf")
    uris = _uris(run, "pdf")
    if "00420011" not in uris:
        raise NotOffered("a BulkDataURI of documents: they are inline")
    part = only(parts_of(run.ok(uris["00420011"], multipart(OCTETS))), "part")
    stored = bytes(item.dataset.EncapsulatedDocument)
    expect(part.body in (stored, stored[:-1]), "the document", f"{len(part.body)} bytes")


@check("bulkdata", Level.MAY, "RFC 9110 14, PS3.18 8.5", "CCH-06", "Ranges of a single part")
def ranges(run: Run) -> None:
    uri = _uris(run, "ct").get("7FE00010")
    if uri is None:
        raise NotOffered("a BulkDataURI of pixel data")
    answer = run.get(uri, OCTETS, ("Range", "bytes=2-9"))
    if answer.status != 206:
        expect(answer.status in (200, 400, 406), "206, or the whole", answer.status)
        raise NotOffered("ranges of bulk data")
    value = run.stored("ct")[0].dataset.PixelData
    expect(answer.body == value[2:10], "bytes 2 to 9 of the value", answer.body)
    told = f"bytes 2-9/{len(value)}"
    got = answer.header("Content-Range")
    expect(got == told, f"Content-Range: {told} (trap 33)", got)
    beyond = run.get(uri, OCTETS, ("Range", f"bytes={len(value)}-"))
    expect(beyond.status == 416, "416 beyond the end", beyond.status)


@check("bulkdata", Level.MAY, "PS3.18 10.4.1.1.5", "1.1", "/pixeldata of an instance")
def pixeldata_resource(run: Run) -> None:
    item = run.stored("ct")[0]
    answer = run.get(f"{item.path}/pixeldata", multipart(OCTETS))
    if answer.status in (404, 405, 501):
        raise NotOffered("/pixeldata")
    parts = parts_of(status(answer, 200), OCTETS)
    if [part.body for part in parts] != [item.dataset.PixelData]:
        raise Deviation("the pixel data as the one part", f"{len(parts)} parts")
