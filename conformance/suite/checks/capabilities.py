"""Retrieve Capabilities (PS3.18 8.9 and Annexes G, H)."""

from defusedxml import ElementTree

from conformance.suite.model import Deviation, Level, NotOffered, check, expect
from conformance.suite.run import Run, status

_WADL = "application/vnd.sun.wadl+xml"
_NAMESPACE = "{http://wadl.dev.java.net/2009/02}"


@check(
    "capabilities",
    Level.MUST,
    "PS3.18 8.9",
    "CAP-02",
    "OPTIONS of the base URI gives a WADL description of the service",
)
def wadl(run: Run) -> None:
    answer = status(run.server.send("OPTIONS", "", [("Accept", _WADL)]), 200)
    kind = answer.content_type.name
    expect(kind == _WADL, f"Content-Type: {_WADL}", kind)
    try:
        root = ElementTree.fromstring(answer.decoded)
    except ElementTree.ParseError as error:
        raise Deviation("a body that is XML", str(error)) from None
    expect(root.tag == f"{_NAMESPACE}application", "a WADL application as root", root.tag)
    resources = root.findall(f"{_NAMESPACE}resources")
    expect(len(resources) == 1, "one resources element (Annex H)", len(resources))
    expect(resources[0].get("base"), "resources with their base", "none")
    paths = {item.get("path", "") for item in root.iter(f"{_NAMESPACE}resource")}
    expect(any("studies" in path for path in paths), "the resource studies", sorted(paths)[:20])


@check(
    "capabilities",
    Level.MUST,
    "PS3.18 8.9.2.2, Annex G",
    "CAP-02",
    "OPTIONS of the base URI gives the description in JSON",
)
def json_form(run: Run) -> None:
    answer = status(run.server.send("OPTIONS", "", [("Accept", "application/json")]), 200)
    kind = answer.content_type.name
    expect(kind == "application/json", "Content-Type: application/json", kind)
    found = answer.json()
    described = isinstance(found, dict) and ("application" in found or "resources" in found)
    expect(described, "an object with the WADL's application (Annex G)", str(found)[:200])


@check(
    "capabilities",
    Level.MAY,
    "PS3.18 8.9.4",
    "CAP-02",
    "An unchanged description is answered with 304",
)
def not_modified(run: Run) -> None:
    answer = run.server.send("OPTIONS", "", [("Accept", _WADL)])
    tag = answer.header("ETag")
    if answer.status != 200 or not tag:
        raise NotOffered("capabilities with an ETag")
    again = run.server.send("OPTIONS", "", [("Accept", _WADL), ("If-None-Match", tag)])
    expect(again.status in (304, 200), "304, or 200 with the description", again.status)
    expect(again.status == 200 or not again.body, "no body with 304", len(again.body))


@check(
    "capabilities",
    Level.SHOULD,
    "Fetch standard; PS3.18 8.9",
    "CAP-01",
    "A CORS preflight is answered as such, not with capabilities",
)
def preflight(run: Run) -> None:
    headers = [
        ("Origin", "https://viewer.example"),
        ("Access-Control-Request-Method", "GET"),
        ("Access-Control-Request-Headers", "accept"),
    ]
    answer = run.server.send("OPTIONS", "studies", headers)
    if not answer.header("Access-Control-Allow-Origin"):
        raise NotOffered("CORS for an origin that the operator has not named")
    expect(answer.status in (200, 204), "status 200 or 204", answer.status)
    methods = answer.header("Access-Control-Allow-Methods").upper()
    expect("GET" in methods or "*" in methods, "GET among the methods that are allowed", methods)


_RESOURCES = ("studies", "series", "instances", "metadata", "rendered", "frames")


@check(
    "capabilities",
    Level.SHOULD,
    "PS3.18 Annex H",
    "CAP-02",
    "The description has every resource that has to be there, with methods and media types",
)
def described(run: Run) -> None:
    answer = status(run.server.send("OPTIONS", "", [("Accept", _WADL)]), 200)
    try:
        root = ElementTree.fromstring(answer.decoded)
    except ElementTree.ParseError as error:
        raise Deviation("a body that is XML", str(error)) from None
    paths = "/".join(item.get("path", "") for item in root.iter(f"{_NAMESPACE}resource"))
    missing = [name for name in _RESOURCES if name not in paths.split("/")]
    expect(not missing, f"resources {', '.join(_RESOURCES)}", f"without {', '.join(missing)}")
    methods = {item.get("name") for item in root.iter(f"{_NAMESPACE}method")}
    expect({"GET", "POST"} <= methods, "methods GET and POST", sorted(map(str, methods)))
    media = {item.get("mediaType") for item in root.iter(f"{_NAMESPACE}representation")}
    expect("application/dicom+json" in media, "application/dicom+json", sorted(map(str, media)))
