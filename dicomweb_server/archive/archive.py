"""The door: every operation gets its scope and its database connection here, and nowhere else."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from dicomweb_server.access.policy import Action, Scope, decide
from dicomweb_server.access.principal import Principal
from dicomweb_server.archive.arrivals import Arrivals
from dicomweb_server.archive.at_once import AtOnce
from dicomweb_server.archive.bounded_folder import BoundedFolder
from dicomweb_server.archive.checksums import Checksums
from dicomweb_server.archive.commit import Committer
from dicomweb_server.archive.derived import DerivedCache
from dicomweb_server.archive.describing import Describer
from dicomweb_server.archive.flights import Flights
from dicomweb_server.archive.frame_lookups import FrameLookups
from dicomweb_server.archive.kept_planes import KeptPlanes
from dicomweb_server.archive.neighbours import Neighbours
from dicomweb_server.archive.new_series import NewSeries
from dicomweb_server.archive.one_by_one import OneByOne
from dicomweb_server.archive.scratch import scratch_path
from dicomweb_server.archive.series_leases import SeriesLeases
from dicomweb_server.archive.workers import WorkerPool
from dicomweb_server.blobs.store import BlobStore
from dicomweb_server.config import Settings
from dicomweb_server.index.database import Connection, Pool, acquire
from dicomweb_server.index.indexed_attributes import AttributeList
from dicomweb_server.recent import RecentBytes
from dicomweb_server.wire.array_runs import ArrayRun

# The text of some instances' metadata, if any is left, and whether it is of those that were meant.
MadeRun = tuple[ArrayRun | None, bool]


@dataclass(frozen=True, slots=True)
class Session:
    """What one operation may use: a connection, and the studies it may touch with it."""

    conn: Connection
    scope: Scope


@dataclass(frozen=True)
class Archive:
    """The archive and everything it stands on. Opened once a process (``opening``)."""

    settings: Settings
    pool: Pool  # for statements that go by unique keys
    searches: Pool  # for statements whose plan depends on what is asked
    blobs: BlobStore
    workers: WorkerPool
    describer: Describer
    committer: Committer
    pictures: RecentBytes  # rendered
    at_once: AtOnce
    derived: DerivedCache
    copies: BoundedFolder  # of blobs that are far away
    runs_made: Flights[MadeRun]
    arrivals: Arrivals
    attributes: AttributeList
    frame_lookups: FrameLookups
    leases: SeriesLeases
    neighbours: Neighbours | None  # where blobs are far away
    new_series: NewSeries = field(default_factory=NewSeries)
    checksums: Checksums = field(default_factory=Checksums)
    planes: KeptPlanes = field(default_factory=KeptPlanes)
    settling: OneByOne = field(default_factory=OneByOne)  # by institution and SOP Instance UID

    @asynccontextmanager
    async def session(self, principal: Principal, action: Action) -> AsyncIterator[Session]:
        """A connection for one operation of `principal`; give it back before sending an answer.

        Raises Unavailable when the database is away or has no connection left in time.
        """
        scope = self.scope(principal, action)
        pool = self.searches if action is Action.SEARCH else self.pool
        async with acquire(pool) as conn:
            yield Session(conn, scope)

    def scope(self, principal: Principal, action: Action) -> Scope:
        """The policy's answer for work that takes its connection later (a store's group commit)."""
        return decide(principal, action)

    def scratch_file(self, suffix: str = "") -> Path:
        """A new path in the scratch folder, on the same file system as the blobs."""
        return scratch_path(self.settings.tmp_dir, suffix)
