"""Media types: Content-Type, Accept, and the choice of a representation (PS3.18 §8.7).

Real clients write media types in many ways (traps 1 to 12); both headers are read by one
scanner that follows RFC 9110 and takes what is understood beyond it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import islice

from dicomweb_server.errors import MalformedContent, NotAcceptable, UnsupportedContent

MULTIPART = "multipart/related"
AS_STORED = "*"  # in place of a transfer syntax (TS-03)
MAX_RANGES = 128  # of one Accept; more are not looked at

# Names of older editions and habits of clients (digest 1.5, trap 12).
ALIASES = {
    "application/json": "application/dicom+json",
    "image/x-jls": "image/jls",
    "image/x-dicom-rle": "image/dicom-rle",
    "image/jhc": "image/jphc",
    "video/mpeg2": "video/mpeg",
    "image/jpg": "image/jpeg",
    "image/dicom+jpeg": "image/jpeg",
    "image/dicom+jpeg-ls": "image/jls",
    "image/dicom+jp2": "image/jp2",
    "image/dicom+jpx": "image/jpx",
    "image/dicom+rle": "image/dicom-rle",
}

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105  (RFC 9110's word)
_TYPE = re.compile(rf"[ \t]*({_TOKEN}/{_TOKEN}|\*)[ \t]*")
# A value without quotes may hold what only quotes allow, such as the slash of type=image/jls.
_PARAMETER = re.compile(
    rf';[ \t]*(?:({_TOKEN})[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^;"]*)))?[ \t]*', re.DOTALL
)
_ELEMENT = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*"?)*+', re.DOTALL)
_QUALITY = re.compile(r"\d{1,3}(?:\.\d{0,9})?|\.\d{1,9}", re.ASCII)


@dataclass(frozen=True, slots=True)
class ContentType:
    """A media type in lower case, its parameters by name in lower case, values as written."""

    media_type: str
    parameters: Mapping[str, str] = field(default_factory=dict)


def parse_content_type(text: str | None) -> ContentType:
    """Read a Content-Type (RFC 9110 §8.3). Aliases are not resolved.

    A ``type`` that swallowed other parameters is split (NEG-07). Raises UnsupportedContent if
    there is no media type, MalformedContent if what follows it is no list of parameters or gives
    one name two values.
    """
    match = _TYPE.match(text or "")
    if text is None or match is None or "*" in match[1]:
        raise UnsupportedContent("the content has no media type")
    parameters = _parameters(text, match.end())
    if parameters is None:
        raise MalformedContent("the parameters of Content-Type cannot be read")
    return ContentType(match[1].lower(), parameters)


def _parameters(text: str, at: int) -> dict[str, str] | None:
    """The parameters from `at` to the end of `text`; None if that is something else."""
    parameters: dict[str, str] = {}
    while at < len(text):
        match = _PARAMETER.match(text, at)
        if match is None:
            return None
        at = match.end()
        name, quoted, bare = match.groups()
        if name is None:  # a lone semicolon
            continue
        value = bare.strip() if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
        if parameters.setdefault(name.lower(), value) != value:
            return None
    part_type, semicolon, swallowed = parameters.get("type", "").partition(";")
    if semicolon:
        parameters["type"] = part_type.strip()
        parameters = {**(_parameters(";" + swallowed, 0) or {}), **parameters}
    return parameters


@dataclass(frozen=True, slots=True)
class MediaRange:
    """One element of Accept. Types in lower case, today's name for aliases.

    `part_type`: the ``type`` parameter of multipart/related, ``*/*`` if it is missing (NEG-05).
    `transfer_syntax`: a UID, AS_STORED, or None for the default of the type (TS-02).
    """

    media_type: str
    part_type: str | None = None
    transfer_syntax: str | None = None
    q: float = 1.0


def parse_accept(text: str | None) -> list[MediaRange]:
    """Read an Accept header, or the value of an ``accept`` parameter (RFC 9110 §12.5.1).

    Absent or blank is ``*/*`` (design decision on HDR-01). What is invalid is left out, never
    an error (HDR-03).
    """
    if text is None or not text.strip():
        return [MediaRange("*/*")]
    ranges = (_media_range(element) for element in islice(_elements(text), MAX_RANGES))
    return [media_range for media_range in ranges if media_range is not None]


def names_syntax(*texts: str | None) -> bool:
    """Whether an Accept, or the parameter, names a transfer syntax: what it asks for then depends
    on what each instance is stored in (PS3.18 §8.7.8.1)."""
    ranges = (each for text in texts if text for each in parse_accept(text))
    return any(each.transfer_syntax not in (None, AS_STORED) for each in ranges)


def _elements(text: str) -> Iterator[str]:
    """Split at the commas that stand outside quotes."""
    at = 0
    while at <= len(text):
        match = _ELEMENT.match(text, at)
        assert match is not None  # it matches the empty string
        yield match[0]
        at = match.end() + 1


def _media_range(element: str) -> MediaRange | None:
    match = _TYPE.match(element)
    parameters = None if match is None else _parameters(element, match.end())
    if match is None or parameters is None:
        return None
    # Java's HttpURLConnection sends "*; q=.2" by default
    media_type = "*/*" if match[1] == "*" else _modern(match[1])
    part_type = _modern(parameters.get("type") or "*/*") if media_type == MULTIPART else None
    return MediaRange(
        media_type,
        part_type,
        parameters.get("transfer-syntax") or None,
        _quality(parameters.get("q", "1")),
    )


def _modern(media_type: str) -> str:
    return ALIASES.get(media_type.lower(), media_type.lower())


def _quality(text: str) -> float:
    """A weight from 0 to 1; one that cannot be read counts as absent (HDR-03)."""
    return min(float(text), 1.0) if _QUALITY.fullmatch(text) else 1.0


@dataclass(frozen=True, slots=True)
class Offer:
    """A media type that the server can make of a resource.

    `multipart`: as parts of a multipart/related. `transfer_syntaxes`: those it can be had in,
    the default of the type first, AS_STORED among them if it can be sent as stored; empty if the
    type has none. `default`: it is what ``*/*`` stands for; the first of them, if it is not barred.
    `encoded`: those of its transfer syntaxes that it would have to be encoded in: others go
    before, the rest being equal. `lossy`: those that lose something, only for who names the very
    syntax (TS-06). `by_name`: only for who names the media type, without wildcards.
    `sent`: the media type and transfer syntax that go out for AS_STORED, if it is one.
    """

    media_type: str
    multipart: bool
    transfer_syntaxes: tuple[str, ...] = ()
    default: bool = False
    encoded: tuple[str, ...] = ()
    lossy: tuple[str, ...] = ()
    by_name: bool = False
    sent: tuple[str, str] | None = None

    @property
    def content_type(self) -> str:
        """The media type as Accept would name it, with quotes around ``type`` (MP-01)."""
        return f'{MULTIPART}; type="{self.media_type}"' if self.multipart else self.media_type


@dataclass(frozen=True, slots=True)
class Choice:
    """What to send: an offer, and one of its transfer syntaxes (None if it has none)."""

    offer: Offer
    transfer_syntax: str | None


def choose(
    accept: str | None, offers: Sequence[Offer], accept_parameter: str | None = None
) -> Choice:
    """Choose the representation to send (PS3.18 §8.7.8.1, digest 1.6).

    `offers` stand in the server's order of preference, which decides between equal weights; a
    range that names a type goes before a wildcard of the same weight. The parameter goes before
    the header, within what the header covers (ACC-02, ACC-03).

    Raises NotAcceptable, naming what is available, if nothing on offer is accepted (NEG-02).
    """
    if len(accept or "") + len(accept_parameter or "") > _LONGEST_KEPT:
        return _choose(accept, tuple(offers), accept_parameter)
    return _choose_kept(accept, tuple(offers), accept_parameter)


def _choose(accept: str | None, offers: tuple[Offer, ...], accept_parameter: str | None) -> Choice:
    header = parse_accept(accept)
    if accept_parameter is not None:
        # a plus that was sent bare has been decoded to a space (ACC-04)
        written = _SPACED.sub(r"\1+\2", accept_parameter)
        named = [part for part in parse_accept(written) if "*" not in part.media_type]  # ACC-01
        covered = [offer for offer in offers if _covers(header, offer)]
        choice = _best(named, offers, covered)
        if choice is not None:
            return choice
    choice = _best(header, offers, offers)
    if choice is None:
        raise NotAcceptable(available(offers))
    return choice


_SPACED = re.compile(r"(/[\w.-]+) ([\w.-]+)", re.ASCII)

# A client asks for the same over and over; the answer depends on nothing else.
_LONGEST_KEPT = 500  # characters
_choose_kept = lru_cache(maxsize=1000)(_choose)


def available(offers: Iterable[Offer]) -> list[str]:
    """What a refusal tells that could be had (NEG-11)."""
    return list(_available(offers))


def _available(offers: Iterable[Offer]) -> Iterator[str]:
    for offer in offers:
        yield offer.content_type
        for syntax in offer.transfer_syntaxes[1:]:
            yield f"{offer.content_type}; transfer-syntax={syntax}"


def _best(
    ranges: Sequence[MediaRange], offers: Sequence[Offer], candidates: Sequence[Offer]
) -> Choice | None:
    """The representation of the highest weight among `candidates`, each having the weight of
    the most specific range that it matches; 0 bars it (NEG-08)."""
    best: tuple[float, int, int, int, int] | None = None
    chosen: Choice | None = None
    for place, offer in enumerate(candidates):
        matching = [
            (specific, -index, media_range)
            for index, media_range in enumerate(ranges)
            if (specific := _specificity(media_range, offer, offers)) > 0
        ]
        left = _without_barred(ranges, offer, offers)
        if offer.transfer_syntaxes and not left.transfer_syntaxes:
            continue
        for syntax in left.transfer_syntaxes or (None,):
            ruling = [entry for entry in matching if _rules(entry[2], syntax, left)]
            if not ruling:
                continue
            specific, order, media_range = max(
                ruling, key=lambda entry: (entry[0], entry[2].transfer_syntax == syntax, entry[1])
            )
            ease = 2 if syntax == AS_STORED else int(syntax not in offer.encoded)
            rank = (media_range.q, specific, -place, ease, order)
            if media_range.q > 0 and (best is None or rank > best):
                best, chosen = rank, Choice(offer, syntax)
    return chosen


def _without_barred(ranges: Sequence[MediaRange], offer: Offer, offers: Sequence[Offer]) -> Offer:
    """`offer` without AS_STORED if what would be sent is barred by its own name (NEG-08)."""
    if offer.sent is None or AS_STORED not in offer.transfer_syntaxes:
        return offer
    media_type, syntax = offer.sent
    real = replace(offer, media_type=media_type, by_name=False)
    closeness = {syntax: 2, AS_STORED: 1, None: 0}
    ruling = [
        (specific, closeness[each.transfer_syntax], -index, each.q)
        for index, each in enumerate(ranges)
        if each.transfer_syntax in closeness
        and (specific := _specificity(each, real, offers)) >= _LEAST_NAMED
    ]
    if not ruling or max(ruling)[-1] > 0:
        return offer
    others = tuple(each for each in offer.transfer_syntaxes if each != AS_STORED)
    return replace(offer, transfer_syntaxes=others)


# The specificity of a type that is named, and of one whose part before the slash is; what is barred
# by itself is barred in parts too (NEG-08), unless a range for parts says as much of it.
_EXACTLY, _BY_FAMILY = 6, 4
_LEAST_NAMED = _BY_FAMILY - 1


def _specificity(media_range: MediaRange, offer: Offer, offers: Sequence[Offer]) -> int:
    """How closely a range names an offer, 0 if it does not cover it (NEG-01, NEG-03 to 05)."""
    if media_range.media_type == "*/*":
        return 1 if _is_default(offer, offers) else 0
    if not offer.multipart:
        found = _named(media_range.media_type, offer.media_type)
        return 0 if offer.by_name and found < _EXACTLY else found
    if media_range.media_type not in (MULTIPART, "multipart/*"):
        found = _named(media_range.media_type, offer.media_type)
        return found - 1 if found and media_range.q == 0 else 0
    if media_range.part_type in (None, "*/*"):
        return 2 if _is_default(offer, [each for each in offers if each.multipart]) else 0
    return _named(media_range.part_type, offer.media_type)


