"""Which attributes belong to which level of a search (PS3.18 §10.6.3, PS3.4 C.3.4), as data.

Only what stands here is kept with the search results of its level; everything else is found in
the metadata of the instances.
"""

from dataclasses import dataclass

from pydicom.datadict import dictionary_VR, tag_for_keyword

from dicomweb_server.dicom.query import Level

# Marks: R always returned, empty if unknown (PS3.18 Tables 10.6.3-3 to -5); C returned if known;
# K has a column of its own and can be matched; D is not in the files but computed by the index.
_STUDY = {
    "StudyDate": "RK",
    "StudyTime": "RK",
    "AccessionNumber": "RK",
    "InstanceAvailability": "CD",
    "ModalitiesInStudy": "RKD",
    "ReferringPhysicianName": "RK",
    "TimezoneOffsetFromUTC": "C",
    "RetrieveURL": "CD",
    "PatientName": "RK",
    "PatientID": "RK",
    "PatientBirthDate": "RK",
    "PatientSex": "RK",
    "StudyInstanceUID": "RK",
    "StudyID": "RK",
    "NumberOfStudyRelatedSeries": "RD",
    "NumberOfStudyRelatedInstances": "RD",
    "IssuerOfPatientID": "K",
    "StudyDescription": "K",
    "AdditionalPatientHistory": "",
    "AdmittingDiagnosesDescription": "",
    "ConsultingPhysicianName": "",
    "DeidentificationMethod": "",
    "EthnicGroup": "",
    "IssuerOfAccessionNumberSequence": "",
    "NameOfPhysiciansReadingStudy": "",
    "Occupation": "",
    "OtherPatientIDsSequence": "",
    "OtherPatientNames": "",
    "PatientAge": "",
    "PatientBirthTime": "",
    "PatientComments": "",
    "PatientIdentityRemoved": "",
    "PatientSize": "",
    "PatientSpeciesDescription": "",
    "PatientWeight": "",
    "PhysiciansOfRecord": "",
    "ProcedureCodeSequence": "",
    "ReasonForPerformedProcedureCodeSequence": "",
    "ReferencedPatientSequence": "",
    "ReferencedStudySequence": "",
    "RequestingPhysician": "",
    "RequestingService": "",
    "ResponsiblePerson": "",
}
_SERIES = {
    "Modality": "RK",
    "SeriesDescription": "CK",
    "RetrieveURL": "RD",
    "SeriesInstanceUID": "RK",
    "SeriesNumber": "RK",
    "NumberOfSeriesRelatedInstances": "RD",
    "PerformedProcedureStepStartDate": "CK",
    "PerformedProcedureStepStartTime": "CK",
    "RequestAttributesSequence": "CK",
    "BodyPartExamined": "K",
    "AnatomicRegionSequence": "",
    "DeviceSerialNumber": "",
    "FrameOfReferenceUID": "",
    "InstitutionName": "",
    "InstitutionalDepartmentName": "",
    "Laterality": "",
    "Manufacturer": "",
    "ManufacturerModelName": "",
    "OperatorsName": "",
    "PatientPosition": "",
    "PerformedProcedureStepDescription": "",
    "PerformedProcedureStepID": "",
    "PerformingPhysicianName": "",
    "PresentationIntentType": "",
    "ProtocolName": "",
    "SeriesDate": "",
    "SeriesDescriptionCodeSequence": "",
    "SeriesTime": "",
    "SeriesType": "",
    "SoftwareVersions": "",
    "StationName": "",
}
_INSTANCE = {
    "SOPClassUID": "RK",
    "SOPInstanceUID": "RK",
    "InstanceAvailability": "CD",
    "RetrieveURL": "RD",
    "InstanceNumber": "RK",
    "Rows": "CK",
    "Columns": "CK",
    "BitsAllocated": "C",
    "NumberOfFrames": "CK",
    "AvailableTransferSyntaxUID": "CD",
    "AcquisitionDate": "",
    "AcquisitionDateTime": "",
    "AcquisitionNumber": "",
    "AcquisitionTime": "",
    "BitsStored": "",
    "BurnedInAnnotation": "",
    "CompletionFlag": "",
    "ConceptNameCodeSequence": "",
    "ContentDate": "",
    "ContentDescription": "",
    "ContentLabel": "",
    "ContentTime": "",
    "ContrastBolusAgent": "",
    "DocumentTitle": "",
    "EchoTime": "",
    "ImageComments": "",
    "ImageLaterality": "",
    "ImageOrientationPatient": "",
    "ImagePositionPatient": "",
    "ImageType": "",
    "InstanceCreationDate": "",
    "InstanceCreationTime": "",
    "LossyImageCompression": "",
    "MIMETypeOfEncapsulatedDocument": "",
    "PhotometricInterpretation": "",
    "PixelRepresentation": "",
    "PixelSpacing": "",
    "PreliminaryFlag": "",
    "SamplesPerPixel": "",
    "SliceLocation": "",
    "SliceThickness": "",
    "VerificationFlag": "",
    "ViewPosition": "",
}


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute of one level."""

    keyword: str
    tag: int
    vr: str
    level: Level
    always: bool  # returned by default, empty if unknown
    known: bool  # returned by default if known
    matchable: bool
    computed: bool

    @property
    def key(self) -> str:
        """The name of the property in the DICOM JSON Model."""
        return f"{self.tag:08X}"


def _table(level: Level, marks: dict[str, str]) -> dict[int, Attribute]:
    table = {}
    for keyword, mark in marks.items():
        tag = tag_for_keyword(keyword)
        assert tag is not None, keyword
        table[tag] = Attribute(
            keyword,
            tag,
            dictionary_VR(tag),
            level,
            "R" in mark,
            "C" in mark,
            "K" in mark,
            "D" in mark,
        )
    return dict(sorted(table.items()))


ATTRIBUTES: dict[Level, dict[int, Attribute]] = {
    Level.STUDY: _table(Level.STUDY, _STUDY),
    Level.SERIES: _table(Level.SERIES, _SERIES),
    Level.INSTANCE: _table(Level.INSTANCE, _INSTANCE),
}

# The properties that the walk keeps a level, by their name in the DICOM JSON Model.
KEPT: dict[Level, frozenset[str]] = {
    level: frozenset(a.key for a in table.values() if not a.computed)
    for level, table in ATTRIBUTES.items()
}


def level_of(tag: int) -> Level | None:
    """The level at which `tag` is kept, the highest if several; None if it is at none."""
    return next((level for level in Level if tag in ATTRIBUTES[level]), None)
