"""Which representation a client gets (PS3.18 8.3.3.1, 8.4, 8.7): Accept, accept, character sets."""

import numpy as np
from pydicom.uid import JPEGBaseline8Bit, RLELossless

from conformance.suite.http import Answer
from conformance.suite.json_model import datasets_of, value_of
from conformance.suite.model import Level, NotOffered, Undecided, check, expect, only
from conformance.suite.multipart import parts_of
from conformance.suite.retrieving import ANY, ELE, instances, octets, read, syntax_of
from conformance.suite.run import DICOM, DICOM_JSON, DICOM_XML, OCTETS, Run, multipart, status
from conformance.suite.searching import query
from conformance.suite.texts import LONG

_LOSSLESS_OF_JPEG = ("1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70")
_BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"


def _metadata(run: Run) -> str:
    return f"{run.stored('colour')[0].path}/metadata"


def _kind(answer: Answer) -> str:
    return status(answer, 200).content_type.name


# --- the query parameter accept ------------------------------------------------------------------


@check(
    "negotiation",
    Level.MUST,
    "PS3.18 8.3.3.1",
    "ACC-01, ACC-04",
    "The parameter accept goes before the header",
)
def accept_parameter(run: Run) -> None:
    item = run.stored("ct")[0]
    kind = _kind(run.get(f"{item.path}/rendered?accept=image/png", "*/*"))
    expect(kind == "image/png", "image/png for accept=image/png", kind)
    for parameter, wanted in (
        (multipart(DICOM_XML), "multipart/related"),
        (DICOM_JSON, DICOM_JSON),
    ):
        path = f"{item.path}/metadata?{query([('accept', parameter)])}"
        kind = _kind(run.get(path, "*/*"))
        expect(kind == wanted, f"{wanted} for accept={parameter}", kind)


@check(
    "negotiation",
    Level.MUST,
    "PS3.18 8.3.3.1, 8.7.8.1",
    "ACC-03",
    "Where nothing in the parameter accept is supported, the header counts",
)
def accept_parameter_unsupported(run: Run) -> None:
    path = f"{run.stored('ct')[0].path}/rendered?accept=image/x-suite"
    kind = _kind(run.get(path, "image/png, image/x-suite"))
    expect(kind == "image/png", "image/png, which the header names", kind)


@check(
    "negotiation",
    Level.MUST,
    "PS3.18 8.3.3.1",
    "ACC-05",
    "A transfer syntax within the parameter accept is one in the header",
)
def accept_parameter_syntax(run: Run) -> None:
    [item] = run.stored("rle")
    wanted = multipart(DICOM, RLELossless)
    if run.get(item.path, wanted).status != 200:
        raise NotOffered("transfer syntaxes by Accept")
    answer = status(run.get(f"{item.path}?{query([('accept', wanted)])}", "*/*"), 200)
    syntax = syntax_of(read(only(parts_of(answer, DICOM), "part").body))
    expect(syntax == RLELossless, f"transfer syntax {RLELossless}", syntax)


# --- the header Accept ---------------------------------------------------------------------------


@check(
    "negotiation",
    Level.MUST,
    "PS3.18 8.7.5, 8.7.7; RFC 9110 12.5.1",
    "HDR-01",
    "Without Accept: 406, as PS3.18 has it, or the default, as HTTP has it",
)
def no_accept(run: Run) -> None:
    answer = status(run.get(_metadata(run), None), 200, 406)
    if answer.status == 200:
        expect(len(datasets_of(answer)) == 1, "the metadata in JSON", "others")


@check(
    "negotiation",
    Level.MUST,
    "PS3.18 8.7.5",
    "HDR-03, trap 2",
    "What is invalid or unknown in Accept is ignored",
)
def invalid_ranges(run: Run) -> None:
    for accept in (
        f"suite, {multipart(DICOM_XML)}",
        f"application/x-suite;q=2, {multipart(DICOM_XML)}; x-suite=1",
        f'text/x-suite; a="b, c; d", , {multipart(DICOM_XML)}',
    ):
        answer = run.get(_metadata(run), accept)
        expect(answer.status == 200, f"status 200 for {accept}", answer.status)
        parts_of(answer, DICOM_XML)


