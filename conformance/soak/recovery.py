"""Whether service is back: some requests of every kind, each over a new connection."""

import asyncio
import time
from collections.abc import Iterator
from hashlib import sha256

from conformance.benchmark.client import Address, AnswerError, Request, ask_once
from conformance.benchmark.items import DICOM_JSON, FRAMES, all_stored
from conformance.soak.ledger import Ledger
from conformance.soak.material import Made, make_study
from conformance.soak.traffic import Traffic
from conformance.soak.windows import Window
from tests.web.asking import DICOM

RECOVERY_SECONDS = 30
"""In which service must be back after a fault's cause is gone, also a server just started."""
PASSES = 3
"""In a row, for the server may have several processes."""
GRACE_SECONDS = 5
"""Refusals in this time after the passes still count as part of the recovery; later ones fail."""
PROBE_SECONDS = 15


class Prober:
    """Stores and reads a small instance, anew for each fault."""

    def __init__(self, traffic: Traffic, ledger: Ledger, seeds: Iterator[int]) -> None:
        self.traffic = traffic
        self.ledger = ledger
        self.seeds = seeds

    async def recovered(self, window: Window) -> None:
        """Wait until all probes pass, note when that was, and close the window."""
        patient_id, [made] = make_study(next(self.seeds), "jpeg-ls", 1, 1)
        study = self.ledger.study(made.study_uid, patient_id)
        passes, said = 0, ""
        with self.ledger.changing(study):
            self.ledger.sent(study, sha256(made.file).hexdigest())
            deadline = time.monotonic() + 2 * RECOVERY_SECONDS
            while passes < PASSES and time.monotonic() < deadline:
                try:
                    async with asyncio.timeout(PROBE_SECONDS):
                        await self._all(made, passes)
                    passes += 1
                    if passes == 1:
                        window.recovered = self.traffic.now()
                    continue
                except (AnswerError, OSError, TimeoutError) as error:
                    passes, said = 0, f"{type(error).__name__}: {error}"
                await asyncio.sleep(0.1)
            if passes == PASSES:
                self.ledger.acknowledged(study, made.kept())
            else:
                study.doubtful = True
        if passes < PASSES:
            window.recovered = self.traffic.now()
        await asyncio.sleep(GRACE_SECONDS)
        window.closed = self.traffic.now()
        if passes < PASSES or window.recovery > RECOVERY_SECONDS:
            self.traffic.fail(
                "service is not back in time",
                fault=window.kind.name,
                seconds=round(window.recovery, 1),
                last=said,
            )

    async def _all(self, made: Made, number: int) -> None:
        """Raises AnswerError, OSError or TimeoutError."""
        address = self.traffic.address
        await _expect(Address(address.host, address.port, ""), Request("/readyz"))
        path = f"/studies/{made.study_uid}/series/{made.series_uid}/instances/{made.sop_uid}"
        store = Request("/studies", DICOM_JSON, "POST", DICOM, made.file, keep=True)
        all_stored(frozenset({made.sop_uid}))(await ask_once(address, store))
        await _expect(address, Request("/studies?limit=5", DICOM_JSON))
        await _expect(address, Request(f"{path}/metadata", DICOM_JSON))
        await _expect(address, Request(f"{path}/frames/1", FRAMES))
        window = f"{100 + number + self.traffic.now() % 50:.3f},300,linear"
        await _expect(address, Request(f"{path}/rendered?window={window}", "image/jpeg"))


async def _expect(address: Address, request: Request) -> None:
    answer = await ask_once(address, request)
    if answer.status != 200:
        raise AnswerError(f"{request.path}: status {answer.status}")
