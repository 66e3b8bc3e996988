"""How the instances of a large series are negotiated when some are to be encoded."""

from types import SimpleNamespace

import pytest
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless
from starlette.requests import Request

from dicomweb_server.archive.encodings import Encodings
from dicomweb_server.index.retrieve import Location, Page
from dicomweb_server.web import negotiated_files
from dicomweb_server.wire.media_types import choose


async def test_what_is_alike_is_negotiated_once(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = [ExplicitVRLittleEndian, JPEG2000Lossless]
    locations = [
        Location("1", "2", str(number), "4", stored[number % 2], "", 0, b"", 0)
        for number in range(3000)
    ]
    can = {str(n): Encodings((JPEGLSLossless,) if n % 3 else (), 1, 1) for n in range(3000)}
    chosen = []

    async def encodings_of_several(*_: object) -> dict[str, Encodings]:
        return can

    def counted(*arguments: object) -> object:
        chosen.append(arguments)
        return choose(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(negotiated_files, "encodings_of_several", encodings_of_several)
    monkeypatch.setattr("dicomweb_server.web.requests.choose", counted)
    accept = f'multipart/related; type="application/dicom"; transfer-syntax={JPEGLSLossless}'
    archive = SimpleNamespace(settings=SimpleNamespace(lossy_quality=0))
    scope = {
        "type": "http",
        "query_string": b"",
        "headers": [(b"accept", accept.encode())],
        "path_params": {"study": "1"},
        "app": SimpleNamespace(state=SimpleNamespace(archive=archive)),
    }
    plan = await negotiated_files.plan_files(
        Request(scope), Page(locations, None), dict.fromkeys(stored, 1500)
    )
    assert (plan.sent, plan.omitted) == (2000, 1000)
    assert len(chosen) == 5  # one of them to see whether any is to be encoded
