"""Hostile queries, lists, headers and paths of requests that read (items 49 to 55)."""

import re
from collections.abc import Collection
from urllib.parse import quote

import pytest

from tests.hostile.judging import MIB, Judge
from tests.hostile.made import image

OK = (200, 204)

# --- items 49 and 50: searches ------------------------------------------------------------------

QUERIES: dict[str, tuple[str, Collection[int]]] = {
    "49 10,000 parameters": ("&".join(["x=1"] * 10_000), (400,)),
    "49 1000 match keys": ("&".join(f"{n:08x}=1" for n in range(0x00100000, 0x001003E8)), (400,)),
    "49 unknown tags": ("00091001=x&00990010=y&7FE10010=z", (*OK, 400)),
    "49 a path of 50 tags": (".".join(["ContentSequence"] * 50) + "=1", (400,)),
    "49 limit -1": ("limit=-1", (400,)),
    "49 limit 10^5000": ("limit=" + "9" * 5000, OK),
    "49 offset 10^12": ("offset=1000000000000", (204,)),
    "49 offset -1": ("offset=-1", (400,)),
    "49 includefield 5000 times": ("&".join(["includefield=PatientName"] * 5000), (400, 414)),
    "49 5000 included fields": (
        "includefield=" + ",".join(f"{n:08x}" for n in range(0x00100000, 0x00101388)),
        (*OK, 400),
    ),
    "49 a value of 60,000 characters": ("StudyDescription=" + "A" * 60_000, (400, 414)),
    "49 a name of 60,000 characters": ("A" * 60_000 + "=1", (*OK, 400, 414)),
    "50 stars": ("StudyDescription=" + "*" * 5000, (*OK, 400)),
    "50 stars and letters": ("StudyDescription=" + "*a" * 400 + "*b", (*OK, 400)),
    "50 question marks": ("StudyDescription=" + "?*" * 500, (*OK, 400)),
    "50 a regular expression": ("StudyDescription=" + quote("(a+)+$"), (204,)),
    "50 LIKE": ("StudyDescription=" + quote("%_%_\\"), (204, 400)),
    "50 NUL": ("StudyDescription=a%00b", (400,)),
    "50 NUL in a name": ("Study%00Description=a", (400,)),
    "50 SQL": ("StudyDescription=" + quote("' OR 1=1; DROP TABLE studies; --"), (204,)),
    "50 no UTF-8": ("StudyDescription=%ff%fe", (400,)),
    "50 half an escape": ("StudyDescription=%4", (400,)),
    "50 fuzzy nonsense": ("PatientName=" + quote("^=^" * 50) + "&fuzzymatching=true", (*OK, 400)),
    "50 wildcards in sequences": ("RequestAttributesSequence.*=*", (*OK, 400)),
}


@pytest.mark.parametrize("name", QUERIES)
def test_a_hostile_query(judge: Judge, name: str) -> None:
    query, allowed = QUERIES[name]
    for resource in ("studies", "instances"):
        if len(query) < 65_000:
            judge.ask("GET", f"{resource}?{query}", (*allowed, 431), echo=query)
            continue
        line = f"GET /dicomweb/{resource}?{query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        judge.raw(line.encode(), (*allowed, 0, 431))  # httpx sends none that is so long


# --- item 51: lists of frames -------------------------------------------------------------------

FRAMES: dict[str, tuple[str, Collection[int]]] = {
    "the same a million times": ("1," * 1_000_000 + "1", (0, 400, 414, 431)),
    "the same 10,000 times": ("1," * 9_999 + "1", (400,)),
    "0": ("0", (400,)),
    "-1": ("-1", (400,)),
    "one beyond": ("2", (404,)),
    "the first and one beyond": ("1,2", (404,)),
    "leading zeros": ("0001", (200, 400)),
    "a range": ("1-3", (400,)),
    "empty": (",", (400,)),
    "2^64": ("18446744073709551616", (400, 404)),
    "1_0": ("1_0", (400,)),
    "digits of another script": ("%D9%A1", (400,)),
    "a fraction": ("1.0", (400,)),
    "plus": ("+1", (400,)),
    "a space": ("1,%201", (400,)),
}


@pytest.mark.parametrize("name", FRAMES)
def test_a_hostile_list_of_frames(judge: Judge, name: str) -> None:
    frames, allowed = FRAMES[name]
    path = f"/dicomweb/{judge.control.path}/frames/{frames}"
    line = f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
    judge.raw([line[at : at + MIB] for at in range(0, len(line), MIB)], allowed)


