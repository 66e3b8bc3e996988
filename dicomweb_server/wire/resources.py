"""Path segments of the Studies Service and the URLs in its answers (PS3.18 chapter 10, digest 1.1).

`base` is the public base of the service without a trailing slash, for example
``http://host:8080/dicomweb``; it comes from the configuration, never from a request (BLK-01).
"""

import re

from dicomweb_server.errors import InvalidParameter

MAX_FRAMES = 10_000  # in one request (WADO-07)

# Leading zeros and empty components are illegal but exist in real data (RES-05). One digit at
# least keeps "." and ".." out, which mean something else to a file system.
_UID = re.compile(r"\.*[0-9][0-9.]*", re.ASCII)
_FRAME = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)
_BULK_PATH = re.compile(r"[0-9A-Fa-f]{8}(?:/[1-9][0-9]{0,8}/[0-9A-Fa-f]{8})*", re.ASCII)
_MAX_BULK_PATH = 4096  # characters


def is_uid(text: str) -> bool:
    """Whether `text` is taken for a UID: 1 to 64 digits and dots (RES-05)."""
    return len(text) <= 64 and _UID.fullmatch(text) is not None


def parse_uid(name: str, text: str) -> str:
    """Read a UID from the path; `name` is what the refusal calls it.

    Raises InvalidParameter for anything but 1 to 64 digits and dots (RES-05).
    """
    if not is_uid(text):
        raise InvalidParameter(name, text, "a UID: 1 to 64 digits and dots")
    return text


def parse_frame_list(text: str) -> tuple[int, ...]:
    """Read ``{frames}``: frame numbers from 1, separated by commas, already percent-decoded
    (RES-01). They are returned in the order of the request.

    Raises InvalidParameter for anything else, repetitions, and more than 10,000 (WADO-07).
    """
    if text.count(",") >= MAX_FRAMES:
        raise InvalidParameter("frames", text, f"at most {MAX_FRAMES} frame numbers")
    numbers = text.split(",")
    if not all(_FRAME.fullmatch(number) for number in numbers):
        raise InvalidParameter("frames", text, "frame numbers from 1, separated by commas")
    if len(set(numbers)) != len(numbers):
        raise InvalidParameter("frames", text, "each frame number once")
    return tuple(int(number) for number in numbers)


def parse_bulk_path(text: str) -> str:
    """Read what stands after ``/bulkdata/``: a tag, or tag/item/tag… with items counted from 1
    (BLK-04). Returns the key of ``Description.bulk``: tags in upper case.

    Raises InvalidParameter for anything else.
    """
    if len(text) > _MAX_BULK_PATH or _BULK_PATH.fullmatch(text) is None:
        raise InvalidParameter("bulkdata", text, "a tag, or tag/item/tag with items from 1")
    return text.upper()


def study_url(base: str, study: str) -> str:
    """The URL of a study."""
    return f"{base}/studies/{study}"


def series_url(base: str, study: str, series: str) -> str:
    """The URL of a series."""
    return f"{base}/studies/{study}/series/{series}"


def instance_url(base: str, study: str, series: str, instance: str) -> str:
    """The URL of an instance."""
    return f"{base}/studies/{study}/series/{series}/instances/{instance}"


def frame_url(base: str, study: str, series: str, instance: str, frame: int) -> str:
    """The URL of one frame, counted from 1."""
    return f"{instance_url(base, study, series, instance)}/frames/{frame}"


def bulk_url(base: str, study: str, series: str, instance: str, path: str) -> str:
    """The URL of one bulk data value; `path` as in `parse_bulk_path` (BLK-04)."""
    return f"{instance_url(base, study, series, instance)}/bulkdata/{path}"
