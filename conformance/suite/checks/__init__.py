"""The checks, a module for each part of the standard. To import this enlists them all."""

from conformance.suite.checks import (
    capabilities,
    common,
    frames,
    keys,
    matching,
    metadata,
    models,
    negotiation,
    pixels,
    posted,
    rendered,
    retrieve,
    search,
    shown,
    store,
    stored,
)
from conformance.suite.model import CHECKS

MODULES = (
    *(capabilities, negotiation, search, matching, keys, metadata, models),
    *(common, retrieve, frames, pixels, store, stored, posted, rendered, shown),
)

# In the order of a run: what others build on comes first.
AREAS = (
    *("capabilities", "store", "posted", "search", "matching", "retrieve", "metadata"),
    *("frames", "bulkdata", "rendered", "negotiation", "http"),
)

assert {check.area for check in CHECKS} == set(AREAS)
