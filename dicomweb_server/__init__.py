"""A DICOMweb archive: STOW-RS, QIDO-RS and WADO-RS over Postgres and plain DICOM files."""

import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def _version() -> str:
    """The version, from pyproject.toml alone: by way of the installed package, or beside us."""
    try:
        return version("dicomweb-server")
    except PackageNotFoundError:  # run from a checkout that was never installed
        project = Path(__file__).parents[1] / "pyproject.toml"
        return str(tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"])


__version__ = _version()
