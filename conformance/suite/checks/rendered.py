"""Rendered resources and thumbnails (PS3.18 10.4.1.1.3, 10.4.1.1.4, 8.3.5)."""

from io import BytesIO

import numpy as np
from defusedxml import ElementTree
from PIL import Image

from conformance.suite.http import Answer
from conformance.suite.model import Deviation, Level, NotOffered, Undecided, check, expect
from conformance.suite.multipart import parts_of
from conformance.suite.run import Run, multipart, status
from conformance.suite.shelf import Instance

_JPEG, _PNG, _GIF = "image/jpeg", "image/png", "image/gif"


def picture(data: bytes, kind: str) -> Image.Image:
    """A picture of a media type. Raises Deviation if it is none."""
    try:
        image = Image.open(BytesIO(data))
        image.load()
    except (OSError, ValueError, SyntaxError) as error:
        raise Deviation(f"a picture in {kind}", str(error)) from None
    named = {"JPEG": _JPEG, "PNG": _PNG, "GIF": _GIF}.get(image.format or "", str(image.format))
    expect(named == kind, f"a picture in {kind}", named)
    return image


def rendered(
    run: Run, item: Instance, query: str = "", accept: str = _JPEG, below: str = ""
) -> Image.Image:
    """The picture that an instance, or what is `below` it, is rendered to."""
    path = f"{item.path}{below}/rendered" + (f"?{query}" if query else "")
    answer = run.ok(path, accept)
    return picture(answer.body, _kind(answer, accept))


def _kind(answer: Answer, accept: str) -> str:
    kind = answer.content_type.name
    expect(accept in ("*/*", kind), f"Content-Type: {accept}", kind)
    return kind


@check(
    "rendered", Level.MUST, "PS3.18 10.4.1.1.3", "3.3.6, VP-08", "An image as JPEG, in its own size"
)
def as_jpeg(run: Run) -> None:
    for kind in ("ct", "colour", "jpeg"):
        item = run.stored(kind)[0]
        image = rendered(run, item)
        wanted = (item.dataset.Columns, item.dataset.Rows)
        expect(image.size == wanted, f"{wanted} pixels (VP-08)", image.size)


@check("rendered", Level.MUST, "PS3.18 Table 8.7.4-1", "1.4", "JPEG by default; PNG, GIF as asked")
def media_types(run: Run) -> None:
    item = run.stored("ct")[0]
    answer = run.ok(f"{item.path}/rendered", "*/*")
    expect(answer.content_type.name == _JPEG, _JPEG, answer.header("Content-Type"))
    for kind in (_PNG, _GIF):
        rendered(run, item, accept=kind)


@check("rendered", Level.MUST, "PS3.18 8.7.5", "NEG-02", "406 for a type it cannot render to")
def not_acceptable(run: Run) -> None:
    item = run.stored("ct")[0]
    status(run.get(f"{item.path}/rendered", "image/x-unknown"), 406)


@check("rendered", Level.MUST, "PS3.18 8.3.5.1.4, PS3.3 C.11.2.1", "WIN-01", "Windows are applied")
def window(run: Run) -> None:
    item = run.stored("ct")[0]
    stored = item.dataset.pixel_array.astype(float) - 1024
    for function, center, width in (("linear", -600, 500), ("linear-exact", -700, 301)):
        image = rendered(run, item, f"window={center},{width},{function}", _PNG)
        expect(image.size == (24, 16), "24 by 16 pixels", image.size)
        if function == "linear":
            shown = ((stored - (center - 0.5)) / (width - 1) + 0.5) * 255
        else:
            shown = ((stored - center) / width + 0.5) * 255
        wanted = np.clip(shown, 0, 255)
        got = np.asarray(image.convert("L"), dtype=float)
        worst = float(np.abs(got - wanted).max())
        expect(worst <= 2, f"grey levels of {function} within 2", f"{worst:.1f} off")


@check("rendered", Level.MUST, "PS3.18 8.3.5.1.4", "WIN-01, WIN-02", "What is no window is 400")
def bad_window(run: Run) -> None:
    item = run.stored("ct")[0]
    for text in ("40,400", "40,0,linear", "40,400,cubic", "a,b,linear", "40,-1,sigmoid", ""):
        answer = run.get(f"{item.path}/rendered?window={text}", _JPEG)
        expect(answer.status == 400, f"status 400 for window={text}", answer.status)


