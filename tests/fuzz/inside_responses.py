"""The broker's parser of responses alone: what it reads, and whether a strict peer agrees."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from app.errors import UpstreamGarbled
from app.upstream.protocol import ResponseParser
from tests.fuzz.inside import splits
from tests.fuzz.oracle_responses import Answer, Reading

Parser = Callable[[], ResponseParser]
NEXT = b"HTTP/1.1 201 Next\r\nContent-Length: 4\r\n\r\nnext"


def read(
    parser_type: Parser, segments: Iterable[bytes], method: bytes, *, ended: bool
) -> tuple[Reading, ResponseParser]:
    """What the broker makes of a plugin's bytes that arrive in these segments."""
    parser = parser_type()
    parser.begin(method.decode())
    body: list[bytes] = []
    try:
        for segment in segments:
            parser.feed(segment)
            body += parser.pieces
            parser.pieces.clear()
    except UpstreamGarbled as error:
        return Reading("refused", None, error.message), parser
    if ended:
        reusable = parser.reusable
        parser.end()
        parser.reusable = reusable and parser.complete
    if not parser.head_complete:
        return Reading("pending"), parser
    answer = Answer(parser.status, parser.reason, tuple(parser.headers), b"".join(body), parser.reusable)
    return Reading("whole" if parser.complete else "open", answer), parser


def disagreement(ours: Reading, strict: Reading) -> str | None:
    """What the broker reads that a strict peer does not, or refuses without one of the stated reasons."""
    if strict.end == "refused":
        return None if ours.end == "refused" else f"{ours.end} as {ours.answer}, not refused: {strict.why}"
    if ours.end == "refused":
        early = strict.end == "pending" or strict.excuses
        return None if early else f"refused ({ours.why}), not {strict.end} as {strict.answer}"
    if ours.end != strict.end:
        return f"{ours.end}, not {strict.end}"
    if ours.answer is None or strict.answer is None:
        return None if ours.answer == strict.answer else f"{ours.answer}, not {strict.answer}"
    if ours.answer[:4] != strict.answer[:4]:
        return f"read as {ours.answer}, not as {strict.answer}"
    reused = ours.end == "whole" and ours.answer.reusable and not strict.answer.reusable
    return "the connection is used again, and should not" if reused else None


def finding(
    parser_type: Parser,
    data: bytes,
    method: bytes,
    ended: bool,
    strict: Reading,
    cuts: Iterable[Sequence[int]] = (),
    *,
    everywhere: bool = True,
) -> str | None:
    """What is wrong with how a parser reads these bytes, whole or in any segments, and the next response."""
    whole, parser = read(parser_type, [data], method, ended=ended)
    if wrong := disagreement(whole, strict) or _next_difference(whole, parser):
        return wrong
    for segments in splits(data, cuts, everywhere=everywhere):
        again, parser = read(parser_type, segments, method, ended=ended)
        if again[:2] != whole[:2]:
            return f"in segments {segments} read as {again}, whole as {whole}"
        if wrong := _next_difference(again, parser):
            return wrong
    return None


def _next_difference(reading: Reading, parser: ResponseParser) -> str | None:
    """On a connection that goes on, nothing of this response may be left for the next."""
    if reading.end != "whole" or not parser.reusable:
        return None
    parser.begin("GET")
    try:
        parser.feed(NEXT)
    except UpstreamGarbled as error:
        return f"the next response is refused: {error.message}"
    found = (parser.status, parser.headers, parser.pieces, parser.complete, parser.reusable)
    expected = (201, [(b"Content-Length", b"4")], [b"next"], True, True)
    return None if found == expected else f"the next response is read as {found}"
