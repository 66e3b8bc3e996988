"""The checks, a module for each part of the standard. To import this enlists them all."""

from conformance.suite.checks import (
    capabilities,
    frames,
    matching,
    metadata,
    retrieve,
    search,
)
from conformance.suite.model import CHECKS

MODULES = (capabilities, search, matching, metadata, retrieve, frames)

AREAS = tuple(dict.fromkeys(check.area for check in CHECKS))
