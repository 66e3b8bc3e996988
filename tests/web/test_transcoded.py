"""Images encoded anew for who names a transfer syntax or a compressed type (TS-01 to TS-06)."""

import asyncio
from contextlib import nullcontext
from functools import partial
from io import BytesIO
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import pytest
from pydicom import Dataset, FileDataset, dcmread
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels import get_decoder, pixel_array
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)
from starlette.requests import Request

from dicomweb_server.dicom.encodable import LOSSLESS_TARGETS
from dicomweb_server.index.retrieve import PAGE, Location
from dicomweb_server.web import encodings
from dicomweb_server.wire.offers import ENCODED, frame_offers
from tests.make import ct_instance, small_image, small_pixels, sr_document
from tests.web.asking import DICOM, assert_problem, new_uid, parts_of, path_of, post, store

OCTETS = "application/octet-stream"
# The types of the targets that are the default of one, and of all.
DEFAULT_OF = {
    JPEGLSLossless: "image/jls",
    JPEG2000Lossless: "image/jp2",
    HTJ2KLossless: "image/jphc",
    JPEGLosslessSV1: "image/jpeg",
    RLELossless: "image/dicom-rle",
}
TYPE_OF = {**DEFAULT_OF, HTJ2KLosslessRPCL: "image/jphc"}
# Decoders of a library that is not the server's own of the syntax.
PLUGIN = {
    RLELossless: "pydicom",
    JPEGLSLossless: "gdcm",
    JPEG2000Lossless: "gdcm",
    JPEGLosslessSV1: "gdcm",
    HTJ2KLossless: "pylibjpeg",
    HTJ2KLosslessRPCL: "pylibjpeg",
}

GREY = {"bits": 12, "frames": 3, "rows": 9, "columns": 7}
SIGNED = {"bits": 16, "signed": True, "rows": 9, "columns": 7}
COLOUR = {"photometric": "RGB", "bits": 8, "frames": 2, "rows": 9, "columns": 7}
STORED: dict[str, tuple[dict[str, Any], str]] = {
    "grey": (GREY, ExplicitVRLittleEndian),
    "signed": (SIGNED, ImplicitVRLittleEndian),
    "colour": (COLOUR, ExplicitVRLittleEndian),
    "colour by plane": ({**COLOUR, "planar": 1}, ExplicitVRLittleEndian),
    "big endian": (GREY, ExplicitVRBigEndian),
    "deflated": (GREY, DeflatedExplicitVRLittleEndian),
    "RLE": (GREY, RLELossless),
    "JPEG 2000": (COLOUR, JPEG2000Lossless),
    "JPEG-LS": (SIGNED, JPEGLSLossless),
}


def uids(**given: str) -> dict[str, str]:
    names = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
    return {name: new_uid() for name in names} | given


def multi(media_type: str, syntax: str = "") -> str:
    parameter = f"; transfer-syntax={syntax}" if syntax else ""
    return f'multipart/related; type="{media_type}"{parameter}'


def ask(http: httpx.Client, path: str, accept: str, **headers: str) -> httpx.Response:
    return http.get(path, headers={"Accept": accept, **headers})


@pytest.fixture(scope="module")
def images(http: httpx.Client) -> dict[str, Dataset]:
    files = {
        name: small_image(**shape, transfer_syntax=syntax, **uids())
        for name, (shape, syntax) in STORED.items()
    }
    return dict(zip(files, store(http, *files.values()), strict=True))


def pixels_of(name: str) -> np.ndarray:
    shape = {key: value for key, value in STORED[name][0].items() if key != "planar"}
    return small_pixels(**shape)


def decoded(dataset: Dataset, codes: list[bytes], syntax: str) -> np.ndarray:
    """Code streams that came by themselves, read with the attributes of their instance."""
    alone = Dataset()
    for each in dataset.group_dataset(0x0028):
        alone.add(each)
    if syntax != RLELossless and dataset.SamplesPerPixel > 1:
        alone.PlanarConfiguration = 0
    alone.NumberOfFrames = len(codes)
    alone.PixelData = encapsulate(codes)
    alone.file_meta = type(dataset.file_meta)()
    alone.file_meta.TransferSyntaxUID = syntax
    array, _ = get_decoder(syntax).as_array(alone, raw=True, decoding_plugin=PLUGIN[syntax])
    return array


