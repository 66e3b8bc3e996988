"""What the server and the commands end with, where they cannot run as they are asked to."""

from pathlib import Path


class CannotServeError(RuntimeError):
    """The server cannot run. ``str()`` tells the operator what is wrong, and what to do."""


def unwritable(data_dir: Path, error: OSError) -> CannotServeError:
    """What is said of a data folder that is not for this user."""
    return CannotServeError(
        f"The data folder {data_dir} cannot be written: {error.strerror}.\n"
        "Make it writable for this user, or choose another with DATA_DIR."
    )
