"""Clients that store and delete: modalities, gateways, and those whose connections break."""

import asyncio
import json
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from pydicom import uid as uids

from conformance.benchmark.client import Answer, Request
from conformance.benchmark.items import DICOM_JSON, INSTANCES
from conformance.soak.ledger import Kept, Ledger, Study
from conformance.soak.material import (
    IMPLICIT,
    KINDS,
    Made,
    damaged,
    digest,
    make_study,
    other_pixels,
)
from conformance.soak.traffic import Client, Traffic
from conformance.soak.windows import DELETE, ENCODED, METADATA, STORE
from conformance.suite.http import media_type
from conformance.suite.multipart import split
from tests.make import multipart_body, uid
from tests.make.posted import Bulk, related
from tests.web.asking import DICOM, FAILED, OTHER, REFERENCED
from tests.web.posting import octets, posted_image

PATIENCE = 300
"""Seconds in which what is sent again and again has to be taken, whatever fails."""
OUT_OF_RESOURCES, PROCESSING_FAILURE = 0xA700, 0x0110
DUPLICATE = 0x0111
OF_DAMAGE = {0xC000, 0x0117}  # cannot be understood, or has no UIDs
REASON = "00081197"
KEPT_FOR_DUPLICATES = 30


class Unsettled(Exception):
    """What was sent or deleted was never answered for good."""


