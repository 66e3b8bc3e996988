"""Presentation states through HTTP: /rendered and /thumbnail (digest 3.3.6, RND-02, WIN-03,
VP-09, THB-03). What the pictures look like is tested in tests/dicom."""

from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image, ImageCms
from pydicom import Dataset, dcmread
from pydicom.uid import ColorSoftcopyPresentationStateStorage, ExplicitVRBigEndian

from dicomweb_server.archive import presentation
from dicomweb_server.archive.render import find_shown
from dicomweb_server.errors import NotFound
from tests.archive.opened import TESTER, opened
from tests.archive.opened import store as in_process
from tests.make import small_image, uid
from tests.make.files import ABSENT, part10
from tests.make.states import (
    annotation,
    graphic,
    item,
    layer,
    overlay,
    presentation_state,
    state_attributes,
    text,
)
from tests.make.states import reference as reference_to
from tests.web.asking import assert_problem, new_uid, parts_of, path_of, store

PNG = {"Accept": "image/png"}


def image(
    http: httpx.Client | None, study: str = "", transfer_syntax: str = "", **keywords: Any
) -> Dataset:
    """An image of 8 bits in a series of its own, stored if there is a server to store it in."""
    new = new_uid()
    file = small_image(
        **{"bits": 8, "rows": 40, "columns": 30} | keywords,
        SOPInstanceUID=f"{new}.3",
        SeriesInstanceUID=f"{new}.2",
        StudyInstanceUID=study or f"{new}.1",
        **({"transfer_syntax": transfer_syntax} if transfer_syntax else {}),
    )
    return store(http, file)[0] if http else dcmread(BytesIO(file))


def state_of(http: httpx.Client, *images: Dataset, **keywords: Any) -> Dataset:
    uids = {"SOPInstanceUID": new_uid(), "SeriesInstanceUID": new_uid()}
    [stored] = store(http, presentation_state(*images, **uids, **keywords))
    return stored


def picture(response: httpx.Response) -> np.ndarray[Any, Any]:
    assert response.status_code == 200, response.text
    return np.asarray(Image.open(BytesIO(response.content)))


def test_a_state_shows_its_image(http: httpx.Client) -> None:
    shown = image(http, WindowCenter="10", WindowWidth="2")
    state = state_of(http, shown, PresentationLUTShape="INVERSE")

    made = picture(http.get(f"{path_of(state)}/rendered", headers=PNG))

    assert np.array_equal(made, 255 - shown.pixel_array)


def test_what_is_asked_of_an_image_cannot_all_be_asked_of_a_state(http: httpx.Client) -> None:
    state = state_of(http, image(http))
    path = f"{path_of(state)}/rendered"

    assert_problem(http.get(f"{path}?window=10,20,linear"), 400)  # WIN-03
    assert_problem(http.get(f"{path}?viewport=20,20,1,1,5,5"), 400)  # VP-09
    assert picture(http.get(f"{path}?viewport=60,60")).shape == (60, 45)
    assert_problem(http.get(path, headers={"Accept": "text/html"}), 406)


def test_an_image_that_is_not_here_is_told(http: httpx.Client) -> None:
    state = state_of(http, image(None))
    other = state_of(http, image(http, study=new_uid()), StudyInstanceUID=new_uid())

    for each in (state, other):  # an image of another study is not that of the state (A.33.1)
        problem = assert_problem(http.get(f"{path_of(each)}/rendered"), 404)
        assert "image" in problem["detail"]
        assert picture(http.get(f"{path_of(each)}/thumbnail")).shape[:2] == (256, 256)