@check(
    "negotiation",
    Level.MUST,
    "PS3.18 8.7.4, 8.7.5",
    "HDR-04",
    "DICOM and rendered types in one Accept: 400, or what the resource has of them",
)
def mixed_kinds(run: Run) -> None:
    path = f"{run.stored('ct')[0].path}/rendered"
    answer = status(run.get(path, f"{DICOM}, image/gif"), 200, 400)
    if answer.status == 200:
        expect(_kind(answer) == "image/gif", "image/gif", _kind(answer))


@check(
    "negotiation",
    Level.MUST,
    "PS3.18 8.7.8.1, RFC 9110 12.4.2",
    "NEG-08",
    "Weights decide; what has none is never sent",
)
def weights(run: Run) -> None:
    xml = multipart(DICOM_XML)
    for accept, wanted in (
        (f"{xml};q=0.2, {DICOM_JSON};q=0.9", DICOM_JSON),
        (f"{xml};q=0.9, {DICOM_JSON};q=0.2", "multipart/related"),
    ):
        kind = _kind(run.get(_metadata(run), accept))
        expect(kind == wanted, f"{wanted} for {accept}", kind)
    answer = status(run.get(_metadata(run), f"*/*, {DICOM_JSON};q=0"), 200, 406)
    if answer.status == 200:
        expect(answer.content_type.name != DICOM_JSON, "no JSON, which has q=0", DICOM_JSON)


@check("negotiation", Level.MUST, "PS3.18 8.7.8.1", "NEG-01", "image/* is any picture there is")
def wildcard_of_a_type(run: Run) -> None:
    kind = _kind(run.get(f"{run.stored('ct')[0].path}/rendered", "image/*"))
    expect(kind.startswith("image/"), "a picture", kind)


@check(
    "negotiation",
    Level.MAY,
    "PS3.18 8.7.3",
    "NEG-05",
    "multipart/related without a type is the resource's default",
)
def no_type(run: Run) -> None:
    item = run.stored("ct")[0]
    answer = run.get(item.path, "multipart/related")
    if answer.status in (400, 406):
        raise NotOffered("multipart/related without a type")
    parts_of(status(answer, 200), DICOM)


@check(
    "negotiation",
    Level.MAY,
    "RFC 2387",
    "NEG-07, trap 4",
    "A type that has swallowed the transfer syntax is understood, or is 406",
)
def swallowed_syntax(run: Run) -> None:
    [item] = run.stored("jpeg")
    accept = f'multipart/related; type="image/jpeg; transfer-syntax={JPEGBaseline8Bit}"'
    answer = run.get(f"{item.path}/frames/1", accept)
    if answer.status in (400, 406):
        raise NotOffered("types with a parameter within them")
    part = only(parts_of(status(answer, 200), "image/jpeg"), "part")
    expect(part.body.rstrip(b"\0") in item.dataset.PixelData, "the stored image", "another")


@check("negotiation", Level.SHOULD, "PS3.18 8.7.8.1", "NEG-10", "A browser gets the default type")
def browsers(run: Run) -> None:
    kind = _kind(run.get(_metadata(run), _BROWSER))
    expect(kind == DICOM_JSON, DICOM_JSON, kind)


@check("negotiation", Level.SHOULD, "PS3.18 8.7.8.1", "NEG-11", "406 tells what can be had")
def list_of_406(run: Run) -> None:
    answer = run.get(_metadata(run), "image/x-suite")
    if answer.status != 406:
        raise Undecided("the status is not 406: see metadata.not-acceptable")
    expect(b"dicom" in answer.decoded, "the available media types in the body", answer.body[:200])


# --- character sets ------------------------------------------------------------------------------


