"""What arrives at a plugin of what a raw client sends, and whether a strict peer reads it so."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from tests.fuzz.alternatives import BASE
from tests.fuzz.grammar import Headers, options, walk_chunks
from tests.fuzz.oracle import Message, Reading, read_requests
from tests.fuzz.scene import Client, Scene, a_scene

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
BARRIER = b"GET " + BASE + b"/barrier HTTP/1.1\r\nHost: barrier\r\n\r\n"

REGION = re.compile(rb"/api/multicloud/(?:v0/vmware_fake|v1/vmware/fake)(?=[/?]|\Z)")
HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-connection proxy-authenticate proxy-authorization te trailer transfer-encoding upgrade".split()
)
OURS = frozenset(
    b"""host content-length expect x-invocationid x-onap-invocationid x-onap-requestid via forwarded x-forwarded-for
    x-forwarded-proto x-forwarded-host x-forwarded-port traceparent""".split()
)
"""What is the broker's to set (contract, section 5)."""

KEPT = frozenset(b"host content-length authorization x-auth-token".split())
"""What a `Connection` header cannot take away."""


def forwarded(message: Message) -> bool:
    """Whether it goes to the plugin: a region's path without dot segments (contract, section 2.3)."""
    path = message.target.partition(b"?")[0]
    segments = re.split(rb"[/\\]", unquote_to_bytes(path))
    dots = any(segment.partition(b";")[0] in (b".", b"..") for segment in segments)
    return bool(REGION.match(message.target)) and not dots


def end_to_end(headers: Headers) -> list[tuple[bytes, bytes]]:
    named = set(options(headers, b"connection")) - KEPT
    return [field for field in headers if (key := field[0].lower()) not in HOP_BY_HOP | OURS and key not in named]


class Recorder:
    """Answers each whole request with the same 200, and keeps it as a strict peer reads it."""

    def __init__(self) -> None:
        self.arrived: list[Message] = []
        self.broken: list[tuple[bytes, str]] = []

    def answer(self, held: bytes) -> tuple[bytes, int] | None:
        reading = read_requests(held)
        if reading.end == "refused":
            self.broken.append((held, reading.why))
            return b"HTTP/1.1 400 Broken\r\nContent-Length: 0\r\n\r\n", len(held)
        if not reading.messages:
            return None
        self.arrived += reading.messages
        bodies = [b"" if message.method == b"HEAD" else b"ok" for message in reading.messages]
        return b"".join(OK + body for body in bodies), len(held) if reading.end == "done" else _whole(held)


def _whole(held: bytes) -> int:
    """How many bytes the whole requests are: the broker sends one at a time, so that more is a finding of its own."""
    raise AssertionError(f"a request was sent before the last one was answered: {held!r}")


class Given(NamedTuple):
    """An answer that a client got: its status, whether it ends the connection, its body."""

    status: int
    closes: bool
    body: bytes


def answers(received: bytes, methods: Sequence[bytes]) -> list[Given]:
    """The final answers to requests of these methods, as far as they are whole."""
    found: list[Given] = []
    at = 0
    while (end := received.find(b"\r\n\r\n", at) + 4) > 3:
        head = received[at:end]
        status = int(head[9:12])
        at = end
        if status < 200:
            continue
        method = methods[len(found)] if len(found) < len(methods) else b"GET"
        body = b""
        if method != b"HEAD" and status not in (204, 304):
            length = re.search(rb"(?i)\r\ncontent-length: (\d+)\r\n", head)
            if length is not None:
                body = received[at : at + int(length[1])]
                if len(body) < int(length[1]):
                    break
                at += len(body)
            elif re.search(rb"(?i)\r\ntransfer-encoding: chunked\r\n", head):
                chunks = walk_chunks(received, at)
                if chunks.end != "whole":
                    break
                body, at = chunks.body, chunks.at
        found.append(Given(status, b"\r\nConnection: close\r\n" in head, body))
    return found


