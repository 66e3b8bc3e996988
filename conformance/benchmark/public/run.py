"""One run: the servers are started once, then each part is measured on them in its turn."""

import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conformance.benchmark import memory, orthanc, servers
from conformance.benchmark import run as storing
from conformance.benchmark.client import AnswerError
from conformance.benchmark.goals import NGINX, ORTHANC, OURS
from conformance.benchmark.items import Corpus
from conformance.benchmark.load import load
from conformance.benchmark.memory import Peak
from conformance.benchmark.mixed import run as mixed
from conformance.benchmark.public import rows, searching
from conformance.benchmark.public.plan import PARTS, Plan
from conformance.benchmark.render.__main__ import stores
from conformance.benchmark.render.run import Bench as RenderBench
from conformance.benchmark.retrieve import hosts as started
from conformance.benchmark.retrieve.hosts import Host
from conformance.benchmark.retrieve.run import Bench as RetrieveBench
from conformance.benchmark.retrieve.run import needed
from conformance.benchmark.run import Progress
from conformance.benchmark.settling import settled
from dicomweb_server.index.embedded import running_url

NO_ORTHANC = (
    "Orthanc is not installed (apt-get install orthanc orthanc-dicomweb orthanc-postgresql): "
    "nothing is measured beside it, and no goal beside it is judged."
)
NO_NGINX = "nginx is not installed (apt-get install nginx-light): no goal beside it is judged."


