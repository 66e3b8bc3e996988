"""The faults: what is done, to whom, and when."""

import asyncio
import contextlib
import os
import random
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from conformance.soak.database import Database, OwnDatabase, processes_under
from conformance.soak.disk import Disk
from conformance.soak.sampling import CPU_WORKER, SERVING, family
from conformance.soak.windows import (
    ENCODED,
    EVERYTHING,
    PIXELS,
    RENDERED,
    SEARCH,
    STORE,
    FaultKind,
)
from tests.faulty import Fault, FaultyProxy
from tests.running import RunningServer

FLOOR = 256 << 20
"""MIN_FREE_BYTES of the server."""
AWAY_SECONDS, FROZEN_SECONDS, FULL_SECONDS, S3_SECONDS = 10.0, 5.0, 8.0, 8.0
EARLY = 0.35
"""Share of a run after which no process of the server that is to be watched is ended."""

BLOBS = frozenset({STORE, PIXELS, ENCODED, RENDERED})
WRITING = frozenset({STORE, ENCODED})  # no file is encoded anew on a disk that is nearly full

POSTGRES_FAST = FaultKind("Postgres restarted (fast)")
POSTGRES_IMMEDIATE = FaultKind("Postgres restarted (immediate)")
POSTGRES_AWAY = FaultKind("Postgres stopped for 10 s")
POSTGRES_FROZEN = FaultKind("Postgres frozen for 5 s")
WORKER_KILLED = FaultKind("CPU worker killed", EVERYTHING - {SEARCH}, weight=2)
SERVING_KILLED = FaultKind("serving process killed", gone=True, early=True)
SERVER_KILLED = FaultKind("server killed and started", gone=True, early=True)
SERVER_RESTARTED = FaultKind("server stopped and started", gone=True, early=True)
DISK_FLOOR = FaultKind("disk below MIN_FREE_BYTES", WRITING)
DISK_BRIM = FaultKind("disk full to the brim", WRITING)
DISK_BRIM_OF_BOTH = FaultKind("disk full to the brim, Postgres' too")
S3_500 = FaultKind("S3 answers 500", BLOBS)
S3_SILENT = FaultKind("S3 does not answer", BLOBS)
S3_CUT = FaultKind("S3 cuts its answers", BLOBS)
S3_AWAY = FaultKind("S3 does not listen", BLOBS)

ALWAYS = (
    POSTGRES_FAST, POSTGRES_IMMEDIATE, POSTGRES_AWAY, POSTGRES_FROZEN, WORKER_KILLED,
    SERVING_KILLED, SERVER_KILLED, SERVER_RESTARTED,
)  # fmt: skip
OF_DISK = (DISK_FLOOR, DISK_BRIM)
OF_S3 = {
    S3_500: Fault(status=500),
    S3_SILENT: Fault(delay=60),
    S3_CUT: Fault("^GET", cut_body=100),
}


def schedule(
    kinds: Sequence[FaultKind], order: random.Random, *, length: float, every: float
) -> Iterator[tuple[float, FaultKind]]:
    """When which fault is due, in seconds from the begin; `every` so many one, on average.

    Each kind comes once before any comes again, so that no run is without one for long; the
    `early` ones in the first part alone. None in the last tenth.
    """
    due = order.uniform(0.5, 1.5) * every
    hand: list[FaultKind] = []
    while due < 0.9 * length:
        early = due < EARLY * length
        hand = [kind for kind in hand if early or not kind.early]
        if not hand:
            hand = [kind for kind in kinds for _ in range(kind.weight) if early or not kind.early]
            order.shuffle(hand)
        yield due, hand.pop()
        due += order.uniform(0.5, 1.5) * every


@dataclass(slots=True)
class Injector:
    """Does it: each call returns when the cause is gone again, with what it hit."""

    server: RunningServer
    database: Database
    order: random.Random
    disk: Disk | None = None
    proxy: FaultyProxy | None = None

    def kinds(self) -> list[FaultKind]:
        """The kinds that are possible here."""
        kinds = [*ALWAYS]
        if self.disk is not None:
            kinds += OF_DISK
        if self.proxy is not None:
            kinds += [*OF_S3, S3_AWAY]
        if isinstance(self.database, OwnDatabase):
            # The server has it running again before 10 s are over, and both have one disk.
            kinds.remove(POSTGRES_AWAY)
            if self.disk is not None:
                kinds[kinds.index(DISK_BRIM)] = DISK_BRIM_OF_BOTH
        return kinds

    async def inflict(self, kind: FaultKind) -> str:
        """One fault of this kind."""
        if kind in (POSTGRES_FAST, POSTGRES_IMMEDIATE, POSTGRES_AWAY):
            how = signal.SIGQUIT if kind is POSTGRES_IMMEDIATE else signal.SIGINT
            await asyncio.to_thread(self.database.stop, how)
            if kind is POSTGRES_AWAY:
                await asyncio.sleep(AWAY_SECONDS)
            await asyncio.to_thread(self.database.start)
            return f"pid {self.database.pid}"
        if kind is POSTGRES_FROZEN:
            return await self._freeze()
        if kind in (WORKER_KILLED, SERVING_KILLED):
            return self._kill_one(CPU_WORKER if kind is WORKER_KILLED else SERVING)
        if kind in (SERVER_KILLED, SERVER_RESTARTED):
            killed = kind is SERVER_KILLED
            status = await asyncio.to_thread(self.server.kill_tree if killed else self.server.stop)
            await asyncio.to_thread(self.server.start, wait=False)
            return f"pid {self.server.pid}" + ("" if killed else f", status {status} before")
        if kind in (*OF_DISK, DISK_BRIM_OF_BOTH):
            return await self._fill(FLOOR // 2 if kind is DISK_FLOOR else 0)
        return await self._spoil(kind)

    async def _freeze(self) -> str:
        pids = processes_under(self.database)
        try:
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
            await asyncio.sleep(FROZEN_SECONDS)
        finally:
            for pid in processes_under(self.database):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
        return f"{len(pids)} processes"

    def _kill_one(self, role: str) -> str:
        pids = [pid for pid, its in family(self.server.pid).items() if its == role]
        if not pids:
            return "there was none"
        pid = self.order.choice(sorted(pids))
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        return f"pid {pid} of {len(pids)}"

    async def _fill(self, left: int) -> str:
        assert self.disk is not None
        try:
            await asyncio.to_thread(self.disk.fill, left)
            await asyncio.sleep(FULL_SECONDS)
        finally:
            self.disk.clear()
        return f"{left >> 20} MiB left"

    async def _spoil(self, kind: FaultKind) -> str:
        assert self.proxy is not None
        before = self.proxy.spoilt
        if kind is S3_AWAY:
            await asyncio.to_thread(self.proxy.refuse)
            await asyncio.sleep(S3_SECONDS)
            await asyncio.to_thread(self.proxy.accept)
            return ""
        spoilt = OF_S3[kind]
        self.proxy.fault = Fault(spoilt.requests, spoilt.status, spoilt.delay, spoilt.cut_body)
        await asyncio.sleep(S3_SECONDS)
        self.proxy.fault = None
        return f"{self.proxy.spoilt - before} requests"
