"""Clients that store: modalities, gateways, and those whose connections break."""

import asyncio
import json
import random
import time
from collections.abc import Iterator
from dataclasses import replace

from pydicom import uid as uids

from conformance.benchmark.client import Request, Stream
from conformance.benchmark.items import DICOM_JSON
from conformance.soak.ledger import Kept, Ledger, Study
from conformance.soak.material import (
    IMPLICIT,
    KINDS,
    LARGE,
    Made,
    damaged,
    digest,
    make_study,
    other_pixels,
)
from conformance.soak.storing import PATIENCE, Stores, Unsettled
from conformance.soak.traffic import Traffic
from conformance.soak.windows import STORE
from tests.make import multipart_body, uid
from tests.make.posted import Bulk, related
from tests.web.asking import DICOM
from tests.web.posting import octets, posted_image

DUPLICATE = 0x0111
OF_DAMAGE = {0xC000, 0x0117}  # cannot be understood, or has no UIDs
KEPT_FOR_DUPLICATES = 30
PIECES = 40
"""That a body on a poor line is sent in."""


def in_pieces(body: bytes, pause: float) -> Stream:
    """The same body, `pause` seconds after each of its pieces."""
    size = -(-len(body) // PIECES)
    return Stream(
        len(body), lambda: (body[at : at + size] for at in range(0, len(body), size)), pause
    )


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
            self._large: 0.4,
            self._slowly: 1,
        }
        while not self.traffic.stopping.is_set():
            [way] = self.order.choices(list(ways), list(ways.values()))
            try:
                await way()
            except Exception as error:  # Unsettled, or what reading a wrong answer comes to
                self.traffic.fail(f"{type(error).__name__}: {error}")
        self.close()

    def _new(self, n_series: int, n_instances: int, kind: str = "") -> tuple[Study, list[Made]]:
        kind = kind or self.order.choice([kind for kind in KINDS if kind != LARGE])
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

    async def _large(self) -> None:
        study, made = self._new(1, 1, LARGE)
        with self.ledger.changing(study):
            await self.take("store large", study, made)

    async def _slowly(self) -> None:
        """Over a poor line, which may last longer than a fault."""
        study, made = self._new(1, self.order.randint(1, 3))
        request = self.request(study, made)
        assert isinstance(request.body, bytes)
        pause = self.order.uniform(2, 20) / PIECES
        request = replace(request, body=in_pieces(request.body, pause))
        with self.ledger.changing(study):
            for each in made:
                self.ledger.sent(study, digest(each.file))
            answer = await self.ask("store slowly", STORE, request, 200, 202, 409)
            if answer is not None:
                stored, failed = self.results("store slowly", answer)
                for each in made:
                    if each.sop_uid in stored:
                        self.ledger.acknowledged(study, await self.as_retrieved(each))
                self.judge_failures("store slowly", study, answer, failed, bool(failed))
            await self.take("store after slow", study, made)

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
            request = self.request(study, made)
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
            await self.leave("store, answer lost", self.request(study, made), sent=1, heard=0)
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
                self.judge_failures("store metadata and bulk", study, answer, failed, again=True)
            await self.traffic.pause()
        study.doubtful = True
        raise Unsettled("store metadata and bulk: never taken")
