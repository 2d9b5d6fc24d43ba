"""Parsers that are weakened on purpose, each as some real server is or was: the fuzzer has to catch every one."""

from __future__ import annotations

import re
from collections.abc import Mapping

from app.core import chunked
from app.core.chunked import ChunkedBody
from app.core.message import Headers
from app.server import protocol
from app.server.protocol import Head, RequestParser
from app.upstream.protocol import ResponseParser
from tests.fuzz import inside, inside_responses


class _Rewriting(RequestParser):
    """Changes what arrives of a head, before it is looked at; sees whole segments only, as a careless filter does."""

    __slots__ = ()

    def feed(self, data: bytes) -> bytes:
        return super().feed(self.rewritten(data) if self.head is None else data)

    def rewritten(self, data: bytes) -> bytes:
        raise NotImplementedError


class TakesBareLineFeed(_Rewriting):
    __slots__ = ()

    def rewritten(self, data: bytes) -> bytes:
        return re.sub(rb"(?<!\r)\n", b"\r\n", data)


class UnfoldsLines(_Rewriting):
    __slots__ = ()

    def rewritten(self, data: bytes) -> bytes:
        return re.sub(rb"\r\n[ \t]+", b" ", data)


class StripsBeforeTheColon(_Rewriting):
    __slots__ = ()

    def rewritten(self, data: bytes) -> bytes:
        return re.sub(rb"(?m)^([A-Za-z-]+)[ \t]+:", rb"\1:", data)


class TakesTheNextVersion(_Rewriting):
    __slots__ = ()

    def rewritten(self, data: bytes) -> bytes:
        return data.replace(b" HTTP/1.2\r\n", b" HTTP/1.1\r\n")


class _Weakened(RequestParser):
    """Judges heads by a weaker class."""

    __slots__ = ()
    weaker: type[Head]

    def _begin(self, raw: bytes) -> None:
        strict, protocol.Head = protocol.Head, self.weaker  # type: ignore[misc]
        try:
            super()._begin(raw)
        finally:
            protocol.Head = strict  # type: ignore[misc]


class _TakesBothFramingsHead(Head):
    __slots__ = ()

    def _frame(self, coding: str | None, length: str | None) -> None:
        super()._frame(coding, None if coding is not None else length)


class TakesBothFramings(_Weakened):
    """llhttp refuses both itself; here it is asked to be lenient."""

    __slots__ = ()
    weaker = _TakesBothFramingsHead

    def reset(self) -> None:
        super().reset()
        self._llhttp.set_dangerous_leniencies(lenient_chunked_length=True)


class _TakesTheFirstHostHead(Head):
    __slots__ = ()

    def _check_host(self, host: str | None) -> None:
        super()._check_host(None if host is None else host.partition(",")[0])


class TakesTheFirstHost(_Weakened):
    __slots__ = ()
    weaker = _TakesTheFirstHostHead


class _IgnoresCloseHead(Head):
    __slots__ = ()

    def __init__(self, method: str, target: bytes, minor: int, headers: Headers) -> None:
        super().__init__(method, target, minor, headers)
        self.keep_alive = True


class IgnoresClose(_Weakened):
    __slots__ = ()
    weaker = _IgnoresCloseHead


class TakesUnderscores(RequestParser):
    """Passes `Content_Length` on."""

    __slots__ = ()

    def _begin(self, raw: bytes) -> None:
        strict, protocol.FRAMING_LOOKALIKES = protocol.FRAMING_LOOKALIKES, frozenset()
        try:
            super()._begin(raw)
        finally:
            protocol.FRAMING_LOOKALIKES = strict


class _PythonsIntegers(ChunkedBody):
    """`int(text, 16)`: takes 0x, signs, underscores and white space, as more than one server in Python did."""

    __slots__ = ()

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        def plain(line: re.Match[bytes]) -> bytes:
            try:
                return b"\r\n%x\r\n" % int(line[1], 16)
            except ValueError:
                return line[0]

        return super().feed(re.sub(rb"\r\n([^\r\n;]{2,20})\r\n", plain, b"\r\n" + data)[2:])


