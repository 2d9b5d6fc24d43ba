"""A chunked body, read strictly (RFC 9112, 7.1): for requests and for responses alike.

llhttp is not asked: it takes `3;=` for a chunk's line, lets fields of a trailer change how the connection goes on,
and does not tell where the body ended.
"""

from __future__ import annotations

import re

OVERHEAD = 16384
"""Bytes of chunk lines and trailers that a body may cost beyond eight times its own length."""

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_QUOTED = rb'"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*"'
_SIZE_LINE = rb"([0-9A-Fa-f]{1,15})(?:;%b(?:=(?:%b|%b))?)*\r\n" % (_TOKEN, _TOKEN, _QUOTED)

FIRST = re.compile(_SIZE_LINE)
"""At most 15 digits: no peer's integer overflows. No white space: the RFC has it read for old senders' sake only."""

NEXT = re.compile(rb"\r\n" + _SIZE_LINE)
"""A chunk's data ends in CRLF; taken together with the line that follows."""

TRAILER = re.compile(rb"(?:%b:[\t -~\x80-\xff]*)?\r\n" % _TOKEN)
"""A field's line, or the empty line that ends the body."""


class ChunkedBody:
    """Takes bytes as they come, however they are split; `complete` once the empty line after the trailers is there."""

    __slots__ = ("_held", "_left", "_line", "_overhead", "_size", "complete")

    def __init__(self) -> None:
        self.complete = False
        self._held = b""
        self._left = 0
        self._line = FIRST
        self._overhead = self._size = 0

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """The chunks' data, as one piece however small they are, and what comes after the body.

        Trailers are dropped (RFC 9110, 6.5.1), whatever their names. Raises `ValueError` with what is wrong.
        """
        if self._held:
            data, fresh = self._held + data, data
            if b"\n" not in fresh:
                self._hold(data)
                return b"", b""
            self._held = b""
        pieces: list[bytes] = []
        rest = self._read(data, pieces)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces), rest

    def _read(self, data: bytes, pieces: list[bytes]) -> bytes:
        at = 0
        while True:
            if self._left:
                piece = data[at : at + self._left]
                pieces.append(piece)
                at += len(piece)
                self._left -= len(piece)
                if self._left:
                    return b""
            line = self._line.match(data, at)
            if line is None:
                self._hold(data[at:])
                return b""
            self._overhead += line.end() - at
            at = line.end()
            if self._overhead > OVERHEAD:
                self._check(self._overhead)
            if self._line is not TRAILER:
                self._left = left = int(line[1], 16)
                self._size += left
                self._line = NEXT if left else TRAILER
            elif len(line[0]) == len(b"\r\n"):
                self.complete = True
                return data[at:]

    def _hold(self, rest: bytes) -> None:
        """No whole line is there, or none that is valid."""
        before = self._line is NEXT
        if before and not b"\r\n".startswith(rest[:2]):
            raise ValueError("a chunk is longer than its size says")
        if rest.count(b"\n") > before:
            raise ValueError("a chunk's line or a trailer is not valid")
        self._check(self._overhead + len(rest))
        self._held = rest

    def _check(self, overhead: int) -> None:
        if overhead > OVERHEAD + 8 * self._size:
            raise ValueError("its chunk extensions and trailers do not end")
