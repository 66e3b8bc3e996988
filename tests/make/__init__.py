"""DICOM files made in code: small ones for functional tests, CT slices by the thousand for load.

Every function is deterministic: the same arguments give the same bytes. The files are PS3.10
files that pydicom reads and writes again. What no argument says follows from `seed`.
"""

from tests.make.ct import Instance, ct_instance, ct_pixels, study_of
from tests.make.documents import encapsulated_pdf, pdf, sr_document
from tests.make.files import ABSENT, dataset_with, instance_with, multipart_body, part10, uid
from tests.make.images import Offsets, small_image, small_pixels

__all__ = [
    "ABSENT",
    "Instance",
    "Offsets",
    "ct_instance",
    "ct_pixels",
    "dataset_with",
    "encapsulated_pdf",
    "instance_with",
    "multipart_body",
    "part10",
    "pdf",
    "small_image",
    "small_pixels",
    "sr_document",
    "study_of",
    "uid",
]
