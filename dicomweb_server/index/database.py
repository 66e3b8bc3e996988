"""Connections to Postgres, and what its failures mean to a caller.

Every statement of the server goes through a pool made here. No JIT: its compilation outlasts
our statements.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

import asyncpg

from dicomweb_server.errors import Unavailable

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    _Pool: TypeAlias = asyncpg.Pool[asyncpg.Record]
    _Pooled: TypeAlias = PoolConnectionProxy[asyncpg.Record]
    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record] | _Pooled
else:  # the generic parameters exist in the stubs alone
    _Pool = asyncpg.Pool
    _Pooled = asyncpg.pool.PoolConnectionProxy
    Connection = asyncpg.Connection | _Pooled

STATEMENT_TIMEOUT = 30  # seconds, watched by the server
_COMMAND_TIMEOUT = STATEMENT_TIMEOUT + 15  # seconds, for a server that is silent
_ACQUIRE_TIMEOUT = 10  # seconds to wait for a free connection
_INACTIVE = 300.0  # seconds after which a connection that nobody uses is closed
_RENEWED = 50_000  # statements after which a connection is
_AT_HAND = 4  # connections
_UNUSED = 30.0  # seconds that a connection is at hand for nobody
_TIMES = 1000  # that some connection is kept, after which one is given back all the same
# Seconds that a transaction may wait for its client, watched by the server: one of a process that
# is frozen, or cut off, would keep its locks for hours.
IDLE_TIMEOUT = 10.0

_AWAY = (
    asyncpg.PostgresConnectionError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.PostgresSystemError,  # it cannot read or write its own files
    asyncpg.OperatorInterventionError,  # cancelled by the timeout, or the server shuts down
    asyncpg.InsufficientResourcesError,  # disk full, too many connections
    asyncpg.TransactionRollbackError,  # deadlocks and the like that outlived their retries
    asyncpg.LockNotAvailableError,
    asyncpg.IdleInTransactionSessionTimeoutError,  # this process stood still meanwhile
    asyncpg.ReadOnlySQLTransactionError,  # a standby, during a failover
    asyncpg.InterfaceError,
    # Begun on a connection that has just heard of its end, and is not yet known to be closed.
    asyncpg.InternalClientError,
    ConnectionError,
    TimeoutError,
    socket.gaierror,
)


class Pool(_Pool):
    """A pool that has some connections at hand: to give one back and have it again costs a
    tenth of a small search. All use goes through ``acquire``."""

    __slots__ = ("_at_hand", "_kept", "_most", "_releases", "_timer", "_unused", "_waiting")

    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        self._at_hand: list[_Pooled] = []
        self._most = min(_AT_HAND, self.get_max_size() - 1)
        self._kept = 0
        self._waiting = 0
        self._unused = 0  # of those at hand, the first ones, since it was looked last
        self._timer: asyncio.TimerHandle | None = None
        self._releases: set[asyncio.Task[None]] = set()

    async def take(self) -> _Pooled:
        """A connection, to be kept or released. Raises Unavailable, or what ``acquire`` translates,
        if there is none in time."""
        while self._at_hand:
            connection = self._at_hand.pop()
            self._unused = min(self._unused, len(self._at_hand))
            if not _is_lost(connection):
                return connection
            await self.release(connection)
        with _unreachable():
            # A timeout costs a tenth of a frame; where a connection is idle, nothing waits.
            if self.get_idle_size() > 0:
                return await self.acquire()
            self._waiting += 1
            try:
                return await self.acquire(timeout=_ACQUIRE_TIMEOUT)
            finally:
                self._waiting -= 1

    def keep(self, connection: _Pooled) -> bool:
        """Have a connection at hand for the next one, after it was used without a failure. False
        if it has to be released: somebody waits for one, or it is not as it was."""
        self._kept += 1
        if self._waiting or len(self._at_hand) >= self._most or not self._kept % _TIMES:
            return False
        if _is_lost(connection) or _is_busy(connection):
            return False
        self._at_hand.append(connection)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_UNUSED, self._look)
        return True

    def _look(self) -> None:
        """Give back what nobody has used for a while, which the pool then closes in time."""
        self._timer = None
        for connection in self._at_hand[: self._unused]:
            task = asyncio.create_task(self.release(connection))
            self._releases.add(task)
            task.add_done_callback(self._releases.discard)
        del self._at_hand[: self._unused]
        self._unused = len(self._at_hand)
        if self._at_hand:
            self._timer = asyncio.get_running_loop().call_later(_UNUSED, self._look)

    async def close(self) -> None:
        """Close all connections; waits for those that are in use."""
        self._most = 0
        if self._timer is not None:
            self._timer.cancel()
        try:
            while self._at_hand:
                await self.release(self._at_hand.pop())
        except BaseException:
            self.terminate()
            raise
        await super().close()


def _is_lost(connection: _Pooled) -> bool:
    try:
        return connection.is_closed()
    except asyncpg.InterfaceError:  # the pool has heard of it, and has made room for another
        return True


def _is_busy(connection: _Pooled) -> bool:
    """Whether it is in a transaction, or a statement is still being cancelled: whoever has it next
    would wait for that."""
    inner: Any = connection  # what else the pool itself looks at
    cancelling: bool = inner._protocol._is_cancelling()
    return cancelling or connection.is_in_transaction() or inner._top_xact is not None


# Many search at once, so each has one process of the server; and a deep page is put in order.
_FOR_SEARCHES = {"max_parallel_workers_per_gather": "0", "work_mem": "16MB"}


async def open_pool(
    url: str,
    *,
    min_size: int = 1,
    max_size: int = 10,
    plan_anew: bool = True,
    statement_timeout: float = STATEMENT_TIMEOUT,
) -> Pool:
    """Open a pool of connections to the database at `url`.

    `plan_anew`: searches are planned for their very arguments, each time. Statements that go
    by unique keys need not be: half of their cost would be planning. `statement_timeout` in
    seconds.

    Raises Unavailable if it cannot be reached.
    """
    with translated(), _unreachable():
        return await Pool(
            url,
            min_size=min_size,
            max_size=max_size,
            max_queries=_RENEWED,
            max_inactive_connection_lifetime=_INACTIVE,
            loop=None,
            connection_class=asyncpg.Connection,
            record_class=asyncpg.Record,
            command_timeout=_COMMAND_TIMEOUT,
            reset=_keep_session,
            server_settings={
                "application_name": "dicomweb-server",
                "idle_in_transaction_session_timeout": f"{IDLE_TIMEOUT * 1000:.0f}",
                **(_FOR_SEARCHES if plan_anew else {}),
                "jit": "off",
                "plan_cache_mode": "force_custom_plan" if plan_anew else "auto",
                "random_page_cost": "1.1",  # no disk of ours seeks
                "statement_timeout": f"{statement_timeout * 1000:.0f}",
                "timezone": "UTC",
            },
        )


async def _keep_session(connection: Connection) -> None:
    """Nothing to reset: no statement of ours changes a session. Asking would double the cost
    of a frame."""
    if connection.is_in_transaction():  # broken off in the midst of something
        await connection.reset()


@asynccontextmanager
async def acquire(pool: Pool) -> AsyncIterator[Connection]:
    """A connection for the time of the context; failures of the database in it are Unavailable."""
    with translated():
        connection = await pool.take()
        try:
            yield connection
        except BaseException:
            await pool.release(connection)
            raise
        if not pool.keep(connection):
            await pool.release(connection)


@contextmanager
def translated() -> Iterator[None]:
    """Turn the failures that lie with the database into Unavailable.

    What lies with the statement (a syntax error, a wrong argument) is a bug and passes through.
    """
    try:
        yield
    except asyncpg.DataError:  # a bad argument, though asyncpg derives it from InterfaceError
        raise
    except _AWAY as failure:
        raise Unavailable("the database cannot answer now") from failure


@contextmanager
def _unreachable() -> Iterator[None]:
    """Connecting over a Unix socket that is not there fails with a FileNotFoundError."""
    try:
        yield
    except OSError as failure:
        raise Unavailable("the database cannot be reached") from failure
