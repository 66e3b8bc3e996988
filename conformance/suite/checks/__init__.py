"""The checks, a module for each part of the standard. To import this enlists them all."""

from conformance.suite.checks import (
    capabilities,
    frames,
    matching,
    metadata,
    posted,
    rendered,
    retrieve,
    search,
    store,
)
from conformance.suite.model import CHECKS

MODULES = (capabilities, search, matching, metadata, retrieve, frames, store, posted, rendered)

AREAS = tuple(dict.fromkeys(check.area for check in CHECKS))
