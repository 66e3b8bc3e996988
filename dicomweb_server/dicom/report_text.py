"""A structured report as plain text: a line an item, indented as the content is nested."""

from collections.abc import Iterator

from dicomweb_server.dicom.description import JsonDataset
from dicomweb_server.dicom.report_header import header_of, title_of
from dicomweb_server.dicom.report_values import Reference, Shown, Table, Value
from dicomweb_server.dicom.structured_report import ContentItem, content_tree

# How an item stands to its parent (PS3.3 §C.17.3.2.4); that it is contained goes without saying.
RELATIONSHIPS = {
    "HAS OBS CONTEXT": "context",
    "HAS ACQ CONTEXT": "acquisition context",
    "HAS CONCEPT MOD": "modifier",
    "HAS PROPERTIES": "property",
    "INFERRED FROM": "inferred from",
    "SELECTED FROM": "selected from",
}


def report_text(dataset: JsonDataset) -> str:
    """The document as text; every value stands in it. Raises ContentTooLarge."""
    root = content_tree(dataset)
    return "\n".join(_document(dataset, root)) + "\n"


def _document(dataset: JsonDataset, root: ContentItem) -> Iterator[str]:
    title = _line(title_of(dataset))
    yield title
    yield "=" * min(len(title), 78)
    for heading, rows in header_of(dataset):
        yield ""
        yield heading
        for name, text in rows:
            yield f"  {name}: {_line(text)}"
    yield ""
    known = {item.position: item for item in root.walk()}
    for item in root.walk():
        if item is not root:
            yield from _item(item, known)


def _item(item: ContentItem, known: dict[tuple[int, ...], ContentItem]) -> Iterator[str]:
    indent = "  " * (len(item.position) - 2)
    name = _line(label(item))
    if item.value_type == "CONTAINER" and len(item.position) == 2:
        yield ""
    relation = relationship(item)
    notes = [f"[{note}]" for note in (relation, *_context(item)) if note]
    head = " ".join(filter(None, (f"{name}:", *notes)))
    if item.target is not None:
        target = known.get(item.target)
        where = ".".join(map(str, item.target))
        yield f"{indent}{head} see {_line(label(target)) if target else 'item'} ({where})"
        return
    first, *more = [*_value(item.value)] or [""]
    yield f"{indent}{head} {first}".rstrip()
    for line in more:
        yield f"{indent}    {line}"


def label(item: ContentItem) -> str:
    """What an item is called: its concept, else what kind of value it has."""
    return str(item.name) or item.value_type.capitalize() or "Item"


def relationship(item: ContentItem) -> str:
    """The relationship to the parent in a word or two; empty for CONTAINS."""
    if item.relationship in ("", "CONTAINS"):
        return ""
    return RELATIONSHIPS.get(item.relationship, item.relationship.lower())


def _context(item: ContentItem) -> Iterator[str]:
    if item.observed:
        yield f"observed {item.observed}"
    if item.continuity == "CONTINUOUS":
        yield "continuous text"


def _value(value: Shown) -> Iterator[str]:
    if isinstance(value, Value):
        text = f"{value.text} {value.unit}".strip()
        if value.bulk_path:
            text = f"{text} (bulk data {value.bulk_path})".strip()
        for name, detail in value.details:
            text += f" ({name}: {_line(detail)})"
        yield from text.split("\n")
    elif isinstance(value, Reference):
        text = f"{value.kind} {value.sop_instance_uid}"
        if value.frames:
            text += f" (frames {', '.join(map(str, value.frames))})"
        for name, detail in value.details:
            text += f" ({name}: {_line(detail)})"
        yield text
    elif isinstance(value, Table):
        yield " | ".join(("", *map(_line, value.columns)))
        for heading, cells in value.rows:
            yield " | ".join(map(_line, (heading, *cells)))


def _line(text: str) -> str:
    """Text without what would end its line."""
    return " ".join(text.split())
