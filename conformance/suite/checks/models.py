"""What the DICOM JSON Model says of unusual data (PS3.18 Annex F), and character sets (Annex D)."""

import json

from conformance.suite.checks.posted import bulk_part, model_of, post_parts, same, stored_as
from conformance.suite.checks.store import made, report_of
from conformance.suite.http import resolve
from conformance.suite.json_model import (
    JsonDataset,
    bulk_uris,
    datasets_of,
    inline,
    value_of,
    values_of,
)
from conformance.suite.making import new_uid
from conformance.suite.model import Deviation, Level, NotOffered, check, expect, only
from conformance.suite.multipart import parts_of
from conformance.suite.retrieving import instances, octets, read
from conformance.suite.run import DICOM_JSON, OCTETS, Run, multipart, status
from conformance.suite.shelf import Instance
from conformance.suite.texts import CHARACTER_SETS


def _metadata(run: Run, item: Instance) -> JsonDataset:
    return only(datasets_of(run.ok(f"{item.path}/metadata", DICOM_JSON)), "data set")


def _read_back(run: Run, item: Instance, file: bytes) -> JsonDataset:
    """The metadata of a file that is stored here. Raises NotOffered if it is refused."""
    answer = run.store([file])
    if answer.status == 409:
        report_of(answer)
        raise NotOffered("storing of such an instance")
    status(answer, 200, 202)
    return _metadata(run, item)


def _charsets(run: Run, wanted: dict[str, str]) -> None:
    stored = zip(CHARACTER_SETS, run.stored("charsets"), strict=True)
    for terms, item in stored:
        if terms in wanted:
            text = value_of(_metadata(run, item), "00204000")
            expect(text == wanted[terms], f"{wanted[terms]!r} of {terms}", repr(text))


@check(
    "metadata",
    Level.MUST,
    "PS3.18 F.2, PS3.3 C.12.1.1.2, PS3.18 Annex D",
    "JSN-30, 1.10, trap 22",
    "Text of every character set without escapes becomes UTF-8",
)
def single_byte_sets(run: Run) -> None:
    _charsets(run, {key: text for key, text in CHARACTER_SETS.items() if "\\" not in key})


@check(
    "metadata",
    Level.MUST,
    "PS3.18 F.2, PS3.5 6.1.2.5, PS3.18 Annex D",
    "JSN-30, 1.10",
    "Text with code extensions (ISO 2022) becomes UTF-8",
)
def code_extensions(run: Run) -> None:
    _charsets(run, {key: text for key, text in CHARACTER_SETS.items() if "\\" in key})
    item = made(run, SpecificCharacterSet=["", "ISO 2022 IR 58"], ImageComments="XXXXXXXXXX")
    written = item.file.replace(b"XXXXXXXXXX", b"\x1b$)A" + "张小东".encode("gb2312"))
    text = value_of(_read_back(run, item, written), "00204000")
    expect(text == "张小东", "'张小东' of ISO 2022 IR 58", repr(text))


@check("metadata", Level.MAY, "PS3.3 C.12.1.1.2", "JSN-30", "Latin alphabet No. 9 becomes UTF-8")
def latin_9(run: Run) -> None:
    item = made(run, SpecificCharacterSet="ISO_IR 100", ImageComments="8 \xa4, \xbcuvre")
    found = _read_back(run, item, item.file.replace(b"ISO_IR 100", b"ISO_IR 203"))
    text = value_of(found, "00204000")
    if text != "8 €, Œuvre":
        raise NotOffered("ISO_IR 203")


@check(
    "metadata",
    Level.MUST,
    "RFC 8259 8.1",
    "JSN-33",
    "Bytes that are no text in the set which is told leave the JSON whole",
)
def undecodable_text(run: Run) -> None:
    item = made(run, ImageComments="XXXXXXXX")
    found = _read_back(run, item, item.file.replace(b"XXXXXXXX", b"ab\xff\xfe\xc3(cd"))
    text = value_of(found, "00204000")
    expect(isinstance(text, str) and text.startswith("ab"), "the text that can be read", text)
    part = only(instances(run, item.path)[1], "part")
    expect(b"ab\xff\xfe\xc3(cd" in part.body, "the stored bytes in the file", "others")


@check(
    "metadata",
    Level.MUST,
    "PS3.5 6.1.2.3, 6.4",
    "JSN-07, JSN-34",
    "A backslash parts values, also where the character set shows a yen sign",
)
def backslash_of_ir_13(run: Run) -> None:
    item = made(run, SpecificCharacterSet="ISO_IR 13", OtherPatientNames=["Ichi", "Ni"])
    names = values_of(_read_back(run, item, item.file), "00101001")
    expect([one.get("Alphabetic") for one in names] == ["Ichi", "Ni"], "two names", names)


