"""One dead or slow plugin costs the others nothing, over several workers (rule 18)."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import Process, a_broker, read_all, until
from tests.contract.conftest import BASE, Simulated

KINDS = ("one", "two", "dead")
ONE, TWO, DEAD = (f"{BASE}/v0/owner_{kind}" for kind in KINDS)
WORKERS = 3

Answer = tuple[int, http.client.HTTPMessage, bytes]


@pytest.fixture
def regions(plugin: Simulated, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment that leads a broker to three plugins: two at the simulator, and one where nobody listens."""
    with contextlib.closing(socket.socket()) as bound:
        bound.bind(("127.0.0.1", 0))
        ports = dict(zip(KINDS, (plugin.port, plugin.port, bound.getsockname()[1]), strict=True))
        plugins = {
            kind: {"vim_type": kind, "provider_plugin": f"p-{kind}", "endpoint": f"http://127.0.0.1:{port}"}
            for kind, port in ports.items()
        }
        found = [{"cloud-owner": "owner", "cloud-region-id": kind, "cloud-type": kind} for kind in KINDS]
        (tmp_path / "map.json").write_text(json.dumps(plugins))
        (tmp_path / "regions.json").write_text(json.dumps(found))
        yield {
            "BROKER_PLUGINS_MAP_FILE": str(tmp_path / "map.json"),
            "BROKER_INVENTORY_REGIONS_FILE": str(tmp_path / "regions.json"),
        }


@contextlib.contextmanager
def guarded(framework: str, regions: dict[str, str], workers: int = WORKERS, **options: object) -> Iterator[Process]:
    """A broker whose breaker knows failures in a row only; options of the group `upstream`."""
    settings = {"BREAKER_FAILURES": 3, "BREAKER_RATE_PERCENT": 0, "RETRY_PERCENT": 0, **options}
    env = {f"BROKER_UPSTREAM_{name}": str(value) for name, value in settings.items()}
    with a_broker(framework, workers, **regions, **env) as broker:
        until(lambda: broker.ask("GET", "/livez")[0] == 200)
        yield broker


def ask(broker: Process, region: str, fault: str = "", method: str = "POST") -> Answer:
    return broker.ask(method, region + "/x", b"{}" if method == "POST" else None, {"X-Fault": fault})


def reason(answer: Answer) -> str:
    return str(json.loads(answer[2])["error"]["reason"])


def at_once(broker: Process, count: int, region: str, fault: str = "") -> list[Answer]:
    """So many requests side by side, each on a connection of its own, so that all workers get some."""
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda _: ask(broker, region, fault), range(count)))


def metric(broker: Process, name: str) -> float:
    """0 where there is none."""
    found = re.search(rf"^multicloud_{re.escape(name)} (\S+)$", broker.ask("GET", "/metrics")[2].decode(), re.M)
    return float(found[1]) if found else 0.0


def in_flight(broker: Process, kind: str, state: str = "sent") -> float:
    return metric(broker, f'upstream_requests_in_flight{{plugin="p-{kind}",state="{state}"}}')


def said(broker: Process, text: str) -> list[dict[str, object]]:
    return [line for line in broker.log() if text in str(line.get("message"))]


def opened(broker: Process, region: str, fault: str = "close") -> None:
    until(lambda: ask(broker, region, fault)[0] == 503)


# The breaker.


def test_a_dead_plugin_is_left_alone_by_all_workers_and_others_are_not(
    framework: str, regions: dict[str, str], plugin: Simulated
) -> None:
    with guarded(framework, regions, BREAKER_OPEN=60, BREAKER_OPEN_MAX=60) as broker:
        first = [ask(broker, DEAD) for _ in range(3 * WORKERS)]
        failed = [answer[0] for answer in first].count(502)
        assert 3 <= failed <= 2 * WORKERS + 1  # once one of them has had three
        later = at_once(broker, 30, DEAD)
        assert {(answer[0], reason(answer)) for answer in later} == {(503, "Circuit-Open")}
        assert {1 <= int(answer[1]["Retry-After"]) <= 60 for answer in later} == {True}
        message = json.loads(later[0][2])["error"]["message"]
        assert re.fullmatch(
            r"p-dead at http://127\.0\.0\.1:\d+ is left alone .*send this one again in \d+ s\.", message
        )
        assert {answer[0] for answer in at_once(broker, 20, ONE)} == {200}
        until(lambda: metric(broker, 'circuit_state{plugin="p-dead"}') == 2)  # at the next tick
        refused = metric(broker, 'upstream_refused_total{by="circuit",plugin="p-dead"}')
        assert refused == len(first) + len(later) - failed
        assert metric(broker, 'upstream_requests_total{code="502",plugin="p-dead"}') == failed
        assert broker.end() == 0
    (line,) = said(broker, "is left alone")
    assert line["level"] == "WARNING"
    assert "3 requests in a row failed, the last one so: The upstream took no connection" in str(line["message"])


