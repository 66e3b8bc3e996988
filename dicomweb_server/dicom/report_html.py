"""A structured report as a page (PS3.18 Table 8.7.4-1: text/html of the category Text).

Containers are sections, measurements that follow each other a table, images a row of thumbnails;
an item below an item stands indented under it. Nothing in the page comes from elsewhere.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from dicomweb_server.dicom.description import JsonDataset
from dicomweb_server.dicom.json_values import first_item, first_text
from dicomweb_server.dicom.page import header, heading, page, text
from dicomweb_server.dicom.report_header import header_of, title_of
from dicomweb_server.dicom.report_text import label, relationship
from dicomweb_server.dicom.report_values import REFERENCES, Code, Reference, Shown, Table, Value
from dicomweb_server.dicom.structured_report import ContentItem, content_items, content_tree

MAX_LINKS = 2000  # instances that are looked for; a report of a whole study names some hundred
_MAX_FRAMES = 50  # of one reference, that have a link of their own

_IN_LINE = frozenset({"TEXT", "CODE", "NUM", "DATETIME", "DATE", "TIME", "PNAME", "UIDREF"})


def referenced_instances(dataset: JsonDataset) -> list[str]:
    """The SOP Instance UIDs that the content names, each once, MAX_LINKS at most. Raises
    ContentTooLarge."""
    found: dict[str, None] = {}
    for kind, item in content_items(dataset):
        if kind in REFERENCES and (referenced := first_item(item, "00081199")) is not None:
            found.setdefault(first_text(referenced, "00081155"))
            if len(found) > MAX_LINKS:
                break
    found.pop("", None)
    return list(found)[:MAX_LINKS]


def report_page(dataset: JsonDataset, links: Mapping[str, str]) -> str:
    """The page. `links`: SOP Instance UID → URL of the instance, relative to the page, for those
    that are stored here. Raises ContentTooLarge."""
    root = content_tree(dataset)
    title = title_of(dataset)
    known = {item.position: item for item in root.walk()}
    content = "".join(_Writer(links, known).content(root))
    return page(title, header(title, _states(dataset), header_of(dataset)) + "\n" + content)


def _states(dataset: JsonDataset) -> list[tuple[str, bool]]:
    """Complete or partial, verified or not (PS3.3 §C.17.2)."""
    flags = ("0040A491", "COMPLETE"), ("0040A493", "VERIFIED"), ("0040A496", "FINAL")
    found = [(first_text(dataset, tag), good) for tag, good in flags]
    return [(flag.capitalize(), flag == good) for flag, good in found if flag]


class _Writer:
    def __init__(
        self, links: Mapping[str, str], known: Mapping[tuple[int, ...], ContentItem]
    ) -> None:
        self._links = links
        self._known = known

    def content(self, item: ContentItem) -> Iterator[str]:
        """All below an item that is a section."""
        if _is_running_text(item):
            yield f"<p>{' '.join(map(self._in_line, item.children))}</p>\n"
            return
        for kind, run in groupby(item.children, _kind):
            items = list(run)
            if kind == "CONTAINER":
                for child in items:
                    yield from self._section(child)
            elif kind == "NUM" and len(items) > 1:
                yield from self._measurements(items)
            elif kind == "IMAGE":
                yield from self._images(items)
            else:
                yield from self._list(items, "top")

    def _section(self, item: ContentItem) -> Iterator[str]:
        name = f"{text(label(item))} {self._marks(item)}"
        yield f'<section id="{_id(item)}">{heading(len(item.position), name)}\n'
        yield from self.content(item)
        yield "</section>\n"

    def _list(self, items: Sequence[ContentItem], kind: str = "") -> Iterator[str]:
        yield f'<ul class="{kind}">' if kind else "<ul>"
        for item in items:
            yield f'<li id="{_id(item)}">{self._item(item)}'
            yield from self._below(item)
            yield "</li>\n"
        yield "</ul>\n"

    def _below(self, item: ContentItem) -> Iterator[str]:
        """What stands under an item that is no section."""
        if not item.children:
            return
        if any(_kind(child) == "CONTAINER" for child in item.children):
            yield from self.content(item)
        else:
            for kind, run in groupby(item.children, _kind):
                children = list(run)
                yield from self._images(children) if kind == "IMAGE" else self._list(children)

    def _item(self, item: ContentItem) -> str:
        name = f'<span class="name"{_title(item.name)}>{text(label(item))}</span>'
        return " ".join(filter(None, (name, self._marks(item), self._shown(item))))

    def _shown(self, item: ContentItem) -> str:
        if item.target is None:
            return self._value(item.value)
        target = self._known.get(item.target)
        where = ".".join(map(str, item.target))
        if target is None:
            return f'<span class="note">item {where}, which there is not</span>'
        return f'<a href="#{_id(target)}">{text(label(target))} ({where})</a>'

    def _marks(self, item: ContentItem) -> str:
        relation = relationship(item)
        marks = [f'<span class="rel">{text(relation)}</span>'] if relation else []
        if item.observed:
            marks.append(f'<span class="note">observed {text(item.observed)}</span>')
        if item.value_type == "CONTAINER" and item.continuity == "CONTINUOUS":
            marks.append('<span class="note">continuous text</span>')
        return " ".join(marks)

    def _value(self, value: Shown) -> str:
        if isinstance(value, Reference):
            return self._reference(value)
        if isinstance(value, Table):
            return _table(value)
        if value is None:
            return ""
        parts = [_amount(value)]
        if value.bulk_path:
            parts.append(
                f'<a href="bulkdata/{text(value.bulk_path)}">too long to be shown here</a>'
            )
        return " ".join(filter(None, (*parts, _details(value.details))))

    def _reference(self, reference: Reference) -> str:
        url = self._links.get(reference.sop_instance_uid)
        name = text(reference.kind)
        frames = [str(frame) for frame in reference.frames]
        if url is None:
            shown = f'{name} <span class="note">{text(reference.sop_instance_uid)}, not here</span>'
            if frames:
                shown += f' <span class="note">frames {", ".join(frames)}</span>'
        else:
            shown = f'<a href="{text(url)}/rendered">{name}</a>'
            if frames:
                linked = [
                    f'<a href="{text(url)}/frames/{frame}/rendered">{frame}</a>'
                    for frame in frames[:_MAX_FRAMES]
                ]
                shown += f" frames {', '.join([*linked, *frames[_MAX_FRAMES:]])}"
        return " ".join(filter(None, (shown, _details(reference.details))))

    def _images(self, items: Sequence[ContentItem]) -> Iterator[str]:
        """Thumbnails in a row; those that are not here, or have more to say, in a list."""
        shown = [item for item in items if self._picture(item) and not item.children]
        if shown:
            yield '<ul class="images">'
            for item in shown:
                yield f'<li id="{_id(item)}">{self._picture(item)}{self._item(item)}</li>\n'
            yield "</ul>\n"
        if others := [item for item in items if item not in shown]:
            yield from self._list(others, "top")

    def _picture(self, item: ContentItem) -> str:
        reference = item.value
        if not isinstance(reference, Reference):
            return ""
        url = self._links.get(reference.sop_instance_uid)
        if url is None:
            return ""
        frame = f"/frames/{reference.frames[0]}" if reference.frames else ""
        return (
            f'<a href="{text(url)}{frame}/rendered"><img src="{text(url)}{frame}/thumbnail" '
            f'alt="{text(reference.kind)}" loading="lazy" width="160" height="160"/></a>'
        )

    def _measurements(self, items: Sequence[ContentItem]) -> Iterator[str]:
        with_details = any(item.children or self._marks(item) or _more(item) for item in items)
        last = '<th scope="col">Details</th>' if with_details else ""
        yield '<table><thead><tr><th scope="col">Measurement</th><th scope="col">Value</th>'
        yield f'<th scope="col">Unit</th>{last}</tr></thead><tbody>\n'
        for item in items:
            value = item.value if isinstance(item.value, Value) else Value("")
            yield f'<tr id="{_id(item)}"><td{_title(item.name)}>{text(label(item))}</td>'
            yield f'<td class="number">{text(value.text)}</td>'
            yield f"<td{_title(value.code)}>{text(value.unit)}</td>"
            if with_details:
                yield f"<td>{self._marks(item)} {_details(value.details)}"
                yield from self._below(item)
                yield "</td>"
            yield "</tr>\n"
        yield "</tbody></table>\n"

    def _in_line(self, item: ContentItem) -> str:
        value = self._value(item.value)
        marks = self._marks(item)
        if item.value_type != "TEXT":
            value = f"{text(label(item))} {value}"
        shown = f'<span id="{_id(item)}" title="{text(label(item))}">{value}</span>'
        return f"{marks} {shown}" if marks else shown


def _kind(item: ContentItem) -> str:
    """Items of a kind stand together."""
    kind = item.value_type if item.target is None else ""
    return kind if kind in ("CONTAINER", "NUM", "IMAGE") else ""


def _is_running_text(item: ContentItem) -> bool:
    """Continuous, and text: some makers call groups of measurements so as well."""
    return (
        item.continuity == "CONTINUOUS"
        and any(child.value_type == "TEXT" for child in item.children)
        and all(
            child.relationship == "CONTAINS" and child.value_type in _IN_LINE and not child.children
            for child in item.children
        )
    )


def _more(item: ContentItem) -> bool:
    return isinstance(item.value, Value) and bool(item.value.details)


def _id(item: ContentItem) -> str:
    return "item-" + ".".join(map(str, item.position))


def _title(code: Code | None) -> str:
    return f' title="{text(code.key)}"' if code is not None and code.key else ""


def _amount(value: Value) -> str:
    shown = f"{value.text} {value.unit}".strip()
    kind = ' class="text"' if "\n" in shown else ""
    return f"<span{kind}{_title(value.code)}>{text(shown)}</span>" if shown else ""


def _details(details: Sequence[tuple[str, str]]) -> str:
    return " ".join(
        f'<span class="note">{text(name)}: {text(value)}</span>' for name, value in details
    )


def _table(table: Table) -> str:
    head = "".join(f'<th scope="col">{text(name)}</th>' for name in table.columns)
    rows = "".join(
        f'<tr><th scope="row">{text(name)}</th>'
        + "".join(f"<td>{text(cell)}</td>" for cell in cells)
        + "</tr>\n"
        for name, cells in table.rows
    )
    return f"<table><thead><tr><td></td>{head}</tr></thead><tbody>\n{rows}</tbody></table>"
