"""The benchmark that stands in the README: all that others measure apart, in one run.

``python -m conformance.benchmark.public``. Our server, Debian's Orthanc with its index in Postgres
and in SQLite, and what the machine allows are measured in turns, item by item, on the same bytes,
which follow from a seed. Every answer is checked; what went wrong is told and voids the item.
"""