def are_same(array: np.ndarray, expected: np.ndarray) -> bool:
    return np.array_equal(array.reshape(expected.shape), expected)


CASES = [(name, target) for name, (_, stored) in STORED.items() for target in TYPE_OF
         if target != stored]  # fmt: skip
each_case = pytest.mark.parametrize(("name", "target"), CASES)


def test_every_lossless_target_is_offered_and_no_other() -> None:
    assert set(ENCODED) == set(LOSSLESS_TARGETS) == set(TYPE_OF)


@each_case
def test_frames(http: httpx.Client, images: dict[str, Dataset], name: str, target: str) -> None:
    image, pixels = images[name], pixels_of(name)
    count = int(image.get("NumberOfFrames", 1))
    numbers = list(range(count, 0, -1))
    path = f"{path_of(image)}/frames/{','.join(map(str, numbers))}"
    answers = [ask(http, path, multi(TYPE_OF[target], target))]
    if target in DEFAULT_OF:  # TS-02
        answers.append(ask(http, path, multi(TYPE_OF[target])))
    for answer in answers:
        assert answer.status_code == 200, answer.text
        parts = parts_of(answer)
        codes = [code for _, code in parts]
        for number, (fields, code) in zip(numbers, parts, strict=True):
            assert fields["Content-Type"] == f"{TYPE_OF[target]}; transfer-syntax={target}"
            assert int(fields["Content-Length"]) == len(code)
            assert fields["Content-Location"].endswith(f"/frames/{number}")
        expected = pixels[::-1] if count > 1 else pixels
        assert are_same(decoded(image, codes, target), expected)

    one = ask(http, f"{path_of(image)}/frames/1", f"{TYPE_OF[target]}; transfer-syntax={target}")
    assert one.headers["content-type"] == f"{TYPE_OF[target]}; transfer-syntax={target}"
    assert one.content == codes[-1]


@each_case
def test_pixel_data(http: httpx.Client, images: dict[str, Dataset], name: str, target: str) -> None:
    image, pixels = images[name], pixels_of(name)
    for below in ("bulkdata/7FE00010", "pixeldata"):
        answer = ask(http, f"{path_of(image)}/{below}", multi(TYPE_OF[target], target))
        assert answer.status_code == 200, answer.text
        parts = parts_of(answer)
        assert len(parts) == int(image.get("NumberOfFrames", 1))  # TS-11
        for fields, _ in parts:
            assert fields["Content-Type"] == f"{TYPE_OF[target]}; transfer-syntax={target}"
            assert fields["Content-Location"].endswith("/bulkdata/7FE00010")
        assert are_same(decoded(image, [code for _, code in parts], target), pixels)


@each_case
def test_instances(http: httpx.Client, images: dict[str, Dataset], name: str, target: str) -> None:
    image = images[name]
    answer = ask(http, path_of(image), f"{DICOM}; transfer-syntax={target}")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == f"{DICOM}; transfer-syntax={target}"
    made = dcmread(BytesIO(answer.content))
    assert made.file_meta.TransferSyntaxUID == target
    assert made.file_meta.MediaStorageSOPInstanceUID == image.SOPInstanceUID
    assert are_same(pixel_array(made, raw=True, decoding_plugin=PLUGIN[target]), pixels_of(name))
    assert made.SOPInstanceUID == image.SOPInstanceUID
    assert "LossyImageCompression" not in made  # TS-06

    many = ask(http, path_of(image), multi(DICOM, target))
    [(fields, file)] = parts_of(many)
    assert fields["Content-Type"] == f"{DICOM}; transfer-syntax={target}"
    assert file == answer.content


def test_a_ct_and_its_frame(http: httpx.Client) -> None:
    [image] = store(http, ct_instance(study_uid=new_uid(), series_uid=new_uid(), sop_uid=new_uid()))
    answer = ask(http, path_of(image), f"{DICOM}; transfer-syntax={HTJ2KLosslessRPCL}")
    made = dcmread(BytesIO(answer.content))
    array = pixel_array(made, raw=True, decoding_plugin="pylibjpeg")
    assert np.array_equal(array, pixel_array(image, raw=True))
    code = ask(
        http, f"{path_of(image)}/frames/1", f"image/jphc; transfer-syntax={HTJ2KLosslessRPCL}"
    )
    assert code.content == next(generate_frames(made.PixelData, number_of_frames=1))