def test_each_of_several_images_has_its_place(http: httpx.Client) -> None:
    first, missing = image(http), image(None)
    second = image(http, study=first.StudyInstanceUID, seed=1, frames=3)
    series = [
        item(
            SeriesInstanceUID=each.SeriesInstanceUID,
            ReferencedImageSequence=[reference_to(each, *frames)],
        )
        for each, frames in ((missing, ()), (first, ()), (second, (3, 1)))
    ]
    state = state_of(http, first, ReferencedSeriesSequence=series)

    pictures = [
        picture(http.get(f"{path_of(state)}/frames/{n}/rendered", headers=PNG)) for n in (1, 2, 3)
    ]

    frames = [first.pixel_array, second.pixel_array[2], second.pixel_array[0]]
    assert all(np.array_equal(*pair) for pair in zip(pictures, frames, strict=True))
    whole = picture(http.get(f"{path_of(state)}/rendered", headers=PNG))
    assert np.array_equal(whole, frames[0])
    for beyond in (4, 10_001):
        assert_problem(http.get(f"{path_of(state)}/frames/{beyond}/rendered"), 404)


def test_thb_03_a_thumbnail_has_no_text(http: httpx.Client) -> None:
    shown = image(http, rows=60, columns=60)
    marks = {"GraphicLayerSequence": [layer()]}
    line = graphic("POLYLINE", 5, 5, 50, 50)
    words = text("NAME", (2, 30, 58, 58))
    with_text = state_of(http, shown, GraphicAnnotationSequence=[annotation(line, words)], **marks)
    without = state_of(http, shown, GraphicAnnotationSequence=[annotation(line)], **marks)

    def both(resource: str) -> list[bytes]:
        return [http.get(f"{path_of(s)}/{resource}").content for s in (with_text, without)]

    assert len(set(both("rendered"))) == 2
    assert len(set(both("thumbnail"))) == 1
    assert len(set(both("rendered?viewport=60,60"))) == 2
    assert len(set(both("thumbnail?viewport=60,60"))) == 1


def test_large_overlays_are_read_from_the_files(http: httpx.Client) -> None:
    """More than fits in metadata, in an image of big endian words."""
    bits = np.random.default_rng(0).integers(0, 2, (300, 300))
    plain = dcmread(BytesIO(small_image(bits=8, rows=300, columns=300, seed=3)))
    plain.PixelData = bytes(300 * 300)
    for syntax in ("", ExplicitVRBigEndian):
        plain.SOPInstanceUID, plain.StudyInstanceUID = new_uid(), new_uid()
        plain.SeriesInstanceUID = uid("overlays", syntax)
        data = bits if not syntax else bits.reshape(-1, 2, 8)[:, ::-1].reshape(bits.shape)
        overlay(plain, data)
        [shown] = store(http, part10(plain, syntax) if syntax else part10(plain))
        state = state_of(
            http,
            shown,
            GraphicLayerSequence=[layer(GraphicLayerRecommendedDisplayGrayscaleValue=0xFFFF)],
        )
        state.add_new(0x60001001, "CS", "ONE")
        state.SOPInstanceUID = new_uid()
        [state] = store(http, part10(state))

        made = picture(http.get(f"{path_of(state)}/rendered", headers=PNG))

        assert np.array_equal(made, bits * 255)


def test_a_state_in_parts_has_one_for_each_frame_that_it_shows(http: httpx.Client) -> None:
    """Digest 3.3.6, in the order of the references; MP-09: named after the state."""
    first = image(http)
    second = image(http, study=first.StudyInstanceUID, seed=1, frames=3)
    series = [
        item(SeriesInstanceUID=each.SeriesInstanceUID, ReferencedImageSequence=[reference_to(each)])
        for each in (first, second)
    ]
    state = state_of(http, first, ReferencedSeriesSequence=series)
    headers = {"Accept": 'multipart/related; type="image/png"'}

    parts = parts_of(http.get(f"{path_of(state)}/rendered", headers=headers))

    base = f"{http.base_url}{path_of(state)}/frames"
    assert [fields["Content-Location"] for fields, _ in parts] == [
        f"{base}/{n}" for n in range(1, 5)
    ]
    alone = [http.get(f"{path_of(state)}/frames/{n}/rendered", headers=PNG) for n in range(1, 5)]
    assert [data for _, data in parts] == [answer.content for answer in alone]


