"""Acknowledged means durable: kill -9 at any moment, under eight clients that store (STOW-40).

`make test-crash` runs it in full; ``make test`` a few rounds. The server takes its settings from
the environment, so that it can be aimed at another store of blobs.
"""

import contextlib
import os
import random
import signal
import time
from pathlib import Path

import pytest

from tests.faults.checking import Found, blobs_without_row, check
from tests.faults.storing import Clients
from tests.running import RunningServer

ROUNDS = int(os.environ.get("CRASH_ROUNDS", "3"))
SEED = int(os.environ.get("CRASH_SEED", "0"))
LONGEST = 1.0  # seconds that a server lives, once it answers
STARTING = 8  # in every such round it is killed on its way up
POSTGRES = 3  # in every such round Postgres is killed too
CHECKED = 10  # after every such round all that was sent since is looked at


@pytest.mark.parametrize("store", ["filesystem", "s3"])
def test_nothing_acknowledged_is_lost_by_kill_9(
    tmp_path: Path, store: str, request: pytest.FixtureRequest
) -> None:
    where = request.getfixturevalue("s3") if store == "s3" else {}
    # One process for CPU work: starting more is most of what a start costs.
    server = RunningServer(tmp_path / "data", {"CPU_WORKERS": "1", **where})
    moments = random.Random(SEED)
    clients = Clients(server.base)
    record = clients.record
    killed = {"server": 0, "Postgres": 0}
    checked: set[str] = set()
    clients.start()
    begin = time.monotonic()
    for turn in range(1, ROUNDS + 1):
        if turn % STARTING == 0:
            server.start(wait=False)
            time.sleep(moments.uniform(0, 2))
        else:
            server.start()
            clients.wait_for_answers()
            time.sleep(moments.uniform(0, LONGEST))
        if turn % POSTGRES == 0:
            killed["Postgres"] += kill_postgres(server, moments)
        server.kill_tree()
        killed["server"] += 1
        if turn % CHECKED == 0 and turn < ROUNDS:
            look(server, clients, checked)
            clients.resume()
    found = look(server, clients, set())
    clients.stop()
    assert server.command("verify") == 0
    print(
        f"\n{ROUNDS} rounds on {store} (seed {SEED}) in {time.monotonic() - begin:.0f} s: "
        f"{killed['server']} kills of the server, {killed['Postgres']} of Postgres; "
        f"{record.total()} instances acknowledged, {found.instances} there, "
        f"{found.lost} lost, {found.damaged} damaged; {record.unanswered} requests without "
        f"an answer and {record.refused} refused, all sent again; "
        f"{blobs_without_row(server, found.instances)} blobs without a row"
    )
    assert record.total() >= ROUNDS
    assert killed["server"] == ROUNDS


def look(server: RunningServer, clients: Clients, checked: set[str]) -> Found:
    """Check all studies that are not `checked` yet, on a server that runs and rests."""
    with server:
        clients.pause()
        left = list((server.data_dir / "tmp").iterdir())
        assert not left, "something is left of what was cut off"
        studies = set(clients.record.sent) - checked
        found = check(server, clients.record, studies)
        assert (found.lost, found.damaged) == (0, 0)
        checked |= studies
    return found


def kill_postgres(server: RunningServer, moments: random.Random) -> int:
    """End the Postgres of a server at once, by kill -9 or by an immediate shutdown; 1 if it ran."""
    pid = server.postgres_pid()
    if pid is None:
        return 0
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, moments.choice([signal.SIGKILL, signal.SIGQUIT]))
    time.sleep(moments.choice([0, 0.2]))  # in which the server is without one
    return 1