@check(
    "negotiation",
    Level.MUST,
    "PS3.18 8.4.1, 8.8.1",
    "1.10, CHR-01",
    "Accept-Charset with UTF-8 gives UTF-8, whatever else it names",
)
def accept_charset(run: Run) -> None:
    [item] = run.stored("latin")
    for charset in ("utf-8", "UTF-8, iso-8859-1;q=0.5", "iso-8859-1;q=0.9, *;q=0.5, utf-8"):
        header = ("Accept-Charset", charset)
        found = datasets_of(run.ok(f"{item.path}/metadata", DICOM_JSON, header))
        text = value_of(found[0], "00081030")
        expect(text == "Genève, été", f"the text, for {charset}", text)
        answer = run.ok(f"{item.path}/metadata", multipart(DICOM_XML), header)
        part = only(parts_of(answer, DICOM_XML), "part")
        expect("Genève, été".encode() in part.body, f"the text in XML, for {charset}", "another")
        keys = query([("StudyInstanceUID", item.study)])
        status(run.get(f"studies?{keys}", DICOM_JSON, header), 200)
        status(run.get(f"{item.path}/rendered", "image/jpeg", header), 200)


@check(
    "negotiation",
    Level.MUST,
    "PS3.18 8.8.1, RFC 9110 12.5.2",
    "1.10",
    "A character set that nobody has is ignored, or 406",
)
def unknown_charset(run: Run) -> None:
    path = f"{run.stored('latin')[0].path}/metadata"
    answer = status(run.get(path, DICOM_JSON, ("Accept-Charset", "x-suite")), 200, 406)
    if answer.status == 200:
        text = value_of(datasets_of(answer)[0], "00081030")
        expect(text == "Genève, été", "the text in UTF-8", text)


@check(
    "negotiation",
    Level.MUST,
    "PS3.18 8.3.3.2",
    "1.10",
    "The parameter charset is taken, and UTF-8 is among what it can name",
)
def charset_parameter(run: Run) -> None:
    path = f"{run.stored('latin')[0].path}/metadata?charset=utf-8"
    text = value_of(datasets_of(run.ok(path, DICOM_JSON))[0], "00081030")
    expect(text == "Genève, été", "the text in UTF-8", text)


@check(
    "negotiation",
    Level.MUST,
    "PS3.18 8.8, PS3.5 6.1",
    "CHR-02",
    "Files keep their text in a character set that they tell",
)
def text_of_files(run: Run) -> None:
    [item] = run.stored("latin")
    _, parts = instances(run, item.path)
    text = read(parts[0].body).StudyDescription
    expect(text == "Genève, été", "the text, as the file's character set has it", text)


# --- transfer syntaxes ---------------------------------------------------------------------------


@check(
    "negotiation",
    Level.MUST,
    "PS3.18 8.7.7, 8.7.3.5.2",
    "NEG-04, TS-02, trap 6",
    "*/* means the default type in its default syntax, not what is stored",
)
def wildcard_is_no_syntax(run: Run) -> None:
    [item] = run.stored("rle")
    parts = parts_of(run.ok(item.path, "*/*"), DICOM)
    syntax = syntax_of(read(only(parts, "part").body))
    expect(syntax == ELE, f"transfer syntax {ELE}", syntax)


@check(
    "negotiation",
    Level.SHOULD,
    "PS3.18 8.7.3.5.2, 8.7.2",
    "TS-01, trap 9",
    "Parts name one transfer syntax, without quotes",
)
def unquoted_syntax(run: Run) -> None:
    [item] = run.stored("rle")
    for syntax in (ELE, ANY):
        _, parts = instances(run, item.path, syntax)
        text = parts[0].header("Content-Type")
        if "transfer-syntax=" not in text.lower():
            raise Undecided("it is not named: see retrieve.named-syntax")
        expect('transfer-syntax="' not in text.lower(), "no quotes around it", text)


