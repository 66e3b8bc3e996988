"""Private blocks (PS3.5 §7.8.1): in XML each element names its creator, elsewhere each block does.

Blocks are written as in tags: two hexadecimal digits, "10" to "FF".
"""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any, NamedTuple

from dicomweb_server.dicom.description import JsonDataset
from dicomweb_server.dicom.encode_values import WrongValue

_FIRST = 0x10
_BLOCKS = [f"{block:02X}" for block in range(_FIRST, 0x100)]


@dataclass(frozen=True, slots=True)
class Blocks:
    """The private blocks of one data set, items not included.

    `creators` has the creator of each block by group and block ("002910"), but for those that
    another block of the group has too. `implied` are the keys of the creator elements that
    `assign_blocks` would make again from the elements alone.
    """

    creators: dict[str, str]
    implied: frozenset[str]


class PrivateElement(NamedTuple):
    """A private element of which the creator is known, and not the block."""

    group: str  # four hexadecimal digits
    element: str  # two
    creator: str
    attribute: dict[str, Any]


def is_private(key: str) -> bool:
    """Whether the attribute of this name has an odd group."""
    return key[3] in "13579BDF"


def blocks_of(dataset: JsonDataset) -> Blocks:
    """Who has reserved which blocks in `dataset`."""
    reserved: dict[str, dict[str, str | None]] = defaultdict(dict)
    used: dict[str, set[str]] = defaultdict(set)
    for key, attribute in dataset.items():
        if not is_private(key):
            continue
        if key[4:6] != "00":
            used[key[:4]].add(key[4:6])
        elif key[6:] >= "10":
            reserved[key[:4]][key[6:]] = _creator(attribute)
    creators: dict[str, str] = {}
    implied: set[str] = set()
    for group, names in reserved.items():
        first: dict[str, str] = {}
        for block in sorted(names):
            name = names[block]
            if name is not None:
                first.setdefault(name, block)
        creators |= {group + block: name for name, block in first.items()}
        assigned = set(_BLOCKS[: len(first)])
        if names.keys() == assigned == used[group] and set(first.values()) == assigned:
            implied |= {f"{group}00{block}" for block in names}
    return Blocks(creators, frozenset(implied))


def _creator(attribute: dict[str, Any]) -> str | None:
    """The name in a creator element, None if it is none that another notation could keep."""
    values = attribute.get("Value")
    if attribute.get("vr") != "LO" or not isinstance(values, list) or len(values) != 1:
        return None
    name = values[0]
    plain = isinstance(name, str) and name.isprintable() and name == name.strip()
    return name if plain and name else None


def assign_blocks(dataset: JsonDataset, elements: list[PrivateElement]) -> None:
    """Add `elements` to `dataset`, in the block that their creator has, or in the next free one.

    Raises WrongValue if a group has no block left, or an element comes twice.
    """
    if not elements:
        return
    blocks: dict[tuple[str, str], str] = {}
    taken: dict[str, set[str]] = defaultdict(set)
    for key, attribute in dataset.items():
        if not is_private(key):
            continue
        taken[key[:4]].add(key[4:6])
        if key[4:6] == "00":
            taken[key[:4]].add(key[6:])
            name = _creator(attribute)
            if name is not None:
                blocks.setdefault((key[:4], name), key[6:])
    for group, element, creator, attribute in elements:
        block = blocks.get((group, creator))
        if block is None:
            block = next((block for block in _BLOCKS if block not in taken[group]), None)
            if block is None:
                raise WrongValue("more private creators than a group has blocks")
            blocks[group, creator] = block
            taken[group].add(block)
            dataset[f"{group}00{block}"] = {"vr": "LO", "Value": [creator]}
        key = group + block + element
        if key in dataset:
            raise WrongValue("a private element that is there more than once")
        dataset[key] = attribute
