"""Structured reports as a tree of content items (PS3.3 §C.17.3), out of their DICOM JSON.

Whatever a file holds becomes a tree or is refused: what is missing is empty, what has another
shape is left out. What the values look like in words is the matter of ``report_values``.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from dicomweb_server.dicom.description import JsonDataset
from dicomweb_server.dicom.json_values import first_item, first_text, values
from dicomweb_server.dicom.report_values import (
    Code,
    Shown,
    code_of,
    moment,
    text_of,
    value_of,
)
from dicomweb_server.errors import ContentTooLarge

MAX_ITEMS = 50_000  # of one report; a long one of a CT dose has some thousand
MAX_DEPTH = 64  # levels; templates of PS3.16 nest ten deep at most

_CONTENT = "0040A730"


@dataclass(frozen=True, slots=True)
class ContentItem:
    """One content item (PS3.3 Table C.17-5), or a reference to one (Table C.17-6).

    `position` counts from 1 on each level, the root being (1,): what Referenced Content Item
    Identifier names. `relationship` is to the parent, empty at the root. `continuity` and
    `template` are those of a CONTAINER. `target`: the position of the item referred to, for one
    by reference, which has no value type.
    """

    position: tuple[int, ...]
    relationship: str
    value_type: str
    name: Code
    value: Shown
    observed: str
    uid: str
    continuity: str
    template: str
    target: tuple[int, ...] | None
    children: tuple["ContentItem", ...]

    def walk(self) -> Iterator["ContentItem"]:
        """This item and all below it, in the order of the document."""
        waiting = [self]
        while waiting:
            item = waiting.pop()
            yield item
            waiting.extend(reversed(item.children))


def is_report(dataset: JsonDataset) -> bool:
    """Whether it is an SR document, a Key Object Selection among them: its root is a container
    of content (PS3.3 §C.17.3, PS3.18 §8.7.2)."""
    return first_text(dataset, "0040A040") == "CONTAINER" or bool(values(dataset, _CONTENT))


def content_items(dataset: JsonDataset) -> Iterator[tuple[str, JsonDataset]]:
    """Each content item, as (value type, attributes), in the order of the document: a tenth of
    the work that the tree is. Raises ContentTooLarge for more than MAX_ITEMS."""
    waiting: list[JsonDataset] = [dataset]
    count = 0
    while waiting:
        item = waiting.pop()
        count += 1
        if count > MAX_ITEMS:
            raise ContentTooLarge(f"a report of more than {MAX_ITEMS} content items")
        yield first_text(item, "0040A040"), item
        waiting.extend(c for c in reversed(values(item, _CONTENT)) if isinstance(c, dict))


def content_tree(dataset: JsonDataset) -> ContentItem:
    """The content of an SR document, from its root.

    Raises ContentTooLarge for more than MAX_ITEMS or MAX_DEPTH levels.
    """
    return _Reader().read(dataset, (1,))


class _Reader:
    def __init__(self) -> None:
        self._items = 0

    def read(self, dataset: JsonDataset, position: tuple[int, ...]) -> ContentItem:
        self._items += 1
        if self._items > MAX_ITEMS:
            raise ContentTooLarge(f"a report of more than {MAX_ITEMS} content items")
        if len(position) > MAX_DEPTH:
            raise ContentTooLarge(f"a report of more than {MAX_DEPTH} levels")
        children = [item for item in values(dataset, _CONTENT) if isinstance(item, dict)]
        template = first_item(dataset, "0040A504") or {}
        return ContentItem(
            position=position,
            relationship=first_text(dataset, "0040A010"),
            value_type=first_text(dataset, "0040A040"),
            name=code_of(dataset, "0040A043"),
            value=value_of(dataset),
            observed=moment(first_text(dataset, "0040A032")),
            uid=text_of(dataset, "0040A171"),
            continuity=first_text(dataset, "0040A050"),
            template=" ".join(
                filter(None, (first_text(template, "00080105"), first_text(template, "0040DB00")))
            ),
            target=_target(dataset),
            children=tuple(
                self.read(child, (*position, number)) for number, child in enumerate(children, 1)
            ),
        )


def _target(dataset: JsonDataset) -> tuple[int, ...] | None:
    steps = values(dataset, "0040DB73")  # Referenced Content Item Identifier
    if not steps or len(steps) > MAX_DEPTH or not all(type(step) is int for step in steps):
        return None
    return tuple(steps)
