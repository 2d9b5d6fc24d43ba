"""What an expert with a raw socket would try, black box: errors, early answers, unread and half bodies, and what is
pipelined behind them; plugins that answer twice, early, late, without end, or with what forges."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from itertools import pairwise

import pytest

from tests.conftest import FRAMEWORKS
from tests.fuzz.alternatives import BASE
from tests.fuzz.cases import ABC, CODED, FORGED, GET, answer
from tests.fuzz.generate import SMUGGLED
from tests.fuzz.outside import Given, Recorder, answers
from tests.fuzz.outside_responses import HostilePlugin, request
from tests.fuzz.scene import Scene, a_scene

DRAIN = 65536
"""Bytes of an unread body that the broker drops to keep a connection."""


class Attack:
    """A client before a plugin that records."""

    def __init__(self, scene: Scene, recorder: Recorder) -> None:
        self.scene = scene
        self.recorder = recorder

    def send(self, *segments: bytes, answered: int, methods: tuple[bytes, ...] = ()) -> tuple[list[Given], bool]:
        """The answers, once there are so many or the broker has closed; and whether it has."""
        self.recorder.arrived.clear()
        client = self.scene.client()
        client.send(segments)
        assert self.scene.run_until(lambda: client.ended or len(answers(client.received, methods)) >= answered)
        self.scene.run_until(lambda: client.ended, 0.05)
        client.close()
        self.scene.settle()
        assert self.recorder.broken == []
        return answers(client.received, methods), client.ended

    @property
    def arrived(self) -> list[bytes]:
        """The last segments of the targets that came to the plugin."""
        return [message.target.rpartition(b"/")[2] for message in self.recorder.arrived]


@pytest.fixture(scope="module", params=FRAMEWORKS)
def attack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attack]:
    recorder = Recorder()
    with a_scene(request.param, tmp_path_factory.mktemp("map"), recorder.answer) as scene:
        yield Attack(scene, recorder)


def post(path: bytes, body: bytes, *lines: bytes, length: int | None = None) -> bytes:
    framing = b"Content-Length: %d" % (len(body) if length is None else length)
    return (
        b"POST %b HTTP/1.1\r\nHost: x\r\n%b\r\n" % (path, b"".join(line + b"\r\n" for line in (framing, *lines))) + body
    )


def coded(path: bytes, *chunks: bytes, last: bytes = b"0\r\n\r\n") -> bytes:
    body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return b"POST %b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" % path + body + last


REFUSALS = {
    "a bad Host": (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
    "CONNECT": (b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n", 501),
    "CONNECT with a body": (b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 501),
    "TRACE with a body": (post(BASE, SMUGGLED).replace(b"POST", b"TRACE"), 501),
    "an unknown method with a body": (post(BASE, SMUGGLED).replace(b"POST", b"FROB"), 501),
    "HTTP/2.0": (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505),
    "an expectation": (post(BASE, SMUGGLED, b"Expect: nothing"), 417),
    "a long line": (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
    "a large head": (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 70000 + b"\r\n\r\n", 431),
    "many fields": (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 200 + b"\r\n", 431),
    "both framings": (post(BASE, b"0\r\n\r\n" + SMUGGLED, b"Transfer-Encoding: chunked"), 400),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_nothing_is_read_after_a_refusal(attack: Attack, name: str) -> None:
    data, status = REFUSALS[name]
    given, closed = attack.send(data + GET, answered=2)
    assert ([one.status for one in given], closed, attack.arrived) == ([status], True, [])
    assert given[0].closes


OWN = {
    "unknown": (b"/nowhere", 404),
    "probe": (b"/livez", 405),
    "own endpoint": (b"/api/multicloud/v0/vim_types", 405),
    "own document": (b"/api/multicloud/v1/swagger.json", 405),
    "no region": (b"/api/multicloud/v0/unknown", 400),
    "dot segment": (BASE + b"/../x", 400),
}


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("coding", ["length", "chunked"])
def test_an_unread_body_is_no_request(attack: Attack, name: str, coding: str) -> None:
    """It is dropped to its very end, and the next request is the one after it; a large one costs the connection."""
    path, status = OWN[name]
    small = SMUGGLED * 20
    data = post(path, small) if coding == "length" else coded(path, small)
    given, closed = attack.send(data + GET, answered=2)
    assert ([one.status for one in given], closed, attack.arrived) == ([status, 200], False, [b"next"])
    large = SMUGGLED * (2 * DRAIN // len(SMUGGLED))
    data = post(path, large) if coding == "length" else coded(path, *[SMUGGLED * 20] * 100)
    given, closed = attack.send(data + GET, answered=2)
    assert ([one.status for one in given], closed, attack.arrived) == ([status], True, [])


@pytest.mark.parametrize("name", OWN)
def test_a_body_that_is_not_asked_for_is_no_request(attack: Attack, name: str) -> None:
    """The final answer comes instead of 100 Continue; what is sent after it could be the body or the next request."""
    path, status = OWN[name]
    attack.recorder.arrived.clear()
    client = attack.scene.client()
    client.send([post(path, b"", b"Expect: 100-continue", length=len(GET))])
    assert attack.scene.run_until(lambda: bool(answers(client.received, [])))
    client.send([GET + GET])
    assert attack.scene.run_until(lambda: client.ended)
    (given,) = answers(client.received, [])
    client.close()
    assert (given.status, given.closes, attack.arrived) == (status, True, [])


@pytest.mark.parametrize("coding", ["length", "chunked"])
def test_a_body_that_is_too_large_is_no_request(attack: Attack, coding: str) -> None:
    """413 comes when a MiB has been read; the rest looks like requests."""
    path = b"/api/multicloud/v0/check_vim_capacity"
    whole = SMUGGLED * ((2 << 20) // len(SMUGGLED))
    data = post(path, whole) if coding == "length" else coded(path, *[whole[:60000]] * 35)
    given, closed = attack.send(data + GET, answered=2)
    assert ([one.status for one in given], closed, attack.arrived) == ([413], True, [])


def test_what_is_left_after_413_may_be_dropped_whole(attack: Attack) -> None:
    path = b"/api/multicloud/v0/check_vim_capacity"
    given, closed = attack.send(post(path, SMUGGLED * ((1 << 20) // len(SMUGGLED) + 400)) + GET, answered=2)
    assert given[0].status == 413
    assert attack.arrived == ([] if closed else [b"next"])


def test_a_body_that_is_refused_ends_the_connection_and_the_answer_says_so(attack: Attack) -> None:
    given, closed = attack.send(coded(BASE + b"/x", SMUGGLED, last=b"xyz\r\n") + GET, answered=2)
    assert ([(one.status, one.closes) for one in given], closed, attack.arrived) == ([(400, True)], True, [])


HALVES = {
    "a held length": post(BASE + b"/half", SMUGGLED, length=2 * len(SMUGGLED)),
    "a streamed length": post(BASE + b"/half", SMUGGLED * 1500, length=200000),
    "chunks": coded(BASE + b"/half", SMUGGLED, last=b""),
    "chunks without the last line": coded(BASE + b"/half", SMUGGLED, last=b"0\r\n"),
    "a trailer without its end": coded(BASE + b"/half", SMUGGLED, last=b"0\r\nX: y\r\n"),
    "half a chunk": coded(BASE + b"/half", SMUGGLED, last=b"ff\r\n" + SMUGGLED),
    "a broken chunk": coded(BASE + b"/half", SMUGGLED, last=b"3\r\nabcd\r\n0\r\n\r\n"),
    "a chunk that is none": coded(BASE + b"/half", SMUGGLED, last=b"0x3\r\nabc\r\n0\r\n\r\n"),
}


@pytest.mark.parametrize("name", HALVES)
@pytest.mark.parametrize("ends", ["closed", "half closed", "reset"])
def test_half_an_upload_never_arrives_as_whole(attack: Attack, name: str, ends: str) -> None:
    attack.recorder.arrived.clear()
    scene = attack.scene
    with socket.create_connection(("127.0.0.1", scene.broker.port)) as sock:
        sock.sendall(HALVES[name])
        scene.run_until(lambda: False, 0.05)
        if ends == "half closed":
            sock.shutdown(socket.SHUT_WR)
            scene.run_until(lambda: False, 0.05)
        elif ends == "reset":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    given, _ = attack_after(attack)
    assert (attack.arrived, [one.status for one in given], attack.recorder.broken) == ([b"next"], [200], [])


def attack_after(attack: Attack) -> tuple[list[Given], bool]:
    """Another client's request, which takes the pool's next connection."""
    client = attack.scene.client()
    client.send([GET])
    assert attack.scene.run_until(lambda: len(answers(client.received, [b"GET"])) == 1)
    client.close()
    return answers(client.received, [b"GET"]), client.ended


def test_pipelined_requests_with_bodies_of_all_kinds(attack: Attack) -> None:
    requests = [GET, post(BASE + b"/a", SMUGGLED), coded(BASE + b"/b", SMUGGLED), GET.replace(b"GET", b"HEAD", 1)]
    requests += [post(BASE + b"/c", SMUGGLED, b"Connection: Upgrade", b"Upgrade: h2c"), post(BASE + b"/d", b"")]
    data = b"".join(requests * 8)
    methods = tuple(one.partition(b" ")[0] for one in requests * 8)
    for step in (len(data), 1000, 97):
        segments = [data[start:end] for start, end in pairwise([*range(0, len(data), step), len(data)])]
        given, _ = attack.send(*segments, answered=48, methods=methods)
        assert [one.status for one in given] == [200] * 48
        assert attack.arrived == [b"next", b"a", b"b", b"next", b"c", b"d"] * 8


# Plugins.


class Victim:
    """A client before a plugin that is hostile."""

    def __init__(self, scene: Scene, plugin: HostilePlugin) -> None:
        self.scene = scene
        self.plugin = plugin

    def ask(self, data: bytes, seconds: float = 5.0) -> bytes:
        """All that comes until a whole answer or the end is there."""
        client = self.scene.client()
        client.send([data])
        assert self.scene.run_until(
            lambda: client.ended or bool(answers(client.received, [data.split(b" ")[0]])), seconds
        )
        client.close()
        self.scene.settle()
        return client.received + (b"<end>" if client.ended else b"")

    def next_is_unharmed(self) -> bool:
        self.scene.plugin.closing = False
        (given,) = answers(self.ask(request(b"GET", b"/next")), [b"GET"])
        return (given.status, given.body) == (201, b"next")


@pytest.fixture(scope="module", params=FRAMEWORKS)
def victim(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    plugin = HostilePlugin()
    with a_scene(request.param, tmp_path_factory.mktemp("map"), plugin.answer) as scene:
        yield Victim(scene, plugin)


@pytest.mark.parametrize(
    "early", [answer(b"Content-Length: 3", body=b"abc", status=s) for s in (b"200 OK", b"403 No", b"500 No")]
)
@pytest.mark.parametrize("body", ["held", "streamed", "chunked"])
def test_a_plugin_that_takes_a_body_for_requests(victim: Victim, early: bytes, body: str) -> None:
    """It answers at the head, and again at what looks like one in the body: only its first answer is anybody's."""
    victim.plugin.bytes = early
    lookalikes = SMUGGLED * (20 if body == "held" else 2000)
    data = (
        coded(BASE + b"/x", lookalikes[:60000], lookalikes[:60000])
        if body == "chunked"
        else post(BASE + b"/x", lookalikes)
    )
    received = victim.ask(data)
    assert received.count(b"HTTP/1.1 ") == 1
    assert received.startswith(early[:12])
    assert victim.next_is_unharmed()


