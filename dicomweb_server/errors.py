"""What the server refuses on purpose, as types that carry data and know no protocol.

Each face has one table from these to its own statuses (``web/errors.py``). Anything that
is not a Refusal is a bug. No message here ever holds patient data: values sent by the
caller are quoted only where they are parameters, never where they are content.
"""

import traceback
from collections.abc import Sequence
from typing import Any


class Refusal(Exception):
    """A request that is understood and refused. ``str()`` is fit to be shown to the caller."""

    @property
    def for_log(self) -> str:
        """Why, without anything that the caller sent: fit for a log."""
        return str(self)

    def __reduce__(self) -> tuple[Any, ...]:
        # Refusals come back from worker processes; their constructors take other arguments.
        return _restore, (type(self), self.args, self.__dict__)


def _restore(kind: type[Refusal], args: tuple[Any, ...], data: dict[str, Any]) -> Refusal:
    refusal = kind.__new__(kind, *args)
    refusal.args = args
    refusal.__dict__.update(data)
    return refusal


class InvalidParameter(Refusal):
    """A request parameter or path segment does not follow PS3.18's grammar."""

    def __init__(self, name: str, value: str, expected: str) -> None:
        self.name = name
        self.expected = expected
        shown = value if len(value) <= 80 else value[:77] + "..."
        super().__init__(f"{name}={shown!r}: expected {expected}")

    @property
    def for_log(self) -> str:
        return f"{self.name}: expected {self.expected}"


class UnknownAttribute(InvalidParameter):
    """A match key that names no attribute; its name is the caller's own text."""

    @property
    def for_log(self) -> str:
        return f"a match key: expected {self.expected}"


class NotFound(Refusal):
    """The resource does not exist, or lies outside the caller's scope (the same to the caller)."""


class ImageNotHere(Refusal):
    """What an instance shows is an image that it refers to, which does not exist, or lies outside
    the caller's scope."""


class MethodNotAllowed(Refusal):
    """The resource does not support the method, or a setting forbids it."""

    def __init__(self, message: str, allowed: Sequence[str]) -> None:
        self.allowed = tuple(allowed)
        super().__init__(message)


class NotAcceptable(Refusal):
    """No representation that the server can make is acceptable (PS3.18 §8.7.8.1)."""

    def __init__(self, available: Sequence[str], kind: str = "media types") -> None:
        self.available = tuple(available)
        super().__init__(f"none of the accepted {kind} can be had for this resource")


class PreconditionFailed(Refusal):
    """What the request wants to hold of the resource does not hold (RFC 9110 §15.5.13)."""


class RangeNotSatisfiable(Refusal):
    """None of the bytes that Range asks for exist (RFC 9110 §15.5.17)."""

    def __init__(self, total: int) -> None:
        self.total = total  # bytes that there are
        super().__init__(f"there are {total} bytes, and none of those asked for")


class UnsupportedContent(Refusal):
    """The media type of the request's content is not supported."""


class UnsupportedCoding(UnsupportedContent):
    """The content coding of the request's content is not supported."""


class MalformedContent(Refusal):
    """The request's content does not follow the grammar of its media type."""


class MalformedMultipart(MalformedContent):
    """A multipart/related body that does not follow RFC 2046 and RFC 2387."""


class TooSlow(MalformedContent):
    """The request's content stopped arriving, or arrives slower than any sender that means well."""


class UnsupportedMedia(UnsupportedContent):
    """A part's bytes are whole, but no DICOM transfer syntax or SOP class holds what they are."""


class MalformedMedia(MalformedContent):
    """A part's bytes are damaged, or are not of the media type that the part claims."""


class ContentTooLarge(Refusal):
    """The request's content, or one piece of it, is larger than the configured limit."""


class NotPart10(Refusal):
    """The bytes are not a DICOM file (PS3.10), or one that cannot be walked to its end."""


class UndecodablePixels(Refusal):
    """The pixel data cannot be decoded: damaged, forged, or in a syntax without a decoder; or not
    be encoded in another syntax without losing or misstating something."""


class ValueElsewhere(UndecodablePixels):
    """A value that a picture needs is not in the metadata; `path` is that of the bulk data."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


class Unavailable(Refusal):
    """The server cannot answer now: overloaded, out of space, or its database is away."""

    def __init__(self, message: str, retry_after: int = 5) -> None:
        self.retry_after = retry_after  # seconds
        super().__init__(message)


def where(error: BaseException) -> str:
    """Where an unexpected error arose, innermost first, without its message.

    Messages of exceptions may quote the content of a file; places in the code cannot.
    """
    steps = list(traceback.extract_tb(error.__traceback__))[-6:]
    place = " < ".join(f"{s.filename.rsplit('/', 1)[-1]}:{s.lineno}" for s in reversed(steps))
    return f"{type(error).__name__} at {place}"
