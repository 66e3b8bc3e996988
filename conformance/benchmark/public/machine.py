"""What the figures are made on: enough to understand them, nothing that names the machine."""

import os
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from conformance.benchmark import report

_PACKAGES = ("granian", "starlette", "asyncpg", "pydicom", "numpy", "imagecodecs")


def machine(folder: Path) -> dict[str, Any]:
    """The machine, the disk below `folder`, and versions of what is not a server."""
    return report.machine() | {
        "memory_gb": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9,
        "disk": disk_of(folder),
        "packages": {name: found for name in _PACKAGES if (found := _version(name))},
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def disk_of(folder: Path) -> str:
    """The file system, and what kind of device is below it, in words."""
    device = folder.stat().st_dev
    numbers = f"{os.major(device)}:{os.minor(device)}"
    kind = _file_system(numbers)
    for place in (f"/sys/dev/block/{numbers}", f"/sys/dev/block/{numbers}/.."):
        rotates = Path(place) / "queue" / "rotational"
        if rotates.exists():
            turning = rotates.read_text().strip() == "1"
            name = Path(place).resolve().name
            virtual = "virtual disk" if name.startswith(("vd", "xvd")) else ""
            return f"{kind}, {virtual or ('rotating disk' if turning else 'solid state')}"
    return kind


def _file_system(device: str) -> str:
    """The type of the file system on a device, ``major:minor``."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        if before.split()[2] == device:
            return after.split()[0]
    return "unknown file system"


def in_words(here: dict[str, Any]) -> str:
    """The machine in one line."""
    packages = ", ".join(f"{name} {found}" for name, found in here["packages"].items())
    return (
        f"{here['cpus']} cores of {here['cpu']}, {here['memory_gb']:.0f} GB of memory, "
        f"{here['disk']}, {here['system']}, Python {here['python']} ({packages})"
    )
