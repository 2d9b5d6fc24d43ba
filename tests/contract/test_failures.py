"""What goes wrong between broker and plugin is visible, and told apart (rules 7, 11, 12, 14, 16, 17)."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import resource
import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, Process, a_broker, children, read_all, until
from tests.contract.conftest import V0, V1, Simulated, told

CLOSE = "Connection: close\r\n"


def error_of(body: bytes) -> dict[str, object]:
    error = json.loads(body)["error"]
    assert set(error) == {"code", "reason", "message", "request_id"}
    return dict(error)


@pytest.mark.parametrize(("fault", "status"), [("close", 502), ("reset", 502), ("garbage", 502), ("switch", 502)])
@pytest.mark.parametrize("where", [V0, V1])
def test_no_answer_is_a_502(broker: Process, plugin: Simulated, fault: str, status: int, where: str) -> None:
    got, headers, body = broker.ask("POST", where + "/x", b"{}", {"X-Fault": fault, "X-ONAP-RequestID": "r1"})
    error = error_of(body)
    assert (got, error["code"], error["request_id"]) == (status, status, "r1")
    assert headers["Content-Type"] == "application/json"
    assert len(plugin.asked()) == 1  # a POST is sent once


@pytest.mark.parametrize("fault", ["cut", "cut-chunked"])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_an_answer_that_is_cut_is_never_well_formed(
    broker: Process, plugin: Simulated, fault: str, version: str
) -> None:
    with broker.connect() as sock:
        sock.sendall(f"GET {V0}/x HTTP/{version}\r\nHost: x\r\nX-Fault: {fault}\r\n\r\n".encode())
        raw = read_all(sock)
    assert not raw.endswith(b"0\r\n\r\n")
    assert raw.endswith(b"<reset>") or b"Content-Length: 100" in raw
    assert b"HTTP/1.1 502" in raw or b"half of i" in raw


def test_http_client_sees_the_cut(broker: Process, plugin: Simulated) -> None:
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        broker.ask("GET", V0 + "/x", headers={"X-Fault": "cut-chunked"})


def test_extra_bytes_poison_only_their_connection(broker: Process, plugin: Simulated) -> None:
    answer = told(200, body=b"fine")
    for _ in range(6):
        assert broker.ask("GET", V0 + "/x", headers={"X-Fault": "extra", "X-Answer": answer})[2] == b"fine"
    assert broker.ask("GET", V0 + "/x", headers={"X-Answer": answer})[2] == b"fine"


def test_a_get_is_sent_again_once_a_post_is_not(broker: Process, plugin: Simulated) -> None:
    plugin.faults({"path": "/again", "fault": "close", "times": 1})
    assert broker.ask("GET", V0 + "/again")[0] == 200
    assert len(plugin.asked("/again")) == 2
    plugin.faults({"path": "/once", "fault": "close", "times": 1})
    assert broker.ask("POST", V0 + "/once", b"{}")[0] == 502
    assert len(plugin.asked("/once")) == 1


def test_a_get_that_fails_twice_is_a_502(broker: Process, plugin: Simulated) -> None:
    plugin.faults({"path": "/again", "fault": "close", "times": 5})
    assert broker.ask("GET", V0 + "/again")[0] == 502
    assert len(plugin.asked("/again")) == 2


def test_a_client_that_leaves_while_uploading_is_never_complete(broker: Process, plugin: Simulated) -> None:
    with broker.connect() as sock:
        sock.sendall(f"PUT {V0}/upload HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n".encode() + b"x" * 50000)
        until(lambda: plugin.asked("/upload"))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert broker.ask("GET", V0 + "/x")[0] == 200
    assert [one["complete"] for one in plugin.asked("/upload")] == [False]


def test_a_client_that_leaves_cancels_its_request(scene: dict[str, str], framework: str, plugin: Simulated) -> None:
    """The plugin trickles for ever; it is told, by the closed connection, to stop."""
    with a_broker(framework, **scene) as broker:
        with broker.connect() as sock:
            answer = told(200, body=b"x" * 3000)
            sock.sendall(
                f"GET {V0}/x HTTP/1.1\r\nHost: x\r\nX-Fault: trickle=0.05\r\nX-Answer: {answer}\r\n\r\n".encode()
            )
            assert sock.recv(4096).startswith(b"HTTP/1.1 200")
            assert _connections_to(plugin.port, broker) == 1
        until(lambda: _connections_to(plugin.port, broker) == 0, 5)
        with broker.connect() as sock:
            sock.sendall(f"GET {V0}/x HTTP/1.1\r\nHost: x\r\nX-Fault: delay=60\r\n\r\n".encode())
            until(lambda: _connections_to(plugin.port, broker) == 1)
        until(lambda: _connections_to(plugin.port, broker) == 0, 5)
        until(lambda: "499" in _metrics(broker))


def _metrics(broker: Process) -> str:
    return broker.ask("GET", "/metrics")[2].decode()


def _connections_to(port: int, broker: Process) -> int:
    """The broker's established connections to a local port, as the kernel lists them."""
    theirs: set[str] = set()
    for descriptor in (fd for pid in children(broker.popen.pid) for fd in Path(f"/proc/{pid}/fd").iterdir()):
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            theirs.add(os.readlink(descriptor))
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(
        1 for row in rows if row[2].endswith(f":{port:04X}") and row[3] == "01" and f"socket:[{row[9]}]" in theirs
    )


