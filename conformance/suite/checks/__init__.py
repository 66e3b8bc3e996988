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

# In the order of a run: what others build on comes first.
AREAS = (
    *("capabilities", "store", "posted", "search", "matching", "retrieve", "metadata"),
    *("frames", "bulkdata", "rendered"),
)

assert {check.area for check in CHECKS} == set(AREAS)
