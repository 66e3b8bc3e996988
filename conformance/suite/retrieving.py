"""What checks of retrieving share: files read back, compared with what was stored."""

from io import BytesIO
from typing import Any

from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError
from pydicom.uid import ExplicitVRLittleEndian

from conformance.suite.http import Answer
from conformance.suite.model import Deviation, Undecided, expect
from conformance.suite.multipart import Part, parts_of
from conformance.suite.run import DICOM, OCTETS, Run, multipart, status
from conformance.suite.shelf import Instance

ELE = str(ExplicitVRLittleEndian)
ANY = "*"


def instances(run: Run, path: str, syntax: str | None = None) -> tuple[Answer, list[Part]]:
    """The parts of a study, series or instance as multipart/related of application/dicom."""
    answer = run.ok(path, multipart(DICOM, syntax))
    parts = parts_of(answer, DICOM)
    expect(parts, "at least one part", "none")
    return answer, parts


def octets(run: Run, item: Instance) -> Answer:
    """All bulk data of an instance. Raises Undecided where they are not to be had, which the check
    retrieve.as-octets tells."""
    answer = run.get(item.path, multipart(OCTETS))
    if answer.status != 200:
        raise Undecided("no bulk data of instances: see retrieve.as-octets")
    return answer


def read(data: bytes) -> Dataset:
    """A PS3.10 file. Raises Deviation if it is none, or its values cannot be read."""
    try:
        dataset = dcmread(BytesIO(data))
        for _ in dataset.iterall():
            pass
    except (InvalidDicomError, EOFError, ValueError, NotImplementedError) as error:
        raise Deviation("a PS3.10 file", f"{type(error).__name__}: {error}") from None
    return dataset


def syntax_of(dataset: Dataset) -> str:
    """The transfer syntax that a file tells. Raises Deviation where it tells none."""
    syntax = dataset.file_meta.get("TransferSyntaxUID")
    if not syntax:
        raise Deviation("a Transfer Syntax UID in the File Meta Information", "none")
    return str(syntax)


def same_values(got: Dataset, stored: Instance, but: tuple[str, ...] = ()) -> None:
    """Raise Deviation unless all attributes that were stored are there, with their values."""
    for element in stored.dataset:
        if element.keyword in but or element.tag.element == 0:
            continue
        found: Any = got.get(element.tag)
        if found is None:
            raise Deviation(f"the attribute {element.tag} {element.name}", "none")
        expect(
            found.value == element.value,
            f"{element.tag} {element.name} as it was stored",
            repr(found.value)[:200],
        )


def frames(run: Run, item: Instance, numbers: str, accept: str | None = None) -> list[Part]:
    """The parts of frames."""
    answer = run.ok(f"{item.path}/frames/{numbers}", accept or multipart(OCTETS))
    return parts_of(answer)


def native_frames(item: Instance) -> list[bytes]:
    """The frames of an instance that is stored without compression."""
    count = int(item.dataset.get("NumberOfFrames", 1))
    samples, bits = item.dataset.SamplesPerPixel, item.dataset.BitsAllocated
    size = item.dataset.Rows * item.dataset.Columns * samples * bits // 8
    return [item.dataset.PixelData[n * size : (n + 1) * size] for n in range(count)]


def refused(answer: Answer, *codes: int) -> None:
    """Raise Deviation unless the status is one of these."""
    status(answer, *codes)
