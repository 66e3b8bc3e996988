"""``dicomweb-server quarantine``: look at what was refused, store it again, or drop it."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict

import orjson
from rich.console import Console

from dicomweb_server.archive.archive import Archive
from dicomweb_server.archive.quarantine import Refused, drop, find_refused, list_refused
from dicomweb_server.archive.release import release
from dicomweb_server.commands.amounts import size_text
from dicomweb_server.commands.maintaining import maintain, say
from dicomweb_server.commands.whereabouts import require_archive
from dicomweb_server.config import Settings
from dicomweb_server.errors import Unavailable
from dicomweb_server.wire.store_report import REASONS, Failed

NOT_THERE = "there is no such file in quarantine"

_TEXTS = {reason.code: reason.text for reason in REASONS.values()}


def run_list(settings: Settings, as_json: bool) -> int:
    """Print what is in quarantine on standard output, the oldest first; returns 0. Raises
    CannotServeError."""
    require_archive(settings)
    for entry in list_refused(settings.quarantine_dir):
        if as_json:
            sys.stdout.write(orjson.dumps(asdict(entry)).decode() + "\n")
        else:
            sys.stdout.write(_line(entry) + "\n")
    return 0


def _line(entry: Refused) -> str:
    uids = (f"{name} {uid}" for name, uid in _uids(entry) if uid)
    reason = f"{entry.reason:04X} {_TEXTS.get(entry.reason, '')}".rstrip()
    comment = "" if entry.comment == _TEXTS.get(entry.reason) else f" ({entry.comment})"
    what = ", ".join([f"{reason}{comment}", size_text(entry.size), *uids])
    return f"{entry.token}  {entry.received_at}  {what}"


def _uids(entry: Refused) -> Iterator[tuple[str, str | None]]:
    yield "instance", entry.sop_instance_uid
    yield "class", entry.sop_class_uid
    yield "sent to study", entry.study_requested


def run_release(settings: Settings, tokens: Sequence[str], everything: bool) -> int:
    """Store files again; returns the exit code: 0, or 1 if one stays in quarantine."""
    console = Console(stderr=True)
    if everything == bool(tokens):
        say(console, "Name files by their tokens, or all of them by --all")
        return 1

    async def work(archive: Archive) -> int:
        stored = failed = 0
        for token in _tokens(settings, tokens):
            reason = await _release(archive, token)
            if reason is None:
                stored += 1
            else:
                failed += 1
                say(console, f"{token}: {reason}")
        say(console, f"{stored} stored, {failed} not")
        return 1 if failed else 0

    return maintain(settings, work, console)


def _tokens(settings: Settings, tokens: Sequence[str]) -> Iterable[str]:
    return tokens or (entry.token for entry in list_refused(settings.quarantine_dir))


async def _release(archive: Archive, token: str) -> str | None:
    """Why a file stays in quarantine; None if it is stored. Raises Unavailable."""
    entry = find_refused(archive.settings.quarantine_dir, token)
    if entry is None:
        return NOT_THERE
    try:
        result = await release(archive, entry)
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    if isinstance(result, Unavailable):
        raise result
    return f"{result.reason:04X} {result.comment}" if isinstance(result, Failed) else None


def run_drop(settings: Settings, tokens: Sequence[str]) -> int:
    """Remove files from quarantine; returns the exit code: 0, or 1 if one is not there. Raises
    CannotServeError."""
    require_archive(settings)
    console = Console(stderr=True)
    missing = 0
    for token in tokens:
        entry = find_refused(settings.quarantine_dir, token)
        if entry is None:
            missing += 1
            say(console, f"{token}: {NOT_THERE}")
        else:
            drop(settings.quarantine_dir, entry)
    say(console, f"{len(tokens) - missing} dropped")
    return 1 if missing else 0