def test_named_frames_of_a_state_in_parts(http: httpx.Client) -> None:
    """In the order in which they are named, no more than may be shown (WADO-10)."""
    shown = image(http, frames=50)
    state = state_of(http, shown)
    headers = {"Accept": 'multipart/related; type="image/png"'}
    path = f"{path_of(state)}/frames"

    parts = parts_of(http.get(f"{path}/50,2,7/rendered", headers=headers))

    base = f"{http.base_url}{path}"
    assert [fields["Content-Location"] for fields, _ in parts] == [
        f"{base}/{n}" for n in (50, 2, 7)
    ]
    alone = [http.get(f"{path}/{n}/rendered", headers=PNG) for n in (50, 2, 7)]
    assert [data for _, data in parts] == [answer.content for answer in alone]
    many = ",".join(map(str, range(1, 42)))
    assert_problem(http.get(f"{path}/{many}/rendered", headers=headers), 413)
    assert_problem(http.get(f"{path}/1,51/rendered", headers=headers), 404)


def test_a_series_of_states_shows_the_first_of_them(http: httpx.Client) -> None:
    shown = image(http)
    first = state_of(http, shown, PresentationLUTShape="INVERSE", InstanceNumber="1")
    again = {"SeriesInstanceUID": first.SeriesInstanceUID, "SOPInstanceUID": new_uid()}
    [second] = store(http, presentation_state(shown, **again, InstanceNumber="2"))

    made = picture(http.get(f"{path_of(second, 2)}/rendered", headers=PNG))

    assert np.array_equal(made, 255 - shown.pixel_array)
    assert picture(http.get(f"{path_of(second, 2)}/thumbnail")).shape == (40, 30)
    lost = state_of(http, image(None))
    assert_problem(http.get(f"{path_of(lost, 2)}/rendered"), 404)
    assert picture(http.get(f"{path_of(lost, 2)}/thumbnail")).shape[:2] == (256, 256)


def test_overlays_in_unused_bits_of_pixels(http: httpx.Client) -> None:
    """As older scanners have them: bit 12 of cells of 16 whose pixels have 12."""
    plain = dcmread(BytesIO(small_image(bits=12, rows=40, columns=30, seed=9)))
    bits = np.random.default_rng(1).integers(0, 2, (40, 30), np.uint16)
    plain.PixelData = (plain.pixel_array | bits << 12).tobytes()
    plain.SOPInstanceUID, plain.StudyInstanceUID = new_uid(), new_uid()
    for element, vr, value in ((0x0010, "US", 40), (0x0011, "US", 30), (0x0100, "US", 16),
                               (0x0102, "US", 12), (0x0050, "SS", [1, 1])):  # fmt: skip
        plain.add_new(0x60000000 | element, vr, value)
    [shown] = store(http, part10(plain))
    layers = [layer(GraphicLayerRecommendedDisplayGrayscaleValue=0xFFFF)]
    state = state_of(http, shown, GraphicLayerSequence=layers)
    assert (picture(http.get(f"{path_of(state)}/rendered", headers=PNG))[bits == 1] < 255).any()
    state.add_new(0x60001001, "CS", "ONE")
    state.SOPInstanceUID = new_uid()
    [state] = store(http, part10(state))

    made = picture(http.get(f"{path_of(state)}/rendered", headers=PNG))

    assert (made[bits == 1] == 255).all()
    assert (made[bits == 0] < 255).any()


def test_a_mask_is_subtracted_from_the_mean_of_frames(http: httpx.Client) -> None:
    frames = image(http, frames=4)
    mask = item(MaskOperation="AVG_SUB", MaskFrameNumbers=[1, 2], ContrastFrameAveraging=2)
    reference = item(
        SeriesInstanceUID=frames.SeriesInstanceUID,
        ReferencedImageSequence=[reference_to(frames, 3, 4)],
    )
    state = state_of(
        http, frames, MaskSubtractionSequence=[mask], ReferencedSeriesSequence=[reference]
    )

    made = picture(http.get(f"{path_of(state)}/rendered", headers=PNG)).astype(int)

    pixels = frames.pixel_array.astype(float)
    difference = pixels[2:].mean(axis=0) - pixels[:2].mean(axis=0)
    assert abs(made - (difference + 255) / 2).max() <= 1
    assert_problem(http.get(f"{path_of(state)}/frames/2/rendered"), 406)  # there is no frame 5


