"""A study, series or instance as a DICOM File-set in a ZIP file (PS3.10 §8, extension: digest 6.8).

What every entry is called and where it begins is known before the first byte, for it was planned
(``file_set_plan``). The files themselves are read as they are sent, as they were stored.
"""

from array import array
from bisect import bisect_right
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from struct import Struct

from zlib_ng import zlib_ng

from dicomweb_server.archive.archive import Archive
from dicomweb_server.archive.content import CHUNK, Content
from dicomweb_server.archive.read_ahead import MOST_BYTES, Begun, begun_ahead
from dicomweb_server.archive.spool import Spool
from dicomweb_server.errors import ContentTooLarge
from dicomweb_server.wire.offers import ZIP
from dicomweb_server.wire.zip_format import (
    central_header,
    cut,
    descriptor,
    end_of_archive,
    entry_length,
    local_header,
    member_name,
)

# Of a larger one no ranges are served: what they leave out has to be read all the same, for the
# checksums behind it.
MAX_RESUMABLE = 4 << 30  # bytes

README = (
    b"This is a DICOM File-set. Open the file DICOMDIR, or this folder, with a DICOM viewer.\r\n"
    b"What is below the folder DICOM are DICOM files, as the archive keeps them.\r\n"
)
_DIRECTORY_NAME, _README_NAME = b"DICOMDIR", b"README.TXT"

_MOST = 9_999_999  # series, and instances of one: seven digits in a name
_BLOCK = 64 << 10  # bytes
ROW = Struct("<IIQ32sH")  # series and instance by their numbers here, size, SHA-256, bytes of key


@dataclass(frozen=True, slots=True)
class _Member:
    """An entry of the ZIP file."""

    place: int  # in the order of the file, from 0
    name: bytes
    start: int  # offset of its header
    size: int  # bytes, without what stands around them
    key: str = ""  # of the blob
    sha256: bytes = b""


def file_id(series: int, instance: int) -> tuple[str, ...]:
    """The name of a file, by the numbers of its series and of the instance in it, from 1.

    Raises ContentTooLarge for more than names of eight characters can tell apart.
    """
    if max(series, instance) > _MOST:
        raise ContentTooLarge("there are more instances than a File-set can name")
    return "DICOM", _name("SE", series), _name("IM", instance)


def _name(prefix: str, number: int) -> str:
    return f"{prefix}{number:06d}" if number < 1_000_000 else f"{prefix[0]}{number}"


