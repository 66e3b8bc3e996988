"""Clients that read, as worklists, workstations, web viewers, importers and caches do.

What they get is held to the ledger, unless the study changed while they read it.
"""

import io
import json
import random
import zipfile
from collections.abc import Awaitable, Callable
from typing import Any

from conformance.benchmark.client import Answer, Request
from conformance.benchmark.items import DICOM_JSON, FRAMES, INSTANCES
from conformance.soak.ledger import Kept, Ledger, Study
from conformance.soak.material import digest
from conformance.soak.traffic import Client, Traffic, Wrong
from conformance.soak.windows import ENCODED, METADATA, PIXELS, RENDERED, SEARCH
from conformance.suite.http import media_type
from conformance.suite.multipart import Part, split

JPEG, ZIP = "image/jpeg", "application/zip"
Check = Callable[[Answer], None]


class Viewer(Client):
    """Reads studies in one of several ways at a time."""

    def __init__(self, traffic: Traffic, order: random.Random, ledger: Ledger) -> None:
        super().__init__(traffic, order)
        self.ledger = ledger
        self.ways: dict[Callable[[Study], Awaitable[None]], int] = {
            self.worklist: 4,
            self.workstation: 3,
            self.web_viewer: 3,
            self.importer: 2,
            self.cache: 2,
            self.zip_file: 1,
            self.leaver: 1,
        }

    async def run(self) -> None:
        """Read until the run stops."""
        while not self.traffic.stopping.is_set():
            study = self.ledger.pick(self.order)
            if study is None:
                await self.traffic.pause()
                continue
            [way] = self.order.choices(list(self.ways), list(self.ways.values()))
            await way(study)
        self.close()

    async def get(
        self, kind: str, group: str, study: Study, request: Request, check: Check, *good: int
    ) -> Answer | None:
        """The answer, if it passes `check` (which raises Wrong) and the study did not change."""
        if study.in_flux or not study.kept:
            return None
        mark = study.changes

        def changed() -> bool:
            return not study.settled_as(mark)

        answer = await self.ask(kind, group, request, *(good or (200,)), 404, pardon=changed)
        if answer is None or changed():
            return None
        try:
            if answer.status == 404:
                raise Wrong("404 for what is there")
            check(answer)
        except Exception as error:  # Wrong, or what reading a wrong answer comes to
            self.fail(kind, request, f"{type(error).__name__}: {error}")
            return None
        return answer

    # Searches

    async def worklist(self, study: Study) -> None:
        """The newest studies and the next page; one patient; the series and instances of one."""
        page = Request("/studies?limit=25&includefield=StudyDescription", DICOM_JSON, keep=True)
        await self.get("search studies, page", SEARCH, study, page, _at_most(25), 200, 204)
        page = Request("/studies?limit=25&offset=25&orderby=PatientID", DICOM_JSON, keep=True)
        await self.get("search studies, page", SEARCH, study, page, _at_most(25), 200, 204)
        one = Request(f"/studies?PatientID={study.patient_id}", DICOM_JSON, keep=True)
        await self.get("search by patient", SEARCH, study, one, _counts(study), 200, 204)
        await self._lists(study)
        # What no index of its own answers.
        odd = Request("/instances?NumberOfFrames=3&limit=20", DICOM_JSON, keep=True)
        await self.get("search instances", SEARCH, study, odd, _at_most(20), 200, 204)

    async def _lists(self, study: Study) -> None:
        series = {kept.series_uid for kept in study.kept.values()}
        path = f"/studies/{study.uid}"
        request = Request(f"{path}/series", DICOM_JSON, keep=True)
        await self.get("search series", SEARCH, study, request, _named("0020000E", series))
        request = Request(f"{path}/instances", DICOM_JSON, keep=True)
        await self.get("search instances", SEARCH, study, request, _named("00080018", study.kept))

    # Retrieving

    async def workstation(self, study: Study) -> None:
        """Series metadata, then each instance's first frame in turn."""
        await self._lists(study)
        kept = self.order.choice(list(study.kept.values())) if study.kept else None
        if kept is None:
            return
        series = {
            each.sop_uid: each for each in study.kept.values() if each.series_uid == kept.series_uid
        }
        path = f"/studies/{study.uid}/series/{kept.series_uid}/metadata"
        request = Request(path, DICOM_JSON, keep=True, accept_encoding="identity")
        await self.get("metadata of a series", METADATA, study, request, _named("00080018", series))
        for each in series.values():
            if each.frames:
                request = Request(f"{_path(study, each)}/frames/1", FRAMES, keep=True)
                await self.get("frame", PIXELS, study, request, _frame(each))
                if self.traffic.stopping.is_set():
                    return

    async def web_viewer(self, study: Study) -> None:
        """Thumbnails and rendered frames, windowed and scaled, some never asked for before."""
        base = f"/studies/{study.uid}"
        kept = self.order.choice(list(study.kept.values()))
        for path in (base, f"{base}/series/{kept.series_uid}", _path(study, kept)):
            request = Request(f"{path}/thumbnail", JPEG, keep=True)
            await self.get("thumbnail", RENDERED, study, request, _picture)
        if not kept.frames:
            if kept.kind == "report":
                request = Request(f"{_path(study, kept)}/rendered", "text/html", keep=True)
                await self.get("rendered report", RENDERED, study, request, _some)
            return
        for _ in range(3):
            frame = self.order.randint(1, kept.frames)
            window = f"{self.order.uniform(0, 400):.2f},{self.order.uniform(50, 900):.2f},linear"
            query = self.order.choice(("", f"?window={window}", "?viewport=64,64", "?quality=60"))
            if kept.kind == "rgb" and "window" in query:
                query = ""
            path = f"{_path(study, kept)}/frames/{frame}/rendered{query}"
            request = Request(path, JPEG, keep=True)
            await self.get("rendered", RENDERED, study, request, _picture)

    async def importer(self, study: Study) -> None:
        """The whole study as it was stored, and one instance in another syntax."""
        request = Request(f"/studies/{study.uid}", INSTANCES, keep=True)
        await self.get("study", PIXELS, study, request, _originals(list(study.kept.values())))
        if not study.kept:
            return
        kept = self.order.choice(list(study.kept.values()))
        request = Request(_path(study, kept), "application/dicom", keep=True)
        await self.get("instance, default syntax", PIXELS, study, request, _dicom)
        if kept.frames:
            accept = "application/dicom; transfer-syntax=1.2.840.10008.1.2.4.80"
            request = Request(_path(study, kept), accept, keep=True)
            await self.get("instance as JPEG-LS", ENCODED, study, request, _dicom)
            request = Request(f"{_path(study, kept)}/pixeldata", FRAMES, keep=True)
            await self.get("pixel data", PIXELS, study, request, _begins_with_frame(kept))

    async def cache(self, study: Study) -> None:
        """What was had before is asked for again, with its tag: 304."""
        kept = self.order.choice(list(study.kept.values()))
        wanted = [(f"/studies/{study.uid}/metadata", DICOM_JSON, METADATA)]
        wanted.append((_path(study, kept), "application/dicom; transfer-syntax=*", PIXELS))
        if kept.frames:
            wanted.append((f"{_path(study, kept)}/rendered", JPEG, RENDERED))
        for path, accept, group in wanted:
            coding = "gzip" if group == METADATA else ""
            first = Request(path, accept, accept_encoding=coding)
            answer = await self.get("conditional, first", group, study, first, _some)
            tag = answer.headers.get("etag") if answer is not None else None
            if tag is None:
                continue
            fields = (("If-None-Match", tag),)
            again = Request(path, accept, accept_encoding=coding, fields=fields)
            await self.get("conditional, again", group, study, again, _unchanged, 200, 304)

    async def zip_file(self, study: Study) -> None:
        """Everything of a study as one file."""
        request = Request(f"/studies/{study.uid}", ZIP, keep=True)
        await self.get("zip", PIXELS, study, request, _zipped(list(study.kept.values())))

    async def leaver(self, study: Study) -> None:
        """Asks for much and is gone before the answer has ended, or begun."""
        kept = self.order.choice(list(study.kept.values()))
        path, accept = self.order.choice(
            [
                (f"/studies/{study.uid}", INSTANCES),
                (f"/studies/{study.uid}", ZIP),
                (f"/studies/{study.uid}/rendered", f'multipart/related; type="{JPEG}"'),
                (f"{_path(study, kept)}/thumbnail", JPEG),
                (f"/studies/{study.uid}/metadata", DICOM_JSON),
                ("/instances?limit=1000", DICOM_JSON),
            ]
        )
        heard = self.order.choice((0, 1, 20_000))
        await self.leave("reader that leaves", Request(path, accept), sent=1, heard=heard)


