"""What a client gets of what a hostile plugin answers: what a strict peer reads of it, a 502, or a visible cut."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.fuzz.alternatives import BASE
from tests.fuzz.grammar import Headers
from tests.fuzz.oracle_responses import Answer, Reading, read_response
from tests.fuzz.outside import end_to_end
from tests.fuzz.scene import Scene, a_scene

OURS = frozenset((b"date", b"x-onap-requestid", b"content-length", b"via"))
NEXT = b"HTTP/1.1 201 Next\r\nContent-Length: 4\r\n\r\nnext"


def request(method: bytes, path: bytes) -> bytes:
    body = b"Content-Length: 0\r\n" if method == b"POST" else b""
    return method + b" " + BASE + path + b" HTTP/1.1\r\nHost: client\r\n" + body + b"\r\n"


class HostilePlugin:
    """Answers a request for `/next` as it should, any other with the bytes it was given."""

    def __init__(self) -> None:
        self.bytes = b""
        self.asked = 0

    def answer(self, held: bytes) -> tuple[bytes, int] | None:
        end = held.find(b"\r\n\r\n") + 4
        if end == 3:
            return None
        self.asked += 1
        return (NEXT if b"/next " in held[:end] else self.bytes), end


class OutsideResponses:
    """Sends answers through a broker, one after the other, and judges what the client gets."""

    def __init__(self, scene: Scene, plugin: HostilePlugin) -> None:
        self._scene = scene
        self._plugin = plugin

    def finding(self, data: bytes, method: bytes, ended: bool, strict: Reading | None = None) -> str | None:
        """What is wrong with what the client got, or with the answer to the request after it."""
        reading = read_response(data, method, ended=ended) if strict is None else strict
        if reading.end in ("pending", "open") and not ended:
            ended = True  # there is nothing to wait for
            reading = read_response(data, method, ended=True)
        self._plugin.bytes = data
        self._scene.plugin.closing = ended
        received, in_time = self._ask(method, b"/first")
        if not in_time:
            return f"no end after {received!r}: {reading}"
        if wrong := judge(received, method, reading):
            return wrong
        self._scene.plugin.closing = False
        received, _ = self._ask(b"GET", b"/next")
        after = read_response(received, b"GET", ended=False)
        if after.end != "whole" or after.answer is None or (after.answer.status, after.answer.body) != (201, b"next"):
            return f"the next answer is {received!r}"
        return None

    def _ask(self, method: bytes, path: bytes) -> tuple[bytes, bool]:
        client = self._scene.client()
        client.send([request(method, path)])

        def done() -> bool:
            return client.ended or _whole(client.received, method)

        in_time = self._scene.run_until(done)
        client.close()
        self._scene.settle()
        return client.received, in_time


def _whole(received: bytes, method: bytes) -> bool:
    return b"\r\n\r\n" in received and read_response(received, method, ended=False).end == "whole"


def judge(received: bytes, method: bytes, reading: Reading) -> str | None:
    """Whether a client may get this where a strict peer reads that."""
    got = read_response(received, method, ended=True)
    if got.end == "refused" and received:
        return f"the client got what is no response: {received!r} ({got.why})"
    if got.answer is None:
        return None if not received and reading.end != "whole" else f"the client got {received!r}: {reading}"
    if got.answer.status == 502 and b'"code": 502' in got.answer.body + (b'"code": 502' if method == b"HEAD" else b""):
        stated = (
            reading.end != "whole" or reading.answer is None or reading.answer.excuses or reading.answer.status == 502
        )
        return None if stated else f"a 502, not {reading.answer}"
    if reading.answer is None:
        return f"the client got {got.answer} of what is no response ({reading.why})"
    return _difference(got, reading, reading.answer)


def _difference(got: Reading, reading: Reading, sent: Answer) -> str | None:
    came = got.answer
    assert came is not None
    if (came.status, came.reason) != (sent.status, sent.reason):
        return f"{sent} arrived as {came}"
    if _passed(came.headers) != _passed(sent.headers):
        return f"the headers {sent.headers} arrived as {came.headers}"
    if reading.end == "whole":
        return None if (got.end, came.body) == ("whole", sent.body) else f"{sent} arrived as {got}"
    if got.end == "whole":
        return f"{reading} arrived as if it were whole: {got}"
    return None if sent.body.startswith(came.body) else f"{sent} arrived as {came}"


def _passed(headers: Headers) -> list[tuple[bytes, bytes]]:
    return [field for field in end_to_end(headers) if field[0].lower() not in OURS]


@contextmanager
def outside_responses(framework: str, folder: Path) -> Iterator[OutsideResponses]:
    """A broker, a hostile plugin and a client, ready for cases."""
    plugin = HostilePlugin()
    with a_scene(framework, folder, plugin.answer) as scene:
        yield OutsideResponses(scene, plugin)
