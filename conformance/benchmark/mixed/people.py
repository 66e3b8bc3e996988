"""Viewers and modalities: each does one thing after the other, and notes how long it took."""

import asyncio
import random
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from conformance.benchmark.client import Answer, AnswerError, Connection, connect
from conformance.benchmark.items import Stored
from conformance.benchmark.load import Ask
from conformance.benchmark.mixed.ward import Chart, Ward, picture_of
from conformance.benchmark.retrieve.hosts import Host
from conformance.benchmark.retrieve.measure import ask_of

CONNECTIONS = 6  # of one viewer, as a browser has them to one server
PICTURES = 3  # rendered, of each study that is opened
CHOOSING, READING = 1.0, 3.0
"""Seconds that a person takes on average, to choose from the list and to look at the images."""
STUDIES_A_LIST = 4  # that are opened from one list
PATIENCE = 60.0  # seconds after which an answer is given up

WORKLIST, SEARCH, METADATA = "worklist", "study and series search", "series metadata"
FRAME, PICTURE, STORE = "frame", "rendered", "store of 10"
FIRST_IMAGE, ALL_IMAGES = "click to first image", "click to last image, where there in time"
REQUESTS = (WORKLIST, SEARCH, METADATA, FRAME, PICTURE, STORE)
STEPS = (FIRST_IMAGE, ALL_IMAGES)
"""What a person waits for: several requests, from the choice of a study on."""


class GaveUp(Exception):
    """The answer was wrong or too late; it has been noted."""


@dataclass(slots=True)
class Notes:
    """What has been measured: seconds of each request by kind, errors, bytes of answers."""

    latencies: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    errors: Counter[tuple[str, str]] = field(default_factory=Counter)
    payload: int = 0
    stored: list["Parcel"] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Parcel:
    """What one store request sends."""

    instances: Sequence[Stored]
    ask: Ask


@dataclass(slots=True)
class Client:
    """One of those at once: its connections, opened when they are first needed."""

    host: Host
    notes: Notes
    deadline: float
    opened: dict[int, Connection] = field(default_factory=dict)

    @property
    def over(self) -> bool:
        """Whether the time is over."""
        return time.perf_counter() >= self.deadline

    async def ask(self, kind: str, ask: Ask, number: int = 0) -> Answer:
        """Ask over the connection of this number. Raises GaveUp; the error is noted."""
        began = time.perf_counter()
        try:
            async with asyncio.timeout(PATIENCE):
                connection = self.opened.get(number)
                if connection is None or not connection.reusable:
                    connection = self.opened[number] = await connect(self.host.address)
                answer = await connection.ask(ask.request)
            ask.check(answer)
        except (AnswerError, OSError, TimeoutError) as error:
            said = f"no answer within {PATIENCE:g} s" if isinstance(error, TimeoutError) else error
            self.notes.errors[kind, str(said)[:200]] += 1
            if number in self.opened:
                self.opened.pop(number).close()
            raise GaveUp from error
        self.notes.latencies[kind].append(time.perf_counter() - began)
        self.notes.payload += answer.length
        return answer

    async def wait(self, seconds: float) -> None:
        """Wait, but not beyond the time."""
        await asyncio.sleep(max(0.0, min(seconds, self.deadline - time.perf_counter())))

    def close(self) -> None:
        """Close all connections."""
        for connection in self.opened.values():
            connection.close()


async def view(client: Client, ward: Ward, order: random.Random) -> None:
    """Open one study after the other, until the time is over; look at the list now and then.

    Who begins does so anywhere in that, so that not all ask for the list at first.
    """
    opened = order.randrange(STUDIES_A_LIST)
    await client.wait(order.uniform(0, CHOOSING + READING))
    while not client.over:
        try:
            if opened % STUDIES_A_LIST == 0:
                await client.ask(WORKLIST, ask_of(client.host, ward.listing))
            await client.wait(order.expovariate(1 / CHOOSING))
            if client.over:
                return
            opened += 1
            await look_at(client, order.choice(ward.charts), order)
        except GaveUp:
            await client.wait(1)
        await client.wait(order.expovariate(1 / READING))


async def look_at(client: Client, chart: Chart, order: random.Random) -> None:
    """Open a study: its metadata, its frames over all connections, some rendered pictures.

    Up to the first image it goes on when the time is over: who waits longest counts too.
    """
    began = time.perf_counter()
    for wanted in chart.searches:
        await client.ask(SEARCH, ask_of(client.host, wanted))
    await client.ask(METADATA, ask_of(client.host, chart.metadata))
    source = iter(chart.frames)
    seen = 0

    async def fetch(number: int) -> None:
        nonlocal seen
        for wanted in source:
            if client.over and (seen or number):
                return
            await client.ask(FRAME, ask_of(client.host, wanted), number)
            if not seen:
                client.notes.latencies[FIRST_IMAGE].append(time.perf_counter() - began)
            seen += 1

    fetching = [fetch(number) for number in range(CONNECTIONS)]
    done = await asyncio.gather(*fetching, return_exceptions=True)
    for failure in done:
        if failure is not None:
            raise failure
    if seen < len(chart.frames):
        return  # the time is over
    client.notes.latencies[ALL_IMAGES].append(time.perf_counter() - began)
    for instance in order.sample(chart.slices, min(PICTURES, len(chart.slices))):
        if client.over:
            return
        await client.ask(PICTURE, picture_of(instance))


async def store(client: Client, parcels: Sequence[Parcel], interval: float) -> None:
    """Store these, one in each `interval` of seconds, or later if the server is."""
    due = time.perf_counter()
    for parcel in parcels:
        await client.wait(due - time.perf_counter())
        if client.over:
            return
        try:
            await client.ask(STORE, parcel.ask)
        except GaveUp:
            pass
        else:
            client.notes.stored.append(parcel)
        due += interval
