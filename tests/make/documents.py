"""Instances without pixels: a structured report and an encapsulated PDF."""

from typing import Any

from pydicom import uid as uids
from pydicom.dataset import Dataset

from tests.make.files import EMPTY, dataset_with, part10, uid


def sr_document(*, seed: int = 0, **keywords: Any) -> bytes:
    """A Comprehensive SR: a title, a text and a measurement with units (PS3.3 A.35.3)."""
    title = _content("CONTAINER", "121070", "Findings")
    title.ContinuityOfContent = "SEPARATE"
    text = _content("TEXT", "121071", "Finding", relation="CONTAINS")
    text.TextValue = "Nodule in the left upper lobe."
    length = _content("NUM", "410668003", "Length", scheme="SCT", relation="CONTAINS")
    value = Dataset()
    value.NumericValue = "12.5"
    value.MeasurementUnitsCodeSequence = [_code("mm", "UCUM", "millimeter")]
    length.MeasuredValueSequence = [value]
    title.ContentSequence = [text, length]
    values = {
        "SOPClassUID": uids.ComprehensiveSRStorage,
        "SOPInstanceUID": uid("sr", seed),
        "StudyInstanceUID": uid("sr study", seed),
        "SeriesInstanceUID": uid("sr series", seed),
        **EMPTY,
        "Modality": "SR",
        "SeriesNumber": 1,
        "InstanceNumber": 1,
        "ContentDate": "20240102",
        "ContentTime": "101500",
        "CompletionFlag": "COMPLETE",
        "VerificationFlag": "UNVERIFIED",
        "ReferencedPerformedProcedureStepSequence": [],
        "PerformedProcedureCodeSequence": [],
        **{element.keyword: element.value for element in title},
    }
    return part10(dataset_with(**(values | keywords)))


def encapsulated_pdf(*, seed: int = 0, **keywords: Any) -> bytes:
    """An Encapsulated PDF of one empty page (PS3.3 A.45.1)."""
    values = {
        "SOPClassUID": uids.EncapsulatedPDFStorage,
        "SOPInstanceUID": uid("pdf", seed),
        "StudyInstanceUID": uid("pdf study", seed),
        "SeriesInstanceUID": uid("pdf series", seed),
        **EMPTY,
        "Modality": "DOC",
        "SeriesNumber": 1,
        "InstanceNumber": 1,
        "ConversionType": "WSD",
        "BurnedInAnnotation": "YES",
        "ContentDate": "20240102",
        "ContentTime": "101500",
        "AcquisitionDateTime": None,
        "DocumentTitle": "Report",
        "ConceptNameCodeSequence": [_code("11528-7", "LN", "Radiology Report")],
        "MIMETypeOfEncapsulatedDocument": "application/pdf",
        "EncapsulatedDocument": pdf() + b"\0" * (len(pdf()) % 2),
        "EncapsulatedDocumentLength": len(pdf()),
    }
    return part10(dataset_with(**(values | keywords)))


def clinical_document(
    *,
    title: str = "Radiology report",
    finding: str = "A nodule in the left upper lobe.<br/>Nothing else.",
    name: str = "Erika",
) -> bytes:
    """A CDA document (HL7 CDA R2) with a nested section; the arguments are XML."""
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<ClinicalDocument xmlns="urn:hl7-org:v3"><title>{title}</title>
<effectiveTime value="202401021015"/>
<recordTarget><patientRole><id root="1.2" extension="P1"/><patient>
<name><given>{name}</given> <family>Muster</family></name>
<administrativeGenderCode code="F"/><birthTime value="19601231"/></patient></patientRole>
</recordTarget><author><assignedAuthor><assignedPerson><name>Ada Riva</name></assignedPerson>
</assignedAuthor></author><custodian><assignedCustodian>
<representedCustodianOrganization><name>Ospedale</name>
</representedCustodianOrganization></assignedCustodian></custodian>
<component><structuredBody><component><section><title>Findings</title><text>
<paragraph>{finding}</paragraph>
<list><item>first<list><item>deeper</item></list></item><item>second</item></list>
<table><thead><tr><th>Lobe</th><th>Size</th></tr></thead>
<tbody><tr><td>left upper</td><td>8 mm</td></tr></tbody></table></text>
<component><section><title>Details</title><text>More.</text></section></component>
</section></component></structuredBody></component></ClinicalDocument>
""".encode()


def pdf() -> bytes:
    """The document within `encapsulated_pdf`, without its padding."""
    return (
        b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
        b"2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
        b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]>>endobj\n"
        b"trailer<</Root 1 0 R>>\n%%EOF\n"
    )


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return code


def _content(
    kind: str, value: str, meaning: str, *, scheme: str = "DCM", relation: str | None = None
) -> Dataset:
    item = Dataset()
    if relation is not None:
        item.RelationshipType = relation
    item.ValueType = kind
    item.ConceptNameCodeSequence = [_code(value, scheme, meaning)]
    return item
