"""Mutations of answers: what a server does that writes, or labels, wrongly what it has found."""

import html
import json
import random
import re
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from typing import Any

from PIL import Image

from conformance.mutation.proxy import Answered, Mutation

Change = Callable[[Answered], Answered]
_JSON = "application/dicom+json"


def only_if(condition: Callable[[Answered], bool], change: Change) -> Change:
    return lambda answered: change(answered) if condition(answered) else answered


def _status(was: Callable[[int], bool], now: int) -> Change:
    return only_if(lambda one: was(one.status), lambda one: replace(one, status=now))


def is_get(answered: Answered) -> bool:
    return answered.asked.method == "GET" and answered.status in (200, 206)


def body(change: Callable[[bytes], bytes]) -> Change:
    return lambda answered: replace(answered, body=change(answered.body))


def _json(change: Callable[[Any], Any], method: str = "GET") -> Change:
    """What becomes of the value of an answer in JSON. Coded ones are not asked for."""

    def answer(answered: Answered) -> Answered:
        kind = answered.header("Content-Type").split(";")[0]
        if kind not in (_JSON, "application/json") or answered.asked.method != method:
            return answered
        if answered.header("Content-Encoding") or not answered.body:
            return answered
        changed = change(json.loads(answered.body))
        return replace(answered, body=json.dumps(changed, ensure_ascii=False).encode())

    return answer


