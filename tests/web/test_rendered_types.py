"""Media types of rendered resources (PS3.18 Table 8.7.4-1): which there are, and animations."""

from io import BytesIO

import httpx
import numpy as np
import pytest
from PIL import Image, ImageSequence
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit

from tests.web.asking import assert_problem, new_uid, parts_of, path_of, store
from tests.web.test_rendered_parts import file_of, made, opened


@pytest.mark.parametrize(
    ("media_type", "format_name"),
    [
        ("image/jpeg", "JPEG"),
        ("image/png", "PNG"),
        ("image/gif", "GIF"),
        ("image/jp2", "JPEG2000"),
        ("image/jph", "JPEG2000"),
        ("image/jxl", ""),
    ],
)
def test_each_type_is_had_by_header_and_parameter(
    http: httpx.Client, media_type: str, format_name: str
) -> None:
    [stored] = store(http, file_of(made(new_uid(), new_uid())))
    path = f"{path_of(stored)}/rendered"
    answer = http.get(path, headers={"Accept": media_type})
    assert answer.headers["content-type"] == media_type
    assert http.get(path, params={"accept": media_type}).content == answer.content
    [(fields, data)] = parts_of(
        http.get(path, headers={"Accept": f'multipart/related; type="{media_type}"'})
    )
    assert (fields["Content-Type"], data) == (media_type, answer.content)
    if format_name:
        assert opened(answer.content).format == format_name
    else:
        assert answer.content.startswith(b"\xff\x0a")
    assert http.get(f"{path_of(stored)}/thumbnail?accept={media_type}").status_code == 200


def test_a_multi_frame_instance_is_an_animated_gif(http: httpx.Client) -> None:
    [stored] = store(http, file_of(made(new_uid(), new_uid(), frames=4, FrameTime="50")))
    gif = {"Accept": "image/gif"}
    path = f"{path_of(stored)}/rendered"
    answer = http.get(path, headers=gif)
    assert answer.headers["content-type"] == "image/gif"
    image = Image.open(BytesIO(answer.content))
    assert (image.n_frames, image.info["duration"], image.info["loop"]) == (4, 50, 0)
    for number, frame in enumerate(ImageSequence.Iterator(image), 1):
        alone = http.get(f"{path_of(stored)}/frames/{number}/rendered", headers=gif)
        assert Image.open(BytesIO(alone.content)).n_frames == 1
        seen = np.asarray(frame.convert("L"))
        np.testing.assert_array_equal(seen, np.asarray(opened(alone.content).convert("L")))
    tag = {"If-None-Match": answer.headers["etag"]}
    assert http.get(path, headers={**gif, **tag}).status_code == 304
    head = http.head(path, headers=gif)
    assert (head.headers["content-type"], head.headers["etag"]) == (
        "image/gif",
        answer.headers["etag"],
    )
    small = Image.open(BytesIO(http.get(f"{path}?viewport=5,5", headers=gif).content))
    assert (small.size, small.n_frames) == ((5, 4), 4)
    assert opened(http.get(f"{path_of(stored)}/thumbnail", headers=gif).content).n_frames == 1


def test_an_animation_of_too_many_frames_is_413(http: httpx.Client) -> None:
    [stored] = store(http, file_of(made(new_uid(), new_uid(), frames=41)))
    assert_problem(http.get(f"{path_of(stored)}/rendered", headers={"Accept": "image/gif"}), 413)


def test_a_stored_baseline_jpeg_is_sent_as_it_is_if_nothing_is_asked(http: httpx.Client) -> None:
    dataset = made(new_uid(), new_uid())
    file = BytesIO()
    Image.fromarray(np.zeros((8, 10, 3), np.uint8)).save(file, "JPEG", quality=33)
    dataset.SamplesPerPixel, dataset.PlanarConfiguration = 3, 0
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PhotometricInterpretation = 7, "YBR_FULL_422"
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    dataset.PixelData = encapsulate([file.getvalue()])
    [stored] = store(http, file_of(dataset))
    path = f"{path_of(stored)}/rendered"
    assert http.get(path).content == file.getvalue()
    for query in ("quality=90", "viewport=10,8", "window=1,2,linear"):
        answer = http.get(f"{path}?{query}")
        assert opened(answer.content).size == (10, 8)
        assert answer.content != file.getvalue()
    assert http.get(f"{path_of(stored)}/thumbnail").content != file.getvalue()