def test_what_was_lost_before_stays_told(http: httpx.Client) -> None:
    """A lossy original in a lossless syntax is as lossy as before, and loses no more."""
    file = small_image(photometric="YBR_FULL_422", bits=8, rows=16, columns=16, **uids(),
                       transfer_syntax=JPEGBaseline8Bit, LossyImageCompression="01")  # fmt: skip
    [image] = store(http, file)
    plain = dcmread(BytesIO(ask(http, path_of(image), DICOM).content))
    made = ask(http, path_of(image), f"{DICOM}; transfer-syntax={JPEGLSLossless}")
    made_of = dcmread(BytesIO(made.content))
    assert made_of.LossyImageCompression == "01"
    assert np.array_equal(pixel_array(made_of, raw=True), pixel_array(plain, raw=True))
    frame = f"{path_of(image)}/frames/1"
    own = ask(http, frame, "image/jpeg")  # the stored one of the type
    assert own.headers["content-type"] == f"image/jpeg; transfer-syntax={JPEGBaseline8Bit}"
    other = ask(
        http, f"{path_of(image)}/frames/1", f"image/jpeg; transfer-syntax={JPEGLosslessSV1}"
    )
    assert other.headers["content-type"] == f"image/jpeg; transfer-syntax={JPEGLosslessSV1}"


# ------------------------------------------------------------------------- what is not encoded


@pytest.mark.parametrize("name", ["grey", "RLE", "JPEG 2000"])
def test_who_names_nothing_has_it_decoded_and_any_syntax_is_the_stored(
    http: httpx.Client, images: dict[str, Dataset], name: str
) -> None:
    image, stored = images[name], STORED[name][1]
    path = path_of(image)
    for accept in (DICOM, f"{DICOM};q=0.5, image/jls;q=0.1"):
        answer = ask(http, path, accept)
        assert (
            answer.headers["content-type"] == f"{DICOM}; transfer-syntax={ExplicitVRLittleEndian}"
        )
    answer = ask(http, path, f"{DICOM}; transfer-syntax=*")  # TS-03
    assert answer.headers["content-type"] == f"{DICOM}; transfer-syntax={stored}"
    for accept in ("*/*", f"{multi('image/jls')};q=0.5, {multi(OCTETS)}"):
        [(fields, _)] = parts_of(ask(http, f"{path}/frames/1", accept))
        assert fields["Content-Type"] == f"{OCTETS}; transfer-syntax={ExplicitVRLittleEndian}"


@pytest.mark.parametrize("lossy", [JPEGBaseline8Bit, JPEGLSNearLossless])
def test_ts_06_nothing_is_lost_by_negotiation(
    http: httpx.Client, images: dict[str, Dataset], lossy: str
) -> None:
    path = path_of(images["grey"])
    assert_problem(ask(http, path, f"{DICOM}; transfer-syntax={lossy}"), 406)
    kind = "image/jpeg" if lossy == JPEGBaseline8Bit else "image/jls"
    for below in ("frames/1", "pixeldata"):
        accept = multi(kind, lossy)
        problem = assert_problem(ask(http, f"{path}/{below}", accept), 406)
        assert lossy not in str(problem["available"])


def test_what_cannot_be_encoded_is_406_and_says_what_can(http: httpx.Client) -> None:
    """Single bits go in none of the syntaxes, 32 bits neither; what is no image has no pixels."""
    bits = small_image(bits=1, **uids())
    large = small_image(bits=32, **uids())
    coded = small_image(photometric="YBR_FULL", bits=8, **uids())
    for image in store(http, bits, large):
        path = path_of(image)
        problem = assert_problem(ask(http, path, f"{DICOM}; transfer-syntax={JPEGLSLossless}"), 406)
        assert not any(uid in str(problem["available"]) for uid in ENCODED)
        assert f"{DICOM}; transfer-syntax=*" in problem["available"]
        for below in ("frames/1", "bulkdata/7FE00010"):
            problem = assert_problem(ask(http, f"{path}/{below}", multi("image/jls")), 406)
            assert multi(OCTETS) in problem["available"]
            answer = ask(http, f"{path}/{below}", f"{multi('image/jls')}, */*;q=0.1")
            [(fields, _)] = parts_of(answer)
            assert fields["Content-Type"] == f"{OCTETS}; transfer-syntax={ExplicitVRLittleEndian}"
    [image] = store(http, coded)
    problem = assert_problem(ask(http, f"{path_of(image)}/frames/1", multi("image/png")), 406)
    assert multi("image/dicom-rle") in problem["available"]  # what could be had instead
    [report] = store(http, sr_document(**uids()))
    accept = f"{DICOM}; transfer-syntax={JPEGLSLossless}"
    problem = assert_problem(ask(http, path_of(report), accept), 406)
    assert problem["available"]


