"""How fast stored images are rendered: beside Orthanc, and beside the codecs alone.

``python -m conformance.benchmark.render``. Both servers hold the same instances and are measured in
turns, item by item; in the same turn one process decodes, windows and encodes the same images and
does nothing else. Every pass over the images has another window, so that no picture is in a cache,
but for the items that say so.
"""
