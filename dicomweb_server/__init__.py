"""A DICOMweb archive: STOW-RS, QIDO-RS and WADO-RS over Postgres and plain DICOM files."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("dicomweb-server")
except PackageNotFoundError:  # run from a checkout that was never installed
    __version__ = "0+unknown"
