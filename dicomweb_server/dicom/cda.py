"""Clinical documents (HL7 CDA R2) as pages and plain text: what their sections tell a reader.

The narrative of a section is what its author answers for (CDA R2 §4.3.5); the coded entries
beside it are for machines and stay in the document itself.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import ParseError, fromstring

from dicomweb_server.dicom.page import header, heading, page, text
from dicomweb_server.dicom.report_values import moment
from dicomweb_server.errors import ContentTooLarge, UndecodablePixels

MAX_DOCUMENT = 8 << 20  # bytes that are read as XML
_MAX_DEPTH = 60

_V3 = "{urn:hl7-org:v3}"
_CUSTODIAN = "custodian/assignedCustodian/representedCustodianOrganization/name"
_PARTS = frozenset(f"{_V3}{name}" for name in ("thead", "tbody", "tfoot"))
_BREAK = "\N{LINE SEPARATOR}"
_LINE = frozenset({"content", "sub", "sup", "linkHtml", "footnote", "footnoteRef", "br"})


@dataclass(frozen=True, slots=True)
class Block:
    """A heading of a `level` from 2, a paragraph, an item of a list (`level` from 1), or a table,
    whose `rows` have cells that are headings or not."""

    kind: str
    text: str = ""
    level: int = 0
    rows: tuple[tuple[tuple[str, bool], ...], ...] = ()


@dataclass(frozen=True, slots=True)
class ClinicalDocument:
    """What stands above a document, and its narrative."""

    title: str
    groups: list[tuple[str, list[tuple[str, str]]]]
    blocks: list[Block]


def clinical_document(data: bytes) -> ClinicalDocument:
    """Read a document. Raises ContentTooLarge, and UndecodablePixels for one that is no well-formed
    XML, has entities of its own, or is no CDA."""
    if len(data) > MAX_DOCUMENT:
        raise ContentTooLarge(f"a clinical document of more than {MAX_DOCUMENT} bytes")
    try:
        root = fromstring(data.rstrip(b"\0"), forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError):
        raise UndecodablePixels("the document cannot be read as XML") from None
    if root.tag != f"{_V3}ClinicalDocument":
        raise UndecodablePixels("the document is no clinical document")
    title = _flat(root.find(f"{_V3}title")) or _named(root.find(f"{_V3}code")) or "Document"
    return ClinicalDocument(title, _header(root), list(_body(root)))


def document_page(data: bytes) -> str:
    """A document as a page. Raises what ``clinical_document`` does."""
    document = clinical_document(data)
    parts = [header(document.title, [], document.groups), *map(_markup, document.blocks)]
    return page(document.title, "\n".join(parts))


def document_text(data: bytes) -> str:
    """A document as plain text. Raises what ``clinical_document`` does."""
    document = clinical_document(data)
    lines = [document.title, "=" * min(len(document.title), 78)]
    for name, rows in document.groups:
        lines += ["", name, *(f"  {label}: {value}" for label, value in rows)]
    for block in document.blocks:
        lines += _lines(block)
    return "\n".join(lines) + "\n"


def _header(root: Element) -> list[tuple[str, list[tuple[str, str]]]]:
    role = _at(root, "recordTarget/patientRole")
    patient = _at(role, "patient")
    authors = [
        _name(_at(author, "assignedAuthor/assignedPerson/name"))
        or _flat(_at(author, "assignedAuthor/assignedAuthoringDevice/softwareName"))
        for author in root.findall(f"{_V3}author")
    ]
    groups = [
        (
            "Patient",
            [
                ("Name", _name(_at(patient, "name"))),
                ("Patient ID", _value(_at(role, "id"), "extension")),
                ("Birth date", moment(_value(_at(patient, "birthTime"), "value"))),
                ("Sex", _value(_at(patient, "administrativeGenderCode"), "code")),
            ],
        ),
        (
            "Document",
            [
                ("Date", moment(_value(_at(root, "effectiveTime"), "value"))),
                ("Author", "; ".join(filter(None, authors))),
                (
                    "Signed by",
                    _name(_at(root, "legalAuthenticator/assignedEntity/assignedPerson/name")),
                ),
                ("Custodian", _flat(_at(root, _CUSTODIAN))),
            ],
        ),
    ]
    shown = [(name, [row for row in rows if row[1]]) for name, rows in groups]
    return [(name, rows) for name, rows in shown if rows]


def _body(root: Element) -> Iterator[Block]:
    body = _at(root, "component/structuredBody")
    if body is not None:
        for component in body.findall(f"{_V3}component"):
            yield from _section(component.find(f"{_V3}section"), 2)
    other = _at(root, "component/nonXMLBody/text")
    if other is not None:
        kind = other.get("mediaType", "")
        inside = other.text if kind == "text/plain" and other.get("representation") != "B64" else ""
        yield Block("paragraph", (inside or "").strip() or f"The document holds {kind or 'data'}.")


def _section(section: Element | None, level: int) -> Iterator[Block]:
    if section is None:
        return
    _check(level)
    title = _flat(section.find(f"{_V3}title")) or _named(section.find(f"{_V3}code"))
    if title:
        yield Block("heading", title, level)
    narrative = section.find(f"{_V3}text")
    if narrative is not None:
        yield from _narrative(narrative, "paragraph", 0, level)
    for component in section.findall(f"{_V3}component"):
        yield from _section(component.find(f"{_V3}section"), level + 1)


def _check(depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise ContentTooLarge(f"a clinical document of more than {_MAX_DEPTH} levels")


def _narrative(element: Element, kind: str, level: int, depth: int) -> Iterator[Block]:
    """The blocks of a narrative; text that stands loose between them is a block as well."""
    _check(depth)
    loose = [element.text or ""]
    for child in element:
        name = child.tag.removeprefix(_V3) if isinstance(child.tag, str) else ""
        if name in _LINE:
            loose.append(_BREAK if name == "br" else _all(child))
        else:
            yield from _flush(loose, kind, level)
            if name == "table":
                yield from _table(child)
            elif name == "list":
                for item in child:
                    yield from _narrative(item, "item", level + 1, depth + 1)
            elif name == "renderMultiMedia":
                yield Block("paragraph", "[picture]")
            elif name:
                inner = "paragraph" if name == "paragraph" and kind != "item" else kind
                yield from _narrative(child, inner, level, depth + 1)
        loose.append(child.tail or "")
    yield from _flush(loose, kind, level)


def _flush(loose: list[str], kind: str, level: int) -> Iterator[Block]:
    lines = [" ".join(line.split()) for line in "".join(loose).split(_BREAK)]
    found = "\n".join(filter(None, lines))
    loose.clear()
    if found:
        yield Block(kind, found, level)


def _table(table: Element) -> Iterator[Block]:
    caption = _flat(table.find(f"{_V3}caption"))
    if caption:
        yield Block("paragraph", caption)
    # Rows below these alone: a table in a cell is part of its text, however deep they are nested
    inside = [table, *(part for part in table if part.tag in _PARTS)]
    rows = tuple(
        tuple((_flat(cell), cell.tag == f"{_V3}th") for cell in row)
        for part in inside
        for row in part.findall(f"{_V3}tr")
    )
    yield Block("table", rows=rows)


def _at(element: Element | None, path: str) -> Element | None:
    if element is None:
        return None
    return element.find("/".join(f"{_V3}{step}" for step in path.split("/")))


def _all(element: Element) -> str:
    """All text below an element; comments and such hold none."""
    return "".join(element.itertext()) if isinstance(element.tag, str) else ""


def _flat(element: Element | None) -> str:
    return "" if element is None else " ".join(_all(element).split())


def _value(element: Element | None, attribute: str) -> str:
    return "" if element is None else element.get(attribute, "").strip()


def _named(code: Element | None) -> str:
    return _value(code, "displayName")


def _name(element: Element | None) -> str:
    """A name, its parts in the order in which they stand."""
    if element is None:
        return ""
    return " ".join(" ".join(element.itertext()).split())


def _markup(block: Block) -> str:
    if block.kind == "heading":
        return heading(block.level, text(block.text))
    if block.kind == "table":
        return f"<table><tbody>{''.join(map(_row, block.rows))}</tbody></table>"
    if block.kind == "item":
        nested = "<ul>" * block.level, "</ul>" * block.level
        return f'{nested[0]}<li class="text">{text(block.text)}</li>{nested[1]}'
    return f'<p class="text">{text(block.text)}</p>'


def _row(row: tuple[tuple[str, bool], ...]) -> str:
    names = {True: "th", False: "td"}
    cells = (f"<{names[head]}>{text(cell)}</{names[head]}>" for cell, head in row)
    return f"<tr>{''.join(cells)}</tr>"


def _lines(block: Block) -> list[str]:
    if block.kind == "heading":
        return ["", block.text, "-" * min(len(block.text), 78)]
    if block.kind == "table":
        return [" | ".join(cell for cell, _ in row) for row in block.rows]
    if block.kind == "item":
        return [f"{'  ' * block.level}- {block.text}"]
    return block.text.split("\n")