@check(
    "rendered",
    Level.MUST,
    "PS3.18 8.3.5.1.3",
    "VP-01, VP-06, VP-07",
    "The viewport is filled",
)
def viewport(run: Run) -> None:
    item = run.stored("ct")[0]  # 24 columns, 16 rows
    for query, wanted in {
        "viewport=48,48": (48, 32),
        "viewport=12,100": (12, 8),
        "viewport=30,30,0,0,12,12": (30, 30),
        "viewport=16,16,,,8,16": (8, 16),
    }.items():
        image = rendered(run, item, query, _PNG)
        box = tuple(int(value) for value in query.partition("=")[2].split(",")[:2])
        if image.size == box != wanted:
            image = _without_bars(image)
        expect(image.size == wanted, f"{wanted} for {query}", image.size)


def _without_bars(image: Image.Image) -> Image.Image:
    """The picture that fills its viewport in one direction, without what fills it in the other:
    a server may send the viewport whole."""
    array = np.asarray(image.convert("L"))
    rows, columns = (np.flatnonzero(np.ptp(array, axis=axis)) for axis in (1, 0))
    if not len(rows) or not len(columns):
        return image
    return image.crop((columns[0], rows[0], columns[-1] + 1, rows[-1] + 1))


@check("rendered", Level.MUST, "PS3.18 8.3.5.1.3", "VP-04", "A region of negative size is flipped")
def flipped(run: Run) -> None:
    item = run.stored("ct")[0]
    plain = np.asarray(rendered(run, item, "viewport=24,16,0,0,24,16", _PNG).convert("L"))
    across = np.asarray(rendered(run, item, "viewport=24,16,0,0,-24,16", _PNG).convert("L"))
    down = np.asarray(rendered(run, item, "viewport=24,16,0,0,24,-16", _PNG).convert("L"))
    expect(np.array_equal(across, plain[:, ::-1]), "left and right exchanged", "another picture")
    expect(np.array_equal(down, plain[::-1]), "top and bottom exchanged", "another picture")


@check("rendered", Level.MUST, "PS3.18 8.3.5.1.3", "VP-05, VP-09", "What is no viewport is 400")
def bad_viewport(run: Run) -> None:
    item = run.stored("ct")[0]
    for text in ("10", "0,10", "-5,5", "10,10,", "a,b", "10,10,0,0,0,0", ""):
        answer = run.get(f"{item.path}/rendered?viewport={text}", _JPEG)
        expect(answer.status == 400, f"status 400 for viewport={text}", answer.status)


@check("rendered", Level.MUST, "PS3.18 8.3.5.1.2", "3.3.5", "Quality from 1 to 100; others are 400")
def quality(run: Run) -> None:
    item = run.stored("colour")[0]
    sizes = []
    for value in (50, 95):
        answer = run.ok(f"{item.path}/rendered?quality={value}", _JPEG)
        picture(answer.body, _JPEG)
        sizes.append(len(answer.body))
    expect(sizes[0] < sizes[1], "a smaller picture of lower quality", sizes)
    for text in ("0", "101", "best", "1.5"):
        answer = run.get(f"{item.path}/rendered?quality={text}", _JPEG)
        expect(answer.status == 400, f"status 400 for quality={text}", answer.status)


@check("rendered", Level.MUST, "PS3.18 8.3.5.1.1", "1.8", "Annotations are burned in, or warned of")
def annotation(run: Run) -> None:
    item = run.stored("ct")[0]
    answer = run.ok(f"{item.path}/rendered?annotation=patient&viewport=400,400", _PNG)
    plain = run.ok(f"{item.path}/rendered?viewport=400,400", _PNG)
    changed = answer.body != plain.body
    warned = "annotation" in answer.header("Warning")
    expect(changed or warned, "another picture, or a Warning", "neither")
    unknown = run.ok(f"{item.path}/rendered?annotation=x-suite", _PNG)
    expect("x-suite" in unknown.header("Warning"), "a Warning of the unknown keyword", "none")


@check("rendered", Level.MUST, "PS3.18 10.4.1.1.3", "3.3.6", "One frame; a list in multipart")
def frames(run: Run) -> None:
    [item] = run.stored("frames")
    picture(run.ok(f"{item.path}/frames/2/rendered", _JPEG).body, _JPEG)
    answer = run.ok(f"{item.path}/frames/1,3/rendered", multipart(_JPEG))
    parts = parts_of(answer, _JPEG)
    expect(len(parts) == 2, "a part for each frame", len(parts))
    for part in parts:
        picture(part.body, _JPEG)
    beyond = run.get(f"{item.path}/frames/9/rendered", _JPEG)
    expect(beyond.status in (400, 404), "404 beyond the last frame", beyond.status)


