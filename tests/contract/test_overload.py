"""Too much is refused quickly and in words, health is answered all the same, and afterwards all is as before (rule 20)."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import resource
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Process, a_broker, children, read_all, until
from tests.contract.conftest import BASE, V0, Simulated

PROBES = ("/livez", "/readyz", "/healthz", "/startupz", "/metrics")
SLOW = f"GET {V0}/x HTTP/1.1\r\nHost: x\r\nX-Fault: delay=60\r\n\r\n".encode()
OWN = f"{BASE}/v0/vim_types"


def open_and_send(stack: contextlib.ExitStack, broker: Process, data: bytes) -> socket.socket:
    sock = stack.enter_context(broker.connect())
    sock.sendall(data)
    return sock


def upload(length: int = 100_000, sent: bytes = b"x") -> bytes:
    return f"PUT {V0}/up HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode() + sent


def in_flight(broker: Process) -> float:
    text = broker.ask("GET", "/metrics")[2].decode()
    return float(text.split("\nmulticloud_http_requests_in_flight ")[1].split("\n")[0])


def assert_shed(answer: tuple[int, http.client.HTTPMessage, bytes]) -> None:
    status, headers, body = answer
    assert (status, headers["Retry-After"], headers["Connection"]) == (503, "1", "close")
    assert json.loads(body)["error"]["reason"] == "Service-Unavailable"


def assert_probes_answer(broker: Process) -> None:
    assert [broker.ask("GET", path)[0] for path in PROBES] == [200] * len(PROBES)


def test_past_the_bound_of_requests_a_quick_503_and_health_answers(
    scene: dict[str, str], framework: str, plugin: Simulated
) -> None:
    with a_broker(framework, **scene, BROKER_SERVER_REQUESTS_MAX="3") as broker:
        with contextlib.ExitStack() as stack:
            for _ in range(3):
                open_and_send(stack, broker, SLOW)
            until(lambda: in_flight(broker) >= 3)
            for path in (OWN, V0 + "/x"):
                assert_shed(broker.ask("GET", path))
            assert_probes_answer(broker)
            assert broker.ask("PUT", V0 + "/x", b"small")[0] == 503  # it has arrived whole: a request like others
        until(lambda: broker.ask("GET", OWN)[0] == 200)
        assert broker.ask("GET", V0 + "/x")[0] == 200
        assert 'code="503"' in broker.ask("GET", "/metrics")[2].decode()
        assert broker.end() == 0
    assert len([line for line in broker.log() if "overload" in str(line.get("message"))]) == 1


def test_uploads_that_have_not_arrived_whole_have_a_bound_of_their_own(
    scene: dict[str, str], framework: str, plugin: Simulated
) -> None:
    settings = {"BROKER_SERVER_REQUESTS_MAX": "2", "BROKER_SERVER_UPLOADS_MAX": "3"}
    with a_broker(framework, **scene, **settings) as broker, contextlib.ExitStack() as stack:
        first = [open_and_send(stack, broker, upload()) for _ in range(3)]
        until(lambda: len(plugin.asked("/up")) == 3)
        for sock in first:  # they move, so that none stands still
            sock.sendall(b"x" * 1000)
        with broker.connect() as sock:
            sock.sendall(upload())
            assert read_all(sock).startswith(b"HTTP/1.1 503 ")
        assert broker.ask("GET", OWN)[0] == 200  # three uploads leave both requests free
        whole = upload(5, b"small").replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")  # in one segment: no upload
        assert broker.raw(whole).startswith(b"HTTP/1.1 200 ")
        assert_probes_answer(broker)


def test_at_the_bound_an_upload_that_stands_still_gives_way(
    scene: dict[str, str], framework: str, plugin: Simulated
) -> None:
    with a_broker(framework, **scene, BROKER_SERVER_UPLOADS_MAX="2") as broker, contextlib.ExitStack() as stack:
        first = open_and_send(stack, broker, upload())
        until(lambda: plugin.asked("/up"))
        open_and_send(stack, broker, upload())
        assert read_all(first).startswith(b"HTTP/1.1 408 ")
        assert json.loads(broker.ask("PUT", V0 + "/x", b"x" * 100_000)[2])["length"] == 100_000
        assert [one["complete"] for one in plugin.asked("/up")] == [False, False]


def stalled_download(stack: contextlib.ExitStack, broker: Process, size: int = 1 << 28) -> socket.socket:
    """A client that asks for much and reads nothing."""
    sock = stack.enter_context(socket.socket())
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.settimeout(20)
    sock.connect(("127.0.0.1", broker.port))
    sock.sendall(f"GET {V0}/x HTTP/1.1\r\nHost: x\r\nX-Fault: huge={size}\r\n\r\n".encode())
    return sock


def test_at_the_bound_a_client_that_reads_nothing_is_cut(
    scene: dict[str, str], framework: str, plugin: Simulated
) -> None:
    settings = {"BROKER_SERVER_REQUESTS_MAX": "2", "BROKER_SERVER_DOWNLOADS_MAX": "2"}
    with a_broker(framework, **scene, **settings) as broker, contextlib.ExitStack() as stack:
        for _ in range(3):
            stalled_download(stack, broker)
        broker.read_until('"status": 499')
        assert broker.ask("GET", OWN)[0] == 200


def test_a_slow_reader_is_cut_by_its_rate_and_one_that_reads_on_is_not(
    scene: dict[str, str], framework: str, plugin: Simulated
) -> None:
    """The slow one takes nothing; the other some 60 kB a second, through a buffer that the kernel reports as full."""
    settings = {"BROKER_SERVER_BODY_GRACE": "1", "BROKER_SERVER_BODY_RATE": "20000"}
    with a_broker(framework, **scene, **settings) as broker, contextlib.ExitStack() as stack:
        slow, steady = stalled_download(stack, broker), stalled_download(stack, broker)
        until(lambda: in_flight(broker) == 2)
        taken = [0]

        def cut() -> bool:
            taken[0] += len(steady.recv(1200))
            return in_flight(broker) < 2

        until(cut)
        for _ in range(50):
            assert len(steady.recv(1200)) > 0
        assert in_flight(broker) == 1
        assert len(read_all(slow)) < 1 << 28


def test_a_body_that_comes_too_slowly_is_a_408(scene: dict[str, str], framework: str, plugin: Simulated) -> None:
    settings = {"BROKER_SERVER_BODY_GRACE": "0.5", "BROKER_SERVER_BODY_RATE": "1000"}
    with a_broker(framework, **scene, **settings) as broker, broker.connect() as sock:
        sock.sendall(upload(10_000))
        sock.settimeout(0.02)
        answer = b""
        for _ in range(1000):  # some 50 bytes a second
            with contextlib.suppress(TimeoutError):
                answer = sock.recv(4096)
                break
            sock.sendall(b"x")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"body_rate" in answer


def test_a_slow_plugin_is_not_the_clients_fault(framework: str, tmp_path: Path) -> None:
    """It reads nothing for a while, and the broker nothing of its client: that time is not the client's."""
    size = 8 << 20
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        plugin = {"provider_plugin": "multicloud-vio", "endpoint": f"http://127.0.0.1:{listener.getsockname()[1]}"}
        (tmp_path / "map").write_text(json.dumps({"vmware": {"vim_type": "vmware", "versions": {"4.0": plugin}}}))
        settings = {"BROKER_SERVER_BODY_GRACE": "0.3", "BROKER_SERVER_BODY_RATE": "1048576"}
        broker = stack.enter_context(a_broker(framework, BROKER_PLUGINS_MAP_FILE=str(tmp_path / "map"), **settings))
        client = stack.enter_context(broker.connect(30))
        sending = threading.Thread(target=client.sendall, args=(upload(size, b"x" * size),))
        sending.start()
        sock = stack.enter_context(listener.accept()[0])
        stalled = time.monotonic() + 12  # what fits into the buffers has a credit of some 10 s at this rate
        until(lambda: time.monotonic() > stalled)
        got = 0
        while got < size:
            got += len(sock.recv(1 << 20))
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        sending.join(30)
        assert client.recv(4096).startswith(b"HTTP/1.1 200 ")


