"""Content items of structured reports (PS3.3 §C.17.3), put together by value type."""

from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage

RELATION = "CONTAINS"


def code(meaning: str, value: str = "T-1", scheme: str = "99TEST") -> Dataset:
    """A code."""
    made = Dataset()
    made.CodeValue, made.CodingSchemeDesignator, made.CodeMeaning = value, scheme, meaning
    return made


def item(
    value_type: str | None,
    name: str = "",
    *children: Dataset,
    relation: str = RELATION,
    **more: Any,
) -> Dataset:
    """An item of any value type; `more` are its attributes by keyword."""
    made = Dataset()
    made.RelationshipType = relation
    if value_type is not None:
        made.ValueType = value_type
    if name:
        made.ConceptNameCodeSequence = [code(name)]
    for keyword, value in more.items():
        setattr(made, keyword, value)
    if children:
        made.ContentSequence = list(children)
    return made


def container(name: str, *children: Dataset, **more: Any) -> Dataset:
    """A container, SEPARATE unless `more` says otherwise."""
    return item("CONTAINER", name, *children, **{"ContinuityOfContent": "SEPARATE", **more})


def text(name: str, value: str, *children: Dataset, **more: Any) -> Dataset:
    """A TEXT item."""
    return item("TEXT", name, *children, TextValue=value, **more)


def num(name: str, value: str, unit: str, *children: Dataset, **more: Any) -> Dataset:
    """A NUM item, with a unit of UCUM."""
    measured = Dataset()
    measured.NumericValue = value
    measured.MeasurementUnitsCodeSequence = [code(unit, unit, "UCUM")]
    return item("NUM", name, *children, MeasuredValueSequence=[measured], **more)


def image(
    name: str,
    instance: str,
    *children: Dataset,
    frames: list[int] | None = None,
    value_type: str = "IMAGE",
    sop_class: str = CTImageStorage,
    relation: str = RELATION,
) -> Dataset:
    """An item that refers to another instance."""
    referenced = Dataset()
    referenced.ReferencedSOPClassUID, referenced.ReferencedSOPInstanceUID = sop_class, instance
    if frames:
        referenced.ReferencedFrameNumber = frames
    return item(value_type, name, *children, relation=relation, ReferencedSOPSequence=[referenced])


def see(*position: int, relation: str = "INFERRED FROM") -> Dataset:
    """An item by reference: the position of another, counted from 1."""
    return item(None, relation=relation, ReferencedContentItemIdentifier=list(position))