def test_once_it_answers_again_it_is_asked_again(framework: str, regions: dict[str, str], plugin: Simulated) -> None:
    with guarded(framework, regions, BREAKER_OPEN=0.4, BREAKER_PROBES=2) as broker:
        opened(broker, ONE)
        until(lambda: metric(broker, 'circuit_state{plugin="p-one"}') == 1)
        assert [ask(broker, ONE)[0] for _ in range(2)] == [200] * 2
        until(lambda: metric(broker, 'circuit_state{plugin="p-one"}') == 0)
        assert {answer[0] for answer in at_once(broker, 20, ONE)} == {200}
        assert broker.end() == 0
    assert len(said(broker, "answers again")) == 1
    assert 1 <= len(said(broker, "is tried again, by up to 2 requests")) <= WORKERS


def test_a_probe_that_fails_leaves_it_alone_for_longer(
    framework: str, regions: dict[str, str], plugin: Simulated
) -> None:
    with guarded(framework, regions, BREAKER_OPEN=0.2, BREAKER_OPEN_MAX=30, BREAKER_PROBES=1) as broker:
        until(lambda: (ask(broker, DEAD), len(said(broker, "is left alone")) >= 4)[1])
        assert broker.end() == 0
    seconds = [float(re.findall(r"alone for (\S+) s", str(line["message"]))[0]) for line in said(broker, "left alone")]
    for number, one in enumerate(seconds[:4]):
        assert 0.1 * 2**number - 0.05 <= one <= 0.2 * 2**number + 0.05
    assert "it failed when it was tried again" in str(said(broker, "is left alone")[1]["message"])


def test_no_more_probes_than_there_may_be_reach_it_however_many_workers_there_are(
    framework: str, regions: dict[str, str], plugin: Simulated
) -> None:
    with guarded(framework, regions, BREAKER_OPEN=0.2, BREAKER_PROBES=2) as broker:
        opened(broker, ONE)
        until(lambda: metric(broker, 'circuit_state{plugin="p-one"}') == 1)
        plugin.clear()
        answers = at_once(broker, 40, ONE, "delay=1")
        assert len(plugin.asked("/owner_one/x")) == 2
        assert sorted(answer[0] for answer in answers) == [200] * 2 + [503] * 38
        assert {answer[1]["Retry-After"] for answer in answers if answer[0] == 503} == {"1"}
        assert ask(broker, ONE)[0] == 200


@pytest.mark.parametrize("end", ["client leaves", "worker is killed"])
def test_a_probe_that_never_tells_does_not_close_it_off_for_ever(
    framework: str, regions: dict[str, str], plugin: Simulated, end: str
) -> None:
    with guarded(framework, regions, BREAKER_OPEN=0.3, BREAKER_OPEN_MAX=1.5, BREAKER_PROBES=1) as broker:
        opened(broker, ONE)
        until(lambda: metric(broker, 'circuit_state{plugin="p-one"}') == 1)
        with broker.connect() as probe:
            probe.sendall(f"GET {ONE}/probe HTTP/1.1\r\nHost: x\r\nX-Fault: delay=60\r\n\r\n".encode())
            until(lambda: plugin.asked("/probe"))
            assert reason(ask(broker, ONE)) == "Circuit-Open"
            if end == "worker is killed":
                line = said(broker, "is tried again")[-1]
                os.kill(int(str(line["pid"])), signal.SIGKILL)
                assert read_all(probe) in (b"", b"<reset>")
        until(lambda: ask(broker, ONE)[0] == 200, 5)
        assert {answer[0] for answer in at_once(broker, 10, ONE)} == {200}


def test_the_worker_that_found_a_plugin_dead_may_die(
    framework: str, regions: dict[str, str], plugin: Simulated
) -> None:
    with guarded(framework, regions, BREAKER_OPEN=3, BREAKER_OPEN_MAX=3, BREAKER_PROBES=1) as broker:
        opened(broker, ONE)
        os.kill(int(str(said(broker, "is left alone")[0]["pid"])), signal.SIGKILL)
        broker.read_until("worker . serves")
        until(lambda: broker.ask("GET", "/livez")[0] == 200)
        assert {reason(answer) for answer in at_once(broker, 10, ONE) if answer[0] == 503} == {"Circuit-Open"}
        until(lambda: ask(broker, ONE)[0] == 200, 10)


