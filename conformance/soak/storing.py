"""Storing until it is acknowledged, and what the ledger then has to know."""

import json
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from conformance.benchmark.client import Answer, Request
from conformance.benchmark.items import DICOM_JSON, INSTANCES
from conformance.soak.ledger import Kept, Ledger, Study
from conformance.soak.material import IMPLICIT, Made, digest
from conformance.soak.traffic import Client, Traffic
from conformance.soak.windows import PIXELS, STORE
from conformance.suite.http import media_type
from conformance.suite.multipart import split
from tests.make import multipart_body
from tests.web.asking import DICOM, FAILED, OTHER, REFERENCED

PATIENCE = 300
"""Seconds in which what is sent again and again has to be taken, whatever fails."""
OUT_OF_RESOURCES, PROCESSING_FAILURE = 0xA700, 0x0110
REASON = "00081197"


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
            answer = await self.ask(kind, STORE, self.request(study, batch), 200, 202, 409)
            if answer is None:
                await self.traffic.pause()
                continue
            stored, failed = self.results(kind, answer)
            for sop_uid in stored & rest.keys():
                self.ledger.acknowledged(study, await self.as_retrieved(rest.pop(sop_uid)))
            self.judge_failures(kind, study, answer, failed, bool(rest))
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
            answer = await self.ask("instance", PIXELS, request)
            if answer is not None:
                boundary = media_type(answer.headers["content-type"]).parameters["boundary"]
                return split(bytes(answer.body), boundary.encode())[0].body
            await self.traffic.pause()
        raise Unsettled(f"{path}: never retrieved")

    def judge_failures(
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

    def request(self, study: Study, batch: Sequence[Made]) -> Request:
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
