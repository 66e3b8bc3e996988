"""Tables of what can be asked: resources, parameters, media types, status codes."""

from collections.abc import Iterator
from http import HTTPStatus

from dicomweb_server.archive.document_work import HTML, TEXT, XML
from dicomweb_server.archive.own_media import WAVEFORM_TYPES
from dicomweb_server.dicom.images import RENDERED_TYPES
from dicomweb_server.dicom.transfer_syntaxes import MEDIA_TYPES
from dicomweb_server.web.errors import STATUS, TITLES
from dicomweb_server.wire.offers import DICOM, DICOM_JSON, DICOM_XML, OCTETS, ZIP
from dicomweb_server.wire.surface import INSTANCE, SERIES, STUDY, SURFACE, Operation, Parameter

# Beginnings of the names of operations, and what they are called here; the first that fits.
_FAMILIES = {
    "SearchFor": "search",
    "Store": "store",
    "Delete": "delete",
    "RetrieveMetadata": "metadata",
    "RetrieveBulkdata": "bulk data",
    "RetrievePixelData": "bulk data",
    "RetrieveRendered": "rendered",
    "RetrieveThumbnail": "thumbnails",
    "RetrieveFrameThumbnail": "thumbnails",
    "RetrieveFrames": "frames",
    "Retrieve": "instances",
}
_MODELS = ("model/stl", "model/obj", "model/mtl")
_MEANINGS = {
    200: "What was asked for, whole; of a store, all of it stored without a remark",
    202: "Of a store: some of it is stored, and some is not or has a warning",
    204: "Nothing was found, or it is deleted",
    206: "The ranges that were asked for; or what can be had, with a Warning of what cannot",
    304: "It has not changed",
    409: "Of a store: nothing was stored; the answer says why, instance by instance",
}


def resources() -> Iterator[str]:
    """Resource, and what each method does."""
    yield "| Resource | GET | POST | DELETE (if `ALLOW_DELETE`) |"
    yield "|---|---|---|---|"
    for path, operations in SURFACE.items():
        by_method = {operation.method: _said(operation) for operation in operations}
        cells = [by_method.get(method, "–") for method in ("GET", "POST", "DELETE")]
        yield f"| `{_short(path)}` | {' | '.join(cells)} |"


def _said(operation: Operation) -> str:
    if operation.method == "DELETE":
        return "yes"
    return operation.summary[0].lower() + operation.summary[1:]


def _short(path: str) -> str:
    """What lies below a study, a series or an instance without what stands before it."""
    for whole, name in (
        (INSTANCE, "…/instances/{instance}"),
        (SERIES, "…/series/{series}"),
        (STUDY, "/studies/{study}"),
    ):
        if path.startswith(whole):
            return name + path.removeprefix(whole)
    return path


def parameters() -> Iterator[str]:
    """Query parameter, where it may stand, and what it says. Keys of searches are not among them:
    every attribute can be one."""
    yield "| Parameter | Of | Meaning |"
    yield "|---|---|---|"
    found: dict[tuple[str, str], dict[str, None]] = {}
    for operation in _operations():
        for parameter in operation.parameters:
            if parameter.style == "query" and parameter.name[0].islower():
                key = parameter.name, _meaning(parameter)
                found.setdefault(key, {})[_family(operation)] = None
    for (name, meaning), families in found.items():
        yield f"| `{name}` | {', '.join(families)} | {meaning} |"


def _meaning(parameter: Parameter) -> str:
    said = parameter.summary
    if parameter.options:
        said = " or ".join(f"`{option}`" for option in parameter.options)
    elif parameter.kind == "boolean":
        said = f"`true` or `false`: {said}"
    bounds = (parameter.minimum, parameter.maximum)
    if None not in bounds:
        said += f"; {bounds[0]} to {bounds[1]}"
    return said.replace("|", " or ")


def statuses() -> Iterator[str]:
    """Status code, which transactions answer it, and when."""
    yield "| Status | Of | When |"
    yield "|---|---|---|"
    found: dict[int, dict[str, None]] = {}
    for operation in _operations():
        for code in operation.statuses:
            found.setdefault(code, {})[_family(operation)] = None
    for code in sorted(found):
        when = _MEANINGS.get(code) or " ".join(_refusals(code))
        families = list(found[code])
        everywhere = len(families) == len(set(_FAMILIES.values()))
        of = "all" if everywhere else ", ".join(families)
        yield f"| {code} {TITLES.get(code, HTTPStatus(code).phrase)} | {of} | {when} |"


def _refusals(code: int) -> Iterator[str]:
    """What is refused with a status, in the words of the refusals themselves."""
    for refusal, status in STATUS.items():
        if status == code:
            words = " ".join((refusal.__doc__ or "").split())
            yield words.partition(". ")[0].rstrip(".") + "."


def media_types() -> Iterator[str]:
    """What each kind of resource is sent as, the default first."""
    yield "| Resource | Media types, the default first |"
    yield "|---|---|"
    pictures = _named(*RENDERED_TYPES)
    streams = [name for name in dict.fromkeys(MEDIA_TYPES.values()) if name != OCTETS]
    videos = [name for name in streams if name.startswith("video/")]
    for what, types in (
        ("study, series", _in_parts(DICOM, OCTETS) + f", `{ZIP}` (extension)"),
        ("instance", _in_parts(DICOM, OCTETS) + f", {_named(DICOM)}, `{ZIP}` (extension)"),
        ("metadata", f"{_named(DICOM_JSON)}, {_in_parts(DICOM_XML)}"),
        ("searches", f"{_named(DICOM_JSON)}, {_in_parts(DICOM_XML)}"),
        ("answer to a store", _named(DICOM_JSON, DICOM_XML)),
        (
            "frames, bulk data, pixel data",
            f"{_in_parts(OCTETS)}, {_named(OCTETS)} of one item; as stored or encoded, in parts "
            f"or of one item: {_named(*streams)}",
        ),
        ("rendered image", f"{pictures}; several in parts of these"),
        ("rendered video", _named(*videos)),
        ("rendered report, clinical document", _named(HTML, TEXT, XML)),
        ("rendered waveform (extension)", _named(*WAVEFORM_TYPES)),
        ("rendered document, model", _named("application/pdf", *_MODELS)),
        ("thumbnail", pictures),
        ("capabilities", _named("application/vnd.sun.wadl+xml", "application/json")),
        ("refusal", _named("application/problem+json")),
    ):
        yield f"| {what} | {types} |"


def _named(*types: str) -> str:
    return ", ".join(f"`{name}`" for name in types)


def _in_parts(*types: str) -> str:
    return ", ".join(f'`multipart/related; type="{name}"`' for name in types)


def _operations() -> Iterator[Operation]:
    for operations in SURFACE.values():
        yield from operations


def _family(operation: Operation) -> str:
    name = operation.name
    return next(said for beginning, said in _FAMILIES.items() if name.startswith(beginning))
