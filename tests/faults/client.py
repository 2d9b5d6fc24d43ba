"""A connection of a client that knows exactly what it saw: raw bytes, no retry of its own, nothing of the code under
test."""

from __future__ import annotations

import asyncio
import json
import re
import select
from collections.abc import Mapping

STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
LENGTH = re.compile(rb"\r\nContent-Length: (\d+)\r\n", re.IGNORECASE)
CLOSES = re.compile(rb"\r\nConnection: close\r\n", re.IGNORECASE)

REFUSED = "refused"
NO_CONNECTION = "no connection"
UNANSWERED = "closed unanswered"
CUT = "cut"
LATE = "no answer in time"
GARBLED = "garbled"
MIXED_UP = "another's answer"
"""What a client may see instead of an answer; `UNANSWERED`: closed before any byte of one."""


class LostError(Exception):
    """There is no whole answer; `outcome` is what was seen instead."""

    def __init__(self, outcome: str) -> None:
        super().__init__(outcome)
        self.outcome = outcome


class Connection(asyncio.Protocol):
    """To the broker: one request at a time. `answered` counts the answers that it has had."""

    def __init__(self) -> None:
        self.answered = 0
        self._buffer = b""
        self._ended = False
        self._told: asyncio.Future[None] | None = None

    @classmethod
    async def to(cls, port: int, seconds: float) -> Connection:
        """A new one. Raises `LostError`."""
        loop = asyncio.get_running_loop()
        try:
            _, made = await asyncio.wait_for(loop.create_connection(cls, "127.0.0.1", port), seconds)
        except ConnectionRefusedError:
            raise LostError(REFUSED) from None
        except (OSError, TimeoutError):
            raise LostError(NO_CONNECTION) from None
        return made

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._tell()

    def eof_received(self) -> None:
        self._ended = True
        self._tell()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended = True
        self._tell()

    def _tell(self) -> None:
        if self._told is not None and not self._told.done():
            self._told.set_result(None)

    @property
    def usable(self) -> bool:
        """Looks at the socket itself: a loop that is late has not seen an end that is there, and no client may use such
        a connection."""
        if self._ended or self._buffer:
            return False
        poll = select.poll()
        poll.register(self._transport.get_extra_info("socket").fileno(), select.POLLIN)
        return not poll.poll(0)

    async def ask(self, request: bytes, seconds: float) -> tuple[int, bytes]:
        """Send a request; its answer's status and body. Raises `LostError`."""
        self._transport.write(request)
        try:
            async with asyncio.timeout(seconds):
                while (answer := self._answer()) is None:
                    if self._ended:
                        raise LostError(CUT if self._buffer else UNANSWERED)
                    self._told = asyncio.get_running_loop().create_future()
                    await self._told
        except TimeoutError:
            self.close()
            raise LostError(LATE) from None
        self.answered += 1
        return answer

    def _answer(self) -> tuple[int, bytes] | None:
        """Once it is whole. Raises `LostError` for what is no answer."""
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return None
        status, length = STATUS.match(head), LENGTH.search(head + b"\r\n")
        if status is None or length is None:
            raise LostError(GARBLED)
        size = int(length[1])
        if len(rest) < size:
            return None
        self._buffer = rest[size:]
        self._ended = self._ended or CLOSES.search(head + b"\r\n") is not None
        return int(status[1]), rest[:size]

    def close(self) -> None:
        self._ended = True
        self._transport.close()


def outcome_of(status: int, body: bytes, answers: Mapping[bytes, str], id_: str) -> str:
    """What an answer is: its status, with the reason where it is an error of the broker's; of a 200 what `answers` says
    of its body, and another's if that does not hold what was asked for."""
    if status == 200:
        return answers.get(body, MIXED_UP)
    try:
        error = json.loads(body)["error"]
    except (ValueError, KeyError, TypeError):
        return f"{status}"
    return f"{status} {error['reason']}" if error["request_id"] == id_ else MIXED_UP