def test_time_limits_are_504(scene: dict[str, str], framework: str, plugin: Simulated) -> None:
    limits = dict.fromkeys(("CONNECT_TIMEOUT", "RESPONSE_TIMEOUT", "IDLE_TIMEOUT"), "0.3")
    limits = {f"BROKER_UPSTREAM_{name}": value for name, value in limits.items()}
    with a_broker(framework, **scene, **limits) as broker:
        status, _, body = broker.ask("GET", V0 + "/x", headers={"X-Fault": "delay=5"})
        assert (status, "multicloud-vio" in str(error_of(body)["message"])) == (504, True)
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            broker.ask("GET", V0 + "/x", headers={"X-Fault": "trickle=5", "X-Answer": told(200, body=b"abc")})


def test_a_plugin_that_is_not_there_is_a_502(scene: dict[str, str], framework: str, tmp_path: object) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with a_broker(
        framework, **{**scene, "BROKER_PLUGINS_MAP_FILE": "", "MSB_ADDR": "127.0.0.1", "MSB_PORT": str(port)}
    ) as broker:
        status, _, body = broker.ask("GET", V0 + "/x")
    assert status == 502
    assert "multicloud-vio" in str(error_of(body)["message"])


def test_a_plugin_that_fails_right_after_its_head_is_told_and_logged(
    scene: dict[str, str], framework: str, plugin: Simulated
) -> None:
    """A 502 while nothing has been sent, else a cut; the log knows it by the client's id, and has no traceback."""
    with a_broker(framework, **scene) as broker:
        request = f"GET {V0}/x HTTP/1.1\r\nHost: x\r\nX-Fault: cut-at-head\r\nX-ONAP-RequestID: mine\r\n\r\n"
        with broker.connect() as sock:
            sock.sendall(request.encode())
            answer = read_all(sock)
        assert broker.end() == 0
    assert answer.startswith(b"HTTP/1.1 502 ") or answer.endswith((b"<reset>", b"\r\n\r\n"))
    (access,) = (line for line in broker.log() if line["logger"] == "access")
    assert (access["status"], access["request_id"]) == (502, "mine")
    assert [line for line in broker.log() if "request mine" in str(line.get("message"))]
    assert not [line for line in broker.log() if "traceback" in line]


@pytest.mark.parametrize("log_format", ["json", "plain"])
def test_a_log_that_cannot_be_written_fails_no_request(
    scene: dict[str, str], framework: str, plugin: Simulated, log_format: str, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = {"WEB_FRAMEWORK": framework, "BROKER_SERVER_PORT": str(port), "BROKER_LOGS_FORMAT": log_format}
    with open("/dev/full", "w") as full:
        env = {**os.environ, **scene, **settings, "BROKER_SERVER_WORKERS": "1"}
        popen = subprocess.Popen([sys.executable, "-m", "app", "serve"], cwd=ROOT, env=env, stdout=full, stderr=full)
    broker = Process.of(popen, port)
    try:
        until(lambda: _listens(port))
        assert broker.ask("POST", V0 + "/t/networks", b"{}")[0] == 400  # the plugin's own answer
        assert broker.ask("GET", V0 + "/tenants")[0] == 200
        assert broker.raw(b"no http\r\n\r\n").startswith(b"HTTP/1.1 ")
    finally:
        popen.terminate()
        assert popen.wait(30) == 0


def _listens(port: int) -> bool:
    with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


def test_without_descriptors_for_plugins_a_request_is_a_503(
    scene: dict[str, str], framework: str, plugin: Simulated
) -> None:
    with a_broker(framework, **scene) as broker, contextlib.ExitStack() as stack:
        sock = stack.enter_context(broker.connect())
        sock.sendall(f"GET {V0.replace('vmware_fake', 'bad')}/x HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert sock.recv(4096).startswith(b"HTTP/1.1 400")
        worker = next(
            pid
            for pid in children(broker.popen.pid)
            if any(f'"pid": {pid},' in line and "serves" in line for line in broker.lines)
        )
        taken = {int(fd.name) for fd in Path(f"/proc/{worker}/fd").iterdir()}
        free = next(number for number in range(10_000) if number not in taken)
        resource.prlimit(worker, resource.RLIMIT_NOFILE, (free, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        sock.sendall(f"GET {V0}/x HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert sock.recv(4096).startswith(b"HTTP/1.1 503")