@check(
    "metadata",
    Level.MUST,
    "PS3.18 F.2.3, PS3.5 6.2",
    "JSN-08",
    "Padding to an even length is no part of a value",
)
def padding(run: Run) -> None:
    [item] = run.stored("values")
    dataset = _metadata(run, item)
    for tag, attribute in dataset.items():
        for value in attribute.get("Value", ()):
            if isinstance(value, str):
                expect(value == value.rstrip(" \0"), f"{tag} without padding", repr(value))
    expect(value_of(dataset, "00100040") == "O", "00100040 O", value_of(dataset, "00100040"))


@check(
    "metadata",
    Level.MUST,
    "RFC 8259, PS3.18 F.2.3",
    "JSN-14, trap 21",
    "Numbers in text that are none are stored or refused, and never break the metadata",
)
def invalid_numbers(run: Run) -> None:
    item = made(run, PatientWeight="12345678", InstanceNumber="87654321")
    file = item.file.replace(b"12345678", b"1,5 kg  ").replace(b"87654321", b"@       ")
    found = _read_back(run, item, file)
    for tag, text in (("00101030", "1,5 kg"), ("00200013", "@")):
        value = value_of(found, tag)
        expect(value is None or value == text, f"{text!r} as text, or no value", repr(value))


@check(
    "metadata",
    Level.MAY,
    "PS3.5 A.1, 7.8.1; PS3.6",
    "JSN-16, trap 27",
    "Of Implicit VR: creators are LO, attributes of repeating groups have their VR",
)
def unknown_vrs(run: Run) -> None:
    [item] = run.stored("implicit")
    dataset = _metadata(run, item)
    for tag, wanted in {
        "00110010": ("LO",),
        "00111001": ("UN", "LO"),
        "60000010": ("US",),
        "60000040": ("CS",),
        "60000050": ("SS",),
        "60003000": ("OW", "OB"),
    }.items():
        vr = dataset.get(tag, {}).get("vr")
        expect(vr in wanted, f"{tag} with vr {' or '.join(wanted)}", vr)
    expect(value_of(dataset, "60000010") == 8, "8 overlay rows", value_of(dataset, "60000010"))


@check(
    "metadata",
    Level.MUST,
    "PS3.18 F.2.6",
    "JSN-12, trap 28",
    "A binary attribute without value has neither bytes nor a URI",
)
def empty_binary(run: Run) -> None:
    [item] = run.stored("nested")
    empty = _metadata(run, item).get("04000120")
    expect(empty == {"vr": "OB"}, "the vr alone", empty)


@check(
    "metadata",
    Level.MUST,
    "PS3.18 F.2.6, 10.4.1.1.5",
    "BLK-04",
    "Binary values within sequences are there, inline or at a URI of their own",
)
def nested_binary(run: Run) -> None:
    [item] = run.stored("nested")
    icon = value_of(_metadata(run, item), "00880200")
    expect(isinstance(icon, dict), "the icon's item", icon)
    pixels, wanted = icon.get("7FE00010", {}), item.dataset.IconImageSequence[0].PixelData
    if "BulkDataURI" not in pixels:
        expect("InlineBinary" in pixels, "InlineBinary or BulkDataURI", pixels)
        return
    uri = resolve(run.server.url(f"{item.path}/metadata"), pixels["BulkDataURI"])
    part = only(parts_of(run.ok(uri, multipart(OCTETS)), OCTETS), "part")
    expect(part.body == wanted, "the icon's pixels", f"{len(part.body)} other bytes")


@check(
    "metadata",
    Level.MUST,
    "PS3.18 F.2.6, Table F.2.3-1",
    "JSN-10, trap 29",
    "Look-up tables of palettes are there whole, inline or at their URI",
)
def palettes(run: Run) -> None:
    [item] = run.stored("palette")
    found = _metadata(run, item)
    for tag, keyword in (("00281201", "Red"), ("00281203", "Blue")):
        wanted = item.dataset[f"{keyword}PaletteColorLookupTableData"].value
        expect(_bytes_of(run, item, found, tag) == wanted, f"the 512 bytes of {tag}", "others")


