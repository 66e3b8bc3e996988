"""The checks, a module for each part of the standard. To import this enlists them all."""

from conformance.suite.checks import capabilities, matching, metadata, search

AREAS = {
    "capabilities": capabilities,
    "search": search,
    "matching": matching,
    "metadata": metadata,
}