# --- items 52 and 53: Accept and Range ----------------------------------------------------------

ACCEPTS: dict[str, str] = {
    "alternatives by the thousand": ", ".join(
        f'multipart/related; type="a/b{n}"; q=0.{n % 1000:03}' for n in range(1_000)
    ),
    "thousands of commas": "," * 30_000,
    "quotes that do not end": 'multipart/related; type="application/dicom',
    "escapes that do not end": 'multipart/related; type="a\\',
    "backslashes": 'application/dicom; a="' + "\\" * 20_000 + '"',
    "odd weights": "application/dicom;q=NaN, */*;q=1e9, image/jpeg;q=-1, a/b;q=1_0, c/d;q=\xb2",
    "no weights": "application/dicom;q, */*;q=, image/jpeg;q=;q=;q=",
    "parameters by the thousand": "application/dicom" + ";a=b" * 10_000,
    "a transfer syntax that is a path": "application/dicom; transfer-syntax=../../etc/passwd",
    "a transfer syntax of 10,000 characters": "application/dicom; transfer-syntax=" + "1." * 5000,
    "letters of another script": "application/d\xefcom, \xff\xfe/*",
    "spaces": ", " * 15_000 + "*/*",
}


@pytest.mark.parametrize("name", ACCEPTS)
def test_a_hostile_accept(judge: Judge, name: str) -> None:
    value = ACCEPTS[name].encode("latin-1")
    for resource in ("", "/metadata", "/frames/1", "/rendered"):
        headers = [(b"Accept", value)]
        allowed = (200, 400, 406, 431)
        judge.ask("GET", f"{judge.control.path}{resource}", allowed, headers=headers)
    judge.ask("GET", "studies?limit=1", (200, 400, 406, 431), headers=[(b"Accept-Encoding", value)])


RANGES: dict[str, str] = {
    "10,000 ranges": "bytes=" + ",".join(f"{n}-{n}" for n in range(0, 20_000, 2)),
    "100 ranges": "bytes=" + ",".join(f"{n}-{n}" for n in range(0, 200, 2)),
    "ranges that overlap": "bytes=" + ",".join(["0-"] * 1_000),
    "ranges within each other": "bytes=" + ",".join(f"{n}-{500 - n}" for n in range(200)),
    "backwards": "bytes=100-0",
    "a suffix beyond all": "bytes=-99999999999999999",
    "a suffix of nothing": "bytes=-0",
    "beyond the end": "bytes=99999999999-",
    "numbers beyond all": "bytes=" + "9" * 1_000 + "-",
    "1_0": "bytes=1_0-2_0",
    "digits of another script": "bytes=\xb2-\xb3",
    "another unit": "frames=1-2",
    "nothing": "bytes=",
    "negative": "bytes=--5",
    "hexadecimal": "bytes=0x0-0xff",
}


@pytest.mark.parametrize("name", RANGES)
def test_a_hostile_range(judge: Judge, name: str) -> None:
    """The answer is never more than the whole, and a little for each of a few parts."""
    headers = [(b"Range", RANGES[name].encode("latin-1")), (b"Accept", b"application/dicom")]
    for path in (judge.control.path, f"{judge.control.path}/bulkdata/7FE00010"):
        fields = headers if path == judge.control.path else headers[:1]
        got = judge.ask("GET", path, (200, 206, 400, 416, 431), headers=fields)
        assert len(got.content) < len(judge.control.content) + 16 * 300


# --- item 54: whose host, which path ------------------------------------------------------------

