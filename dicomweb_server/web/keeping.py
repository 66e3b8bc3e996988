"""Bodies in a content coding that are kept when they have been sent, for who asks next."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from starlette.responses import Response

from dicomweb_server.archive.archive import Archive
from dicomweb_server.archive.derived import DerivedCache, Key, key_of
from dicomweb_server.archive.store import keep
from dicomweb_server.errors import Refusal
from dicomweb_server.web.responses import Pieces, Ready
from dicomweb_server.wire.conditions import coded_tag
from dicomweb_server.wire.content_coding import IDENTITY

_LARGEST = 4 << 20  # bytes that are held until it is known whether all was sent


@dataclass(frozen=True)
class Keeping:
    """One body, small for what it is made of; `unchanged` tells whether it is still that of its
    tag: what comes in while it is made may be in it, or not."""

    derived: DerivedCache
    key: Key
    coding: str
    unchanged: Callable[[], Awaitable[bool]]

    @classmethod
    def of(
        cls,
        archive: Archive,
        study: str,
        codings: Sequence[str],
        tag: str,
        unchanged: Callable[[], Awaitable[bool]],
    ) -> Self | None:
        """The body with `tag` in the first of the accepted `codings`; None where none is to be
        kept: without a cache or a coding, or where it is coded for want of another, however
        small."""
        if not archive.settings.cache_limit_bytes:
            return None
        if IDENTITY not in codings or codings[0] == IDENTITY:
            return None
        key = key_of(study, "body", tag, codings[0])
        return cls(archive.derived, key, codings[0], unchanged)

    async def find(self, media_type: str, headers: Mapping[str, str]) -> Response | None:
        """The answer, if its body was kept; `headers` are those of one without a coding."""
        body = await asyncio.to_thread(self.derived.get, self.key)
        if body is None:
            return None
        tag = coded_tag(headers["ETag"], self.coding)
        coded = {**headers, "ETag": tag, "Content-Encoding": self.coding}
        return Ready([body], media_type, coded)

    def keep(self, response: Response) -> Response:
        """`response`, whose body is kept when all of it has been sent."""
        if isinstance(response, Pieces) and "Content-Encoding" in response.headers:
            response.body_iterator = self._sent(response.body_iterator)
        return response

    async def _sent(self, pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        body: list[bytes] = []
        size = 0
        try:
            async for piece in pieces:
                size += len(piece)
                if size <= _LARGEST:
                    body.append(piece)
                else:
                    body.clear()
                yield piece
        finally:
            if isinstance(pieces, AsyncGenerator):
                await pieces.aclose()
        if size <= _LARGEST:
            keep(self._put(b"".join(body)))

    async def _put(self, body: bytes) -> None:
        try:
            if not await self.unchanged():
                return
        except Refusal:  # it is gone, or nobody can tell now
            return
        await asyncio.to_thread(self.derived.put, self.key, body)