class Outside:
    """Sends cases through a broker, one after the other, and judges what became of them."""

    def __init__(self, scene: Scene, recorder: Recorder) -> None:
        self._scene = scene
        self._recorder = recorder
        self._barrier: Client | None = None

    def finding(self, data: bytes, segments: Sequence[bytes], strict: Reading | None = None) -> str | None:
        """What is wrong with what arrived, or with how the client was answered."""
        reading = read_requests(data) if strict is None else strict
        self._recorder.arrived.clear()
        self._recorder.broken.clear()
        client = self._scene.client()
        client.send(segments)
        methods = [message.method for message in reading.messages]
        methods.append(reading.partial.method if reading.partial is not None else reading.method)
        ends = reading.end in ("closed", "refused") or bool(reading.excuses)

        def done() -> bool:
            return client.ended or (not ends and len(answers(client.received, methods)) >= len(reading.messages))

        in_time = self._scene.run_until(done)
        client.close()
        if not client.ended:
            self._pass_barrier()
        self._scene.settle()
        if not in_time:
            return f"no end after {answers(client.received, methods)}: {reading.end}"
        return self._judge(reading, answers(client.received, methods))

    def _pass_barrier(self) -> None:
        """A request that comes after all that this client sent: what was read of that has arrived before it."""
        barrier = self._barrier
        if barrier is None or barrier.ended:
            barrier = self._barrier = self._scene.client()
        barrier.received = b""
        barrier.send([BARRIER])
        assert self._scene.run_until(lambda: barrier.ended or barrier.received.endswith(b"ok")), "the broker hangs"
        if barrier.ended:  # idle for too long
            self._pass_barrier()

    def _judge(self, reading: Reading, given: list[Given]) -> str | None:
        if self._recorder.broken:
            return f"the plugin got what is no request: {self._recorder.broken}"
        arrived = [message for message in self._recorder.arrived if not message.target.endswith(b"/barrier")]
        expected = [message for message in reading.messages if forwarded(message)]
        for came, sent in zip(arrived, expected, strict=False):
            if difference := _difference(came, sent):
                return difference
        if len(arrived) > len(expected):
            return f"the plugin got {arrived[len(expected)]}, which no strict peer reads"
        if len(arrived) < len(expected) or len(given) < len(reading.messages):
            return _missing(reading, given)
        last = given[len(reading.messages) :]
        if reading.end == "refused" and reading.partial is None and not (last and last[0].status in reading.statuses):
            early = given and given[-1].closes and given[-1].status != 200
            return None if early else f"answered {given}, not {set(reading.statuses)} at the end: {reading.why}"
        return None

    def close(self) -> None:
        if self._barrier is not None:
            self._barrier.close()


def _missing(reading: Reading, given: list[Given]) -> str | None:
    """Fewer were served: only after an answer that ended the connection, for a reason."""
    served = len(given)
    if given and given[-1].closes:
        before = reading.messages[:served]
        stated = any(message.excuses for message in before) or any(not forwarded(message) for message in before)
        if stated:
            return None
    return f"served {given}, not {len(reading.messages)} requests: {reading}"


def _difference(came: Message, sent: Message) -> str | None:
    target = b"/api/multicloud-vio/" + sent.target.removeprefix(b"/api/multicloud/")
    if (came.method, came.target, came.body) != (sent.method, target, sent.body):
        return f"{sent} arrived as {came}"
    stayed = [name for name, _ in came.headers if name.lower() in HOP_BY_HOP - {b"transfer-encoding"}]
    if stayed or end_to_end(came.headers) != end_to_end(sent.headers):
        return f"the headers {sent.headers} arrived as {came.headers}"
    return None


@contextmanager
def outside(framework: str, folder: Path) -> Iterator[Outside]:
    """A broker, a plugin and a client, ready for cases."""
    recorder = Recorder()
    with a_scene(framework, folder, recorder.answer) as scene:
        tester = Outside(scene, recorder)
        try:
            yield tester
        finally:
            tester.close()
