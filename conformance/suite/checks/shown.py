"""The grey levels and colours of rendered images (PS3.3 C.7.6, C.8, C.11; PS3.4 N.2)."""

import numpy as np

from conformance.suite.checks.rendered import picture, rendered
from conformance.suite.model import Level, NotOffered, check, expect
from conformance.suite.multipart import parts_of
from conformance.suite.pictures import (
    ENHANCED,
    LUT_FIRST,
    LUT_VALUES,
    colour_bars,
    ramp,
    signed,
)
from conformance.suite.run import Run, multipart, status
from conformance.suite.shelf import Instance

_PNG, _JPEG, _GIF = "image/png", "image/jpeg", "image/gif"


def linear(values: np.ndarray, center: float, width: float) -> np.ndarray:
    """What PS3.3 C.11.2.1.2 makes of values: 0 to 255, floats."""
    shown = ((values.astype(float) - (center - 0.5)) / (width - 1) + 0.5) * 255
    return np.clip(shown, 0, 255)


def _grey(run: Run, item: Instance, query: str = "", path: str = "") -> np.ndarray:
    image = rendered(run, item, query, _PNG, path)
    return np.asarray(image.convert("L"), dtype=float)


def _shows(got: np.ndarray, wanted: np.ndarray, what: str, within: float = 2) -> None:
    expect(got.shape == wanted.shape, f"a picture of {wanted.shape}", got.shape)
    worst = float(np.abs(got - wanted).max())
    expect(worst <= within, f"{what}, within {within}", f"{worst:.0f} levels off")


# --- grey ----------------------------------------------------------------------------------------


@check(
    "rendered",
    Level.MUST,
    "PS3.18 8.3.5.1.4, PS3.3 C.11.2.1.3.1",
    "WIN-01, WIN-02",
    "The window function sigmoid",
)
def sigmoid(run: Run) -> None:
    item = run.stored("ct")[0]
    stored = item.dataset.pixel_array.astype(float) - 1024
    wanted = 255 / (1 + np.exp(-4 * (stored + 800) / 400))
    _shows(_grey(run, item, "window=-800,400,sigmoid"), wanted, "the sigmoid function")


@check("rendered", Level.MUST, "PS3.18 8.3.5.1.4", "WIN-05", "Decimals may have an exponent")
def exponents(run: Run) -> None:
    item = run.stored("ct")[0]
    plain = _grey(run, item, "window=-600,500,linear")
    _shows(_grey(run, item, "window=-6e2,5.0E2,linear"), plain, "the same picture", 0)


@check(
    "rendered",
    Level.SHOULD,
    "PS3.18 10.4.1.1.3, PS3.3 C.11.2",
    "GRY-05, trap 38",
    "Without a window the image's own is used",
)
def own_window(run: Run) -> None:
    item = run.stored("ct")[0]
    wanted = linear(item.dataset.pixel_array.astype(float) - 1024, 40, 400)
    _shows(_grey(run, item), wanted, "the window of the image")


@check(
    "rendered",
    Level.SHOULD,
    "PS3.5 8.1.1, PS3.3 C.7.6.3",
    "GRY-01, GRY-10",
    "Signed values of twelve bits, whatever stands above them",
)
def signed_values(run: Run) -> None:
    [item] = run.stored("signed")
    image = rendered(run, item, "window=-100,3000,linear", _PNG)
    expect(image.mode in ("L", "RGB"), "a PNG of 8 bits a sample", image.mode)
    _shows(np.asarray(image.convert("L"), float), linear(signed(), -100, 3000), "signed values")


@check(
    "rendered",
    Level.MUST,
    "PS3.3 C.11.1.1",
    "GRY-02, GRY-03, GRY-04",
    "A Modality LUT comes before the window; values beside it take its ends",
)
def modality_lut(run: Run) -> None:
    [item] = run.stored("lut")
    index = np.clip(item.dataset.pixel_array.astype(int) - LUT_FIRST, 0, len(LUT_VALUES) - 1)
    wanted = linear(np.array(LUT_VALUES)[index], 1000, 2000)
    _shows(_grey(run, item, "window=1000,2000,linear"), wanted, "the Modality LUT")


