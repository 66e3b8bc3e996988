"""Running Postgres when we are root, which it refuses to be.

It runs as an account without privileges that owns nothing but its own folder. No other
folder's owner or mode is touched: where the way to that folder or to the programs is
closed to the account (a checkout under /root), the one capability that opens it is lent
to Postgres by util-linux's setpriv, which is part of every Debian.
"""

import os
import pwd
import signal
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ACCOUNT = "nobody"

# The lesser first. The first opens folders and files to reading; the second is for a
# container that has taken the first away, or for programs that only root may execute.
CAPABILITIES = ("dac_read_search", "dac_override")

# What initdb and postgres will do, but harmless: pg_config too looks for itself with access(2).
REHEARSAL = 'cd -- "$1" && exec "$2"/pg_config --version'


class NoAccountError(RuntimeError):
    """We are root and there is no way to be less for Postgres. ``str()`` says why."""


@dataclass(frozen=True)
class Launcher:
    """How a Postgres program is started: what stands before it, and Popen's arguments."""

    setpriv: Sequence[str] = ()
    popen: dict[str, Any] = field(default_factory=dict)
    uid: int | None = None  # None: we stay who we are
    gid: int | None = None

    def command(
        self, *command: str, death_signal: signal.Signals = signal.SIGKILL
    ) -> Sequence[str]:
        """The words of `command`, which gets `death_signal` when we die.

        That is set by the caller too, but changing the user, as setpriv does, forgets it.
        """
        if not self.setpriv:
            return command
        name = death_signal.name.removeprefix("SIG")
        return (*self.setpriv, "--pdeathsig", name, *command)

    def own(self, path: Path) -> None:
        """Give the one file or folder at `path` to the account that Postgres runs as."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)


def choose_launcher(folder: Path, programs: Path) -> Launcher:
    """Find how the `programs` of a folder can be run so that they reach `folder`, which exists.

    As root, `folder` is given to the account, unless an ordinary account owns it already:
    then that one is taken, so that who began the archive can go on with it. Raises NoAccountError.
    """
    if os.geteuid() != 0:
        return Launcher()
    uid, gid = _account(folder)
    attempts: list[str] = []
    for launcher in _candidates(uid, gid):
        try:
            launcher.own(folder)
            tried = subprocess.run(  # noqa: S603
                launcher.command("/bin/sh", "-c", REHEARSAL, "sh", str(folder), str(programs)),
                capture_output=True,
                text=True,
                cwd="/",
                **launcher.popen,
            )
        except (OSError, subprocess.SubprocessError) as error:
            attempts.append(str(error))
            continue
        if tried.returncode == 0:
            return launcher
        attempts.append(tried.stderr.strip() or f"exit status {tried.returncode}")
    raise NoAccountError(
        f"Postgres does not run as root, and running it as user {uid} in {folder} failed:\n"
        + "\n".join(f"  {attempt}" for attempt in dict.fromkeys(attempts))
        + "\nStart the server as an ordinary user, or name another Postgres with DATABASE_URL."
    )


def _account(folder: Path) -> tuple[int, int]:
    owner = folder.stat()
    if owner.st_uid != 0:
        return owner.st_uid, owner.st_gid
    try:
        entry = pwd.getpwnam(ACCOUNT)
    except KeyError:
        raise NoAccountError(
            f"Postgres does not run as root, and there is no account {ACCOUNT!r} to run it as.\n"
            "Start the server as an ordinary user, or name another Postgres with DATABASE_URL."
        ) from None
    return entry.pw_uid, entry.pw_gid


def _candidates(uid: int, gid: int) -> Iterator[Launcher]:
    identity: dict[str, Any] = {"user": uid, "group": gid, "extra_groups": []}
    yield Launcher((), identity, uid, gid)
    for capability in CAPABILITIES:
        lent = f"-all,+{capability}"
        setpriv = f"setpriv --reuid {uid} --regid {gid} --clear-groups"
        # The fix-up would take the capability away in access(2), with which initdb looks
        # for its programs.
        setpriv += f" --inh-caps {lent} --ambient-caps {lent} --securebits +no_setuid_fixup"
        yield Launcher(setpriv.split(), {}, uid, gid)