# What an answer must be. Each raises Wrong.


def _path(study: Study, kept: Kept) -> str:
    return f"/studies/{study.uid}/series/{kept.series_uid}/instances/{kept.sop_uid}"


def _rows(answer: Answer) -> list[dict[str, Any]]:
    return [] if answer.status == 204 else list(json.loads(answer.body))


def _at_most(limit: int) -> Check:
    def check(answer: Answer) -> None:
        if len(_rows(answer)) > limit:
            raise Wrong(f"{len(_rows(answer))} results where {limit} were asked for")

    return check


def _counts(study: Study) -> Check:
    series, instances = len({each.series_uid for each in study.kept.values()}), len(study.kept)

    def check(answer: Answer) -> None:
        found = [
            [row[tag]["Value"][0] for tag in ("0020000D", "00201206", "00201208")]
            for row in _rows(answer)
        ]
        if found != [[study.uid, series, instances]]:
            raise Wrong(f"{found} where {study.uid} has {series} series, {instances} instances")

    return check


def _named(tag: str, uids: object) -> Check:
    expected = sorted(uids)  # type: ignore[call-overload]

    def check(answer: Answer) -> None:
        found = sorted(row[tag]["Value"][0] for row in _rows(answer))
        if found != expected:
            raise Wrong(f"{len(found)} found and {len(expected)} there")

    return check


