"""Parameters of rendered resources through HTTP (PS3.18 §8.3.5.1, digest 3.3)."""

from io import BytesIO

import httpx
import numpy as np
import pytest
from PIL import Image, ImageCms
from pydicom import Dataset

from tests.make import small_image
from tests.web.asking import assert_problem, new_uid, parts_of, path_of, store
from tests.web.test_rendered_parts import file_of, made, opened

PNG = {"Accept": "image/png"}
ADOBE = {"iccprofile": "adobergb"}


@pytest.fixture(scope="module")
def colour(http: httpx.Client) -> Dataset:
    dataset = made(new_uid(), new_uid(), PatientName="Rossi^Anna")
    dataset.SamplesPerPixel, dataset.PlanarConfiguration = 3, 0
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PhotometricInterpretation = 7, "RGB"
    dataset.Rows, dataset.Columns = 200, 300
    dataset.PixelData = bytes([200, 20, 90]) * (200 * 300)
    [stored] = store(http, file_of(dataset))
    return stored


def pixels(answer: httpx.Response) -> np.ndarray:
    assert answer.status_code == 200, answer.text
    return np.asarray(opened(answer.content).convert("RGB"))


def description(answer: httpx.Response) -> str:
    profile = Image.open(BytesIO(answer.content)).info["icc_profile"]
    return ImageCms.getProfileName(ImageCms.ImageCmsProfile(BytesIO(profile)))


def test_colours_are_converted_and_their_profile_embedded(
    http: httpx.Client, colour: Dataset
) -> None:
    path = f"{path_of(colour)}/rendered"
    plain = http.get(path, headers=PNG)
    assert "icc_profile" not in Image.open(BytesIO(plain.content)).info
    for media_type in ("image/png", "image/jpeg"):
        headers = {"Accept": media_type}
        answers = {
            name: http.get(path, params={"iccprofile": name}, headers=headers)
            for name in ("no", "yes", "srgb", "adobergb", "rommrgb")
        }
        assert "icc_profile" not in Image.open(BytesIO(answers["no"].content)).info
        assert "sRGB" in description(answers["yes"])
        means = {name: pixels(answer).mean(axis=(0, 1)) for name, answer in answers.items()}
        for name in ("no", "yes", "srgb"):
            np.testing.assert_allclose(means[name], (200, 20, 90), atol=2)
        assert means["srgb"][0] - 10 > means["adobergb"][0] > means["rommrgb"][0]
        assert len({answer.headers["etag"] for answer in answers.values()}) == 5


def test_the_profile_of_the_image_is_where_its_colours_come_from(http: httpx.Client) -> None:
    dataset = made(new_uid(), new_uid())
    dataset.SamplesPerPixel, dataset.PlanarConfiguration = 3, 0
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PhotometricInterpretation = 7, "RGB"
    dataset.PixelData = bytes([200, 20, 90]) * 80
    path = f"{path_of(dataset)}/rendered"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    dataset.ICCProfile = profile
    store(http, file_of(dataset))
    kept = http.get(path, params={"iccprofile": "yes"}, headers=PNG)
    assert Image.open(BytesIO(kept.content)).info["icc_profile"] == profile

    # Larger than what metadata hold; beyond 4 MiB it is refused, for other colours would be wrong
    for size, status in ((700_000, 200), ((4 << 20) + 4, 406)):
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = new_uid()
        large = size.to_bytes(4) + profile[4:] + bytes(size - len(profile))
        dataset.ICCProfile = large
        [stored] = store(http, file_of(dataset))
        answers = {
            name: http.get(f"{path_of(stored)}/rendered", params={"iccprofile": name}, headers=PNG)
            for name in ("yes", "adobergb", "no")
        }
        assert {name: each.status_code for name, each in answers.items()} == {
            "yes": status,
            "adobergb": status,
            "no": 200,
        }
        if status == 200:
            kept = answers["yes"]
            assert Image.open(BytesIO(kept.content)).info["icc_profile"] == large
            small = http.get(path, params={"iccprofile": "adobergb"}, headers=PNG)
            np.testing.assert_array_equal(pixels(answers["adobergb"]), pixels(small))

    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = new_uid()
    dataset.ICCProfile = profile[:200]  # damaged: never a 500
    [stored] = store(http, file_of(dataset))
    for name in ("yes", "srgb"):
        answer = http.get(f"{path_of(stored)}/rendered", params={"iccprofile": name}, headers=PNG)
        np.testing.assert_allclose(pixels(answer).mean(axis=(0, 1)), (200, 20, 90))


@pytest.mark.parametrize("kind", ["RGB ", "none"])
def test_a_large_profile_of_the_image_stands_behind_that_of_the_optical_path(
    http: httpx.Client, kind: str
) -> None:
    """Neither is in the metadata; that of the path counts, unless it is no profile of RGB."""
    dataset = made(new_uid(), new_uid())
    dataset.SamplesPerPixel, dataset.PlanarConfiguration = 3, 0
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PhotometricInterpretation = 7, "RGB"
    dataset.PixelData = bytes([200, 20, 90]) * 80
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    length = 300_000
    of_image = length.to_bytes(4) + profile[4:] + bytes(length - len(profile))
    of_path = of_image[:16] + kind.encode() + of_image[20:-1] + b"\1"
    optical_path = Dataset()
    optical_path.ICCProfile = of_path
    dataset.OpticalPathSequence, dataset.ICCProfile = [optical_path], of_image
    [stored] = store(http, file_of(dataset))

    kept = http.get(f"{path_of(stored)}/rendered", params={"iccprofile": "yes"}, headers=PNG)

    assert kept.status_code == 200, kept.text
    embedded = Image.open(BytesIO(kept.content)).info["icc_profile"]
    assert embedded == (of_path if kind == "RGB " else of_image)


