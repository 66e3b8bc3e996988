"""Requests at a bounded rate, each timed and judged: what every client of a soak sends through."""

import asyncio
import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from conformance.benchmark.client import (
    Address,
    Answer,
    AnswerError,
    Connection,
    Request,
    connect,
)
from conformance.soak.windows import Windows

HANG_SECONDS = 60
"""No answer after so long is a hang, whatever fails meanwhile."""
FAILURES_KEPT = 200
RETRY_SECONDS = 0.5

Log = dict[str, object]


class Wrong(Exception):
    """An answer says something else than it must."""


@dataclass(slots=True)
class Pace:
    """So many requests a second, at random moments; who comes late is not made up for."""

    rate: float
    order: random.Random
    _next: float = 0.0

    async def turn(self) -> None:
        """Wait for the next moment."""
        now = time.monotonic()
        self._next = max(self._next, now) + self.order.expovariate(self.rate)
        await asyncio.sleep(self._next - now)


@dataclass(slots=True)
class Traffic:
    """What is common to all clients of a run."""

    address: Address
    pace: Pace
    windows: Windows
    began: float = field(default_factory=time.monotonic)
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Requests by kind and outcome: the status, or ``broken``, ``hang``."""
    latencies: dict[str, list[tuple[float, float, bool]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    """Of good answers by kind: when it came, how long it took, both in s, and amid a fault."""
    failures: list[Log] = field(default_factory=list)
    n_failures: int = 0
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    say: Callable[[str], None] = lambda text: None

    def now(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self.began

    def fail(self, what: str, **about: object) -> None:
        """Something that may not be has been seen."""
        self.n_failures += 1
        if len(self.failures) < FAILURES_KEPT:
            self.failures.append({"t": round(self.now(), 2), "what": what, **about})
            self.say(f"FAILURE: {self.failures[-1]}")

    async def pause(self, seconds: float = RETRY_SECONDS) -> None:
        """Wait before what was refused is sent again."""
        await asyncio.sleep(seconds)


class Client:
    """One client, with a connection that it keeps: it sends one request at a time."""

    def __init__(self, traffic: Traffic, order: random.Random, *, unpaced: bool = False) -> None:
        self.traffic = traffic
        self.order = order
        self._unpaced = unpaced
        self._connection: Connection | None = None

    async def ask(
        self,
        kind: str,
        group: str,
        request: Request,
        *good: int,
        pardon: Callable[[], bool] = lambda: False,
    ) -> Answer | None:
        """The answer, if its status is one of `good` (200); None if there was none that counts.

        503 and broken connections are excused while a fault lasts that affects the `group`, and
        an answer that breaks off is if `pardon` says so then; all else that is not good is a
        failure of the run.
        """
        traffic = self.traffic
        if not self._unpaced:
            await traffic.pace.turn()
        began = traffic.now()
        outcome, said = "", ""
        answer: Answer | None = None
        unheard = False
        try:
            async with asyncio.timeout(HANG_SECONDS):
                if self._connection is None or not self._connection.reusable:
                    self.close()
                    unheard = True
                    self._connection = await connect(traffic.address)
                    unheard = False
                answer = await self._connection.ask(request)
            outcome = str(answer.status)
        except TimeoutError:
            outcome = "hang"
        except (OSError, AnswerError) as error:
            outcome, said = "broken", f"{type(error).__name__}: {error}"
        except BaseException:
            self.close()
            raise
        if answer is None:
            self.close()
        now = traffic.now()
        traffic.counts[kind, outcome] += 1
        if answer is not None and answer.status in (good or (200,)):
            amid = traffic.windows.during(began, now)
            traffic.latencies[kind].append((now, now - began, amid))
            return answer
        refused = outcome == "503"
        if outcome in ("503", "broken") and traffic.windows.excuse(
            group, began, now, refused=refused, unheard=unheard
        ):
            if refused and answer is not None and not answer.headers.get("retry-after"):
                self.fail(kind, request, "503 without Retry-After")
            return None
        if outcome == "broken" and not unheard and pardon():
            return None
        body = bytes(answer.body[:300]).decode("utf-8", "replace") if answer is not None else ""
        self.fail(kind, request, outcome, said=said, body=body, took=round(now - began, 2))
        return None

    def fail(self, kind: str, request: Request, what: str, **about: object) -> None:
        """Note what may not be about a request."""
        self.traffic.fail(what, kind=kind, request=f"{request.method} {request.path}", **about)

    async def leave(self, kind: str, request: Request, *, sent: float, heard: int) -> None:
        """Send a part of a request (1: all of it), read at most `heard` bytes, and be gone."""
        traffic = self.traffic
        await traffic.pace.turn()
        assert isinstance(request.body, bytes)
        head = (
            f"{request.method} {traffic.address.base}{request.path} HTTP/1.1\r\n"
            f"Host: {traffic.address.host}\r\nAccept: {request.accept}\r\n"
        )
        if request.body:
            head += f"Content-Type: {request.content_type}\r\n"
            head += f"Content-Length: {len(request.body)}\r\n"
        try:
            async with asyncio.timeout(HANG_SECONDS):
                reader, writer = await asyncio.open_connection(
                    traffic.address.host, traffic.address.port
                )
                try:
                    writer.write(head.encode("latin-1") + b"\r\n")
                    writer.write(request.body[: int(sent * len(request.body))])
                    await writer.drain()
                    if heard:
                        await reader.read(heard)
                    else:
                        await asyncio.sleep(self.order.uniform(0, 0.05))
                finally:
                    writer.transport.abort()
        except (OSError, TimeoutError):
            traffic.counts[kind, "broken"] += 1
            return
        traffic.counts[kind, "left"] += 1

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
