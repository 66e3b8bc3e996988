"""Files that want to become blobs, and what a store says it holds."""

from pathlib import Path

from dicomweb_server.blobs.store import BlobStore

KEY = "default/1.2.3/1.2.3.4/1.2.3.4.5~a.dcm"


def staged(folder: Path, data: bytes, name: str = "staged") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


async def keys_of(store: BlobStore, prefix: str = "", after: str = "") -> list[str]:
    return [blob.key async for blob in store.list(prefix, after)]
