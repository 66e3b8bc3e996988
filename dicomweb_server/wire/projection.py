"""``includefield`` of metadata (our extension): the attributes that are wanted and no others."""

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from dicomweb_server.dicom.query import Path, Reading
from dicomweb_server.errors import InvalidParameter
from dicomweb_server.wire.search import attribute_path
from dicomweb_server.wire.search_results import only

_CHARACTER_SET = "00080005"
_AS_IT_STANDS = Reading()


@dataclass(frozen=True, slots=True)
class Projection:
    """What is wanted, by the name in the DICOM JSON Model: what of the items of a sequence; the
    empty path is all of it."""

    wanted: dict[str, frozenset[Path]]

    def __str__(self) -> str:
        """The same text for the same attributes."""
        return repr(sorted((key, sorted(paths)) for key, paths in self.wanted.items()))

    def of_text(self, text: bytes) -> bytes:
        """What is wanted of a JSON object; of a private attribute also its creator, and of text
        that is not ASCII the Specific Character Set (JSN-31)."""
        whole = orjson.loads(text)
        found = {
            key: only(attribute, self.wanted[key], _AS_IT_STANDS)
            for key, attribute in whole.items()
            if key in self.wanted
        }
        projected = orjson.dumps(found)
        if projected.isascii() or _CHARACTER_SET in found or _CHARACTER_SET not in whole:
            return projected
        found[_CHARACTER_SET] = whole[_CHARACTER_SET]
        return orjson.dumps(dict(sorted(found.items())))


def parse_projection(values: Sequence[str]) -> Projection | None:
    """Read the values of all ``includefield`` parameters: keywords and tags, with dots into
    sequences, separated by commas. None is all there is, as for ``all``.

    Raises InvalidParameter for a name that is no attribute's.
    """
    names = [name.strip() for value in values for name in value.split(",") if name.strip()]
    wanted: dict[str, set[Path]] = {}
    for name in names:
        if name == "all":
            continue
        found = attribute_path(name)
        if found is None:
            raise InvalidParameter("includefield", name, "the name of a DICOM attribute, or all")
        path, _ = found
        wanted.setdefault(f"{path[0]:08X}", set()).add(path[1:])
        if path[0] >> 16 & 1 and path[0] & 0xFF00:
            wanted.setdefault(f"{path[0] >> 16:04X}00{path[0] >> 8 & 0xFF:02X}", set()).add(())
    if not wanted or "all" in names:
        return None
    return Projection({key: frozenset(paths) for key, paths in sorted(wanted.items())})