@check(
    "rendered",
    Level.SHOULD,
    "PS3.3 C.11.2.1.1",
    "GRY-06, GRY-05",
    "Without a window, a VOI LUT of the image is used",
)
def voi_lut(run: Run) -> None:
    [item] = run.stored("voi")
    _shows(_grey(run, item), 255.0 - ramp(), "the VOI LUT")


@check(
    "rendered",
    Level.MUST,
    "PS3.3 C.7.6.3.1.2",
    "GRY-07, trap 38",
    "The least value of MONOCHROME1 is white",
)
def monochrome1(run: Run) -> None:
    [item] = run.stored("inverted")
    wanted = 255 - linear(ramp(), 96, 192)
    _shows(_grey(run, item, "window=96,192,linear"), wanted, "the negative")


@check(
    "rendered",
    Level.SHOULD,
    "PS3.3 C.7.6.16.2.9, C.7.6.16.2.10",
    "GRY-02, GRY-05, trap 38",
    "Enhanced images have the rescale and the window of each frame",
)
def functional_groups(run: Run) -> None:
    [item] = run.stored("enhanced")
    for number, (intercept, slope, center, width) in enumerate(ENHANCED, 1):
        values = item.dataset.pixel_array[number - 1] * slope + intercept
        got = _grey(run, item, path=f"/frames/{number}")
        _shows(got, linear(values, center, width), f"the window of frame {number}")


@check("rendered", Level.MAY, "PS3.3 C.7.6.24", "GRY-09", "Pixels that are floats are windowed")
def float_pixels(run: Run) -> None:
    [item] = run.stored("real")
    path = f"{item.path}/rendered?window=0,2,linear-exact"
    if run.get(path, _PNG).status in (400, 404, 406):
        raise NotOffered("rendering of float pixel data")
    wanted = np.clip((ramp().astype(float) / 95.5 - 1) / 2 + 0.5, 0, 1) * 255
    _shows(_grey(run, item, "window=0,2,linear-exact"), wanted, "the values")


@check(
    "rendered",
    Level.SHOULD,
    "PS3.18 10.4.1.1.3",
    "GRY-11, trap 38",
    "An overlay that is impossible does not keep the image from being shown",
)
def impossible_overlay(run: Run) -> None:
    [item] = run.stored("overlay")
    got = _grey(run, item, "window=96,192,linear")
    _shows(got, linear(ramp(), 96, 192), "the image")


@check(
    "rendered",
    Level.MUST,
    "PS3.18 8.3.5.1.3",
    "VP-02, VP-03, RND-01",
    "A region is cut before it is scaled; its left and its top are 0 if they are left out",
)
def region(run: Run) -> None:
    item = run.stored("ct")[0]  # 24 columns, 16 rows
    window = "window=-600,500,linear"
    whole = _grey(run, item, window)
    got = _grey(run, item, f"{window}&viewport=8,8,16,8,8,8")
    _shows(got, whole[8:, 16:], "the lower right corner", 1)
    got = _grey(run, item, f"{window}&viewport=12,8,,,12,8")
    _shows(got, whole[:8, :12], "the upper left part", 1)


@check(
    "rendered",
    Level.SHOULD,
    "PS3.18 8.3.5.1.3",
    "VP-03",
    "A region without a size reaches to the right and to the bottom",
)
def region_without_size(run: Run) -> None:
    item = run.stored("ct")[0]
    window = "window=-600,500,linear"
    got = _grey(run, item, f"{window}&viewport=8,8,16,8")
    _shows(got, _grey(run, item, window)[8:, 16:], "the lower right corner", 1)


@check(
    "rendered",
    Level.MUST,
    "PS3.18 8.3.5.1.1",
    "3.3.5",
    "What is no list of keywords for annotation is 400",
)
def bad_annotation(run: Run) -> None:
    item = run.stored("ct")[0]
    for text in ("", ",", "patient,,technique"):
        answer = run.get(f"{item.path}/rendered?annotation={text}", _JPEG)
        expect(answer.status == 400, f"status 400 for annotation={text}", answer.status)