class _ForgivesTheEnd(ChunkedBody):
    """Does not look at what ends a chunk's data, if only two bytes do."""

    __slots__ = ()

    def _read(self, data: bytes, pieces: list[bytes]) -> bytes:
        if not self._left and self._line is chunked.NEXT:
            data = b"\r\n" + data[2:]
        return super()._read(data, pieces)

    def _hold(self, rest: bytes) -> None:
        if self._line is chunked.NEXT and len(rest) > 2 and not rest.startswith(b"\r\n"):
            self._read(rest, [])
        else:
            super()._hold(rest)


class _Chunking(RequestParser):
    """Reads chunks by a weaker class."""

    __slots__ = ()
    weaker: type[ChunkedBody]

    def _begin(self, raw: bytes) -> None:
        super()._begin(raw)
        if self._chunks is not None:
            self._chunks = self.weaker()


class TakesPythonsIntegers(_Chunking):
    __slots__ = ()
    weaker = _PythonsIntegers


class ForgivesTheEndOfChunks(_Chunking):
    __slots__ = ()
    weaker = _ForgivesTheEnd


class SkipsAnUpgradesBody(RequestParser):
    """As llhttp does by itself."""

    __slots__ = ()

    def _begin(self, raw: bytes) -> None:
        super()._begin(raw)
        if self.head is not None and "HTTP_UPGRADE" in self.head.fields and self._llhttp.should_upgrade():
            self.complete = True


class DependsOnSegments(RequestParser):
    """Takes what is there for the whole body."""

    __slots__ = ()

    def feed(self, data: bytes) -> bytes:
        began = self.head is not None
        rest = super().feed(data)
        if began and self._chunks is None and not rest:
            self.complete = True
        return rest


WEAK: Mapping[str, inside.Parser] = {
    one.__name__: one
    for one in (
        TakesBareLineFeed,
        UnfoldsLines,
        StripsBeforeTheColon,
        TakesTheNextVersion,
        TakesBothFramings,
        TakesTheFirstHost,
        IgnoresClose,
        TakesUnderscores,
        TakesPythonsIntegers,
        ForgivesTheEndOfChunks,
        SkipsAnUpgradesBody,
    )
}
"""All but `DependsOnSegments` read even whole bytes otherwise than a strict peer."""


class TakesHeadsBody(ResponseParser):
    """Waits for the body that the answer to a HEAD request announces."""

    __slots__ = ()

    def begin(self, method: str) -> None:
        super().begin("GET" if method == "HEAD" else method)


class KeepsInterimFields(ResponseParser):
    __slots__ = ()

    def _begin_head(self) -> None:
        kept = getattr(self, "headers", []) if self._head_bytes else []
        super()._begin_head()
        self.headers += kept


class TakesTheLastFraming(ResponseParser):
    __slots__ = ()

    def _begin_head(self) -> None:
        super()._begin_head()
        self._llhttp.set_dangerous_leniencies(lenient_chunked_length=True)

    def _framing(self, minor: int) -> tuple[bytes | None, bytes | None]:
        framing = [one for one in self.headers if one[0].lower() in (b"content-length", b"transfer-encoding")]
        whole = self.headers
        self.headers = [one for one in whole if one not in framing[:-1]]
        found = super()._framing(minor)
        self.headers = whole
        return found


class TrustsARest(ResponseParser):
    """Uses a connection again on which bytes came that nobody asked for."""

    __slots__ = ()

    def feed(self, data: bytes) -> None:
        before = self.reusable
        super().feed(data)
        if self.complete and self.length:
            self.reusable = before


class TakesACutForTheEnd(ResponseParser):
    __slots__ = ()

    def end(self) -> bool:
        super().end()
        self.complete = self.head_complete
        return self.complete


WEAK_RESPONSES: Mapping[str, inside_responses.Parser] = {
    one.__name__: one
    for one in (TakesHeadsBody, KeepsInterimFields, TakesTheLastFraming, TrustsARest, TakesACutForTheEnd)
}