SPOOFS: list[dict[str, str]] = [
    {"Host": "evil.example"},
    {"Host": "evil.example:99999"},
    {"Host": "evil.example\"'><script>"},
    {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https"},
    {"X-Forwarded-Prefix": "/evil.example", "X-Forwarded-Port": "666"},
    {"Forwarded": "host=evil.example;proto=https"},
    {"X-Original-URL": "/evil.example", "X-Rewrite-URL": "/evil.example"},
    {"Origin": "null"},
    {"Origin": "https://evil.example"},
]


@pytest.mark.parametrize("spoof", SPOOFS, ids=lambda each: " ".join(each))
def test_a_forged_host_is_in_no_answer(judge: Judge, spoof: dict[str, str]) -> None:
    """BLK-01: URLs are made of what is configured. Strange origins are allowed nothing."""
    study = f"studies/{judge.control.study}"
    for path in ("studies?limit=1&includefield=all", f"{study}/metadata", f"{study}/bulkdata"):
        got = judge.ask("GET", path, (200, 400, 404), headers=spoof)
        told = str(got.headers) + got.text
        assert "evil.example" not in told
        assert "access-control-allow-origin" not in got.headers
    made = image()
    kind = {"Content-Type": "application/dicom"}
    got = judge.ask(
        "POST", "studies", (200, 202, 400), content=made.content, headers={**spoof, **kind}
    )
    assert "evil.example" not in str(got.headers) + got.text


TARGETS: dict[str, tuple[str, Collection[int]]] = {
    "two slashes": ("//dicomweb//studies", (400, 404)),
    "a parameter of the path": ("/dicomweb/studies;x=1", (400, 404)),
    "an encoded slash": ("/dicomweb%2fstudies", (200, 204, 400, 404)),
    "dots": ("/dicomweb/../../../../etc/passwd", (400, 404)),
    "encoded dots": ("/dicomweb/%2e%2e/%2e%2e/etc/passwd", (400, 404)),
    "dots in OHIF": ("/ohif/..%2f..%2f..%2f..%2fetc%2fpasswd", (400, 404)),
    "backslashes in OHIF": ("/ohif/..%5c..%5c..%5cetc%5cpasswd", (400, 404)),
    "an absolute path in OHIF": ("/ohif//etc/passwd", (400, 404)),
    "NUL": ("/dicomweb/studies%00", (400, 404)),
    "no UTF-8": ("/dicomweb/%ff%fe", (400, 404)),
    "another address": ("http://evil.example/dicomweb/studies", (200, 204, 400, 404)),
    "a star": ("*", (400, 404, 405)),
    "no path": ("", (0, 400, 404)),
    "a hundred kilobytes": ("/dicomweb/" + "a" * 100_000, (0, 400, 404, 414, 431)),
    "a line break": ("/dicomweb/studies%0d%0aX-Evil:%201", (400, 404)),
}


@pytest.mark.parametrize("name", TARGETS)
def test_a_hostile_path(judge: Judge, name: str) -> None:
    target, allowed = TARGETS[name]
    line = f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answer = judge.raw(line.encode(), allowed)
    assert "root:" not in answer.text
    assert "x-evil" not in answer.headers


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND", "PATCH", "get", "G" * 5000])
def test_other_methods(judge: Judge, method: str) -> None:
    line = f"{method} /dicomweb/studies HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answer = judge.raw(line.encode(), (0, 400, 404, 405, 431, 501))
    assert "Host: x" not in answer.text  # TRACE says nothing again


@pytest.mark.parametrize("field", ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"])
def test_a_method_is_not_overridden(judge: Judge, field: str) -> None:
    """Item 54: neither by a header nor by a parameter is a GET a DELETE."""
    headers = {field: "DELETE"}
    judge.ask("GET", f"{judge.control.path}?_method=DELETE", (200,), headers=headers)
    judge.ask("POST", judge.control.path, (404, 405), headers=headers)


# --- item 55: conditions and caches -------------------------------------------------------------

CONDITIONS: list[dict[str, str]] = [
    {"If-None-Match": '"' + "a" * 20_000 + '"'},
    {"If-None-Match": ", ".join(f'"{n}"' for n in range(4_000))},
    {"If-None-Match": '"a'},
    {"If-Match": "W/"},
    {"If-Match": '"a", *'},
    {"If-Range": '"forged"', "Range": "bytes=0-1"},
    {"If-Modified-Since": "Thu, 99 Foo 99999 99:99:99 GMT"},
    {"If-Unmodified-Since": "0"},
]


@pytest.mark.parametrize("fields", CONDITIONS, ids=lambda each: next(iter(each)))
def test_forged_conditions(judge: Judge, fields: dict[str, str]) -> None:
    for resource in ("", "/metadata", "/rendered"):
        allowed = (200, 400, 412, 431)
        got = judge.ask("GET", f"{judge.control.path}{resource}", allowed, headers=fields)
        assert got.status != 200 or got.content


def test_nothing_is_kept_for_others(judge: Judge) -> None:
    """Item 55: no shared cache may keep what names a patient, or give it to who asks otherwise."""
    study = judge.control.path
    for path in ("studies?limit=1", f"{study}/metadata", study, f"{study}/rendered"):
        got = judge.ask("GET", path, (200,))
        control = got.headers["cache-control"]
        assert "private" in control or "no-store" in control
        assert "public" not in control
        assert re.search("accept", got.headers["vary"], re.IGNORECASE)