def test_a_total_limit_ends_what_takes_too_long_in_all(
    scene: dict[str, str], framework: str, plugin: Simulated
) -> None:
    with a_broker(framework, **scene, BROKER_UPSTREAM_TOTAL_TIMEOUT="0.5") as broker:
        status, _, body = broker.ask("GET", V0 + "/x", headers={"X-Fault": "delay=20"})
        assert (status, "upstream.total_timeout" in body.decode()) == (504, True)
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            broker.ask("GET", V0 + "/x", headers={"X-Fault": "trickle=0.05"})
        assert broker.ask("GET", V0 + "/x")[0] == 200


@pytest.fixture
def crowded(scene: dict[str, str], framework: str) -> Iterator[Process]:
    with a_broker(framework, **scene, BROKER_SERVER_CONNECTIONS_MAX="10") as broker:
        yield broker


def test_at_the_cap_the_oldest_idle_connection_is_closed(crowded: Process) -> None:
    with contextlib.ExitStack() as stack:
        request = f"GET {OWN} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        socks = [open_and_send(stack, crowded, request) for _ in range(10)]
        assert all(sock.recv(65536).startswith(b"HTTP/1.1 200") for sock in socks)
        assert crowded.ask("GET", OWN)[0] == 200
        assert socks[0].recv(10) == b""
        for sock in socks[1:]:
            sock.sendall(request)
            assert sock.recv(65536).startswith(b"HTTP/1.1 200")


