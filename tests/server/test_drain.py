"""How the broker ends: a pause in which it still serves, what waits in the kernel, what is in flight, who hurries it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from app.simulators.regions import provider_plugins
from tests.conftest import Process, a_broker, children, read_all, started, until

ECHO = str(Path(__file__).with_name("echo.py"))
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
UPLOAD = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhe"


def _echo(workers: int = 1, **limits: float) -> contextlib.AbstractContextManager[Process]:
    supervision = {name: limits[name] for name in ("drain_pause", "grace_period") if name in limits}
    return started(ECHO, str(workers), json.dumps(limits), env={"SUPERVISION": json.dumps(supervision)})


def _all_serve(process: Process, workers: int) -> None:
    until(lambda: sum("serves" in line for line in process.lines) >= workers)


def _answer(sock: socket.socket, request: bytes = GET) -> bytes:
    """To the end of its head; the whole of these short ones is there by then."""
    sock.sendall(request)
    answer = b""
    while b"\r\n\r\n" not in answer:
        piece = sock.recv(65536)
        assert piece, answer
        answer += piece
    return answer


def test_in_the_pause_readiness_is_503_and_whoever_comes_is_served_and_told_to_go(framework: str) -> None:
    with a_broker(framework, 2, BROKER_SERVER_DRAIN_PAUSE="1.5") as broker, broker.connect() as kept:
        _all_serve(broker, 2)
        assert b"Connection: close" not in _answer(kept, b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
        since = time.monotonic()
        broker.popen.send_signal(signal.SIGTERM)
        until(lambda: broker.ask("GET", "/readyz")[0] == 503)
        until(lambda: sum("drains" in line for line in broker.lines) == 2)
        for _ in range(20):  # of all workers
            assert broker.ask("GET", "/readyz")[0] == 503
            status, headers, _ = broker.ask("GET", "/api/multicloud/v0/vim_types")
            assert (status, headers["Connection"]) == (200, "close")
        assert broker.ask("GET", "/livez")[0] == 200
        assert b"Connection: close" in _answer(kept, b"GET /api/multicloud/v0/vim_types HTTP/1.1\r\nHost: x\r\n\r\n")
        assert time.monotonic() - since < 1.4
        assert broker.popen.wait(20) == 0
        assert 1.5 < time.monotonic() - since < 5


def test_without_a_pause_an_idle_broker_ends_at_once() -> None:
    with _echo(2) as process:
        _all_serve(process, 2)
        since = time.monotonic()
        assert process.end() == 0
        assert time.monotonic() - since < 1


def test_what_waits_to_be_accepted_is_served() -> None:
    """The worker is stopped while they come, and then busy with the first ones until the socket is to be closed, which
    would reset the rest."""
    with _echo() as process, contextlib.ExitStack() as stack:
        _all_serve(process, 1)
        (worker,) = children(process.popen.pid)
        os.kill(worker, signal.SIGSTOP)
        socks = [stack.enter_context(process.connect()) for _ in range(100)]
        for sock in socks:
            sock.sendall(b"GET /nap HTTP/1.1\r\nHost: x\r\n\r\n")
        process.popen.send_signal(signal.SIGTERM)
        process.read_until("stopping children")
        os.kill(worker, signal.SIGCONT)
        answers = [read_all(sock) for sock in socks]
        assert process.popen.wait(20) == 0
    assert Counter(answer[:15] for answer in answers) == {b"HTTP/1.1 200 OK": 100}


def test_a_connection_that_has_sent_nothing_yet_is_closed_in_order() -> None:
    """The kernel holds it back (TCP_DEFER_ACCEPT), and would reset it."""
    with _echo(drain_pause=2.5) as process, process.connect() as silent, process.connect() as late:
        _all_serve(process, 1)
        process.popen.send_signal(signal.SIGTERM)
        process.read_until("stopping children")
        time.sleep(2)
        assert b"Connection: close" in _answer(late)
        assert read_all(silent) == b""
        assert process.popen.wait(20) == 0


def test_a_client_that_was_not_told_has_its_next_request_answered() -> None:
    """The head of the answer that it is at went out before: without a word, the connection is open to it."""
    with _echo() as process, process.connect() as sock:
        _all_serve(process, 1)
        assert b"Connection: close" not in _answer(sock, UPLOAD)
        process.popen.send_signal(signal.SIGTERM)
        process.read_until("stopping children")
        time.sleep(0.3)
        sock.sendall(b"llo")
        answer = b""
        while not answer.endswith(b"0\r\n\r\n"):
            answer += sock.recv(4096)
        time.sleep(0.3)
        assert b"Connection: close" in _answer(sock)
        assert process.popen.wait(20) == 0


def test_a_client_that_sends_one_request_after_the_other_has_its_next_one_answered() -> None:
    with _echo() as process, process.connect() as sock:
        _all_serve(process, 1)
        _answer(sock)
        process.popen.send_signal(signal.SIGTERM)
        process.read_until("drains")
        time.sleep(0.3)  # after the idle ones were closed
        assert b"Connection: close" in _answer(sock)
        assert process.popen.wait(20) == 0


def test_idle_connections_are_closed_and_a_request_that_has_come_is_answered_first() -> None:
    with _echo() as process, process.connect() as idle, process.connect() as late:
        _all_serve(process, 1)
        _answer(idle), _answer(late)
        time.sleep(1.1)
        (worker,) = children(process.popen.pid)
        os.kill(worker, signal.SIGSTOP)
        late.sendall(GET)
        process.popen.send_signal(signal.SIGTERM)
        process.read_until("stopping children")
        os.kill(worker, signal.SIGCONT)
        assert read_all(idle) == b""
        assert read_all(late).startswith(b"HTTP/1.1 200")
        assert process.popen.wait(20) == 0


@pytest.mark.parametrize("pause", [0, 60])
@pytest.mark.parametrize("signo", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_hurries(pause: float, signo: int) -> None:
    with _echo(2, drain_pause=pause, grace_period=60) as process, process.connect() as busy:
        _all_serve(process, 2)
        _answer(busy, UPLOAD)
        process.popen.send_signal(signal.SIGTERM)
        process.read_until("stopping children")
        time.sleep(0.3)
        assert process.popen.poll() is None
        since = time.monotonic()
        assert process.end(signo) == 0
        assert time.monotonic() - since < 1.5
        assert not read_all(busy).endswith(b"0\r\n\r\n")
    assert [line for line in process.lines if "at once, as it was told to: 1 requests were cut" in line]
    assert not [line for line in process.lines if "did not end in time" in line]


def test_two_signals_at_once_are_one_word() -> None:
    """As `timeout` sends them: to the process, and then to its group."""
    with _echo() as process, process.connect() as busy:
        _all_serve(process, 1)
        head = _answer(busy, UPLOAD)
        os.kill(process.popen.pid, signal.SIGTERM)
        os.kill(process.popen.pid, signal.SIGINT)
        process.read_until("stopping children")
        time.sleep(0.3)
        busy.sendall(b"llo")
        assert (head + read_all(busy)).count(b"llo") == 1
        assert process.popen.wait(20) == 0


def test_a_signal_to_all_processes_is_one_word_too() -> None:
    """As systemd sends it. The pause is kept, whoever heard it first."""
    with _echo(2, drain_pause=1.5) as process:
        _all_serve(process, 2)
        since = time.monotonic()
        for pid in (*children(process.popen.pid), process.popen.pid):
            os.kill(pid, signal.SIGTERM)
        until(lambda: time.monotonic() - since > 0.8)
        assert process.ask("GET", "/")[2] == b"hello"
        assert process.popen.wait(20) == 0
        assert time.monotonic() - since > 1.5


def test_one_worker_that_is_told_to_end_is_replaced_and_the_broker_stays_ready(framework: str) -> None:
    with a_broker(framework, 1) as broker, broker.connect() as kept:
        _all_serve(broker, 1)
        worker = next(int(str(entry["pid"])) for entry in broker.log() if "serves" in str(entry["message"]))
        _answer(kept, b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
        os.kill(worker, signal.SIGTERM)
        assert _answer(kept, b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n").startswith(b"HTTP/1.1 200")
        assert broker.ask("GET", "/readyz")[0] == 200  # its connection waits for the next one
        until(lambda: worker not in children(broker.popen.pid))
        assert broker.end() == 0


def test_a_cut_request_has_its_access_line(framework: str, tmp_path: Path) -> None:
    plugin = deaf_plugin()
    map_file = tmp_path / "map.json"
    map_file.write_text(json.dumps(provider_plugins(f"http://127.0.0.1:{plugin.getsockname()[1]}")))
    env = {"BROKER_SERVER_GRACE_PERIOD": "0.3", "BROKER_PLUGINS_MAP_FILE": str(map_file)}
    with plugin, a_broker(framework, 1, **env) as broker, broker.connect() as busy:
        _all_serve(broker, 1)
        busy.sendall(
            b"GET /api/multicloud/v0/vmware_fake/tenants HTTP/1.1\r\nHost: x\r\nX-RequestID: the-cut-one\r\n\r\n"
        )
        asked, _ = plugin.accept()
        with asked:
            assert asked.recv(4096)
            assert broker.end() == 0
        assert read_all(busy) == b""
    lines = [entry for entry in broker.log() if entry.get("request_id") == "the-cut-one"]
    assert [entry["status"] for entry in lines] == [499]
    assert [
        entry for entry in broker.log() if "after its grace period: 1 requests were cut" in str(entry.get("message"))
    ]


def deaf_plugin() -> socket.socket:
    """A plugin that takes connections and answers nobody."""
    return socket.create_server(("127.0.0.1", 0))


class Client(threading.Thread):
    """Sends one request after the other, and heeds no readiness, only `Connection: close`; counts what it saw."""

    def __init__(self, process: Process, kept: bool) -> None:
        super().__init__(daemon=True)
        self.process = process
        self.kept = kept
        self.seen: Counter[str] = Counter()

    def run(self) -> None:
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", self.process.port, timeout=20)
            with contextlib.closing(connection):
                try:
                    connection.connect()
                except ConnectionRefusedError:
                    return
                self._use(connection)

    def _use(self, connection: http.client.HTTPConnection) -> None:
        while True:
            try:
                connection.request("POST", "/whole", b"body")
                answer = connection.getresponse()
                self.seen["answered" if answer.read() == b"body" else "garbled"] += 1
            except (OSError, http.client.HTTPException) as error:
                self.seen[f"lost: {error!r}"] += 1
                return
            if answer.will_close or not self.kept:
                return


@pytest.mark.parametrize("pause", [0, 0.3])
@pytest.mark.parametrize("repeat", range(3))
def test_a_drain_under_load_loses_nothing(pause: float, repeat: int) -> None:
    """Not even a POST, which nobody may send again; `make faults` has it a hundred times."""
    with _echo(2, drain_pause=pause) as process:
        _all_serve(process, 2)
        clients = [Client(process, kept) for kept in (True, True, False, False)]
        for client in clients:
            client.start()
        until(lambda: sum(client.seen.total() for client in clients) > 100)
        assert process.end() == 0
        for client in clients:
            client.join(30)
    seen = sum((client.seen for client in clients), Counter())
    assert set(seen) == {"answered"}, seen
