"""What all transactions share (PS3.18 chapter 8): paths, errors, warnings, caches, multipart."""

import gzip
import re

from conformance.suite.checks.store import STORED, listed, made, report_of
from conformance.suite.json_model import datasets_of
from conformance.suite.model import Deviation, Level, NotOffered, Undecided, check, expect, only
from conformance.suite.multipart import joined, parts_of
from conformance.suite.retrieving import ANY, instances, read, same_values
from conformance.suite.run import DICOM, DICOM_JSON, DICOM_XML, OCTETS, Run, multipart, status
from conformance.suite.searching import ask, own, query

_ORIGIN = ("Origin", "https://viewer.example")


# --- resources and errors ------------------------------------------------------------------------


@check("http", Level.MAY, "PS3.18 8.2", "RES-04", "A slash at the end changes nothing")
def trailing_slash(run: Run) -> None:
    path = f"{run.stored('colour')[0].path}/metadata"
    answer = run.get(f"{path}/", DICOM_JSON)
    if answer.status != 200:
        expect(answer.status < 500, "no 5xx", answer.status)
        raise NotOffered("resources with a slash at their end")
    expect(datasets_of(answer) == datasets_of(run.ok(path, DICOM_JSON)), "the same", "another")


@check(
    "http",
    Level.SHOULD,
    "PS3.18 8.5, RFC 9110 15.5",
    "ERR-01",
    "A refusal says what failed, and nothing of a patient",
)
def refusals(run: Run) -> None:
    item = run.stored("ct")[0]
    name = f"{run.shelf.token}-SECRET"
    for path in (
        f"studies?{query([('PatientID', name), ('limit', '-1')])}",
        f"{item.path}/frames/none",
        f"{item.path}/rendered?window=none",
    ):
        answer = run.get(path, "*/*")
        if not 400 <= answer.status < 500:
            continue  # for other checks to tell
        expect(answer.body, f"words with {answer.status}", "an empty body")
        expect(name.encode() not in answer.decoded, "no Patient ID in them", "one")


@check(
    "http",
    Level.MUST,
    "PS3.18 8.3.1",
    "ERR-02",
    "Query parameters that are unknown are ignored by every resource",
)
def unknown_parameters(run: Run) -> None:
    [item] = run.stored("frames")
    for path, accept in (
        (item.path, multipart(DICOM)),
        (f"{item.path}/metadata", DICOM_JSON),
        (f"{item.path}/frames/1", multipart(OCTETS)),
        (f"{item.path}/rendered", "image/jpeg"),
    ):
        answer = run.get(f"{path}?x-suite=1", accept)
        expect(answer.status == 200, f"status 200 for {path.rsplit('/', 1)[-1]}", answer.status)


@check("http", Level.SHOULD, "RFC 9110 9.3.2", "RES-06", "HEAD has the status of GET, and no body")
def head(run: Run) -> None:
    item = run.stored("ct")[0]
    for path, accept in (
        (f"{item.path}/metadata", DICOM_JSON),
        (f"{item.path}/frames/1", multipart(OCTETS)),
        (f"{item.path}/rendered", "image/jpeg"),
    ):
        answer = run.server.send("HEAD", path, [("Accept", accept)])
        if answer.status in (405, 501):
            raise NotOffered("HEAD")
        expect(answer.status == 200, "status 200", answer.status)
        wanted = run.ok(path, accept).content_type.name
        expect(answer.content_type.name == wanted, wanted, answer.header("Content-Type"))
        expect(not answer.body, "no body", len(answer.body))


@check(
    "http",
    Level.MUST,
    "PS3.18 8.3.4.4, RFC 7234 5.5",
    "WRN-01",
    "A Warning has the code 299, the service, and the text",
)
def form_of_warnings(run: Run) -> None:
    run.stored("ct")
    answer = status(ask(run, "instances", own(run, ("limit", "1"), patient="1")), 200)
    told = answer.all("Warning")
    if not told:
        raise Undecided("no Warning tells of what remains: see search.remaining")
    form = re.compile(r'299 \S+ ?"?.*There are \d+ additional results.*')
    expect(any(form.fullmatch(text) for text in told), "Warning: 299 <service>: <text>", told)


# --- caches --------------------------------------------------------------------------------------


@check(
    "http",
    Level.MAY,
    "RFC 9110 8.8.3",
    "CCH-01",
    "Representations of one resource have validators of their own",
)
def validators_differ(run: Run) -> None:
    path = f"{run.stored('ct')[0].path}/metadata"
    answers = [run.ok(path, accept) for accept in (DICOM_JSON, multipart(DICOM_XML))]
    tags = [answer.header("ETag") for answer in answers]
    if not all(tags):
        raise NotOffered("ETag of metadata")
    expect(tags[0] != tags[1], "another ETag for XML than for JSON", tags)
    other = run.get(path, multipart(DICOM_XML), ("If-None-Match", tags[0]))
    expect(other.status == 200, "200 to the validator of the other form", other.status)


@check(
    "http",
    Level.SHOULD,
    "RFC 9110 12.5.5, RFC 9111 5.2.2",
    "CCH-02, CCH-03",
    "What depends on Accept says so, and no shared cache keeps what is of a patient",
)
def caching(run: Run) -> None:
    item = run.stored("ct")[0]
    for path in (f"{item.path}/metadata", f"{item.path}/rendered", f"{item.path}/frames/1"):
        answer = run.ok(path, "*/*")
        vary = answer.header("Vary").lower()
        expect("accept" in vary or vary == "*", "Vary: Accept", vary or "none")
        control = answer.header("Cache-Control").lower()
        expect("public" not in control and "s-maxage" not in control, "not public", control)
        expect("private" in control or "no-store" in control, "private", control or "none")