@dataclass(slots=True)
class Run:
    """The servers of a run, and what was measured: `sections` by part."""

    plan: Plan
    stack: ExitStack
    folder: Path
    say: Progress
    hosts: list[Host] = field(default_factory=list)  # with an archive; the first is ours
    static: list[Host] = field(default_factory=list)  # that serve nothing but files
    notes: list[str] = field(default_factory=list)
    about: dict[str, str] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    failed: bool = False
    """Whether an answer of ours was wrong."""

    async def measure(self) -> None:
        """All parts of the plan, one after the other; the notes tell of those that failed."""
        await self._start()
        steps: dict[str, Callable[[], Awaitable[None]]] = {
            "store": self._store,
            "retrieve": self._retrieve,
            "search": self._search,
            "archive": self._archive,
            "rendered": self._render,
            "mixed": self._mixed,
            "memory": self._memory,
        }
        reading = False
        for part in PARTS:
            if part not in self.plan.parts or (part == "archive" and not self.plan.size.archived):
                continue
            if part != "store" and not reading:
                reading = True
                await self._ready_for_readers()
            began = time.monotonic()
            try:
                await self._calm()
                await steps[part]()
            except (AnswerError, OSError) as error:
                self.failed = True
                self.notes.append(f"The part “{part}” could not be measured: {error}")
                self.say(f"  {error}")
            self.say(f"{part} took {time.monotonic() - began:.0f} s")

    async def _calm(self) -> None:
        """Wait until no server has anything to do."""
        for host in self.hosts:
            assert host.target is not None
            await settled(host.target.processes)

    async def _start(self) -> None:
        self.hosts = [started.ours(self.folder)]
        program = orthanc.find_program() if self.plan.orthanc else None
        if program is not None:
            self.hosts.append(started.debian_orthanc(self.folder, program))
            self.hosts.append(started.debian_orthanc_sqlite(self.folder, program))
        elif self.plan.orthanc:
            self.notes.append(NO_ORTHANC)
        for host in self.hosts:
            await self._begin(host)
        self.static = started.static(self.folder)
        if self.static[0].label != NGINX:
            self.notes.append(NO_NGINX)
        for host in self.static:
            await self._begin(host)

    async def _begin(self, host: Host) -> None:
        self.stack.callback(host.stop)
        await host.start()
        assert host.target is not None
        self.about[host.label] = host.target.about

    async def _ready_for_readers(self) -> None:
        """Fill the servers with what is read, then give Orthanc what is best for readers."""
        for host in list(self.hosts):
            self.say(f"storing what is read on {host.label}")
            try:
                await self._fill(host)
            except (AnswerError, OSError) as error:
                if host is self.hosts[0]:
                    raise
                self.notes.append(f"{host.label} did not keep what was to be read: {error}")
                self.hosts.remove(host)
        program = orthanc.find_program()
        for number, host in enumerate(self.hosts):
            if host.label == ORTHANC and program is not None:
                host.stop()
                more = started.debian_orthanc(self.folder, program, connections=orthanc.READING)
                self.hosts[number] = more
                await self._begin(more)

    async def _fill(self, host: Host) -> None:
        parts, plan = self.plan.parts, self.plan
        if "retrieve" in parts:
            shelf = plan.shelf()
            await shelf.store(host.address, needed(plan.retrieve_items(shelf)))
        if "search" in parts:
            await plan.register().store(host.address)
        if "rendered" in parts:
            items = plan.render_items(plan.kinds())
            for kind in {item.kind.name: item.kind for item in items}.values():
                for ask in stores(kind):  # over new connections: making one takes a while
                    await load(host.address, 1, [ask])
        if "mixed" in parts:
            await plan.ward().store(host.address)

    async def _store(self) -> None:
        size = self.plan.size
        with ExitStack() as stack:
            database_url = servers.start_database(stack, self.folder)
            targets = [host.target for host in self.hosts if host.target is not None]
            one = await servers.start_ours(stack, self.folder, one_worker=True)
            bare = await servers.start_receiver(stack, self.folder)
            targets += [one, bare]
            self.about |= {each.label: each.about for each in (one, bare)}
            static = self.static[0]
            assert static.files is not None
            bench = storing.Bench(
                targets,
                Corpus((), ()),
                static.address,
                static.files,
                self.folder,
                database_url,
                size.seconds,
                self.say,
            )
            results = await bench.run(self.plan.store_items(), rounds=size.rounds)
        self._keep("store", rows.stored_rows(results))

    async def _retrieve(self) -> None:
        size, shelf = self.plan.size, self.plan.shelf()
        bench = RetrieveBench([*self.hosts, *self.static], size.seconds, self.say)
        results = await bench.run(self.plan.retrieve_items(shelf), rounds=size.rounds)
        self._keep("retrieve", rows.retrieved_rows(results))

    async def _search(self) -> None:
        everyone = [*self.hosts, *self.static]
        bench = self._searches(everyone, self.folder / "ours")
        items = self.plan.register().items()
        self._keep(
            "search", rows.retrieved_rows(await bench.run(items, rounds=self.plan.size.rounds))
        )

    def _searches(self, hosts: list[Host], data: Path) -> searching.Bench:
        url = running_url(data)
        if url is None:
            raise AnswerError("our server's Postgres cannot be asked by itself")
        return searching.Bench(hosts, self.plan.size.seconds, self.say, url)

    async def _archive(self) -> None:
        """Our server alone, on an archive that `fill_archive` has filled."""
        folder = archive_of(self.folder)
        host = started.ours(folder)
        self.stack.callback(host.stop)
        await host.start()
        assert host.target is not None
        await settled(host.target.processes)
        bench = self._searches([host], folder / "ours")
        items = await searching.archived(bench.database_url, self.plan.seed)
        results = await bench.run(items, rounds=self.plan.size.rounds)
        host.stop()
        self._keep("archive", rows.retrieved_rows(results))

    async def _render(self) -> None:
        size = self.plan.size
        bench = RenderBench(self.hosts, size.seconds, self.say, self.static[-1])
        items = self.plan.render_items(self.plan.kinds())
        self._keep("rendered", rows.rendered_rows(await bench.run(items, rounds=size.rounds)))

    async def _mixed(self) -> None:
        size = self.plan.size
        bench = mixed.Bench(self.hosts, self.plan.ward(), size.crowd, self.say)
        results = await bench.run(rounds=size.crowds)
        self.data["mixed"] = rows.mixed_data(results, size.crowd)
        ours = results[OURS]
        self.failed |= bool(ours.broken or ours.errors)

    async def _memory(self) -> None:
        size = self.plan.size
        peaks: dict[str, list[Peak]] = {}
        for host in self.hosts:
            assert host.target is not None
            self.say(f"large uploads to {host.label}")
            try:
                peaks[host.label] = await memory.measure(
                    host.target,
                    self.folder,
                    seed=self.plan.seeds(50_000),
                    progress=self.say,
                    size=size.upload,
                    parts=size.parts,
                )
            except (AnswerError, OSError) as error:
                if host is self.hosts[0]:
                    raise
                self.notes.append(f"{host.label} did not take large uploads: {error}")
        self.data["memory"] = rows.upload_data(peaks)
        self.failed |= any(peak.error for peak in peaks[OURS])

    def _keep(self, part: str, found: list[rows.Data]) -> None:
        self.data.setdefault("sections", {})[part] = found
        self.failed |= any(OURS in each["errors"] for each in found)


def archive_of(folder: Path) -> Path:
    """Where the large archive of a run in `folder` is."""
    return folder / "archive"
