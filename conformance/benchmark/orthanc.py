"""Orthanc as Debian packages it, with its DICOMweb plugin and its index in a Postgres like ours,
or in the SQLite that it has by default.

``apt-get install orthanc orthanc-dicomweb orthanc-postgresql`` is all that is needed; the
service that the packages set up is not used. What is not said here is Orthanc's default: files
are flushed to the disk (SyncStorageArea), as ours are. SQLite's log is not with every commit
(Orthanc sets ``PRAGMA SYNCHRONOUS=NORMAL`` with ``JOURNAL_MODE=WAL``): a power cut may take what
was reported as stored.
"""

import json
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from conformance.benchmark.client import Address, Request, ask_once

PLUGINS = Path("/usr/share/orthanc/plugins")
DICOMWEB, POSTGRESQL = PLUGINS / "libOrthancDicomWeb.so", PLUGINS / "libOrthancPostgreSQLIndex.so"
ROOT = "/dicom-web"

STORING = 1
"""Connections of Orthanc to its Postgres. The default, and the best for storing: with 2, 4 or 50
Debian 12's stores half as many instances a second, as their transactions collide."""
READING = 8
"""The better for eight readers at a time and more: half as many frames again, and with fifty
viewers four times as many answers."""


def find_program() -> Path | None:
    """The program, if it is installed with both plugins."""
    found = shutil.which("Orthanc") or shutil.which("Orthanc", path="/usr/sbin")
    whole = found is not None and DICOMWEB.exists() and POSTGRESQL.exists()
    return Path(found) if found is not None and whole else None


def configuration(
    port: int, folder: Path, database_url: str | None, *, connections: int = STORING
) -> dict[str, Any]:
    """The configuration for one run. Orthanc listens on all interfaces, and refuses what is
    not from this machine; it reaches Postgres over its Unix socket, as we do, over so many
    `connections`. Without a `database_url` its index is in SQLite.
    """
    storage = str(folder / "storage")
    settings = {
        "Name": "benchmark",
        "StorageDirectory": storage,
        "IndexDirectory": storage,
        "Plugins": [str(DICOMWEB)],
        "HttpPort": port,
        # One for each connection that is open: by default connections after the fiftieth wait
        # until others are closed.
        "HttpThreadsCount": 400,
        "KeepAlive": True,
        "KeepAliveTimeout": 30,
        "TcpNoDelay": True,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomServerEnabled": False,
        "HttpCompressionEnabled": False,
        "StorageCompression": False,
        "SaveJobs": False,
        "DicomWeb": {
            "Enable": True,
            "Root": f"{ROOT}/",
            "EnableWado": False,
            "StudiesMetadata": "Full",
            "SeriesMetadata": "Full",
        },
    }
    if database_url is not None:
        settings["Plugins"] = [str(DICOMWEB), str(POSTGRESQL)]
        settings["PostgreSQL"] = _postgres(database_url, connections)
    return settings


def _postgres(database_url: str, connections: int) -> dict[str, Any]:
    database = urlsplit(database_url)
    where = parse_qs(database.query)
    return {
        "EnableIndex": True,
        "EnableStorage": False,
        "Lock": False,
        "IndexConnectionsCount": connections,
        "Host": where["host"][0],
        "Port": int(where["port"][0]),
        "Database": database.path.removeprefix("/"),
        "Username": unquote(database.username or ""),
        "Password": unquote(database.password or ""),
        "EnableSsl": False,
    }


async def versions(address: Address, *, postgres: bool = True) -> str:
    """What runs there, in words. Raises AnswerError if it is not Orthanc with its plugins."""
    root = Address(address.host, address.port, "")
    paths = ["/system", "/plugins/dicom-web"] + ["/plugins/postgresql-index"] * postgres
    found = []
    for path in paths:
        answer = await ask_once(root, Request(path, keep=True))
        found.append(json.loads(answer.body)["Version"])
    words = "Orthanc {}, DICOMweb plugin {}" + ", PostgreSQL plugin {}" * postgres
    return words.format(*found)