def _named(pattern: str | None, media_type: str) -> int:
    media_type = media_type.lower()  # video/H265 has a capital
    if pattern == media_type:
        return _EXACTLY
    return _BY_FAMILY if pattern == f"{media_type.partition('/')[0]}/*" else 0


def _is_default(offer: Offer, among: Sequence[Offer]) -> bool:
    """Whether a full wildcard means this offer: the default, or any where there is none."""
    return offer.default or not any(each.default for each in among)


def _rules(media_range: MediaRange, syntax: str | None, offer: Offer) -> bool:
    """Whether a range that covers the type says something of one transfer syntax of it."""
    asked = media_range.transfer_syntax
    if syntax is None or asked == syntax:
        return True  # a type without transfer syntaxes: the parameter is ignored (HDR-03)
    if syntax in offer.lossy:
        return False  # only for who names it (TS-06)
    if media_range.q == 0:
        return asked is None
    if asked == AS_STORED and AS_STORED not in offer.transfer_syntaxes:
        if syntax in offer.encoded:
            return False  # nothing is encoded for who would have it as stored (TS-03)
        asked = None  # any will do
    if syntax in offer.encoded and (media_range.part_type or media_range.media_type)[-1] == "*":
        return False  # nor for who names neither the type nor the syntax (NEG-01)
    return asked is None and syntax == offer.transfer_syntaxes[0]


def _covers(header: Iterable[MediaRange], offer: Offer) -> bool:
    """Whether a type named by the ``accept`` parameter is compatible with the header (ACC-02):
    here a wildcard covers every type."""
    named = replace(offer, by_name=False)
    return any(
        media_range.q > 0
        and (media_range.media_type == "*/*" or _specificity(media_range, named, [named]) > 0)
        for media_range in header
    )