def test_native_values_that_are_not_encoded_after_all_go_as_they_are(
    http: httpx.Client, images: dict[str, Dataset]
) -> None:
    """Several frames are several parts if they are encoded, and one value if not (TS-11)."""
    path = f"{path_of(images['grey'])}/bulkdata/7FE00010"
    answer = ask(http, path, f"image/jls, {OCTETS};q=0.5")
    assert answer.headers["content-type"] == f"{OCTETS}; transfer-syntax={ExplicitVRLittleEndian}"
    assert answer.content == ask(http, path, OCTETS).content
    assert answer.headers["etag"] == ask(http, path, OCTETS).headers["etag"]
    assert_problem(ask(http, path, "image/jls"), 406)


def test_frames_that_are_not_what_is_told_are_refused(http: httpx.Client) -> None:
    dataset = dcmread(BytesIO(small_image(transfer_syntax=RLELossless, **uids())))
    dataset.PixelData = encapsulate([b"no code stream of any kind" * 4])
    out = BytesIO()
    dataset.save_as(out)
    post(http, [out.getvalue()])
    path = path_of(dataset)
    for below, accept in (
        ("", f"{DICOM}; transfer-syntax={JPEGLSLossless}"),
        ("", multi(DICOM, JPEGLSLossless)),
        ("/frames/1", multi("image/jls")),
        ("/pixeldata", multi("image/jls")),
    ):
        assert_problem(ask(http, path + below, accept), 406)


