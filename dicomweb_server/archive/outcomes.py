"""What a Store Instances Response says of a described instance."""

from dicomweb_server.index.rows import Entry
from dicomweb_server.wire.store_report import REASONS, Failed, Stored, failed


def stored(entry: Entry, *, new: bool) -> Stored:
    """It is kept. `new`: whether this request made it so."""
    return Stored(
        sop_class_uid=entry.sop_class_uid,
        sop_instance_uid=entry.sop_instance_uid,
        study_instance_uid=entry.study_instance_uid,
        series_instance_uid=entry.series_instance_uid,
        warning_reason=REASONS["not_conformant"].code if entry.problems else None,
        problems=entry.problems,
        new=new,
    )


def refused(name: str, entry: Entry, comment: str | None = None) -> Failed:
    """It is not, for one of REASONS."""
    return failed(name, entry.sop_class_uid, entry.sop_instance_uid, comment)
