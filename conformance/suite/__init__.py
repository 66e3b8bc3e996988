"""A conformance suite for DICOMweb servers: checks, each with its clause, run against a URL.

``python -m conformance URL`` runs it. A check knows nothing of the server but what PS3.18 says;
it stores its own data, asks for it, and says what was expected and what came instead.

- ``model``: what a check is and how it can end
- ``http``, ``multipart``: exchanges, to the letter and on record
- ``shelf``: the instances that the suite makes and stores
- ``run``: the run of the checks, and what they share
- ``checks``: the checks, a module for each part of the standard
- ``reports``: for the terminal, for machines, and as a page
"""
