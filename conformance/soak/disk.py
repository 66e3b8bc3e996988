"""A small disk of our own that can be filled: a file with ext4 on it, or else memory."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

INSIDE = "SOAK_INSIDE"
BLOCK = 1 << 20


def in_a_mount_namespace_of_our_own(arguments: Sequence[str]) -> None:
    """Become this program again where its mounts go with it; return if it is there, or nothing
    can be mounted."""
    alone = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "-Urm"]
    if INSIDE in os.environ:
        return
    try:
        if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
            return
    except FileNotFoundError:
        return
    command = [*alone, sys.executable, "-m", "conformance.soak", *arguments]
    # Exec: signals reach the run itself.
    os.execvpe(command[0], command, os.environ | {INSIDE: "1"})


class Disk:
    """A disk of `size` bytes on `folder`."""

    def __init__(self, folder: Path, size: int) -> None:
        """Mount it. Raises OSError where that is not possible."""
        folder.mkdir()
        self.folder = folder
        self._filler = folder / "filler"
        image = folder.with_suffix(".image")
        if shutil.which("mkfs.ext4") and os.geteuid() == 0:
            with image.open("wb") as file:
                file.truncate(size)
            made = _run("mkfs.ext4", "-q", "-m", "0", image)
            if made and _run("mount", "-o", "loop", image, folder):
                self.about = f"ext4 of {size >> 20} MiB in a file"
                return
            image.unlink()
        if not _run("mount", "-t", "tmpfs", "-o", f"size={size}", "none", folder):
            raise OSError("a disk that can be filled cannot be mounted here")
        self.about = f"tmpfs of {size >> 20} MiB"

    def fill(self, left: int) -> None:
        """Take all but `left` bytes."""
        with self._filler.open("ab", buffering=0) as file, contextlib.suppress(OSError):
            room = shutil.disk_usage(self.folder).free - left
            if room > 0:
                os.posix_fallocate(file.fileno(), file.tell(), room)
            while left == 0:  # to the last block, which others may have given back meanwhile
                file.write(bytes(512))

    def clear(self) -> None:
        """Give back what was taken."""
        self._filler.unlink(missing_ok=True)

    def close(self) -> None:
        """Unmount it."""
        _run("umount", "-l", self.folder)


def _run(*command: str | Path) -> bool:
    return not subprocess.run(command, capture_output=True, check=False).returncode
