"""Tables of keys, attributes, reasons, settings and character sets."""

from collections.abc import Iterator

from pydantic import ByteSize
from pydicom.datadict import keyword_for_tag
from pydicom.uid import UID

from dicomweb_server.config import Settings
from dicomweb_server.dicom.attributes import ATTRIBUTES, Attribute
from dicomweb_server.dicom.query import Level
from dicomweb_server.dicom.requirements import checked_sop_classes
from dicomweb_server.dicom.text import TERMS
from dicomweb_server.index.conditions import COLUMNS, REQUEST_COLUMNS
from dicomweb_server.wire.store_report import REASONS

# The settings that change what a client can see.
_SEEN = (
    *("public_url", "cors_origins", "allow_delete", "timezone_offset", "lossy_quality"),
    *("max_instance_bytes", "max_request_parts", "inflate_limit_bytes", "pixel_limit_bytes"),
    *("max_rendered_frames", "max_results", "search_timeout_seconds", "max_concurrent_uploads"),
    *("min_free_bytes", "body_timeout_seconds", "least_upload_rate", "worker_timeout_seconds"),
    *("cache_limit_bytes", "quarantine"),
)
_REQUESTS = 0x00400275


def keys() -> Iterator[str]:
    """The keys that have an index or a column, by level."""
    yield "| Level | Keys |"
    yield "|---|---|"
    for level in Level:
        names = []
        for tag, column in COLUMNS.items():
            if column.level is level:
                inner = ", ".join(map(keyword_for_tag, sorted(REQUEST_COLUMNS)))
                names.append(keyword_for_tag(tag) + (f" ({inner})" if tag == _REQUESTS else ""))
        yield f"| {_name(level)} | {', '.join(names)} |"


def returned() -> Iterator[str]:
    """What is returned of each level without being asked for."""
    yield "| Level | Always, empty where unknown | Where known |"
    yield "|---|---|---|"
    for level in Level:
        table = ATTRIBUTES[level].values()
        always = _keywords(one for one in table if one.always)
        known = _keywords(one for one in table if one.known and not one.always)
        yield f"| {_name(level)} | {always} | {known} |"


def _keywords(attributes: Iterator[Attribute]) -> str:
    return ", ".join(attribute.keyword for attribute in attributes)


def _name(level: Level) -> str:
    return level.name.title()


def reasons() -> Iterator[str]:
    """Failure and Warning Reasons."""
    yield "| Reason | Kind | Clause | Meaning |"
    yield "|---|---|---|---|"
    for name, reason in REASONS.items():
        meaning = f"{name.replace('_', ' ')}. {reason.text}"
        yield f"| {reason.code:04X} | {reason.kind} | {reason.clause} | {meaning} |"


def settings() -> Iterator[str]:
    """Settings that a client can notice, with their defaults."""
    yield "| Setting | Default | Meaning |"
    yield "|---|---|---|"
    for name in _SEEN:
        field = Settings.model_fields[name]
        yield f"| `{name.upper()}` | {_default(field.default)} | {field.description} |"


def _default(value: object) -> str:
    if isinstance(value, ByteSize):
        return value.human_readable(separator=" ").replace(".0 ", " ")
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value in ("", ()) else f"{value:,}" if isinstance(value, int) else str(value)


def sop_classes() -> Iterator[str]:
    """The names of the SOP Classes whose mandatory attributes are known."""
    names = []
    for uid, iod in checked_sop_classes().items():
        name = UID(uid).name.removesuffix(" Storage")
        names.append(name if name != uid else iod.replace("-", " ").title())
    yield ", ".join(sorted(names)) + "."


def character_sets() -> Iterator[str]:
    """The terms of Specific Character Set that are read."""
    terms = sorted(term for term in TERMS if term.startswith("ISO") or term in ("GB18030", "GBK"))
    yield ", ".join(f"`{term}`" for term in terms)