def _datasets(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Change:
    def each(value: Any) -> Any:
        return [change(one) for one in value] if isinstance(value, list) else value

    return _json(each)


def _deep(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Change:
    """The same of items within sequences."""

    def inner(dataset: dict[str, Any]) -> dict[str, Any]:
        found = {}
        for tag, attribute in change(dataset).items():
            if attribute.get("vr") == "SQ" and "Value" in attribute:
                attribute = {**attribute, "Value": [inner(one or {}) for one in attribute["Value"]]}
            found[tag] = attribute
        return found

    return _datasets(inner)


def drop(*tags: str) -> Change:
    return _deep(lambda one: {tag: value for tag, value in one.items() if tag not in tags})


def put(tag: str, attribute: dict[str, Any]) -> Change:
    return _datasets(lambda one: dict(sorted({**one, tag: attribute}.items())))


def changed(tag: str, value: Any) -> Change:
    def change(one: dict[str, Any]) -> dict[str, Any]:
        return {t: {**a, "Value": [value]} if t == tag else a for t, a in one.items()}

    return _deep(change)


def each_attribute(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Change:
    return _deep(lambda one: {tag: change(attribute) for tag, attribute in one.items()})


def _without_null(attribute: dict[str, Any]) -> dict[str, Any]:
    values = attribute.get("Value")
    if values is None:
        return attribute
    return {**attribute, "Value": [value for value in values if value not in (None, {})] or [{}]}


def _plain_names(attribute: dict[str, Any]) -> dict[str, Any]:
    if attribute.get("vr") != "PN" or "Value" not in attribute:
        return attribute
    names = [one.get("Alphabetic") if one else None for one in attribute["Value"]]
    return {**attribute, "Value": names}


def _report(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Change:
    return _json(lambda value: change(value) if isinstance(value, dict) else value, "POST")


def _swapped(report: dict[str, Any]) -> dict[str, Any]:
    names = {"00081198": "00081199", "00081199": "00081198"}
    return dict(sorted((names.get(tag, tag), value) for tag, value in report.items()))


def parts(change: Callable[[list[bytes]], list[bytes]]) -> Change:
    """What becomes of the parts of multipart/related, each with its header."""

    def answer(answered: Answered) -> Answered:
        found = re.search(r'boundary="?([^";]+)', answered.header("Content-Type"))
        if found is None:
            return answered
        delimiter = b"--" + found[1].encode()
        pieces = answered.body.split(delimiter)
        parts = change(pieces[1:-1])
        return replace(answered, body=delimiter.join([pieces[0], *parts, pieces[-1]]))

    return answer


def part_headers(pattern: bytes, repl: bytes) -> Change:
    def change(parts: list[bytes]) -> list[bytes]:
        found = []
        for part in parts:
            head, gap, data = part.partition(b"\r\n\r\n")
            found.append(re.sub(pattern, repl, head) + gap + data)
        return found

    return parts(change)


def _flip(data: bytes) -> bytes:
    """One bit of what comes last, but for the end of the message."""
    at = len(data) - 60
    if at < 200:
        return data
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def is_picture(answered: Answered) -> bool:
    return answered.header("Content-Type").startswith("image/")


def _white(answered: Answered) -> Answered:
    kind = {"image/png": "PNG", "image/gif": "GIF"}.get(answered.header("Content-Type"), "JPEG")
    target = BytesIO()
    Image.new("L", (2, 2), 255).save(target, kind)
    return replace(answered, body=target.getvalue())


def _mirrored(answered: Answered) -> Answered:
    image = Image.open(BytesIO(answered.body))
    target = BytesIO()
    image.transpose(Image.Transpose.ROTATE_180).save(target, image.format)
    return replace(answered, body=target.getvalue())


def shuffled(value: Any) -> Any:
    if isinstance(value, list):
        random.shuffle(value)
    return value


def _more_remain(answered: Answered) -> Answered:
    text = re.sub(r"are \d+ add", "are 1000 add", answered.header("Warning"))
    return answered.having(Warning=text) if text else answered


_REFUSED = _status(lambda code: code >= 400, 200)

ANSWERS = (
    Mutation("refusals are 200", "whatever is wrong", answer=_REFUSED),
    Mutation(
        "refusals are 500", "faults for refusals", answer=_status(lambda c: 400 <= c < 500, 500)
    ),
    Mutation(
        "nothing is found",
        "everything is 404",
        answer=only_if(is_get, lambda one: replace(one, status=404)),
    ),
    Mutation(
        "results are missing",
        "searches are 204",
        answer=only_if(
            lambda one: one.header("Content-Type") == _JSON and is_get(one),
            lambda one: replace(one.without("Content-Type"), status=204, body=b""),
        ),
    ),
    Mutation(
        "empty arrays",
        "200 with [] for 204",
        answer=only_if(
            lambda one: one.status == 204,
            lambda one: replace(one.having(Content_Type=_JSON), status=200, body=b"[]"),
        ),
    ),
    Mutation(
        "no Content-Type", "the header is missing", answer=lambda one: one.without("Content-Type")
    ),
    Mutation(
        "Content-Type text",
        "everything is text/plain",
        answer=lambda one: one.having(Content_Type="text/plain") if one.body else one,
    ),
    Mutation(
        "JSON with charset",
        "a parameter on the type",
        answer=only_if(
            lambda one: one.header("Content-Type") == _JSON,
            lambda one: one.having(Content_Type=f"{_JSON}; charset=utf-8"),
        ),
    ),
    Mutation("no Warning", "the header is missing", answer=lambda one: one.without("Warning")),
    Mutation("wrong remainder", "the Warning tells another number", answer=_more_remain),
    Mutation(
        "wrong total",
        "of Content-Range",
        answer=only_if(
            lambda one: one.status == 206,
            lambda one: one.having(
                Content_Range=re.sub(r"/\d+", "/99999", one.header("Content-Range"))
            ),
        ),
    ),
    Mutation("no Allow", "the header is missing", answer=lambda one: one.without("Allow")),
    Mutation(
        "no methods",
        "CORS allows none",
        answer=only_if(
            lambda one: one.header("Access-Control-Allow-Methods") != "",
            lambda one: one.having(Access_Control_Allow_Methods="PATCH"),
        ),
    ),
    Mutation(
        "body of 304", "200 for what has not changed", answer=_status(lambda code: code == 304, 204)
    ),
    Mutation(
        "bodies cut",
        "the last bytes are missing",
        answer=only_if(is_get, body(lambda data: data[:-70])),
    ),
    Mutation("a bit flipped", "in what is sent", answer=only_if(is_get, body(_flip))),
    Mutation(
        "no JSON",
        "a comma too many",
        answer=only_if(
            lambda one: "json" in one.header("Content-Type"), body(lambda data: data + b",")
        ),
    ),
    Mutation(
        "NaN",
        "a token that JSON does not have",
        answer=only_if(
            lambda one: "json" in one.header("Content-Type"),
            body(lambda data: re.sub(rb":\[(-?\d+)", b":[NaN", data)),
        ),
    ),
    Mutation(
        "bare objects",
        "arrays without brackets",
        answer=_json(lambda value: value[0] if isinstance(value, list) and value else value),
    ),
    Mutation(
        "report in an array", "the answer to a store", answer=_json(lambda value: [value], "POST")
    ),
    Mutation("report swapped", "stored is failed, and the reverse", answer=_report(_swapped)),
    Mutation(
        "empty sequences",
        "in the report of a store",
        answer=_report(
            lambda one: dict(sorted({**{"00081198": {"vr": "SQ", "Value": []}}, **one}.items()))
        ),
    ),
    Mutation("no report", "an empty object", answer=_report(lambda one: {})),
    Mutation(
        "stores are 200",
        "also those that failed",
        answer=only_if(
            lambda one: one.asked.method == "POST", lambda one: replace(one, status=200)
        ),
    ),
    Mutation(
        "stores are 202",
        "also those that went well",
        answer=only_if(
            lambda one: one.asked.method == "POST" and one.status == 200,
            lambda one: replace(one, status=202),
        ),
    ),
    Mutation(
        "stores are 409",
        "also those that went well",
        answer=only_if(
            lambda one: one.asked.method == "POST" and one.status < 300,
            lambda one: replace(one, status=409),
        ),
    ),
    Mutation(
        "lower case tags",
        "in JSON",
        answer=_datasets(lambda one: {tag.lower(): value for tag, value in one.items()}),
    ),
    Mutation(
        "group 2",
        "File Meta Information in metadata",
        answer=put("00020010", {"vr": "UI", "Value": ["1.2.840.10008.1.2.1"]}),
    ),
    Mutation(
        "group lengths",
        "in metadata and results",
        answer=put("00080000", {"vr": "UL", "Value": [4]}),
    ),
    Mutation(
        "unordered",
        "attributes in reverse",
        answer=_datasets(lambda one: dict(reversed(one.items()))),
    ),
    Mutation("order of results", "is never the same", answer=_json(shuffled)),
    Mutation(
        "empty left out",
        "attributes without a value",
        answer=_deep(lambda one: {t: a for t, a in one.items() if set(a) != {"vr"}}),
    ),
    Mutation(
        "no null", "empty values among others are left out", answer=each_attribute(_without_null)
    ),
    Mutation("plain names", "PN as text", answer=each_attribute(_plain_names)),
    Mutation(
        "no study keys",
        "attributes of the study are missing",
        answer=drop("00080020", "00100020", "0020000D"),
    ),
    Mutation(
        "no counts",
        "and no modalities",
        answer=drop("00201206", "00201208", "00201209", "00080061", "00080060"),
    ),
    Mutation("wrong counts", "one of everything", answer=changed("00201208", 1)),
    Mutation("no RetrieveURL", "the attribute is missing", answer=drop("00081190")),
    Mutation(
        "broken RetrieveURL",
        "it leads nowhere",
        answer=changed("00081190", "http://127.0.0.1:1/x"),
    ),
    Mutation(
        "report leads nowhere",
        "its RetrieveURL",
        answer=_report(
            lambda one: {**one, "00081190": {"vr": "UR", "Value": ["http://127.0.0.1:1/x"]}}
        ),
    ),
    Mutation(
        "no size", "Rows and others are missing", answer=drop("00280010", "00280008", "00080018")
    ),
    Mutation(
        "no private",
        "attributes of odd groups are missing",
        answer=_deep(lambda one: {t: a for t, a in one.items() if int(t[:4], 16) % 2 == 0}),
    ),
    Mutation(
        "broken BulkDataURI",
        "it leads nowhere",
        answer=each_attribute(
            lambda one: (
                {**one, "BulkDataURI": one["BulkDataURI"] + "0"} if "BulkDataURI" in one else one
            )
        ),
    ),
    Mutation("a part less", "the last part is missing", answer=parts(lambda parts: parts[:-1])),
    Mutation(
        "a part twice",
        "the first part comes again",
        answer=parts(lambda parts: [*parts, parts[0]] if parts else parts),
    ),
    Mutation("parts reversed", "the last comes first", answer=parts(lambda parts: parts[::-1])),
    Mutation("no part headers", "a part is its data", answer=part_headers(rb"(?s)\r\n.*", b"\r\n")),
    Mutation(
        "syntax mislabelled",
        "in the header of a part",
        answer=part_headers(rb"transfer-syntax=[0-9.]+", b"transfer-syntax=1.2.840.10008.1.2.4.90"),
    ),
    Mutation(
        "syntax *",
        "in the header of a part",
        answer=part_headers(rb"transfer-syntax=[0-9.]+", b"transfer-syntax=*"),
    ),
    Mutation(
        "no locations",
        "Content-Location is missing",
        answer=part_headers(rb"(?i)\r\nContent-Location:[^\r]*", b""),
    ),
    Mutation(
        "other files",
        "the file's transfer syntax is Implicit VR",
        answer=only_if(
            is_get,
            body(lambda data: data.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2\0\0\0")),
        ),
    ),
    Mutation(
        "other meta",
        "the file names another instance",
        answer=only_if(is_get, body(lambda data: data.replace(b"DICM", b"DICN"))),
    ),
    Mutation("white pictures", "of two pixels", answer=only_if(is_picture, _white)),
    Mutation("mirrored", "pictures upside down", answer=only_if(is_picture, _mirrored)),
    Mutation(
        "markup as it is",
        "text of a report is not escaped",
        answer=only_if(
            lambda one: "html" in one.header("Content-Type"),
            body(lambda data: html.unescape(data.decode()).encode()),
        ),
    ),
    Mutation(
        "no resources",
        "capabilities without a tree",
        answer=body(lambda data: data.replace(b"resources", b"resource5")),
    ),
)
