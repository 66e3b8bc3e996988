"""The dictionaries of data elements and UIDs (PS3.6), and of private elements as GDCM knows them.

They are pydicom's tables, read without pydicom around them: to import that loads every decoder it
can find, an HTTP client and more, which would be half a second and 30 MB of each of our processes,
and of every command. What pydicom makes of the tables our tests hold this to.
"""

from functools import lru_cache
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

Entry = tuple[str, str, str, str, str]  # VR, VM, name, whether it is retired, keyword


def _tables(name: str) -> Any:
    """A module of pydicom that has nothing but tables in it. Raises ImportError if it is not where
    the versions of pydicom that we know have it."""
    package = find_spec("pydicom")
    if package is None or not package.submodule_search_locations:
        raise ImportError("pydicom is not installed")
    path = Path(package.submodule_search_locations[0]) / f"{name}.py"
    spec = spec_from_file_location(f"{__name__}.{name}", path) if path.is_file() else None
    if spec is None or spec.loader is None:
        raise ImportError(f"pydicom has no {name}: another version of it is needed")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_elements = _tables("_dicom_dict")
ELEMENTS: dict[int, Entry] = _elements.DicomDictionary
# Repeating groups, by their tag with an x for each digit that varies: 60xx0010
REPEATING: dict[str, Entry] = _elements.RepeatersDictionary
# By creator, and by the tag with an x for each digit that varies: (VR, VM, name, retired)
PRIVATE: dict[str, dict[str, tuple[str, str, str, str]]] = _tables(
    "_private_dict"
).private_dictionaries
# Name, type, further information, whether it is retired, keyword
UIDS: dict[str, Entry] = _tables("_uid_dict").UID_dictionary

_TAGS = {entry[4]: tag for tag, entry in ELEMENTS.items() if entry[4]}


def _masked() -> dict[int, dict[int, Entry]]:
    """Entries of repeating groups by masked tag, by mask."""
    tables: dict[int, dict[int, Entry]] = {}
    for pattern, entry in REPEATING.items():
        mask = int("".join("0" if digit == "x" else "F" for digit in pattern), 16)
        tables.setdefault(mask, {})[int(pattern.replace("x", "0"), 16)] = entry
    return tables


_MASKED = _masked()


def entry_of(tag: int) -> Entry | None:
    """What the dictionary has of a standard tag, also of a repeating group; None for what is not
    in it, as private tags are."""
    entry = ELEMENTS.get(tag)
    if entry is not None or tag >> 16 & 1:
        return entry
    masked = (table.get(tag & mask) for mask, table in _MASKED.items())
    return next((found for found in masked if found is not None), None)


def vr_of(tag: int) -> str | None:
    """The VR of a tag, or several as in ``US or SS``; None for what is not in the dictionary."""
    entry = entry_of(tag)
    return None if entry is None else entry[0]


def name_of(tag: int) -> str | None:
    """The name of an attribute; None for what is not in the dictionary."""
    entry = entry_of(tag)
    return None if entry is None else entry[2]


def keyword_of(tag: int) -> str:
    """The keyword of a tag; empty for what has none."""
    entry = entry_of(tag)
    return "" if entry is None else entry[4]


def tag_of(keyword: str) -> int | None:
    """The tag that a keyword names; None if it names none, or all of a repeating group."""
    return _TAGS.get(keyword)


@lru_cache(maxsize=8192)
def private_vr_of(tag: int, creator: str) -> str | None:
    """The VR of a private tag, whichever block its creator has (PS3.5 §7.8.1); None if it is not
    known."""
    known = PRIVATE.get(creator)
    if known is None:
        return None
    text = f"{tag:08X}"
    # Some are of one block, most of any, few of any group too
    for pattern in (text, f"{text[:4]}xx{text[6:]}", f"{text[:2]}xxxx{text[6:]}"):
        if pattern in known:
            return known[pattern][0]
    return None


def uid_name(uid: str) -> str:
    """The name of a UID of the standard; another UID itself, and one that has lost its name."""
    return (uid in UIDS and UIDS[uid][0]) or uid
