"""The checks, a module for each part of the standard. To import this enlists them all."""

from conformance.suite.checks import capabilities, metadata

AREAS = {
    "capabilities": capabilities,
    "metadata": metadata,
}
