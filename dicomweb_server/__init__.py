"""A DICOMweb archive: STOW-RS, QIDO-RS and WADO-RS over Postgres and plain DICOM files."""

__version__ = "0.1.0"