@pytest.mark.parametrize(
    ("media_type", "profile", "status"),
    [
        ("image/gif", "no", 200),
        ("image/gif", "yes", 400),
        ("image/gif", "srgb", 400),
        ("image/jxl", "srgb", 200),
        ("image/jxl", "adobergb", 400),
        ("image/jp2", "rommrgb", 200),
        ("image/jph", "yes", 200),
        ("image/png", "sRGB", 400),
        ("image/png", "", 400),
    ],
)
def test_what_cannot_carry_a_profile_is_refused_one(
    http: httpx.Client, colour: Dataset, media_type: str, profile: str, status: int
) -> None:
    answer = http.get(
        f"{path_of(colour)}/rendered", params={"iccprofile": profile, "accept": media_type}
    )
    assert answer.status_code == status
    if status == 400:
        assert_problem(answer, 400)


def test_annotations_are_burned_in(http: httpx.Client, colour: Dataset) -> None:
    path = f"{path_of(colour)}/rendered"
    plain = pixels(http.get(path, headers=PNG))
    patient = http.get(f"{path}?annotation=patient", headers=PNG)
    assert "warning" not in patient.headers
    changed = (pixels(patient) != plain).any(axis=(1, 2))
    assert changed[:60].any()
    assert not changed[100:].any()
    both = pixels(http.get(f"{path}?annotation=patient,technique", headers=PNG))
    assert (both != plain).any(axis=(1, 2))[100:].any()
    some = http.get(f"{path}?annotation=patient,shoe-size", headers=PNG)
    assert some.content == patient.content
    assert some.headers["warning"].endswith(
        ": The following annotation values are not supported: shoe-size"
    )
    for text in ("", ",", "patient,,technique", "<x>"):
        assert_problem(http.get(path, params={"annotation": text}), 400)


def test_annotations_come_last_so_that_they_are_not_scaled(
    http: httpx.Client, colour: Dataset
) -> None:
    """RND-01: the text of a detail is whole and as large as in other pictures of its size."""
    path = f"{path_of(colour)}/rendered?annotation=patient"
    detail = pixels(http.get(f"{path}&viewport=300,200,100,100,30,20", headers=PNG))
    np.testing.assert_array_equal(detail, pixels(http.get(path, headers=PNG)))


def test_thb_01_nothing_of_it_is_on_thumbnails(http: httpx.Client, colour: Dataset) -> None:
    path = f"{path_of(colour)}/thumbnail"
    query = "annotation=patient,technique&iccprofile=adobergb&window=1,2,linear&quality=3"
    assert http.get(f"{path}?{query}").content == http.get(path).content


def test_thb_02_a_thumbnail_is_one_picture_by_itself(http: httpx.Client, colour: Dataset) -> None:
    """Trap 8."""
    path = f"{path_of(colour)}/thumbnail"
    accept = {"Accept": 'multipart/related; type="image/jpeg"'}
    assert_problem(http.get(path, headers=accept), 406)
    both = {"Accept": 'multipart/related; type="image/jpeg", image/png;q=0.1'}
    assert http.get(path, headers=both).headers["content-type"] == "image/png"


def test_thb_02_of_several_frames_the_first(http: httpx.Client) -> None:
    uids = {"StudyInstanceUID": new_uid(), "SOPInstanceUID": new_uid()}
    [stored] = store(http, small_image(frames=3, **uids))
    frames = f"{path_of(stored)}/frames"
    first = http.get(f"{frames}/2/thumbnail")
    assert first.status_code == 200
    several = http.get(f"{frames}/2,3,1/thumbnail")
    assert (several.status_code, several.content) == (200, first.content)
    assert_problem(http.get(f"{frames}/2,0/thumbnail"), 400)


def test_win_04_a_window_is_not_for_colours(http: httpx.Client, colour: Dataset) -> None:
    path = f"{path_of(colour)}/rendered"
    assert (
        http.get(f"{path}?window=1,2,linear", headers=PNG).content
        == http.get(path, headers=PNG).content
    )


def test_grey_pictures_and_parts_have_profiles_too(http: httpx.Client) -> None:
    [stored] = store(http, file_of(made(new_uid(), new_uid(), frames=2)))
    path = f"{path_of(stored)}/rendered"
    grey = opened(http.get(path, headers=PNG).content)
    assert grey.mode == "L"
    srgb = http.get(path, params={"iccprofile": "srgb"}, headers=PNG)
    np.testing.assert_array_equal(pixels(srgb)[:, :, 1], np.asarray(grey))
    headers = {"Accept": 'multipart/related; type="image/png"'}
    parts = parts_of(http.get(path, params=ADOBE, headers=headers))
    assert all("icc_profile" in Image.open(BytesIO(data)).info for _, data in parts)