def test_at_the_cap_unfinished_heads_make_room(crowded: Process) -> None:
    with contextlib.ExitStack() as stack:
        half = f"GET {OWN} HTTP/1.1\r\nHost: x\r\n".encode()
        socks = [open_and_send(stack, crowded, half) for _ in range(30)]
        assert crowded.ask("GET", OWN)[0] == 200
        assert read_all(socks[0]).startswith(b"HTTP/1.1 503 ")


def test_at_the_cap_of_served_connections_probes_are_answered_and_others_refused(
    crowded: Process, plugin: Simulated
) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(10):
            open_and_send(stack, crowded, SLOW)
        until(lambda: len(plugin.asked("/x")) == 10)
        assert_probes_answer(crowded)
        assert_shed(crowded.ask("GET", OWN))
    until(lambda: crowded.ask("GET", OWN)[0] == 200)


def worker_of(broker: Process) -> int:
    """The pid of the only worker."""
    until(lambda: any("serves" in line for line in broker.lines))
    return next(
        pid
        for pid in children(broker.popen.pid)
        if any(f'"pid": {pid},' in line and "serves" in line for line in broker.lines)
    )


def test_without_descriptors_idle_connections_go_and_the_worker_recovers(framework: str) -> None:
    with a_broker(framework) as broker, contextlib.ExitStack() as stack:
        worker = worker_of(broker)
        request = f"GET {OWN} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        idle = [open_and_send(stack, broker, request) for _ in range(5)]
        assert all(sock.recv(65536).startswith(b"HTTP/1.1 200") for sock in idle)
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.prlimit(worker, resource.RLIMIT_NOFILE, (_first_free(worker), hard))
        for _ in range(3):
            assert broker.ask("GET", OWN)[0] == 200
        broker.read_until("cannot accept connections")
        resource.prlimit(worker, resource.RLIMIT_NOFILE, (hard, hard))
        broker.read_until("can be accepted again")
        assert broker.ask("GET", OWN)[0] == 200
        assert broker.end() == 0
    assert len([line for line in broker.log() if "accept" in str(line.get("message"))]) == 2


def _first_free(pid: int) -> int:
    taken = {int(fd.name) for fd in Path(f"/proc/{pid}/fd").iterdir()}
    return next(number for number in range(os.sysconf("SC_OPEN_MAX")) if number not in taken)


def test_one_client_has_its_requests_at_once(scene: dict[str, str], framework: str, plugin: Simulated) -> None:
    """Over both workers together; another client, by its address, is not concerned."""
    with a_broker(framework, 2, **scene, BROKER_CLIENTS_REQUESTS_MAX="3") as broker:
        until(lambda: broker.ask("GET", "/livez")[0] == 200)
        with contextlib.ExitStack() as stack:
            for _ in range(3):
                open_and_send(stack, broker, SLOW)
            until(lambda: len(plugin.asked("/x")) == 3)
            status, headers, body = broker.ask("GET", OWN)
            assert (status, headers["Retry-After"]) == (429, "1")
            assert json.loads(body)["error"]["reason"] == "Too-Many-Requests"
            assert_probes_answer(broker)
            other = http.client.HTTPConnection("127.0.0.1", broker.port, source_address=("127.0.0.2", 0))
            other.request("GET", OWN)
            assert other.getresponse().status == 200
            other.close()
        until(lambda: broker.ask("GET", OWN)[0] == 200)


def test_one_client_has_its_rate(scene: dict[str, str], framework: str, plugin: Simulated) -> None:
    settings = {"BROKER_CLIENTS_RATE": "0.02", "BROKER_CLIENTS_RATE_WINDOW": "500"}
    with a_broker(framework, 2, **scene, **settings) as broker:
        until(lambda: broker.ask("GET", "/livez")[0] == 200)
        answers = [broker.ask("GET", OWN) for _ in range(15)]
        assert_probes_answer(broker)
    statuses = [status for status, _, _ in answers]
    assert statuses.count(200) in range(5, 11)  # a window may begin meanwhile
    assert set(statuses) == {200, 429}
    assert all(1 <= int(headers["Retry-After"]) <= 1000 for status, headers, _ in answers if status == 429)