def _bytes_of(run: Run, item: Instance, dataset: JsonDataset, tag: str) -> bytes:
    attribute = dataset.get(tag, {})
    if "InlineBinary" in attribute:
        return inline(attribute)
    if "BulkDataURI" not in attribute:
        raise Deviation(f"{tag} as InlineBinary or BulkDataURI", str(attribute)[:100])
    uri = resolve(run.server.url(f"{item.path}/metadata"), attribute["BulkDataURI"])
    return only(parts_of(run.ok(uri, multipart(OCTETS)), OCTETS), "part").body


@check(
    "metadata",
    Level.SHOULD,
    "PS3.18 8.6.1.2.1, 10.4.1.1.5",
    "BLK-02",
    "Bulk data of an instance stand under the URIs that its metadata name",
)
def uris_of_parts(run: Run) -> None:
    [item] = run.stored("nested")
    path = f"{item.path}/metadata"
    named = {resolve(run.server.url(path), u) for _, u in bulk_uris(_metadata(run, item))}
    if not named:
        raise NotOffered("bulk data by URI: all is inline")
    again = {resolve(run.server.url(path), u) for _, u in bulk_uris(_metadata(run, item))}
    expect(again == named, "the same URIs each time", "others")
    parts = parts_of(octets(run, item), OCTETS)
    located = {resolve(run.server.url(path), part.header("Content-Location")) for part in parts}
    expect(located == named, f"Content-Location {sorted(named)}", sorted(located))


# --- what is posted ------------------------------------------------------------------------------


@check(
    "posted",
    Level.MUST,
    "PS3.18 F.2, PS3.5 6.2",
    "JSN-09, JSN-32",
    "Posted text is UTF-8; in the file it is padded, in a character set that can hold it",
)
def text(run: Run) -> None:
    item, uri = made(run, StudyDescription="odd", ImageComments="x"), new_uid()
    model = model_of(item, f"https://suite.example/{uri}")
    model["00080005"] = {"vr": "CS", "Value": ["ISO_IR 100"]}
    model["00204000"] = {"vr": "LT", "Value": ["山田 été"]}
    parts = [
        (DICOM_JSON, json.dumps([model], ensure_ascii=False).encode()),
        bulk_part(f"https://suite.example/{uri}", item.dataset.PixelData),
    ]
    got = stored_as(run, post_parts(run, parts, DICOM_JSON), item)
    expect(got.ImageComments == "山田 été", "the text", repr(got.ImageComments))
    part = only(instances(run, item.path)[1], "part")
    raw = read(part.body)
    expect(raw.StudyDescription == "odd", "odd", raw.StudyDescription)
    expect(b"LO\x04\x00odd " in part.body, "a space after three letters", "another length")


@check(
    "posted",
    Level.SHOULD,
    "PS3.18 10.6.3.3, 10.5",
    "JSN-40, trap 39",
    "Attributes that only answers have do not stay in what is stored",
)
def attributes_of_answers(run: Run) -> None:
    item, uri = made(run), f"https://suite.example/{new_uid()}"
    model = model_of(item, uri)
    model["00081190"] = {"vr": "UR", "Value": ["https://elsewhere.example/studies/1"]}
    model["00201206"] = {"vr": "IS", "Value": [77]}
    model["00020010"] = {"vr": "UI", "Value": ["1.2.840.10008.1.2.1"]}
    parts = [
        (DICOM_JSON, json.dumps([dict(sorted(model.items()))]).encode()),
        bulk_part(uri, item.dataset.PixelData),
    ]
    got = stored_as(run, post_parts(run, parts, DICOM_JSON), item)
    same(got, item)
    kept = [tag for tag in (0x00081190, 0x00201206, 0x00020010) if tag in got]
    expect(not kept, "none of them", [f"{tag:08X}" for tag in kept])


@check(
    "posted",
    Level.MAY,
    "PS3.18 F.2",
    "JSN-22",
    "NaN and infinity as text become what they say, or the instance fails",
)
def unfinite(run: Run) -> None:
    item, uri = made(run), f"https://suite.example/{new_uid()}"
    model = model_of(item, uri)
    model["00189073"] = {"vr": "FD", "Value": ["NaN"]}
    parts = [
        (DICOM_JSON, json.dumps([dict(sorted(model.items()))]).encode()),
        bulk_part(uri, item.dataset.PixelData),
    ]
    answer = post_parts(run, parts, DICOM_JSON)
    if answer.status in (400, 409):
        raise NotOffered("numbers that are none")
    value = stored_as(run, answer, item).get("AcquisitionDuration")
    expect(value is not None and value != value, "not a number", value)