# --- presentation states -------------------------------------------------------------------------


def _state(run: Run) -> tuple[Instance, str]:
    image, state = run.stored("state")
    path = f"{state.path}/rendered"
    if run.get(path, _PNG).status in (400, 404, 406, 501):
        raise NotOffered("rendering of presentation states")
    return image, path


@check(
    "rendered",
    Level.MAY,
    "PS3.18 10.4.1.1.3, PS3.4 N.2",
    "RND-02",
    "A presentation state shows its image, by its own transforms",
)
def presentation_state(run: Run) -> None:
    _state(run)
    [_, state] = run.stored("state")
    image = rendered(run, state, "viewport=24,16", _PNG)
    wanted = 255 - linear(ramp(), 96, 192)
    _shows(np.asarray(image.convert("L"), float), wanted, "the negative, in the state's window")


@check(
    "rendered",
    Level.MAY,
    "PS3.18 8.3.5.1.3, 8.3.5.1.4",
    "WIN-03, VP-09",
    "Of a presentation state neither window nor region can be chosen: 400",
)
def state_parameters(run: Run) -> None:
    _, path = _state(run)
    for query in ("window=40,400,linear", "viewport=8,8,2,2,4,4"):
        answer = run.get(f"{path}?{query}", _PNG)
        expect(answer.status == 400, f"status 400 for {query}", answer.status)


# --- colour --------------------------------------------------------------------------------------


@check(
    "rendered",
    Level.MUST,
    "PS3.3 C.7.6.3.1.2, C.7.9",
    "3.3.5, trap 37",
    "Every kind of colour is shown in its colours",
)
def colours(run: Run) -> None:
    for kind in ("palette", "planes", "full", "halved", "photo"):
        [item] = run.stored(kind)
        for accept in (_PNG, _JPEG):
            image = rendered(run, item, "", accept).convert("RGB")
            got = np.asarray(image, dtype=float)[:, 2::6]
            wanted = colour_bars()[:, 2::6].astype(float)
            limit = 4 if accept == _PNG and kind != "photo" else 40
            _shows(got, wanted, f"the colours of '{kind}' as {accept}", limit)


@check(
    "rendered",
    Level.MAY,
    "PS3.18 Table 8.7.4-1",
    "1.4",
    "A multi-frame image as an animation in GIF",
)
def animation(run: Run) -> None:
    [item] = run.stored("frames")
    answer = run.get(f"{item.path}/rendered", _GIF)
    if answer.status in (400, 406):
        raise NotOffered("animations in GIF")
    image = picture(status(answer, 200).body, _GIF)
    count = getattr(image, "n_frames", 1)
    if count == 1:
        raise NotOffered("animations in GIF: it is the first frame")
    expect(count == 4, "four pictures", count)


@check(
    "rendered",
    Level.MUST,
    "PS3.18 Table 8.7.4-1",
    "1.4",
    "All frames of a multi-frame image in multipart, in their order",
)
def all_frames(run: Run) -> None:
    [item] = run.stored("fragments")[1:2]
    parts = parts_of(run.ok(f"{item.path}/rendered", multipart(_PNG)), _PNG)
    expect(len(parts) == 3, "three parts", len(parts))
    means = [
        np.asarray(picture(part.body, _PNG).convert("RGB")).reshape(-1, 3).mean(0) for part in parts
    ]
    order = [int(mean.argmax()) for mean in means]
    expect(order == [0, 1, 2], "a red, a green and a blue one", np.round(means))


@check(
    "rendered",
    Level.MAY,
    "PS3.18 10.4.1.1.4",
    "THB-03, THB-05",
    "A thumbnail of what is no image is a picture all the same, or 4xx",
)
def thumbnail_of_a_report(run: Run) -> None:
    report = run.stored("mixed")[1]
    answer = run.get(f"{report.path}/thumbnail", _JPEG)
    expect(answer.status < 500, "a picture, or a 4xx (trap 40)", answer.status)
    if answer.status != 200:
        raise NotOffered("thumbnails of reports")
    expect(answer.body.startswith(b"\xff\xd8\xff"), "a JPEG image", answer.body[:10])
