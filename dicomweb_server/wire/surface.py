"""What the service answers, as data: resources, methods, parameters, media types (PS3.18 8.9).

The capabilities (``wire.wadl``) and the OpenAPI description (``wire.openapi``) are made of it; a
test holds it against the routes.
"""

from dataclasses import dataclass, replace

from dicomweb_server.dicom.images import RENDERED_TYPES
from dicomweb_server.wire.offers import DICOM, DICOM_JSON, DICOM_XML, OCTETS, ZIP

STUDY = "/studies/{study}"
SERIES = STUDY + "/series/{series}"
INSTANCE = SERIES + "/instances/{instance}"
FRAMES = INSTANCE + "/frames/{frames}"

PROBLEM = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a request. `kind`: string, integer or boolean, as JSON Schema names them."""

    name: str
    summary: str
    style: str = "query"  # or header
    kind: str = "string"
    options: tuple[str, ...] = ()
    pattern: str = ""  # a regular expression that every value follows
    minimum: int | None = None
    maximum: int | None = None
    repeating: bool = False


@dataclass(frozen=True, slots=True)
class Operation:
    """A method of a resource. `produces` and `consumes` are media types, the default first."""

    method: str
    name: str
    summary: str
    statuses: tuple[int, ...]
    produces: tuple[str, ...] = ()
    consumes: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = ()


def in_parts(media_type: str) -> str:
    """multipart/related of a media type (PS3.18 8.6.1.2.1)."""
    return f'multipart/related; type="{media_type}"'


_ACCEPT = Parameter("accept", "media types, in place of the Accept header (ACC-01)")
_LISTS = (
    Parameter("limit", "results of one answer", kind="integer", minimum=0),
    Parameter("offset", "results that are passed over", kind="integer", minimum=0),
    Parameter("includefield", "attributes to return beside the usual ones", repeating=True),
    Parameter("fuzzymatching", "find names by words and sound", kind="boolean"),
    Parameter("emptyvaluematching", 'let "" match empty values', kind="boolean"),
    Parameter("multiplevaluematching", "let all of several values match", kind="boolean"),
    Parameter("orderby", "attributes to order by, - before descending ones (extension)"),
    Parameter("cursor", "where the page before has ended (extension)"),
    _ACCEPT,
)
_DATES = r"^(|[0-9]{8}|[0-9]{8}-|-[0-9]{8})$"
_STUDY_KEYS = (
    Parameter("StudyInstanceUID", "UIDs of studies, with commas between", pattern="^[0-9.,]*$"),
    Parameter("PatientID", "with * and ?"),
    Parameter("PatientName", "with * and ?"),
    Parameter("AccessionNumber", "with * and ?"),
    Parameter("StudyID", "with * and ?"),
    Parameter("StudyDate", "a date or a range of dates", pattern=_DATES),
    Parameter("ModalitiesInStudy", "modalities that the study has"),
    Parameter("ReferringPhysicianName", "with * and ?"),
)
_SERIES_KEYS = (
    Parameter("SeriesInstanceUID", "UIDs of series, with commas between", pattern="^[0-9.,]*$"),
    Parameter("Modality", "with * and ?"),
    Parameter("SeriesNumber", "a number", pattern="^[0-9]{0,9}$"),
)
_INSTANCE_KEYS = (
    Parameter("SOPInstanceUID", "UIDs of instances, with commas between", pattern="^[0-9.,]*$"),
    Parameter("SOPClassUID", "UIDs of SOP Classes, with commas between", pattern="^[0-9.,]*$"),
    Parameter("InstanceNumber", "a number", pattern="^[0-9]{0,9}$"),
)
_VIEWPORT = Parameter("viewport", "width,height[,x,y,region width,region height] in pixels")
_RENDERED = (
    Parameter("window", "center,width,linear|linear-exact|sigmoid"),
    _VIEWPORT,
    Parameter("quality", "of what loses something", kind="integer", minimum=1, maximum=100),
    Parameter("annotation", "patient, technique"),
    Parameter("iccprofile", "", options=("no", "yes", "srgb", "adobergb", "rommrgb")),
    _ACCEPT,
)

_RETRIEVED = (200, 206, 304, 400, 404, 406, 412, 413, 416, 503)
_SEARCHED = (200, 204, 304, 400, 406, 412, 503)
_RENDERINGS = (
    *(*RENDERED_TYPES, "text/html", "text/plain", "text/xml"),
    *("application/pdf", "video/mp4"),
)

_SEARCH = Operation(
    "GET",
    "SearchForStudies",
    "Search for studies",
    _SEARCHED,
    (DICOM_JSON, in_parts(DICOM_XML)),
    parameters=(*_STUDY_KEYS, *_LISTS),
)
_STORE = Operation(
    "POST",
    "StoreInstances",
    "Store instances",
    (200, 202, 400, 406, 408, 409, 412, 413, 415, 503),
    (DICOM_JSON, DICOM_XML),
    (in_parts(DICOM), in_parts(DICOM_JSON), in_parts(DICOM_XML), DICOM, DICOM_JSON, DICOM_XML),
)
_RETRIEVE = Operation(
    "GET",
    "RetrieveStudy",
    "Retrieve a study",
    _RETRIEVED,
    (in_parts(DICOM), in_parts(OCTETS), ZIP),
    parameters=(_ACCEPT,),
)
_DELETE = Operation(
    "DELETE", "Delete", "Delete, where the operator allows it", (204, 404, 405, 412)
)
_METADATA = replace(
    _RETRIEVE,
    name="RetrieveMetadata",
    summary="Retrieve metadata",
    produces=(DICOM_JSON, in_parts(DICOM_XML)),
    parameters=(Parameter("includefield", "attributes to leave it at", repeating=True), _ACCEPT),
)
_BULK = replace(
    _RETRIEVE,
    name="RetrieveBulkdata",
    summary="Retrieve all bulk data",
    produces=(in_parts(OCTETS),),
)
_PIXELS = replace(_BULK, name="RetrievePixelData", summary="Retrieve all pixel data")
_RENDER = replace(
    _RETRIEVE,
    name="RetrieveRendered",
    summary="Retrieve as pictures, text or video",
    produces=(*_RENDERINGS, *map(in_parts, RENDERED_TYPES)),
    parameters=_RENDERED,
)
_THUMBNAIL = replace(
    _RENDER,
    name="RetrieveThumbnail",
    summary="Retrieve a small picture",
    produces=RENDERED_TYPES,
    parameters=(_VIEWPORT, _ACCEPT),
)
_FRAMES = replace(
    _RETRIEVE,
    name="RetrieveFrames",
    summary="Retrieve frames",
    produces=(in_parts(OCTETS), OCTETS, in_parts("image/jpeg"), in_parts("image/jls")),
)
_VALUE = replace(_FRAMES, name="RetrieveBulkdataValue", summary="Retrieve one value")


def _search(level: str, *keys: Parameter, within: str = "") -> Operation:
    """`within`: what the path names, which may not be there (QRY-03)."""
    statuses = _SEARCH.statuses
    return replace(
        _SEARCH,
        name=f"SearchFor{level}" + (f"Of{within}" if within else ""),
        summary=f"Search for {level.lower()}",
        statuses=tuple(sorted({*statuses, 404})) if within else statuses,
        parameters=(*keys, *_LISTS),
    )


def _resource(path: str, name: str) -> dict[str, tuple[Operation, ...]]:
    """A study, series or instance, and what it has below it."""
    suffix = name.title()

    def of(operation: Operation) -> Operation:
        return replace(operation, name=f"{operation.name}Of{suffix}")

    retrieve = replace(_RETRIEVE, name=f"Retrieve{suffix}", summary=f"Retrieve the {name}")
    if name == "instance":
        retrieve = replace(retrieve, produces=(*retrieve.produces, DICOM))
    methods = [retrieve, of(_DELETE)]
    if name == "study":
        methods.insert(1, of(_STORE))
    found = {path: tuple(methods)}
    for part, operation in (
        ("metadata", _METADATA),
        ("bulkdata", _BULK),
        ("pixeldata", _PIXELS),
        ("rendered", _RENDER),
        ("thumbnail", _THUMBNAIL),
    ):
        found[f"{path}/{part}"] = (of(operation),)
    return found


# Path below the base URI → what can be done there.
SURFACE: dict[str, tuple[Operation, ...]] = {
    "/studies": (_SEARCH, _STORE),
    **_resource(STUDY, "study"),
    STUDY + "/series": (_search("Series", *_SERIES_KEYS, within="Study"),),
    STUDY + "/instances": (_search("Instances", *_SERIES_KEYS, *_INSTANCE_KEYS, within="Study"),),
    **_resource(SERIES, "series"),
    SERIES + "/instances": (_search("Instances", *_INSTANCE_KEYS, within="Series"),),
    **_resource(INSTANCE, "instance"),
    INSTANCE + "/bulkdata/{path}": (_VALUE,),
    FRAMES: (_FRAMES,),
    FRAMES + "/rendered": (replace(_RENDER, name="RetrieveRenderedFrames"),),
    FRAMES + "/thumbnail": (replace(_THUMBNAIL, name="RetrieveFrameThumbnail"),),
    "/series": (_search("Series", *_STUDY_KEYS, *_SERIES_KEYS),),
    "/instances": (_search("Instances", *_STUDY_KEYS, *_SERIES_KEYS, *_INSTANCE_KEYS),),
}


def surface(*, deleting: bool) -> dict[str, tuple[Operation, ...]]:
    """What is answered as it is configured: `deleting`, or not."""
    if deleting:
        return SURFACE
    return {
        path: tuple(operation for operation in operations if operation.method != "DELETE")
        for path, operations in SURFACE.items()
    }
