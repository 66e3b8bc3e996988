"""What a data folder says of the rest of its archive: where its database and its blobs are.

A command that is run without the server's settings would find an archive of another kind in the
same folder: it would make an empty database beside the real one, or put blobs where the server does
not look. So the folder knows, and what differs is refused before anything is made.
"""

import contextlib
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import orjson

from dicomweb_server.commands.refusals import CannotServeError, unwritable
from dicomweb_server.config import Settings

FILE = "archive.json"
_OWN, _ELSEWHERE = "in the data folder", "at DATABASE_URL"


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where an archive is, without secrets: addresses and keys may change."""

    database: str
    blobs: str

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """As the settings say."""
        bucket = f"in the bucket {settings.s3_bucket}"
        if settings.s3_prefix:
            bucket += f", below {settings.s3_prefix}"
        database = _ELSEWHERE if settings.database_url else _OWN
        return cls(database, bucket if settings.s3_bucket else _OWN)

    def check(self, data_dir: Path, *, blobs: bool = True) -> None:
        """Hold it against what the data folder says, if it says anything; `blobs` too, or the
        database alone. Raises CannotServeError."""
        told = _read(data_dir)
        if told is None or told == self or (told.database == self.database and not blobs):
            return
        if told.database != self.database:
            what, was, now = "The database", told.database, self.database
            wanted = "DATABASE_URL" if was == _ELSEWHERE else "no DATABASE_URL"
        else:
            what, was, now = "What is stored", told.blobs, self.blobs
            wanted = "no S3_BUCKET" if was == _OWN else "S3_BUCKET, and S3_PREFIX if it has one,"
        raise CannotServeError(
            f"{what} of the archive in {data_dir} is {was}, not {now} as the settings say.\n"
            f"Set {wanted} as for the server. If the archive has been moved on purpose, remove "
            f"{data_dir / FILE} first."
        )

    def note(self, data_dir: Path) -> None:
        """Let the data folder say so from now on. Raises CannotServeError."""
        if _read(data_dir) is not None:
            return
        path = data_dir / FILE
        part = path.with_suffix(f".{os.getpid()}")
        try:
            with part.open("wb") as file:
                os.fchmod(file.fileno(), 0o644)  # whoever runs the next command
                file.write(orjson.dumps(asdict(self), option=orjson.OPT_INDENT_2) + b"\n")
                file.flush()
                os.fsync(file.fileno())
            part.rename(path)
        except OSError as error:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
            raise unwritable(data_dir, error) from None


def has_archive(settings: Settings) -> bool:
    """Whether there is something of an archive in the data folder. Raises CannotServeError."""
    try:
        places = settings.data_dir / FILE, settings.postgres_dir, settings.blobs_dir
        return any(place.exists() for place in places)
    except OSError as error:
        raise unwritable(settings.data_dir, error) from None


def require_archive(settings: Settings) -> None:
    """For what looks after an archive: it would make an empty one, and find nothing wrong with
    it. With a database elsewhere the data folder of another machine may be new.

    Raises CannotServeError if there is none, or the data folder cannot be read.
    """
    if not has_archive(settings) and not settings.database_url:
        raise CannotServeError(
            f"There is no archive in {settings.data_dir.absolute()}.\n"
            "Name its folder with DATA_DIR, or its database with DATABASE_URL, as for the server."
        )


def _read(data_dir: Path) -> Whereabouts | None:
    """What the data folder says; None if that is nothing, or cannot be understood."""
    try:
        return Whereabouts(**orjson.loads((data_dir / FILE).read_bytes()))
    except FileNotFoundError:
        return None
    except (TypeError, ValueError):
        return None
    except OSError as error:
        raise unwritable(data_dir, error) from None