class Stores(Client):
    """A client that stores into studies and keeps the ledger of it."""

    def __init__(self, traffic: Traffic, order: random.Random, ledger: Ledger) -> None:
        super().__init__(traffic, order)
        self.ledger = ledger

    async def take(self, kind: str, study: Study, made: Sequence[Made]) -> None:
        """Send instances until all are acknowledged. Raises Unsettled if they never are."""
        rest = {each.sop_uid: each for each in made}
        deadline = time.monotonic() + PATIENCE
        for each in made:
            self.ledger.sent(study, digest(each.file))
        while rest:
            if time.monotonic() > deadline:
                study.doubtful = True
                raise Unsettled(f"{kind}: never taken")
            batch = list(rest.values())
            answer = await self.ask(kind, STORE, self._request(study, batch), 200, 202, 409)
            if answer is None:
                await self.traffic.pause()
                continue
            stored, failed = self.results(kind, answer)
            for sop_uid in stored & rest.keys():
                self.ledger.acknowledged(study, await self.as_retrieved(rest.pop(sop_uid)))
            self._judge(kind, study, answer, failed, bool(rest))
            if rest:
                await self.traffic.pause()

    async def as_retrieved(self, made: Made) -> Kept:
        """What has to be there of an instance that was acknowledged. Raises Unsettled."""
        kept = made.kept()
        if made.kind != IMPLICIT:
            return kept
        path = f"/studies/{made.study_uid}/series/{made.series_uid}/instances/{made.sop_uid}"
        return replace(kept, file=digest(await self.file_of(path)))

    async def file_of(self, path: str) -> bytes:
        """The file as it is retrieved. Raises Unsettled."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            request = Request(path, INSTANCES, keep=True)
            answer = await self.ask("instance", ENCODED, request)
            if answer is not None:
                boundary = media_type(answer.headers["content-type"]).parameters["boundary"]
                return split(bytes(answer.body), boundary.encode())[0].body
            await self.traffic.pause()
        raise Unsettled(f"{path}: never retrieved")

    def _judge(
        self, kind: str, study: Study, answer: Answer, failed: dict[str, int], again: bool
    ) -> None:
        """What of good instances failed must have failed for want of means, amid a fault."""
        if not again:
            return
        now = self.traffic.now()
        reasons = set(failed.values())
        excused = reasons <= {OUT_OF_RESOURCES, PROCESSING_FAILURE} and reasons
        if not (
            excused and self.traffic.windows.excuse(STORE, now, now, refused=True, unheard=False)
        ):
            self.traffic.fail(
                "good instances refused",
                kind=kind,
                study=study.uid,
                status=answer.status,
                reasons=sorted(reasons),
            )

    def _request(self, study: Study, batch: Sequence[Made]) -> Request:
        path = f"/studies/{study.uid}" if self.order.random() < 0.3 else "/studies"
        if len(batch) == 1 and self.order.random() < 0.5:
            return Request(path, DICOM_JSON, "POST", DICOM, batch[0].file, keep=True)
        body, content_type = multipart_body(each.file for each in batch)
        return Request(path, DICOM_JSON, "POST", content_type, body, keep=True)

    def results(self, kind: str, answer: Answer) -> tuple[set[str], dict[str, int]]:
        """The SOP Instance UIDs that are stored, and the reasons of those that are not.

        Failures without a UID have a number for it.
        """
        module = json.loads(answer.body)
        stored = {
            each["00081155"]["Value"][0] for each in module.get(REFERENCED, {}).get("Value", [])
        }
        failed = {
            (each.get("00081155", {}).get("Value") or [str(number)])[0]: each[REASON]["Value"][0]
            for number, each in enumerate(_failures(module))
        }
        if answer.status != (409 if not stored else 202 if failed else answer.status):
            self.traffic.fail(
                "a status that does not fit its report",
                kind=kind,
                status=answer.status,
                stored=len(stored),
                failed=len(failed),
            )
        return stored, failed


def _failures(module: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for sequence in (FAILED, OTHER):
        yield from module.get(sequence, {}).get("Value", [])


class Sender(Stores):
    """Sends studies of all kinds in all ways, one after the other."""

    def __init__(
        self, traffic: Traffic, order: random.Random, ledger: Ledger, seeds: Iterator[int]
    ) -> None:
        super().__init__(traffic, order, ledger)
        self.seeds = seeds
        self._done: list[tuple[Study, list[Made]]] = []

    async def run(self) -> None:
        """Send until the run stops; what is begun is finished."""
        ways = {
            self._single: 4,
            self._series: 5,
            self._broken_off: 2,
            self._answer_lost: 2,
            self._with_damage: 2,
            self._again: 2,
            self._other_content: 1,
            self._metadata_and_bulk: 2,
            self._two_at_once: 1,
        }
        while not self.traffic.stopping.is_set():
            [way] = self.order.choices(list(ways), list(ways.values()))
            try:
                await way()
            except Exception as error:  # Unsettled, or what reading a wrong answer comes to
                self.traffic.fail(f"{type(error).__name__}: {error}")
        self.close()

    def _new(self, n_series: int, n_instances: int) -> tuple[Study, list[Made]]:
        kind = self.order.choice(list(KINDS))
        if kind in ("report", "pdf"):
            n_series = n_instances = 1
        patient_id, made = make_study(next(self.seeds), kind, n_series, n_instances)
        study = self.ledger.study(made[0].study_uid, patient_id)
        self._done = [*self._done[1 - KEPT_FOR_DUPLICATES :], (study, made)]
        return study, made

    async def _single(self) -> None:
        study, made = self._new(1, 1)
        with self.ledger.changing(study):
            await self.take("store single", study, made)

    async def _series(self) -> None:
        """Two series in batches, as a modality sends them."""
        study, made = self._new(self.order.randint(1, 2), self.order.randint(2, 12))
        with self.ledger.changing(study):
            size = self.order.choice((2, 5, 10))
            for first in range(0, len(made), size):
                await self.take("store batch", study, made[first : first + size])

    async def _broken_off(self) -> None:
        """Gone amid the body; it comes again, whole, or in a third of the cases never."""
        study, made = self._new(1, self.order.randint(1, 6))
        with self.ledger.changing(study):
            for each in made:
                self.ledger.sent(study, digest(each.file))
            request = self._request(study, made)
            await self.leave(
                "store, left amid the body", request, sent=self.order.uniform(0.05, 0.95), heard=0
            )
            # What came in whole is read in another form than it was sent in, if it is implicit.
            if self.order.random() < 1 / 3 and made[0].kind != IMPLICIT:
                study.doubtful = True
            else:
                await self.take("store after leaving", study, made)

    async def _answer_lost(self) -> None:
        """The whole body is sent, the answer not waited for: all comes again."""
        study, made = self._new(1, self.order.randint(1, 4))
        with self.ledger.changing(study):
            for each in made:
                self.ledger.sent(study, digest(each.file))
            await self.leave("store, answer lost", self._request(study, made), sent=1, heard=0)
            await self.take("store again", study, made)

    async def _two_at_once(self) -> None:
        """Two gateways send the same study at the same time."""
        study, made = self._new(1, 4)
        other = Stores(self.traffic, self.order, self.ledger)
        with self.ledger.changing(study):
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self.take("store twice at once", study, made))
                    group.create_task(other.take("store twice at once", study, made))
            except* Unsettled as errors:
                raise Unsettled(str(errors.exceptions[0])) from None
            finally:
                other.close()

    async def _with_damage(self) -> None:
        """Good instances with one among them that is cut off: that one alone is refused."""
        study, made = self._new(1, self.order.randint(2, 5))
        *good, bad = made
        files = [each.file for each in good] + [damaged(bad, self.order)]
        self.order.shuffle(files)
        body, content_type = multipart_body(files)
        request = Request("/studies", DICOM_JSON, "POST", content_type, body, keep=True)
        with self.ledger.changing(study):
            for each in good:
                self.ledger.sent(study, digest(each.file))
            answer = await self.ask("store with damage", STORE, request, 202, 409)
            if answer is not None:
                stored, failed = self.results("store with damage", answer)
                for each in good:
                    if each.sop_uid in stored:
                        self.ledger.acknowledged(study, await self.as_retrieved(each))
                self._check_damage(bad, stored, failed)
                self.ledger.refused(study, bad.sop_uid)
            await self.take("store after damage", study, good)

    def _check_damage(self, bad: Made, stored: set[str], failed: dict[str, int]) -> None:
        now = self.traffic.now()
        if bad.sop_uid in stored:
            self.traffic.fail("a damaged file was taken", sop=bad.sop_uid)
        elif not OF_DAMAGE & set(failed.values()) and not self.traffic.windows.during(now, now):
            self.traffic.fail("a damaged file without its reason", reasons=sorted(failed.values()))

    async def _again(self) -> None:
        """A study that is there already, once more: a success that changes nothing."""
        found = self._settled()
        if found is not None:
            study, made = found
            with self.ledger.changing(study):
                await self.take("store duplicate", study, made)

    async def _other_content(self) -> None:
        """The same UID with other pixels: refused, and the first stays."""
        found = self._settled()
        if found is None or not found[1][0].frames or found[1][0].sop_uid not in found[0].kept:
            return
        study, [made, *_] = found
        file = other_pixels(made)
        request = Request("/studies", DICOM_JSON, "POST", DICOM, file, keep=True)
        with self.ledger.changing(study):
            answer = await self.ask("store other content", STORE, request, 409)
        if answer is None:
            return
        stored, failed = self.results("store other content", answer)
        now = self.traffic.now()
        if stored or (
            failed != {made.sop_uid: DUPLICATE} and not self.traffic.windows.during(now, now)
        ):
            self.traffic.fail(
                "other content under a UID that is taken", reasons=list(failed.values())
            )

    def _settled(self) -> tuple[Study, list[Made]] | None:
        """A study of ours that is whole and that nobody changes."""
        whole = [
            (study, made)
            for study, made in self._done
            if not study.in_flux and study.kept.keys() == {each.sop_uid for each in made}
        ]
        return self.order.choice(whole) if whole else None

    async def _metadata_and_bulk(self) -> None:
        """An instance in JSON with its pixels beside: the server writes the file."""
        seed = next(self.seeds)
        pixels = self.order.randbytes(2 * 64 * 64)
        study_uid, series_uid, sop_uid = (uid("soak posted", seed, level) for level in range(3))
        posted = posted_image(
            StudyInstanceUID=study_uid,
            SeriesInstanceUID=series_uid,
            SOPInstanceUID=sop_uid,
            PatientID=f"SOAK{seed}",
            SOPClassUID=uids.SecondaryCaptureImageStorage,
            SamplesPerPixel=1,
            PhotometricInterpretation="MONOCHROME2",
            Rows=64,
            Columns=64,
            BitsAllocated=16,
            BitsStored=16,
            HighBit=15,
            PixelRepresentation=0,
            PixelData=Bulk("pixels"),
        )
        first = ({"Content-Type": DICOM_JSON}, json.dumps([posted]).encode())
        body, content_type = related([first, octets(pixels, Content_Location="pixels")])
        request = Request("/studies", DICOM_JSON, "POST", content_type, body, keep=True)
        study = self.ledger.study(study_uid, f"SOAK{seed}")
        path = f"/studies/{study_uid}/series/{series_uid}/instances/{sop_uid}"
        with self.ledger.changing(study):
            await self._until_stored(study, request, sop_uid)
            file = await self.file_of(path)
            if pixels not in file:
                self.traffic.fail("posted pixels are not in the file", path=path)
            kept = Kept(
                series_uid, sop_uid, "posted", digest(file), digest(file), digest(pixels), 1
            )
            self.ledger.acknowledged(study, kept)

    async def _until_stored(self, study: Study, request: Request, sop_uid: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            answer = await self.ask("store metadata and bulk", STORE, request, 200, 202, 409)
            if answer is not None:
                stored, failed = self.results("store metadata and bulk", answer)
                if sop_uid in stored:
                    return
                self._judge("store metadata and bulk", study, answer, failed, again=True)
            await self.traffic.pause()
        study.doubtful = True
        raise Unsettled("store metadata and bulk: never taken")


class Deleter(Stores):
    """Deletes so many studies, series and instances that the archive keeps its size."""

    def __init__(
        self, traffic: Traffic, order: random.Random, ledger: Ledger, population: int
    ) -> None:
        super().__init__(traffic, order, ledger)
        self.population = population

    async def run(self) -> None:
        """Delete until the run stops."""
        while not self.traffic.stopping.is_set():
            present = self.ledger.present()
            if len(present) <= self.population:
                await self.traffic.pause(0.5)
                continue
            study = self.order.choice(present[: len(present) // 2])
            try:
                await self._delete(study)
            except Exception as error:  # Unsettled, or what reading a wrong answer comes to
                self.traffic.fail(f"{type(error).__name__}: {error}")
        self.close()

    async def _delete(self, study: Study) -> None:
        kept = self.order.choice(list(study.kept.values()))
        chance = self.order.random()
        path, going = f"/studies/{study.uid}", set(study.kept)
        if chance < 0.2:
            path += f"/series/{kept.series_uid}"
            going = {
                each.sop_uid for each in study.kept.values() if each.series_uid == kept.series_uid
            }
        if chance < 0.1:
            path += f"/instances/{kept.sop_uid}"
            going = {kept.sop_uid}
        with self.ledger.changing(study):
            await self._until_gone(path)
            self.ledger.deleted(study, going)
            if self.order.random() < 1 / 3:
                request = Request(f"{path}/metadata")
                await self.ask("metadata of what is gone", METADATA, request, 404)

    async def _until_gone(self, path: str) -> None:
        """204; 404 only where an answer before was lost. Raises Unsettled."""
        deadline = time.monotonic() + PATIENCE
        good: tuple[int, ...] = (204,)
        while time.monotonic() < deadline:
            if await self.ask("delete", DELETE, Request(path, method="DELETE"), *good) is not None:
                return
            good = (204, 404)
            await self.traffic.pause()
        raise Unsettled(f"{path}: never deleted")