@check(
    "rendered", Level.MUST, "PS3.18 10.4.1.1.3", "3.3.6, trap 40", "Series and study are multipart"
)
def several_instances(run: Run) -> None:
    items = run.stored("ct")
    for path, number in ((items[0].series_path, 3), (items[0].study_path, 5)):
        answer = run.ok(f"{path}/rendered", multipart(_JPEG))
        parts = parts_of(answer, _JPEG)
        expect(len(parts) == number, f"{number} parts", len(parts))
        for part in parts:
            picture(part.body, _JPEG)


@check("rendered", Level.MUST, "PS3.18 Table 8.7.4-1", "1.4", "A report as HTML and as plain text")
def text(run: Run) -> None:
    report = run.stored("mixed")[1]
    answer = run.ok(f"{report.path}/rendered", "text/html")
    expect(answer.content_type.name == "text/html", "text/html", answer.header("Content-Type"))
    page = answer.decoded.decode("utf-8", "replace")
    expect("Nothing" in page, "the text of the report", page[:200])
    expect("<b>Nothing" not in page, "text that is escaped", "markup of the data set")
    plain = run.ok(f"{report.path}/rendered", "text/plain")
    expect("<b>Nothing</b> & nobody" in plain.decoded.decode("utf-8", "replace"), "it", "other")


@check("rendered", Level.MUST, "PS3.18 Table 8.7.4-1", "1.4", "A report as XML")
def text_in_xml(run: Run) -> None:
    report = run.stored("mixed")[1]
    if run.get(f"{report.path}/rendered", "text/html").status != 200:
        raise Undecided("reports are not rendered: see rendered.text")
    answer = run.ok(f"{report.path}/rendered", "text/xml")
    expect(answer.content_type.name == "text/xml", "text/xml", answer.header("Content-Type"))
    try:
        root = ElementTree.fromstring(answer.decoded)
    except ElementTree.ParseError as error:
        raise Deviation("a body that is XML", str(error)) from None
    words = "".join(root.itertext())
    expect("<b>Nothing</b> & nobody" in words, "the text of the report", words[:200])


@check("rendered", Level.MAY, "PS3.18 8.3.5.1.5", "3.3.5", "A colour profile is embedded as asked")
def colour_profile(run: Run) -> None:
    [item] = run.stored("colour")
    answer = run.ok(f"{item.path}/rendered?iccprofile=srgb", _JPEG)
    if not picture(answer.body, _JPEG).info.get("icc_profile"):
        raise NotOffered("the parameter iccprofile")
    bare = run.ok(f"{item.path}/rendered?iccprofile=no", _JPEG)
    profile = picture(bare.body, _JPEG).info.get("icc_profile")
    expect(not profile, "no profile for iccprofile=no", "one")
    gif = run.get(f"{item.path}/rendered?iccprofile=srgb", _GIF)
    expect(gif.status == 400, "status 400 for GIF, which has no profiles", gif.status)
    bad = run.get(f"{item.path}/rendered?iccprofile=cmyk", _JPEG)
    expect(bad.status == 400, "status 400 for another name", bad.status)


@check("rendered", Level.MAY, "PS3.18 10.4.1.1.4", "THB-02, THB-01", "A thumbnail at every level")
def thumbnails(run: Run) -> None:
    item = run.stored("ct")[0]
    first = run.get(f"{item.path}/thumbnail", _JPEG)
    if first.status in (404, 405, 501):
        raise NotOffered("thumbnails")
    for path in (item.study_path, item.series_path, item.path, f"{item.path}/frames/1"):
        answer = run.ok(f"{path}/thumbnail", _JPEG)
        picture(answer.body, _JPEG)
    small = run.ok(f"{item.path}/thumbnail?viewport=12,12", _JPEG)
    size = picture(small.body, _JPEG).size
    expect(max(size) == 12, "12 pixels on the longer side", size)
    for query in ("viewport=12,12,0,0,4,4", "viewport=none"):
        answer = run.get(f"{item.path}/thumbnail?{query}", _JPEG)
        expect(answer.status == 400, f"status 400 for {query} (THB-01)", answer.status)
    other = run.get(f"{item.path}/thumbnail", "image/x-unknown")
    expect(other.status == 406, "406 for another type (trap 40)", other.status)