def _parts(answer: Answer) -> list[Part]:
    boundary = media_type(answer.headers["content-type"]).parameters["boundary"]
    return split(bytes(answer.body), boundary.encode())


def _frame(kept: Kept) -> Check:
    def check(answer: Answer) -> None:
        if [digest(part.body) for part in _parts(answer)] != [kept.frame]:
            raise Wrong(f"not the pixels of this {kept.kind}")

    return check


def _begins_with_frame(kept: Kept) -> Check:
    def check(answer: Answer) -> None:
        [part] = _parts(answer)
        size = len(part.body) // kept.frames
        if digest(part.body[:size]) != kept.frame:
            raise Wrong(f"not the pixels of this {kept.kind}")

    return check


def _originals(kept: list[Kept]) -> Check:
    expected = sorted(each.file for each in kept)

    def check(answer: Answer) -> None:
        found = sorted(digest(part.body) for part in _parts(answer))
        if found != expected:
            missing = len(set(expected) - set(found))
            raise Wrong(f"{len(found)} files of {len(expected)}, {missing} missing or changed")

    return check


def _zipped(kept: list[Kept]) -> Check:
    def check(answer: Answer) -> None:
        with zipfile.ZipFile(io.BytesIO(answer.body)) as archive:
            if archive.testzip() is not None:
                raise Wrong("a member of the ZIP file is damaged")
            names = [name for name in archive.namelist() if not name.endswith("DICOMDIR")]
            if len([name for name in names if archive.read(name)[128:132] == b"DICM"]) != len(kept):
                raise Wrong(f"{len(names)} members for {len(kept)} instances")

    return check


def _picture(answer: Answer) -> None:
    if not (answer.body.startswith(b"\xff\xd8\xff") and answer.body.endswith(b"\xff\xd9")):
        raise Wrong("not a whole JPEG")


def _dicom(answer: Answer) -> None:
    if answer.body[128:132] != b"DICM":
        raise Wrong("not a DICOM file")


def _some(answer: Answer) -> None:
    if not answer.length:
        raise Wrong("an empty answer")


def _unchanged(answer: Answer) -> None:
    if answer.status != 304:
        raise Wrong("sent again though nothing has changed")
