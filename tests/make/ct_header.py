"""The public attributes of a CT slice as a scanner writes them: a keyword and its value a line."""

CT_HEADER = r"""
SpecificCharacterSet ISO_IR 192
ImageType ORIGINAL\PRIMARY\AXIAL
InstanceCreationDate 20240102
InstanceCreationTime 101523.120000
StudyDate 20240102
SeriesDate 20240102
AcquisitionDate 20240102
ContentDate 20240102
AcquisitionDateTime 20240102101500.250000
StudyTime 101400
SeriesTime 101455.310000
AcquisitionTime 101500.250000
ContentTime 101501.870000
AccessionNumber A00000001
Modality CT
Manufacturer Maker of Scanners
InstitutionName General Hospital
InstitutionAddress 1 Main Street
ReferringPhysicianName Referrer^Rita^^Dr.
StationName CT01
StudyDescription CT chest with contrast
SeriesDescription Chest 1.25 mm soft tissue
InstitutionalDepartmentName Radiology
PerformingPhysicianName Performer^Paul
OperatorsName Operator^Olga
ManufacturerModelName Scanner 64
PatientName Scan^Anna
PatientID CT000001
IssuerOfPatientID GENERAL
PatientBirthDate 19600312
PatientSex F
PatientAge 063Y
PatientSize 1.68
PatientWeight 71.5
AdditionalPatientHistory Cough for three weeks, no fever
BodyPartExamined CHEST
ScanOptions HELICAL MODE
SliceThickness 1.25
KVP 120
DataCollectionDiameter 500.000000
DeviceSerialNumber SN0012345
SoftwareVersions 7.2\7.2.1
ProtocolName 5.1 Chest routine
ContrastBolusAgent Iodine 300
ContrastBolusRoute IV
ContrastBolusVolume 80
ContrastBolusTotalDose 24
ContrastFlowRate 3.5
ContrastFlowDuration 22.8
ContrastBolusIngredient IODINE
ReconstructionDiameter 361.000000
DistanceSourceToDetector 949.075012
DistanceSourceToPatient 541.000000
GantryDetectorTilt 0.000000
TableHeight 152.500000
RotationDirection CW
ExposureTime 800
XRayTubeCurrent 280
Exposure 224
FilterType BODY FILTER
GeneratorPower 33600
FocalSpots 1.200000
DateOfLastCalibration 20240101
TimeOfLastCalibration 063000
ConvolutionKernel STANDARD
PatientPosition FFS
RevolutionTime 0.8
SingleCollimationWidth 0.625
TotalCollimationWidth 40.0
TableSpeed 68.75
TableFeedPerRotation 55.0
SpiralPitchFactor 1.375
DataCollectionCenterPatient 0.0\-2.25\-118.75
ReconstructionTargetCenterPatient 0.0\-2.25\-118.75
ExposureModulationType XYZ
EstimatedDoseSaving 22.4
CTDIvol 11.82
SeriesNumber 2
AcquisitionNumber 1
StudyID 1
ImageOrientationPatient 1.000000\0.000000\0.000000\0.000000\1.000000\0.000000
PositionReferenceIndicator SN
ImagesInAcquisition 320
SamplesPerPixel 1
PhotometricInterpretation MONOCHROME2
Rows 512
Columns 512
PixelSpacing 0.705078\0.705078
BitsAllocated 16
BitsStored 16
HighBit 15
PixelRepresentation 1
BurnedInAnnotation NO
LossyImageCompression 00
WindowCenter 40\-600
WindowWidth 400\1500
WindowCenterWidthExplanation SOFT\LUNG
RescaleIntercept 0
RescaleSlope 1
RescaleType HU
RequestedProcedureDescription CT chest with contrast
PerformedProcedureStepStartDate 20240102
PerformedProcedureStepStartTime 101400
PerformedProcedureStepEndDate 20240102
PerformedProcedureStepEndTime 101800
PerformedProcedureStepID PPS1
PerformedProcedureStepDescription Chest routine
ReasonForTheRequestedProcedure Cough for three weeks
"""