@check(
    "negotiation",
    Level.MUST,
    "PS3.18 8.7.3.5.2",
    "TS-04, TS-05",
    "What was stored with loss comes decoded, or as stored, and tells of the loss",
)
def lossy_original(run: Run) -> None:
    [item] = run.stored("jpeg")
    _, parts = instances(run, item.path)
    dataset = read(only(parts, "part").body)
    syntax = syntax_of(dataset)
    expect(syntax in (ELE, JPEGBaseline8Bit), f"{ELE} or {JPEGBaseline8Bit}", syntax)
    lossy = dataset.get("LossyImageCompression")
    expect(lossy == "01", "LossyImageCompression 01", lossy)
    wanted = item.dataset.pixel_array[..., 0].astype(int)
    worst = int(np.abs(dataset.pixel_array[..., 0].astype(int) - wanted).max())
    expect(worst <= 4, "the pixels that the stored image has", f"{worst} levels off")


@check(
    "negotiation",
    Level.SHOULD,
    "PS3.18 8.7.3.5.2, Table 8.7.3-5",
    "TS-06",
    "A type without a syntax never loses anything of what was stored without loss",
)
def never_lossy(run: Run) -> None:
    [item] = run.stored("rle")
    answer = run.get(f"{item.path}/frames/1", multipart("image/jpeg"))
    if answer.status == 406:
        return
    part = only(parts_of(status(answer, 200), "image/jpeg"), "part")
    named = part.content_type.parameters.get("transfer-syntax")
    expect(named in _LOSSLESS_OF_JPEG, "JPEG without loss, the default of image/jpeg", named)
    expect(b"\xff\xc3" in part.body, "a lossless process (SOF3) in the code stream", "another")


@check(
    "negotiation",
    Level.MAY,
    "PS3.5 7.1.2, PS3.18 8.7.3.5.2",
    "TS-07",
    "Values that are too long for Explicit VR become UN, and are whole",
)
def long_values(run: Run) -> None:
    [item] = run.stored("implicit")
    _, parts = instances(run, item.path)
    dataset = read(only(parts, "part").body)
    contour = dataset.ROIContourSequence[0].ContourSequence[0]
    value = contour["ContourData"].value
    text = value if isinstance(value, bytes) else "\\".join(map(str, value)).encode()
    expect(text.rstrip() == "\\".join(LONG).encode(), "all 9000 values", f"{len(text)} bytes")


@check(
    "negotiation",
    Level.MAY,
    "PS3.18 8.7.3.5.2",
    "TS-08",
    "What was stored deflated comes in Explicit VR Little Endian",
)
def deflated(run: Run) -> None:
    [item] = run.stored("deflated")
    _, parts = instances(run, item.path)
    dataset = read(only(parts, "part").body)
    expect(syntax_of(dataset) == ELE, f"transfer syntax {ELE}", syntax_of(dataset))
    expect(dataset.PixelData == item.dataset.PixelData, "the same pixels", "others")


@check(
    "negotiation",
    Level.MUST,
    "PS3.18 Table 8.7.3-5",
    "TS-11, BLK-03",
    "Pixel data without compression are one value of all frames",
)
def one_value(run: Run) -> None:
    for kind in ("frames", "rle"):
        [item] = run.stored(kind)
        answer = octets(run, item)
        wanted = item.dataset.pixel_array.tobytes()
        sizes = [len(part.body) for part in parts_of(answer, OCTETS)]
        expect(len(wanted) in sizes, f"a part of {len(wanted)} bytes", sizes)


@check(
    "negotiation",
    Level.MAY,
    "PS3.18 8.7.3.5.2, Table 8.7.3-5",
    "TS-11, BLK-03",
    "Compressed pixel data are a part for each frame",
)
def part_for_each_frame(run: Run) -> None:
    [item] = run.stored("rle")
    answer = run.get(f"{item.path}/frames/1,2,3", multipart("image/dicom-rle"))
    if answer.status in (400, 406):
        raise NotOffered("frames as image/dicom-rle")
    parts = parts_of(status(answer, 200), "image/dicom-rle")
    expect(len(parts) == 3, "three parts", len(parts))
    for part in parts:
        expect(part.body[:1] == b"\1", "one RLE segment", part.body[:4])
        expect(part.body in item.dataset.PixelData, "the frame as it was stored", len(part.body))
