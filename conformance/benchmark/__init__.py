"""How fast a DICOMweb server is, beside another and what the machine allows, in the same run.

``python -m conformance.benchmark URL`` for a server that runs; ``--start`` for our own, and
``--orthanc`` for Orthanc beside it. ``--start --memory`` measures the memory of large uploads.
Every answer is checked; nothing here passes or fails by a time. The machine may be shared
and noisy: only the ratios of one run mean anything, never a figure from another day.
"""
