"""The broker's parser alone, driven as a connection drives it: what it reads, and whether a strict peer agrees."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise

from app.errors import BrokerError
from app.server.limits import Limits
from app.server.protocol import RequestParser
from tests.fuzz.oracle import Message, Reading

Parser = Callable[[Limits], RequestParser]
LIMITS = Limits()


def read(parser_type: Parser, segments: Iterable[bytes]) -> Reading:
    """What the broker makes of a connection whose bytes arrive in these segments."""
    parser = parser_type(LIMITS)
    messages: list[Message] = []
    body: list[bytes] = []
    try:
        for segment in segments:
            rest = segment
            while rest:
                rest = parser.feed(rest)
                if parser.pieces:
                    body += parser.pieces
                    parser.pieces.clear()
                if parser.complete:
                    message = _message(parser, body)
                    messages.append(message)
                    if not message.persists:
                        return Reading(messages, "closed")
                    parser.reset()
                    body = []
    except BrokerError as error:
        return Reading(messages, "refused", frozenset((error.status,)), str(error.message))
    if not parser.started:
        return Reading(messages, "done")
    return Reading(messages, "pending", partial=_message(parser, body) if parser.head is not None else None)


def _message(parser: RequestParser, body: list[bytes]) -> Message:
    head = parser.head
    assert head is not None
    return Message(head.method.encode(), head.target, head.minor, tuple(head.headers), b"".join(body), head.keep_alive)


def disagreement(ours: Reading, strict: Reading) -> str | None:
    """What the broker reads that a strict peer does not, or refuses without one of the stated reasons."""
    for mine, theirs in zip(ours.messages, strict.messages, strict=False):
        if mine != theirs._replace(excuses=frozenset()):
            return f"read as {mine}, not as {theirs}"
    if len(ours.messages) > len(strict.messages):
        return f"read {ours.messages[len(strict.messages)]} where a strict peer stops ({strict.end}: {strict.why})"
    if len(ours.messages) < len(strict.messages):
        missed = strict.messages[len(ours.messages)]
        return None if ours.end == "refused" and missed.excuses else f"{ours.end} ({ours.why}), not read as {missed}"
    return _other_end(ours, strict)


def _other_end(ours: Reading, strict: Reading) -> str | None:
    if strict.end == "refused":
        if ours.end != "refused":
            return f"{ours.end}, not refused: {strict.why}"
        wrong = not ours.statuses <= strict.statuses
        return f"refused with {set(ours.statuses)}, not {set(strict.statuses)} ({strict.why})" if wrong else None
    if ours.end == "refused":
        early = strict.end == "pending" and (strict.partial is None or strict.excuses)
        return None if early else f"refused ({ours.why}), not {strict.end}"
    if ours.end != strict.end:
        return f"{ours.end}, not {strict.end}"
    if strict.partial is not None and ours.partial != strict.partial._replace(excuses=frozenset()):
        return f"begun as {ours.partial}, not as {strict.partial}"
    return None


def splits(data: bytes, cuts: Iterable[Sequence[int]], *, everywhere: bool) -> Iterator[list[bytes]]:
    """The bytes in single ones, cut as told, and if `everywhere` in two at every place."""
    yield [data[at : at + 1] for at in range(len(data))]
    for places in cuts:
        ends = sorted({*places, 0, len(data)})
        yield [data[start:end] for start, end in pairwise(ends)]
    if everywhere:
        for at in range(1, len(data)):
            yield [data[:at], data[at:]]


def finding(
    parser_type: Parser, data: bytes, strict: Reading, cuts: Iterable[Sequence[int]] = (), *, everywhere: bool = True
) -> str | None:
    """What is wrong with how a parser reads these bytes, whole or in any segments.

    In segments a refusal may come before all that speaks for another status is there; it stays a refusal.
    """
    whole = read(parser_type, [data])
    if wrong := disagreement(whole, strict):
        return wrong
    for segments in splits(data, cuts, everywhere=everywhere):
        again = read(parser_type, segments)
        if (again.messages, again.end, again.partial) != (whole.messages, whole.end, whole.partial):
            return f"in segments {segments} read as {again}, whole as {whole}"
    return None