def test_an_answer_that_nobody_asked_for_is_nobodys(victim: Victim) -> None:
    """It comes while the connection waits in the pool."""
    victim.plugin.bytes = ABC
    for _ in range(5):
        assert b"abc" in victim.ask(request(b"GET", b"/x"))
        victim.scene.plugin.say(FORGED)
        victim.scene.run_until(lambda: False, 0.02)
        assert victim.next_is_unharmed()


@pytest.mark.parametrize("status", [b"100 Continue", b"102 Processing", b"103 Early Hints", b"199 What"])
def test_interim_answers_without_end(victim: Victim, status: bytes) -> None:
    victim.plugin.bytes = answer(b"A: b", status=status) * 10000
    assert victim.ask(request(b"GET", b"/x")).startswith(b"HTTP/1.1 502 ")
    assert victim.next_is_unharmed()


CUT = {
    "length": answer(b"Content-Length: 9", body=b"abc"),
    "chunked": answer(CODED, body=b"3\r\nabc\r\n"),
    "within a chunk": answer(CODED, body=b"9\r\nabc"),
    "before the last line": answer(CODED, body=b"3\r\nabc\r\n0\r\n"),
    "a chunk that is none": answer(CODED, body=b"3\r\nabc\r\nxyz\r\n0\r\n\r\n"),
    "a chunk that is longer": answer(CODED, body=b"3\r\nabc\r\n3\r\nabcd\r\n0\r\n\r\n"),
    "a trailer that is none": answer(CODED, body=b"3\r\nabc\r\n0\r\nA b\r\n\r\n"),
}


@pytest.mark.parametrize("name", CUT)
@pytest.mark.parametrize("version", [b"HTTP/1.0", b"HTTP/1.1"])
def test_a_cut_is_visible(victim: Victim, name: str, version: bytes) -> None:
    """To an HTTP/1.0 client, whose answer ends with the connection, by a reset; or it is told by a 502."""
    victim.plugin.bytes = CUT[name]
    victim.scene.plugin.closing = True
    client = victim.scene.client()
    client.send([request(b"GET", b"/x").replace(b"HTTP/1.1", version)])
    told = b"HTTP/1.1 502 "
    assert victim.scene.run_until(
        lambda: client.ended or (client.received.startswith(told) and bool(answers(client.received, [b"GET"])))
    )
    status = client.received[9:12]
    if status == b"502":
        assert json.loads(client.received.split(b"\r\n\r\n", 1)[1])["error"]["code"] == 502
    elif b"Content-Length: 9" in client.received:
        assert client.received.endswith(b"abc")
    elif b"Transfer-Encoding: chunked" in client.received:
        assert not client.received.endswith(b"0\r\n\r\n")
    else:
        assert client.reset
    client.close()
    assert victim.next_is_unharmed()