@check(
    "http",
    Level.MUST,
    "RFC 9110 8.4",
    "CCH-05",
    "A body with Content-Encoding is decoded, or 415",
)
def coded_body(run: Run) -> None:
    item = made(run)
    kind, body = joined([(DICOM, item.file)], DICOM)
    headers = [("Content-Encoding", "gzip"), ("Content-Type", kind), ("Accept", DICOM_JSON)]
    answer = run.server.send("POST", "studies", headers, gzip.compress(body))
    status(answer, 200, 415)
    if answer.status == 200:
        expect(listed(report_of(answer), STORED) == {item.uid}, "the instance", "none")
    headers[0] = ("Content-Encoding", "x-suite")
    answer = run.server.send("POST", "studies", headers, body)
    expect(answer.status == 415, "415 for a coding that nobody has", answer.status)


# --- CORS ----------------------------------------------------------------------------------------


@check(
    "http",
    Level.SHOULD,
    "Fetch standard 3.2",
    "CAP-01, trap 54",
    "Refusals have the headers of CORS too, and Warning can be read",
)
def cors_of_refusals(run: Run) -> None:
    keys = query(own(run, ("limit", "1"), patient="1"))
    good = run.get(f"instances?{keys}", DICOM_JSON, _ORIGIN)
    if not good.header("Access-Control-Allow-Origin"):
        raise NotOffered("CORS for an origin that the operator has not named")
    exposed = good.header("Access-Control-Expose-Headers").lower()
    expect("warning" in exposed or exposed == "*", "Warning among what is exposed", exposed)
    for path in ("studies/2.25.1/metadata", "studies?limit=-1"):
        answer = run.get(path, DICOM_JSON, _ORIGIN)
        expect(answer.status >= 400, "a refusal", answer.status)
        allowed = answer.header("Access-Control-Allow-Origin")
        expect(allowed in ("*", _ORIGIN[1]), "Access-Control-Allow-Origin", allowed or "none")


# --- multipart -----------------------------------------------------------------------------------


@check(
    "http",
    Level.MUST,
    "RFC 2046 5.1.1",
    "MP-02, trap 16",
    "A boundary is never what stands in the data",
)
def boundary(run: Run) -> None:
    item = made(run)
    status(run.store([item.file]), 200, 202)
    first, _ = instances(run, item.path)
    known = first.content_type.parameters["boundary"]
    comments = f"\r\n--{known}\r\nContent-Type: text/plain\r\n\r\n--{known}--\r\n"
    other = made(run, ImageComments=comments, SpecificCharacterSet=None)
    other.dataset.PatientName = "Boundary^Known"
    status(run.store([other.file]), 200, 202)
    _, parts = instances(run, other.path)
    same_values(read(only(parts, "part").body), other, but=("ImageComments",))


@check(
    "http",
    Level.SHOULD,
    "PS3.18 8.6.1.2.1",
    "MP-01, MP-07, trap 15, trap 17",
    "Multipart as simple clients read it: no preamble, Content-Type so spelled, short headers",
)
def plain_multipart(run: Run) -> None:
    items = run.stored("ct")
    for path, accept in (
        (items[0].study_path, multipart(DICOM, ANY)),
        (f"{items[0].path}/frames/1", multipart(OCTETS)),
        (f"{items[0].study_path}/metadata", multipart(DICOM_XML)),
    ):
        answer = run.ok(path, accept)
        parts = parts_of(answer)
        begin = b"--" + answer.content_type.parameters["boundary"].encode() + b"\r\n"
        expect(answer.decoded.startswith(begin), "no preamble", answer.decoded[:40])
        for part in parts:
            names = [name for name, _ in part.headers]
            expect("Content-Type" in names, "Content-Type in each part, so spelled", names)
            size = sum(len(name) + len(value) + 4 for name, value in part.headers)
            expect(size <= 1000, "at most 1000 bytes of headers", size)


@check(
    "http",
    Level.SHOULD,
    "PS3.18 8.6.1.2.1",
    "MP-09",
    "Renderings in parts name what they are of",
)
def locations_of_renderings(run: Run) -> None:
    item = run.stored("ct")[0]
    answer = run.get(f"{item.series_path}/rendered", multipart("image/jpeg"))
    if answer.status != 200:
        raise Undecided("a series is not rendered: see rendered.several-instances")
    for part in parts_of(answer):
        location = part.header("Content-Location")
        expect(item.series in location, "a Content-Location below the series", location or "none")


@check("http", Level.MAY, "PS3.18 10.4.4", "WADO-11", "Parts have the same order each time")
def order_of_parts(run: Run) -> None:
    path = run.stored("ct")[0].study_path
    orders = []
    for _ in range(3):
        _, parts = instances(run, path, ANY)
        orders.append([str(read(part.body).SOPInstanceUID) for part in parts])
    if orders[0] != orders[1] or orders[0] != orders[2]:
        raise Deviation("one order", "another each time")


@check("http", Level.MAY, "RFC 2387 3.2", "MP-04", "start names the part that is the root")
def start(run: Run) -> None:
    item = made(run)
    kind, body = joined([(DICOM, item.file, [("Content-ID", "<root@suite>")])], DICOM)
    answer = run.post(f'{kind}; start="<root@suite>"', body)
    if answer.status in (400, 415):
        raise NotOffered("the parameter start")
    report = report_of(status(answer, 200))
    expect(listed(report, STORED) == {item.uid}, "the instance as stored", listed(report, STORED))
