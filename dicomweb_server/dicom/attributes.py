"""Which attributes belong to which level of a search (PS3.18 §10.6.3, PS3.4 C.3.4), as data.

What stands here is kept with the search results of its level: all attributes of the modules of
the Patient and Study, and the common ones of the Series, Equipment and Frame of Reference (PS3.3
§C.7). Everything else is found in the metadata of the instances.
"""

from dataclasses import dataclass

from dicomweb_server.dicom.dictionary import tag_of, vr_of
from dicomweb_server.dicom.query import Level

# Marks: R always returned, empty if unknown (PS3.18 Tables 10.6.3-3 to -5); C returned if known;
# D is not in the files but computed by the index, and then M if it can be matched all the same.
_STUDY = {
    "StudyDate": "R",
    "StudyTime": "R",
    "AccessionNumber": "R",
    "InstanceAvailability": "CD",
    "ModalitiesInStudy": "RDM",
    "ReferringPhysicianName": "R",
    "TimezoneOffsetFromUTC": "C",
    "RetrieveURL": "CD",
    "SOPClassesInStudy": "DM",
    "PatientName": "R",
    "PatientID": "R",
    "PatientBirthDate": "R",
    "PatientSex": "R",
    "StudyInstanceUID": "R",
    "StudyID": "R",
    "NumberOfStudyRelatedSeries": "RDM",
    "NumberOfStudyRelatedInstances": "RDM",
    "AdditionalPatientHistory": "",
    "AdmissionID": "",
    "AdmittingDiagnosesCodeSequence": "",
    "AdmittingDiagnosesDescription": "",
    "Allergies": "",
    "ClinicalTrialProtocolEthicsCommitteeApprovalNumber": "",
    "ClinicalTrialProtocolEthicsCommitteeName": "",
    "ClinicalTrialProtocolID": "",
    "ClinicalTrialProtocolName": "",
    "ClinicalTrialSiteID": "",
    "ClinicalTrialSiteName": "",
    "ClinicalTrialSponsorName": "",
    "ClinicalTrialSubjectID": "",
    "ClinicalTrialSubjectReadingID": "",
    "ClinicalTrialTimePointDescription": "",
    "ClinicalTrialTimePointID": "",
    "ConsentForClinicalTrialUseSequence": "",
    "ConsultingPhysicianIdentificationSequence": "",
    "ConsultingPhysicianName": "",
    "DeidentificationMethod": "",
    "DeidentificationMethodCodeSequence": "",
    "EthnicGroup": "",
    "EthnicGroupCodeSequence": "",
    "IssuerOfAccessionNumberSequence": "",
    "IssuerOfAdmissionIDSequence": "",
    "IssuerOfPatientID": "",
    "IssuerOfPatientIDQualifiersSequence": "",
    "IssuerOfServiceEpisodeIDSequence": "",
    "LastMenstrualDate": "",
    "MedicalAlerts": "",
    "NameOfPhysiciansReadingStudy": "",
    "Occupation": "",
    "OtherPatientIDsSequence": "",
    "OtherPatientNames": "",
    "PatientAge": "",
    "PatientAlternativeCalendar": "",
    "PatientBirthDateInAlternativeCalendar": "",
    "PatientBirthTime": "",
    "PatientBodyMassIndex": "",
    "PatientBreedCodeSequence": "",
    "PatientBreedDescription": "",
    "PatientComments": "",
    "PatientDeathDateInAlternativeCalendar": "",
    "PatientIdentityRemoved": "",
    "PatientSexNeutered": "",
    "PatientSize": "",
    "PatientSizeCodeSequence": "",
    "PatientSpeciesCodeSequence": "",
    "PatientSpeciesDescription": "",
    "PatientState": "",
    "PatientWeight": "",
    "PhysiciansOfRecord": "",
    "PhysiciansOfRecordIdentificationSequence": "",
    "PhysiciansReadingStudyIdentificationSequence": "",
    "PregnancyStatus": "",
    "ProcedureCodeSequence": "",
    "QualityControlSubject": "",
    "ReasonForPerformedProcedureCodeSequence": "",
    "ReasonForVisit": "",
    "ReasonForVisitCodeSequence": "",
    "ReferencedPatientSequence": "",
    "ReferencedStudySequence": "",
    "ReferringPhysicianIdentificationSequence": "",
    "RequestingPhysician": "",
    "RequestingService": "",
    "RequestingServiceCodeSequence": "",
    "ResponsibleOrganization": "",
    "ResponsiblePerson": "",
    "ResponsiblePersonRole": "",
    "ServiceEpisodeDescription": "",
    "ServiceEpisodeID": "",
    "SmokingStatus": "",
    "StudyDescription": "",
    "TypeOfPatientID": "",
}
_SERIES = {
    "Modality": "R",
    "SeriesDescription": "C",
    "RetrieveURL": "RD",
    "SeriesInstanceUID": "R",
    "SeriesNumber": "R",
    "NumberOfSeriesRelatedInstances": "RDM",
    "PerformedProcedureStepStartDate": "C",
    "PerformedProcedureStepStartTime": "C",
    "RequestAttributesSequence": "C",
    "TimezoneOffsetFromUTC": "C",
    "AnatomicRegionSequence": "",
    "AnatomicalOrientationType": "",
    "BodyPartExamined": "",
    "ClinicalTrialCoordinatingCenterName": "",
    "ClinicalTrialSeriesDescription": "",
    "ClinicalTrialSeriesID": "",
    "CommentsOnThePerformedProcedureStep": "",
    "ConversionType": "",
    "DateOfLastCalibration": "",
    "DeviceSerialNumber": "",
    "DeviceUID": "",
    "FrameOfReferenceUID": "",
    "GantryID": "",
    "InstitutionAddress": "",
    "InstitutionName": "",
    "InstitutionalDepartmentName": "",
    "InstitutionalDepartmentTypeCodeSequence": "",
    "Laterality": "",
    "Manufacturer": "",
    "ManufacturerModelName": "",
    "OperatorIdentificationSequence": "",
    "OperatorsName": "",
    "PatientPosition": "",
    "PerformedProcedureStepDescription": "",
    "PerformedProcedureStepEndDate": "",
    "PerformedProcedureStepEndTime": "",
    "PerformedProcedureStepID": "",
    "PerformedProtocolCodeSequence": "",
    "PerformingPhysicianIdentificationSequence": "",
    "PerformingPhysicianName": "",
    "PositionReferenceIndicator": "",
    "PresentationIntentType": "",
    "ProtocolName": "",
    "ReferencedPerformedProcedureStepSequence": "",
    "SecondaryCaptureDeviceID": "",
    "SecondaryCaptureDeviceManufacturer": "",
    "SecondaryCaptureDeviceManufacturerModelName": "",
    "SeriesDate": "",
    "SeriesDescriptionCodeSequence": "",
    "SeriesTime": "",
    "SeriesType": "",
    "SoftwareVersions": "",
    "SpatialResolution": "",
    "StationName": "",
    "SynchronizationFrameOfReferenceUID": "",
    "TimeOfLastCalibration": "",
    "TreatmentSessionUID": "",
    "UDISequence": "",
}
_INSTANCE = {
    "SOPClassUID": "R",
    "SOPInstanceUID": "R",
    "InstanceAvailability": "CD",
    "RetrieveURL": "RD",
    "TimezoneOffsetFromUTC": "C",
    "InstanceNumber": "R",
    "Rows": "C",
    "Columns": "C",
    "BitsAllocated": "C",
    "NumberOfFrames": "C",
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
    computed: bool
    matchable: bool

    @property
    def key(self) -> str:
        """The name of the property in the DICOM JSON Model."""
        return f"{self.tag:08X}"


def _table(level: Level, marks: dict[str, str]) -> dict[int, Attribute]:
    table = {}
    for keyword, mark in marks.items():
        tag = tag_of(keyword)
        vr = None if tag is None else vr_of(tag)
        assert tag is not None and vr is not None, keyword
        table[tag] = Attribute(
            keyword,
            tag,
            vr,
            level,
            "R" in mark,
            "C" in mark,
            "D" in mark,
            "D" not in mark or "M" in mark,
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
