"""What is measured, and what is to be reached."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import count

from PIL import Image

from conformance.benchmark.client import Answer, AnswerError, Request
from conformance.benchmark.load import Ask
from conformance.benchmark.render.images import Kind

ORTHANC_GOAL = 3.0
"""Times Orthanc's rate, at least."""

CODECS_GOAL = 1.5
"""Times the time of the codecs alone, at most."""

_passes = count()
"""One number for all items and servers: no window is asked for twice."""


@dataclass(frozen=True)
class Item:
    """One line of the table: all pictures of a kind in turn, over some connections.

    `query` has ``{}`` where a number goes that is another in each pass. `goals`: it is one of those
    that the goals are for.
    """

    key: str
    name: str
    kind: Kind
    connections: int = 1
    query: str = "?window={},400,linear"
    accept: str = "image/jpeg"
    resource: str = "frames/1/rendered"
    size: tuple[int, int] | None = None
    cached: bool = False
    goals: bool = False

    def asks(self) -> Iterator[Ask]:
        """Requests without an end."""
        while True:
            number = 0 if self.cached else next(_passes)
            for picture in self.kind.pictures:
                yield Ask(self._request(picture.path, number), self.check)

    def _request(self, path: str, number: int, *, keep: bool = False) -> Request:
        value = f"{40 + number / 1000:.3f}" if "window" in self.query else str(200 + number % 300)
        query = self.query.replace("{}", value)
        return Request(f"{path}/{self.resource}{query}", self.accept, keep=keep)

    def looks(self) -> Iterator[tuple[Request, tuple[int, int]]]:
        """The first and the last picture, and the size that each has to have."""
        for picture in {self.kind.pictures[0], self.kind.pictures[-1]}:
            yield self._request(picture.path, 0, keep=True), self.pixels

    @property
    def pixels(self) -> tuple[int, int]:
        """Columns and rows of the picture; 0, 0 where the server chooses."""
        return self.size or (self.kind.columns, self.kind.rows)

    def check(self, answer: Answer) -> None:
        """Raises AnswerError for what is no picture."""
        if answer.status != 200 or answer.length < 100:
            raise AnswerError(f"{self.name}: status {answer.status}, {answer.length} bytes")


def look_at(answer: Answer, item: Item, size: tuple[int, int]) -> None:
    """Raises AnswerError unless the answer is a picture of the type, and as large."""
    if answer.status != 200:
        raise AnswerError(f"{item.name}: status {answer.status}: {bytes(answer.body[:150])!r}")
    try:
        with Image.open(BytesIO(answer.body)) as picture:
            picture.load()
            found, form = picture.size, Image.MIME.get(picture.format or "")
    except OSError as error:
        raise AnswerError(f"{item.name}: no picture") from error
    if form != item.accept or (any(size) and found != size):
        raise AnswerError(f"{item.name}: {form} of {found[0]} x {found[1]} pixels")


def all_items(kinds: Mapping[str, Kind]) -> list[Item]:
    """Every item, in the order of the table."""
    ct, us, mg = kinds["ct"], kinds["us"], kinds["mg"]
    fit = "?window={},400,linear&viewport=256,256"
    return [
        Item("ct-1", "CT 512 x 512, JPEG", ct, 1, goals=True),
        Item("ct-8", "CT 512 x 512, JPEG, 8 connections", ct, 8, goals=True),
        Item("cached-1", "the same, asked for again", ct, 1, cached=True),
        Item("cached-8", "the same, asked for again, 8 connections", ct, 8, cached=True),
        Item("viewport-8", "CT in a viewport of 256 x 256", ct, 8, fit, size=(256, 256)),
        Item("png-8", "CT, PNG", ct, 8, accept="image/png"),
        Item("us-8", "ultrasound, RGB 640 x 480", us, 8),
        Item("mg-2", "mammography, 2560 x 3328 of 12 bits", mg, 2),
        Item("j2k-8", "CT, JPEG 2000 Lossless", kinds["j2k"], 8),
        Item("htj2k-8", "CT, HTJ2K Lossless", kinds["htj2k"], 8),
        Item(
            "thumbnail-8",
            "thumbnail of a CT slice",
            ct,
            8,
            "?viewport={},{}",
            resource="thumbnail",
            size=(0, 0),
        ),
    ]


def chosen(items: Sequence[Item], keys: Sequence[str]) -> list[Item]:
    """The items whose keys begin with one of `keys`; all if there are none.

    Raises ValueError for a key that chooses none.
    """
    for key in keys:
        if not any(item.key.startswith(key) for item in items):
            known = ", ".join(item.key for item in items)
            raise ValueError(f"no item {key}: choose of {known}")
    return [item for item in items if not keys or item.key.startswith(tuple(keys))]