class FileSet:
    """A planned ZIP file: README.TXT, the files, DICOMDIR. 24 bytes an instance are in memory,
    the rest in spools."""

    def __init__(self, archive: Archive, directory: Spool, rows: Spool) -> None:
        self._archive = archive
        self._directory = directory
        self._rows = rows
        self._directory_size = 0
        self._starts = array("Q")  # of the members
        self._places = array("Q")  # of the rows of files
        self._crcs = array("I")
        self._known = bytearray()  # whether a checksum is
        self._central = 0  # offset of the central directory
        self._central_length = 0
        self.length = 0  # bytes of the ZIP file
        self._add(_README_NAME, len(README))

    # ------------------------------------------------------------------------- planning

    def _add(self, name: bytes, size: int) -> None:
        start = self._central
        self._starts.append(start)
        self._central += entry_length(name, size)
        self._central_length += len(central_header(name, size, 0, start))
        self._crcs.append(0)
        self._known.append(False)

    def add_file(self, name: bytes, size: int, place: int) -> None:
        """The next file: its name, its bytes, and the place of its row."""
        self._places.append(place)
        self._add(name, size)

    def finish(self, directory_size: int) -> None:
        """After the last: bytes of the DICOMDIR."""
        self._directory_size = directory_size
        self._add(_DIRECTORY_NAME, directory_size)
        end = end_of_archive(len(self._starts), self._central_length, self._central)
        self.length = self._central + self._central_length + len(end)

    # -------------------------------------------------------------------------- reading

    @property
    def content(self) -> Content:
        """The ZIP file; it can be read once, in pieces that follow each other."""
        return Content(self.length, ZIP, "", self.stream, self)

    async def close(self) -> None:
        """Give the spools back."""
        await self._directory.close()
        await self._rows.close()

    async def stream(self, offset: int, length: int) -> AsyncIterator[bytes]:
        """As Content has it. Raises BlobDamaged where a file is not what it was."""
        end = offset + length
        if offset < self._central:
            first = bisect_right(self._starts, offset) - 1
            async with aclosing(self._begun(first, offset, end)) as members:
                async for member, begun in members:
                    chunks = None if begun is None else begun.read()
                    try:
                        async with aclosing(self._entry(member, chunks, offset, end)) as pieces:
                            async for piece in pieces:
                                yield piece
                    finally:
                        if begun is not None:
                            await begun.close()
        if end > self._central:
            async with aclosing(self._central_directory(offset, end)) as pieces:
                async for piece in pieces:
                    yield piece

    def _begun(
        self, first: int, offset: int, end: int
    ) -> AsyncGenerator[tuple[_Member, Begun | None], None]:
        """The members from the place `first` on that begin before `end`; those of a far store
        that lie between `offset` and `end` as a whole are being read already."""
        far = not self._archive.blobs.has_files

        async def members() -> AsyncIterator[_Member]:
            async for member in self._members(first):
                if member.start >= end:
                    return
                yield member

        def begin(member: _Member) -> Begun | None:
            whole = offset <= member.start and member.start + member.size < end
            if not (far and member.key and whole):
                return None
            return Begun(self._read(member, 0, member.size))

        return begun_ahead(members(), begin, lambda member: member.size if far else MOST_BYTES)

    async def _members(self, first: int) -> AsyncIterator[_Member]:
        """Those from the place `first` on."""
        if first == 0:
            yield _Member(0, _README_NAME, 0, len(README))
        place, last = max(first, 1), len(self._starts) - 1
        while place < last:
            block = await self._rows.read(self._places[place - 1], _BLOCK)
            at = 0
            while place < last and (row := _row(block, at)) is not None:
                name, size, sha256, key, at = row
                yield _Member(place, name, self._starts[place], size, key, sha256)
                place += 1
        yield _Member(last, _DIRECTORY_NAME, self._starts[last], self._directory_size)

    async def _entry(
        self, member: _Member, chunks: AsyncIterator[bytes] | None, first: int, end: int
    ) -> AsyncGenerator[bytes, None]:
        """What lies from `first` before `end` of an entry with what stands around it; `chunks`
        are its own bytes if they are being read."""
        header = local_header(member.name, member.size)
        if piece := cut(header, member.start, first, end):
            yield piece
        begin = member.start + len(header)
        behind = begin + member.size
        if first < behind and end > begin:
            # The checksum is wanted of all of it, also of what is not sent.
            known = self._crc_known(member)
            skipped = max(0, first - begin) if known is not None or end <= behind else 0
            at, crc = begin + skipped, 0
            if chunks is None:
                chunks = self._read(member, skipped, min(end, behind) - at)
            async with _reading(chunks) as reading:
                async for chunk in reading:
                    crc = zlib_ng.crc32(chunk, crc)
                    if piece := cut(chunk, at, first, end):
                        yield piece
                    at += len(chunk)
            if not skipped and at == behind:
                self._remember(member, crc)
        if end > behind:
            told = descriptor(member.size, await self._crc(member))
            if piece := cut(told, behind, first, end):
                yield piece

    async def _central_directory(self, first: int, end: int) -> AsyncGenerator[bytes, None]:
        """What lies from `first` before `end` of what stands behind all entries."""
        at = self._central
        batch = b""
        async for member in self._members(0):
            header = central_header(member.name, member.size, 0, member.start)
            if first < at + len(header) and at < end:
                crc = await self._crc(member)
                header = central_header(member.name, member.size, crc, member.start)
                batch += cut(header, at, first, end)
                if len(batch) >= _BLOCK:
                    yield batch
                    batch = b""
            at += len(header)
        told = end_of_archive(len(self._starts), self._central_length, self._central)
        if last := batch + cut(told, at, first, end):
            yield last

    def _read(self, member: _Member, offset: int, length: int) -> AsyncIterator[bytes]:
        if member.key:
            return self._archive.blobs.stream(member.key, offset, length)
        return self._read_own(member, offset, length)

    async def _read_own(self, member: _Member, offset: int, length: int) -> AsyncIterator[bytes]:
        end = offset + length
        while offset < end:
            size = min(CHUNK, end - offset)
            if member.name == _README_NAME:
                chunk = README[offset : offset + size]
            else:
                chunk = await self._directory.read(offset, size)
            offset += len(chunk)
            yield chunk

    # ------------------------------------------------------------------------ checksums

    def _crc_known(self, member: _Member) -> int | None:
        if self._known[member.place]:
            return self._crcs[member.place]
        crc = self._archive.checksums.get(member.sha256) if member.sha256 else None
        if crc is not None:
            self._remember(member, crc)
        return crc

    def _remember(self, member: _Member, crc: int) -> None:
        self._crcs[member.place] = crc
        self._known[member.place] = True
        if member.sha256:
            self._archive.checksums.put(member.sha256, crc)

    async def _crc(self, member: _Member) -> int:
        """The CRC-32 of a member; one that has not been sent is read for it."""
        crc = self._crc_known(member)
        if crc is None:
            crc = 0
            async with _reading(self._read(member, 0, member.size)) as chunks:
                async for chunk in chunks:
                    crc = zlib_ng.crc32(chunk, crc)
            self._remember(member, crc)
        return crc


@asynccontextmanager
async def _reading(chunks: AsyncIterator[bytes]) -> AsyncIterator[AsyncIterator[bytes]]:
    """Close what is read from also when its reader has left."""
    try:
        yield chunks
    finally:
        if isinstance(chunks, AsyncGenerator):
            await chunks.aclose()


def _row(block: bytes, at: int) -> tuple[bytes, int, bytes, str, int] | None:
    """The row at `at` of a block, and where the next begins; None if it is not whole."""
    if len(block) < at + ROW.size:
        return None
    series, instance, size, sha256, length = ROW.unpack_from(block, at)
    begin = at + ROW.size
    if len(block) < begin + length:
        return None
    key = block[begin : begin + length].decode()
    return member_name(file_id(series, instance)), size, sha256, key, begin + length