def test_the_profile_of_a_colour_state_goes_with_its_picture(http: httpx.Client) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    shown = image(http, photometric="RGB")
    colour = {
        "SOPClassUID": ColorSoftcopyPresentationStateStorage,
        "PresentationLUTShape": ABSENT,
        "ICCProfile": profile + b"\0" * (len(profile) % 2),
    }
    state = state_of(http, shown, **colour)

    response = http.get(f"{path_of(state)}/rendered", headers=PNG)

    assert np.array_equal(picture(response), shown.pixel_array)
    assert Image.open(BytesIO(response.content)).info["icc_profile"][:128] == profile[:128]


def test_shutters_of_many_megabytes_are_drawn(http: httpx.Client) -> None:
    """PS3.3 C.7.6.15: a Bitmap Display Shutter, larger than is passed in messages, and beside it
    an overlay; none may be left out, for what a shutter hides is not to be seen."""
    side = 6000  # one bit each: 4.5 MB
    plain = dcmread(BytesIO(small_image(bits=8, rows=side, columns=side)))
    plain.PixelData = bytes([200]) * side * side
    plain.SOPInstanceUID, plain.StudyInstanceUID = new_uid(), new_uid()
    plain.SeriesInstanceUID = new_uid()
    [shown] = store(http, part10(plain))
    state = state_attributes(
        shown,
        ShutterShape="BITMAP",
        ShutterOverlayGroup=0x6000,
        ShutterPresentationValue=0,
        SOPInstanceUID=new_uid(),
        SeriesInstanceUID=new_uid(),
    )
    hidden = np.zeros((side, side), np.uint8)
    hidden[:, : side // 2] = 1
    overlay(state, hidden)
    [stored] = store(http, part10(state))

    made = picture(http.get(f"{path_of(stored)}/rendered?viewport=60,60", headers=PNG))

    assert (made[:, :28] == 0).all()
    assert (made[:, 32:] == 200).all()


def test_what_is_too_much_to_be_drawn_is_refused(http: httpx.Client) -> None:
    """A picture without it would be wrong, and nobody would know."""
    shown = image(http)
    lines = [graphic("POLYLINE", *([5.0, 5.0] * 60_000)) for _ in range(10)]  # 4.8 MB
    state = state_of(
        http,
        shown,
        GraphicAnnotationSequence=[annotation(*lines)],
        GraphicLayerSequence=[layer()],
    )

    problem = assert_problem(http.get(f"{path_of(state)}/rendered"), 413)

    assert "graphics" in problem["detail"]
    assert picture(http.get(f"{path_of(state)}/thumbnail")).shape[:2] == (256, 256)


async def test_the_images_of_a_state_are_counted_by_one_statement(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many it refers to; those that are not here, and videos, are none of its frames."""
    asked = 0
    count = presentation.count_frames_of

    async def counted(*of: Any) -> Any:
        nonlocal asked
        asked += 1
        return await count(*of)

    monkeypatch.setattr(presentation, "count_frames_of", counted)
    images = [image(None, study="1.9", frames=n % 3 + 1) for n in range(200)]
    series = [
        item(SeriesInstanceUID=each.SeriesInstanceUID, ReferencedImageSequence=[reference_to(each)])
        for each in images
    ]
    state = presentation_state(images[0], ReferencedSeriesSequence=series)
    here = images[1::2]
    async with opened(tmp_path, database_url) as archive:
        await in_process(archive, [state, *(part10(each) for each in here)])
        of_state = dcmread(BytesIO(state))
        uids = of_state.StudyInstanceUID, of_state.SeriesInstanceUID, of_state.SOPInstanceUID
        frames = sum(int(each.get("NumberOfFrames", 1)) for each in here)
        last = await find_shown(archive, TESTER, *uids, frames)
        assert isinstance(last, presentation.Presented)
        assert last.found.location.sop_instance_uid == here[-1].SOPInstanceUID
        assert asked == 1
        with pytest.raises(NotFound, match=f"shows {frames} frames"):
            await find_shown(archive, TESTER, *uids, frames + 1)
