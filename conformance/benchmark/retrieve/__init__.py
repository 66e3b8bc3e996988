"""How fast what is stored can be had: beside Orthanc, and beside nginx with the same bytes.

``python -m conformance.benchmark.retrieve``. All servers hold the same instances and are measured
in turns, item by item. nginx serves what our server answered, from files. Every answer is looked
into once before anything is measured, and held to its length from then on.
"""