def test_capacity_of_a_plugin_that_is_left_alone_is_not_asked_for(
    framework: str, regions: dict[str, str], plugin: Simulated
) -> None:
    document = json.dumps({"VIMs": ["owner_one", "owner_two"]}).encode()
    with guarded(framework, regions, 1, BREAKER_OPEN=1, BREAKER_OPEN_MAX=1) as broker:
        plugin.faults({"path": "owner_one/capacity_check", "fault": "close", "times": 4})
        for _ in range(4):  # which fail, and say nothing of a plugin
            assert broker.ask("POST", f"{BASE}/v0/check_vim_capacity", document)[0] == 200
        assert ask(broker, ONE)[0] == 200
        opened(broker, ONE)
        plugin.clear()
        assert json.loads(broker.ask("POST", f"{BASE}/v0/check_vim_capacity", document)[2]) == {"VIMs": ["owner_two"]}
        assert [one["target"] for one in plugin.asked("one")] == []
        until(lambda: metric(broker, 'circuit_state{plugin="p-one"}') == 1)
        both = {"VIMs": ["owner_one", "owner_two"]}
        assert json.loads(broker.ask("POST", f"{BASE}/v0/check_vim_capacity", document)[2]) == both
        assert broker.end() == 0
    assert len(said(broker, "VIM owner_one drops out: p-one at ")) == 1


def test_both_can_be_turned_off(framework: str, regions: dict[str, str], plugin: Simulated) -> None:
    with guarded(framework, regions, 1, BREAKER_FAILURES=0, BULKHEAD_MAX=0, BULKHEAD_WAITING=0) as broker:
        assert {ask(broker, DEAD)[0] for _ in range(30)} == {502}
        assert metric(broker, 'circuit_state{plugin="p-dead"}') == 0
        assert {answer[0] for answer in at_once(broker, 30, ONE, "delay=0.5")} == {200}
        assert broker.end() == 0
    assert len(said(broker, "one slow plugin can take all requests that a worker serves (1000)")) == 1


# The bulkhead.


def slow(stack: contextlib.ExitStack, broker: Process, region: str, fault: str = "delay=60") -> socket.socket:
    sock = stack.enter_context(broker.connect())
    sock.sendall(f"GET {region}/slow HTTP/1.1\r\nHost: x\r\nX-Fault: {fault}\r\n\r\n".encode())
    return sock


def test_a_slow_plugin_takes_its_own_share_only(framework: str, regions: dict[str, str], plugin: Simulated) -> None:
    options = {"BULKHEAD_MAX": 3, "BULKHEAD_WAITING": 2, "BULKHEAD_WAIT": 0.3}
    with guarded(framework, regions, 1, **options) as broker, contextlib.ExitStack() as stack:
        held = [slow(stack, broker, ONE) for _ in range(3)]
        until(lambda: in_flight(broker, "one") == 3)
        answers = at_once(broker, 10, ONE)
        assert {(answer[0], reason(answer), answer[1]["Retry-After"]) for answer in answers} == {
            (503, "Plugin-Busy", "1")
        }
        assert "p-one at http://" in json.loads(answers[0][2])["error"]["message"]
        assert {ask(broker, TWO)[0] for _ in range(20)} == {200}
        assert metric(broker, 'upstream_refused_total{by="bulkhead",plugin="p-one"}') == 10
        assert len(plugin.asked("owner_one")) == 3
        held[0].close()
        until(lambda: ask(broker, ONE)[0] == 200)
        for sock in held:
            sock.close()
        until(lambda: in_flight(broker, "one") == 0)
        assert broker.end() == 0
    assert len(said(broker, "has 3 requests of this worker to answer")) == 1
    assert not said(broker, "Plugin-Busy")
    assert not said(broker, "one slow plugin can take all requests")


def test_a_burst_is_no_more_than_there_may_be_however_its_bodies_come(
    framework: str, regions: dict[str, str], plugin: Simulated
) -> None:
    """`http.client` sends heads and bodies apart."""
    with guarded(framework, regions, 1, BULKHEAD_MAX=3, BULKHEAD_WAITING=0) as broker:
        answers = at_once(broker, 16, ONE, "delay=1")
        assert sorted(answer[0] for answer in answers) == [200] * 3 + [503] * 13
        assert len(plugin.asked("owner_one")) == 3