@pytest.mark.parametrize(
    ("stored", "accept", "read"),
    [
        (ExplicitVRLittleEndian, "*/*", False),
        (ExplicitVRLittleEndian, multi(OCTETS, "*"), False),
        (ExplicitVRLittleEndian, f"image/jls;q=0.5, {OCTETS}", False),
        (ExplicitVRLittleEndian, "image/jls", True),
        (JPEGLSLossless, f"image/jls; transfer-syntax={JPEGLSLossless}", False),
        (JPEGLSLossless, "image/*", False),
        (JPEGLSLossless, "image/jp2", True),
        (JPEGLSLossless, "image/png", True),  # to say what could be had
    ],
)
def test_attributes_are_only_read_for_who_asks_for_what_is_encoded(
    stored: str, accept: str, read: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Read(Exception):
        pass

    async def encodings_of(*_: object) -> None:
        raise Read

    monkeypatch.setattr(encodings, "encodings_of", encodings_of)
    archive = SimpleNamespace(settings=SimpleNamespace(lossy_quality=0))
    monkeypatch.setattr(encodings, "archive_of", lambda _: archive)
    scope = {"type": "http", "query_string": b"", "headers": [(b"accept", accept.encode())]}
    location = Location("1", "2", "3", "4", stored, "", 0, b"", 0)
    offers = partial(frame_offers, stored, single=True)
    choosing = encodings.choice_and_encodings(Request(scope), location, offers)
    with pytest.raises(Read) if read else nullcontext():
        asyncio.run(choosing)


# -------------------------------------------------------------------------- tags and ranges


@pytest.mark.parametrize("below", ["", "/frames/1", "/bulkdata/7FE00010"])
@pytest.mark.parametrize("many", [True, False])
def test_a_tag_of_each_syntax(
    http: httpx.Client, images: dict[str, Dataset], below: str, many: bool
) -> None:
    image = images["signed"]
    tags = set()
    for target in [ExplicitVRLittleEndian, *TYPE_OF]:
        kind = DICOM if not below else TYPE_OF.get(target, OCTETS)
        accept = multi(kind, target) if many else f"{kind}; transfer-syntax={target}"
        answer = ask(http, path_of(image) + below, accept)
        assert answer.status_code == 200
        if many and not below and target == ExplicitVRLittleEndian:
            continue  # rewritten: it has none
        tag = answer.headers["etag"]
        tags.add(tag)
        again = ask(http, path_of(image) + below, accept)
        assert (again.headers["etag"], again.content) == (tag, answer.content)
        assert (
            ask(http, path_of(image) + below, accept, **{"If-None-Match": tag}).status_code == 304
        )
        if not many:
            some = ask(http, path_of(image) + below, accept, Range="bytes=3-9")
            assert (some.status_code, some.content) == (206, answer.content[3:10])
    assert len(tags) == len(TYPE_OF) + (0 if many and not below else 1)


def test_res_06_nothing_is_encoded_for_head(http: httpx.Client) -> None:
    """Damaged pixel data show it: they would be refused."""
    dataset = dcmread(BytesIO(small_image(transfer_syntax=RLELossless, **uids())))
    dataset.PixelData = encapsulate([b"no code stream of any kind" * 4])
    out = BytesIO()
    dataset.save_as(out)
    post(http, [out.getvalue()])
    path = path_of(dataset)
    for accept in (f"{DICOM}; transfer-syntax={JPEGLSLossless}", multi(DICOM, JPEGLSLossless)):
        answer = http.head(path, headers={"Accept": accept})
        assert answer.status_code == 200
        assert not answer.content
        tag = answer.headers["etag"]
        unchanged = http.head(path, headers={"Accept": accept, "If-None-Match": tag})
        assert unchanged.status_code == 304
    series = http.head(path_of(dataset, 1), headers={"Accept": multi(DICOM, JPEGLSLossless)})
    assert series.status_code == 200
    assert series.headers["content-type"].startswith(f'multipart/related; type="{DICOM}"; b')


@pytest.mark.parametrize("many", [False, True])
def test_res_06_head_of_what_is_encoded_has_the_headers_of_get(
    http: httpx.Client, images: dict[str, Dataset], many: bool
) -> None:
    kind = multi(DICOM, JPEGLSLossless) if many else f"{DICOM}; transfer-syntax={JPEGLSLossless}"
    whole = ask(http, path_of(images["grey"]), kind)
    head = http.head(path_of(images["grey"]), headers={"Accept": kind})
    apart = {"content-length", "transfer-encoding", "date", "x-request-id"}
    told = [
        {name: text for name, text in answer.headers.items() if name not in apart}
        for answer in (whole, head)
    ]
    assert told[0] == told[1]


# ------------------------------------------------------------------------ several instances


@pytest.fixture(scope="module")
def mixed(http: httpx.Client) -> list[Dataset]:
    """A series of three images in three syntaxes, one of which has only single bits."""
    shared = {name: new_uid() for name in ("StudyInstanceUID", "SeriesInstanceUID")}
    files = [
        small_image(**GREY, InstanceNumber="1", **uids(**shared)),
        small_image(**GREY, InstanceNumber="2", transfer_syntax=JPEGLSLossless, **uids(**shared)),
        small_image(bits=1, InstanceNumber="3", **uids(**shared)),
    ]
    return store(http, *files)


def files_in(response: httpx.Response) -> list[FileDataset]:
    parts = parts_of(response)
    files = [dcmread(BytesIO(data)) for _, data in parts]
    for (fields, _), file in zip(parts, files, strict=True):
        syntax = file.file_meta.TransferSyntaxUID
        assert fields["Content-Type"] == f"{DICOM}; transfer-syntax={syntax}"
    return files


@pytest.mark.parametrize("level", [1, 2])
def test_wado_09_what_cannot_be_had_is_left_out_and_told(
    http: httpx.Client, mixed: list[Dataset], level: int
) -> None:
    for target in (JPEGLSLossless, HTJ2KLossless):
        answer = ask(http, path_of(mixed[0], level), multi(DICOM, target))
        assert answer.status_code == 206
        assert "1 of 3 instances" in answer.headers["warning"]
        files = files_in(answer)
        assert [file.InstanceNumber for file in files] == [1, 2]
        for file in files:
            assert file.file_meta.TransferSyntaxUID == target
            assert are_same(pixel_array(file, raw=True), small_pixels(**GREY))


def test_each_part_is_negotiated_by_itself(http: httpx.Client, mixed: list[Dataset]) -> None:
    path = path_of(mixed[0], 1)
    stored = mixed[2].file_meta.TransferSyntaxUID
    for second, third in (("*", stored), ("", ExplicitVRLittleEndian)):
        accept = f"{multi(DICOM, RLELossless)}, {multi(DICOM, second)};q=0.5"
        answer = ask(http, path, accept)
        assert answer.status_code == 200
        assert "warning" not in answer.headers
        syntaxes = [file.file_meta.TransferSyntaxUID for file in files_in(answer)]
        assert syntaxes == [RLELossless, RLELossless, third]


def test_what_cannot_be_encoded_after_all_goes_in_what_is_liked_next(http: httpx.Client) -> None:
    """Damage shows when the pixels are decoded: one image of a series spoils no others."""
    shared = {name: new_uid() for name in ("StudyInstanceUID", "SeriesInstanceUID")}
    images = [
        dcmread(
            BytesIO(
                small_image(
                    **GREY,
                    InstanceNumber=str(number),
                    transfer_syntax=RLELossless,
                    **uids(**shared),
                )
            )
        )
        for number in (1, 2, 3)
    ]
    images[1].PixelData = encapsulate([b"no code stream of any kind" * 4])
    for image in images:
        out = BytesIO()
        image.save_as(out)
        post(http, [out.getvalue()])
    named = multi(DICOM, JPEGLSLossless)
    answer = ask(http, path_of(images[0], 1), f"{named}, {multi(DICOM, '*')};q=0.5")
    assert answer.status_code == 200
    syntaxes = [file.file_meta.TransferSyntaxUID for file in files_in(answer)]
    assert syntaxes == [JPEGLSLossless, RLELossless, JPEGLSLossless]


def test_what_has_no_pixels_goes_as_it_is_where_that_is_accepted(http: httpx.Client) -> None:
    study = new_uid()
    [image] = store(http, small_image(**GREY, **uids(StudyInstanceUID=study)))
    store(http, sr_document(**uids(StudyInstanceUID=study)))
    answer = ask(http, path_of(image, 1), multi(DICOM, RLELossless))
    assert (answer.status_code, len(files_in(answer))) == (206, 1)
    accept = f"{multi(DICOM, RLELossless)}, {multi(DICOM)};q=0.5"
    answer = ask(http, path_of(image, 1), accept)
    assert answer.status_code == 200
    syntaxes = {file.file_meta.TransferSyntaxUID for file in files_in(answer)}
    assert syntaxes == {RLELossless, ExplicitVRLittleEndian}


def test_more_instances_than_one_statement_gives(http: httpx.Client) -> None:
    shared = {name: new_uid() for name in ("StudyInstanceUID", "SeriesInstanceUID")}
    tiny = {"bits": 8, "rows": 4, "columns": 4}
    files = [
        small_image(**tiny, transfer_syntax=RLELossless, InstanceNumber=str(n), **uids(**shared))
        for n in range(PAGE)
    ]
    last = small_image(**tiny, InstanceNumber=str(PAGE), **uids(**shared))
    images = store(http, *files, last)
    answer = ask(http, path_of(images[0], 2), multi(DICOM, RLELossless))
    assert answer.status_code == 200
    found = files_in(answer)
    assert [file.InstanceNumber for file in found] == list(range(PAGE + 1))
    assert {file.file_meta.TransferSyntaxUID for file in found} == {RLELossless}


def test_all_of_one_series_in_one_syntax(http: httpx.Client) -> None:
    shared = {name: new_uid() for name in ("StudyInstanceUID", "SeriesInstanceUID")}
    images = store(http, *(small_image(**GREY, **uids(**shared)) for _ in range(3)))
    answer = ask(http, path_of(images[0], 1), multi(DICOM, JPEG2000Lossless))
    assert answer.status_code == 200
    assert {file.file_meta.TransferSyntaxUID for file in files_in(answer)} == {JPEG2000Lossless}


def test_a_study_of_which_none_can_be_had_is_406(http: httpx.Client) -> None:
    shared = {name: new_uid() for name in ("StudyInstanceUID", "SeriesInstanceUID")}
    images = store(http, *(small_image(bits=1, **uids(**shared)) for _ in range(2)))
    path = path_of(images[0], 1)
    problem = assert_problem(ask(http, path, multi(DICOM, RLELossless)), 406)
    assert f"{multi(DICOM)}; transfer-syntax=*" in problem["available"]
    answer = ask(http, path, f"{multi(DICOM, RLELossless)}, {multi(OCTETS)};q=0.1")
    assert answer.headers["content-type"].startswith(multi(OCTETS))
