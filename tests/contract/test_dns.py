"""The system's own resolver and a real name service: an address that changes, a server that is gone or answers nothing.

The broker runs in a mount namespace with a resolv.conf of its own, which needs root.
"""

from __future__ import annotations

import json
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Process, started, until
from tests.contract.conftest import V0
from tests.contract.listener import Listener, listening

WHERE = "127.0.0.77"
NAME = "plugin.test"


class NameServer:
    """Says what address the name has (RFC 1035, 4); while it is mute, nothing."""

    def __init__(self, sock: socket.socket) -> None:
        self.address = "127.0.0.1"
        self.mute = False
        self.asked = 0
        self._socket = sock
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            question, client = self._socket.recvfrom(512)
            if not question:
                return
            self.asked += 1
            if not self.mute:
                self._socket.sendto(self._answer(question), client)

    def close(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"", self._socket.getsockname())
        self._thread.join(10)

    def _answer(self, question: bytes) -> bytes:
        end = question.index(b"\0", 12) + 5
        asked_for_ipv4 = question[end - 4 : end - 2] == b"\0\1"
        record = struct.pack("!HHHIH", 0xC00C, 1, 1, 1, 4) + socket.inet_aton(self.address) if asked_for_ipv4 else b""
        head = question[:2] + struct.pack("!HHHHH", 0x8180, 1, 1 if record else 0, 0, 0)
        return head + question[12:end] + record


@pytest.fixture
def name_server() -> Iterator[NameServer]:
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode:
        pytest.skip("mount namespaces cannot be made here")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.bind((WHERE, 53))
        except OSError as error:
            pytest.skip(f"port 53 cannot be used here: {error.strerror}")
        server = NameServer(sock)
        yield server
        server.close()


@pytest.fixture
def broker(framework: str, name_server: NameServer, old: Listener, tmp_path: Path) -> Iterator[Process]:
    plugin = {"provider_plugin": "p", "endpoint": f"http://{NAME}:{old.port}"}
    (tmp_path / "map.json").write_text(json.dumps({"vmware": {"vim_type": "vmware", "versions": {}, **plugin}}))
    (tmp_path / "resolv.conf").write_text(f"nameserver {WHERE}\noptions timeout:5 attempts:2\n")
    inside = f"mount --bind {tmp_path}/resolv.conf /etc/resolv.conf && exec {sys.executable} -m app serve"
    env = {
        "WEB_FRAMEWORK": framework,
        "BROKER_SERVER_WORKERS": "1",
        "BROKER_SERVER_PORT": "0",
        "BROKER_PLUGINS_MAP_FILE": str(tmp_path / "map.json"),
        "BROKER_UPSTREAM_RESOLVE_INTERVAL": "0.3",
        "BROKER_UPSTREAM_CONNECT_TIMEOUT": "1",
    }
    script = "import os, sys; os.execvp('unshare', ['unshare', '-m', 'sh', '-c', sys.argv[1]])"
    with started("-c", script, inside, env=env) as process:
        yield process


@pytest.fixture
def old() -> Iterator[Listener]:
    with listening(_said(b"old")) as listener:
        yield listener


def _said(text: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(text), text)


def asked(broker: Process) -> tuple[int, bytes, float]:
    began = time.monotonic()
    status, _, body = broker.ask("GET", V0 + "/x")
    return status, body, time.monotonic() - began


def test_a_pods_new_address(broker: Process, name_server: NameServer, old: Listener) -> None:
    with listening(_said(b"new"), "127.0.0.2", old.port):
        assert asked(broker)[1] == b"old"
        name_server.address = "127.0.0.2"
        until(lambda: asked(broker)[1] == b"new", 5)


def test_a_name_server_that_answers_nothing_and_is_back(
    broker: Process, name_server: NameServer, old: Listener
) -> None:
    assert asked(broker)[1] == b"old"
    name_server.mute = True
    before = name_server.asked
    until(lambda: asked(broker)[1] == b"old" and name_server.asked > before)
    answers = [asked(broker) for _ in range(20)]
    assert {answer[:2] for answer in answers} == {(200, b"old")}
    assert max(seconds for *_, seconds in answers) < 0.8
    began = time.monotonic()
    assert broker.end() == 0  # its thread waits for 10 s in all
    assert time.monotonic() - began < 5


def test_a_name_server_that_never_answered(broker: Process, name_server: NameServer) -> None:
    name_server.mute = True
    status, body, seconds = asked(broker)
    assert (status, seconds < 3) == (504, True), body
    status, body, seconds = asked(broker)
    assert (status, seconds < 0.8) == (504, True), body