def test_who_waits_is_served_in_turn_and_who_leaves_is_passed_over(
    framework: str, regions: dict[str, str], plugin: Simulated
) -> None:
    options = {"BULKHEAD_MAX": 1, "BULKHEAD_WAITING": 5, "BULKHEAD_WAIT": 30}
    with guarded(framework, regions, 1, **options) as broker, contextlib.ExitStack() as stack:
        first = slow(stack, broker, ONE)
        until(lambda: in_flight(broker, "one") == 1)
        waiting = []
        for number in range(3):
            waiting.append(slow(stack, broker, f"{ONE}/turn-{number}", "delay=0.1"))
            until(lambda: in_flight(broker, "one", "waiting") == len(waiting))
        waiting[1].close()
        until(lambda: in_flight(broker, "one", "waiting") == 2)
        first.close()
        for number in (0, 2):
            assert waiting[number].recv(4096).startswith(b"HTTP/1.1 200 ")
        until(lambda: in_flight(broker, "one") == in_flight(broker, "one", "waiting") == 0)
    turns = [one["target"].split("/")[-2] for one in plugin.asked("/turn-")]
    assert turns == ["turn-0", "turn-2"]


@pytest.mark.parametrize("kind", ["upload", "download"])
def test_slow_clients_do_not_hold_a_plugin_from_others(
    framework: str, regions: dict[str, str], plugin: Simulated, kind: str
) -> None:
    options = {"BULKHEAD_MAX": 2, "BULKHEAD_WAITING": 0}
    with guarded(framework, regions, 1, **options) as broker, contextlib.ExitStack() as stack:
        for _ in range(2):
            sock = stack.enter_context(socket.socket())
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.connect(("127.0.0.1", broker.port))
            if kind == "upload":
                sock.sendall(f"PUT {ONE}/held HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nx".encode())
            else:
                sock.sendall(f"GET {ONE}/held HTTP/1.1\r\nHost: x\r\nX-Fault: huge=100000000\r\n\r\n".encode())
        until(lambda: len(plugin.asked("/held")) == 2)
        until(lambda: in_flight(broker, "one") == 0)
        assert [ask(broker, ONE)[0] for _ in range(10)] == [200] * 10


def test_a_plugin_that_hangs_within_its_answer_is_slow_too(
    framework: str, regions: dict[str, str], plugin: Simulated
) -> None:
    with guarded(framework, regions, 1, BULKHEAD_MAX=2, BULKHEAD_WAITING=0) as broker, contextlib.ExitStack() as stack:
        for _ in range(2):
            assert slow(stack, broker, ONE, "trickle=60").recv(12) == b"HTTP/1.1 200"
        until(lambda: in_flight(broker, "one") == 2)
        assert reason(ask(broker, ONE)) == "Plugin-Busy"
        assert ask(broker, TWO)[0] == 200


FAULTS = ("", "delay=0.05", "close", "reset", "garbage", "cut", "cut-at-head", "cut-chunked", "switch", "trickle=0.01",
          "extra", "early-hints", "huge=1000000", "status=503", "delay=3")  # fmt: skip


def test_after_a_storm_of_every_kind_of_end_no_place_is_held(
    framework: str, regions: dict[str, str], plugin: Simulated
) -> None:
    options = {"BULKHEAD_MAX": 4, "BULKHEAD_WAITING": 8, "BULKHEAD_WAIT": 0.1, "BREAKER_FAILURES": 10,
               "BREAKER_OPEN": 0.1, "BREAKER_OPEN_MAX": 0.2, "RESPONSE_TIMEOUT": 0.5, "RETRY_PERCENT": 20}  # fmt: skip

    def one(number: int) -> None:
        """Every third leaves at once, or in the middle."""
        fault, method = FAULTS[number % len(FAULTS)], "GET" if number % 2 else "POST"
        if number % 3:
            with contextlib.suppress(http.client.HTTPException, ConnectionError):
                ask(broker, ONE, fault, method)
            return
        with broker.connect() as sock:
            sock.sendall(
                f"{method} {ONE}/x HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nX-Fault: {fault}\r\n\r\n".encode()
            )
            if number % 2:
                sock.sendall(b"123456789")
                sock.recv(16)

    with guarded(framework, regions, 2, **options) as broker:
        with ThreadPoolExecutor(24) as pool:
            list(pool.map(one, range(450)))
        until(lambda: in_flight(broker, "one") == in_flight(broker, "one", "waiting") == 0)
        assert metric(broker, 'upstream_refused_total{by="bulkhead",plugin="p-one"}') > 0
        until(lambda: [ask(broker, ONE)[0] for _ in range(8)] == [200] * 8)
        until(lambda: in_flight(broker, "one") == 0)
        assert broker.end() == 0
    assert not [line for line in broker.log() if "traceback" in line]
