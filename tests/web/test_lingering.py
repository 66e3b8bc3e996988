"""Reading on after an answer, by what is said to the server program and by it (RFC 9112 §9.6)."""

import asyncio

from starlette.types import Message, Receive, Scope, Send

from dicomweb_server.web.middleware import Lingering

MOST = 32


async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that reads nothing of an upload."""
    await send({"type": "http.response.start", "status": 415, "headers": []})
    await send({"type": "http.response.body", "body": b"no"})


class Upload:
    """A client that is in the middle of an upload until it is let go."""

    def __init__(self, *headers: tuple[bytes, bytes], version: str = "1.1") -> None:
        self.scope = {
            "type": "http",
            "method": "POST",
            "http_version": version,
            "headers": [*headers],
        }
        self.sent: list[Message] = []
        self.gone = asyncio.Event()

    async def receive(self) -> Message:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    @property
    def is_told_to_close(self) -> bool:
        return (b"connection", b"close") in self.sent[0]["headers"]

    @property
    def has_the_answer(self) -> bool:
        return b"".join(each.get("body", b"") for each in self.sent) == b"no"

    @property
    def is_over(self) -> bool:
        return not self.sent[-1].get("more_body")


async def test_a_few_are_read_on_and_the_others_told_to_close() -> None:
    lingering = Lingering(refuse)
    uploads = [Upload() for _ in range(MOST + 8)]
    tasks = []
    for upload in uploads:  # one after the other, as they would come
        tasks.append(asyncio.create_task(lingering(upload.scope, upload.receive, upload.send)))
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert all(upload.has_the_answer for upload in uploads)
    assert [upload.is_told_to_close for upload in uploads] == [False] * MOST + [True] * 8
    assert [upload.is_over for upload in uploads] == [False] * MOST + [True] * 8

    for upload in uploads:
        upload.gone.set()
    await asyncio.gather(*tasks)
    assert all(upload.is_over and upload.has_the_answer for upload in uploads)
    again = Upload()
    again.gone.set()
    await lingering(again.scope, again.receive, again.send)
    assert not again.is_told_to_close


async def test_who_waits_for_a_word_is_not_waited_for() -> None:
    upload = Upload((b"expect", b"100-continue"))
    await asyncio.wait_for(Lingering(refuse)(upload.scope, upload.receive, upload.send), 1)
    assert upload.is_told_to_close and upload.has_the_answer and upload.is_over


async def test_http_2_is_as_it_was() -> None:
    """A stream that is over is reset, and others of its connection go on."""
    upload = Upload(version="2")
    await asyncio.wait_for(Lingering(refuse)(upload.scope, upload.receive, upload.send), 1)
    assert not upload.is_told_to_close
    assert len(upload.sent) == 2


async def test_nobody_is_read_on_for_ever() -> None:
    upload = Upload()
    async with asyncio.timeout(10):
        await Lingering(refuse)(upload.scope, upload.receive, upload.send)
    assert upload.is_over
