"""Probes, metrics, logs and ids; and that no secret is in any of them."""

from __future__ import annotations

import json
import os
import re
import signal
import uuid
from pathlib import Path

import pytest

from tests.conftest import Process, a_broker, children, until
from tests.contract.conftest import BASE, PASSWORD, V0, Simulated

PROBES = ("/livez", "/readyz", "/startupz", "/healthz")


@pytest.mark.parametrize("probe", PROBES)
def test_a_probe_says_ok(broker: Process, probe: str) -> None:
    until(lambda: broker.ask("GET", "/livez")[0] == 200)  # it listens before the last worker has begun
    status, headers, body = broker.ask("GET", probe)
    assert (status, body, headers.get_content_type()) == (200, b"ok", "text/plain")
    assert broker.ask("HEAD", probe)[0] == 200
    status, headers, body = broker.ask("GET", probe + "?verbose", headers={"Accept": "application/json"})
    assert (status, json.loads(body)["status"], headers["Content-Type"]) == (200, "ok", "application/json")
    assert b"[+] " in broker.ask("GET", probe + "?verbose")[2]
    status, headers, body = broker.ask("POST", probe, headers={"X-ONAP-RequestID": "mine"})
    error = json.loads(body)["error"]
    assert (status, headers["Allow"], error["code"], error["request_id"]) == (405, "GET, HEAD", 405, "mine")
    assert b"[+] " in broker.ask("GET", probe + "?verbose=1")[2]


def test_liveness_is_503_while_a_worker_stands_still(framework: str) -> None:
    with a_broker(framework, 2) as broker:
        until(lambda: broker.ask("GET", "/livez")[0] == 200)
        stuck = next(pid for pid in children(broker.popen.pid) if b"worker" in _title(pid) or _serves(broker, pid))
        os.kill(stuck, signal.SIGSTOP)
        try:
            with broker.connect() as sock:
                sock.settimeout(20)
                until(lambda: _another(broker, "/livez") == 503)
                assert _another(broker, "/healthz") == 503
        finally:
            os.kill(stuck, signal.SIGCONT)
        until(lambda: broker.ask("GET", "/livez")[0] == 200)


def _another(broker: Process, path: str) -> int:
    """Of whichever worker answers; the stopped one may have taken the connection, then the next one counts."""
    with broker.connect(1) as sock:
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        try:
            return int(sock.recv(64).split()[1])
        except TimeoutError:
            return 0


def _title(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def _serves(broker: Process, pid: int) -> bool:
    """Whether the child is a worker, by its log line."""
    return any(f'"pid": {pid},' in line and "serves" in line for line in broker.lines)


def test_probes_write_no_log_line_and_every_request_one(
    scene: dict[str, str], framework: str, plugin: Simulated
) -> None:
    with a_broker(framework, **scene) as broker:
        for probe in PROBES:
            broker.ask("GET", probe)
        broker.ask("GET", V0 + "/x?token=in-the-query", headers={"X-ONAP-RequestID": "of-the-test"})
        broker.ask("GET", f"{BASE}/v0/nounderscore")
        broker.raw(b"GET no-path HTTP/1.1\r\n\r\n")
        assert broker.end() == 0
    lines = [line for line in broker.log() if line["logger"] == "access"]
    assert [(line["method"], line["path"], line["status"]) for line in lines] == [
        ("GET", V0 + "/x", 200),
        ("GET", f"{BASE}/v0/nounderscore", 400),
        ("-", "-", 400),
    ]
    assert (lines[0]["request_id"], lines[0]["plugin"], lines[0]["client"]) == (
        "of-the-test",
        "multicloud-vio",
        "127.0.0.1",
    )
    assert set(lines[0]) >= {"time", "level", "duration_ms"}


def test_plain_log_lines_by_choice(framework: str) -> None:
    with a_broker(framework, BROKER_LOGS_FORMAT="plain") as broker:
        broker.ask("GET", f"{BASE}/v0/vim_types")
        assert broker.end() == 0
    assert not [line for line in broker.lines if line.startswith("{")]
    assert [line for line in broker.lines if f"GET {BASE}/v0/vim_types" in line and "200" in line]


def test_metrics_count_over_all_workers(scene: dict[str, str], framework: str, plugin: Simulated) -> None:
    with a_broker(framework, 2, **scene) as broker:
        until(lambda: sum("serves" in line for line in broker.lines) == 2)
        for _ in range(20):
            assert broker.ask("GET", f"{BASE}/v0/vim_types")[0] == 200
        for _ in range(10):
            assert broker.ask("GET", V0 + "/tenants")[0] == 200
        broker.ask("GET", V0 + "/x", headers={"X-Fault": "close"})
        broker.ask("GET", "/nothing")
        status, headers, body = broker.ask("GET", "/metrics")
        text = body.decode()
    assert (status, headers.get_content_type()) == (200, "text/plain")
    for line in (
        'multicloud_http_requests_total{code="200",method="GET",route="/v0/vim_types"} 20.0',
        'multicloud_http_requests_total{code="200",method="GET",route="/v0/{vim_id}/{rest}"} 10.0',
        'multicloud_http_requests_total{code="502",method="GET",route="/v0/{vim_id}/{rest}"} 1.0',
        'multicloud_http_requests_total{code="404",method="GET",route="unmatched"} 1.0',
        'multicloud_http_request_duration_seconds_count{method="GET",route="/v0/vim_types"} 20.0',
        'multicloud_upstream_requests_total{code="200",plugin="multicloud-vio"} 10.0',
        'multicloud_upstream_request_duration_seconds_count{plugin="multicloud-vio"} 11.0',
        "multicloud_upstream_retries_total 1.0",
        "multicloud_workers 2.0",
    ):
        assert line in text, line
    assert re.search(rf'multicloud_build_info\{{framework="{framework}",python="3[^"]+",version="[^"]+"\}} 1.0', text)
    assert "vmware_fake" not in text


def test_an_unknown_method_is_no_label_of_its_own(broker: Process) -> None:
    broker.raw(b"BREW /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    broker.ask("GET", f"{BASE}/v0/vim_types")
    assert "BREW" not in broker.ask("GET", "/metrics")[2].decode()


def test_metrics_in_a_directory_with_a_long_name_and_gone_at_the_end(framework: str, tmp_path: Path) -> None:
    directory = tmp_path / ("long" * 40)
    with a_broker(framework, BROKER_METRICS_DIRECTORY=str(directory)) as broker:
        assert b"multicloud_workers" in broker.ask("GET", "/metrics")[2]
        assert len(list(directory.iterdir())) == 1
        assert broker.end() == 0
    assert list(directory.iterdir()) == []


def test_metrics_can_be_off(framework: str) -> None:
    with a_broker(framework, BROKER_METRICS_ENABLED="false") as broker:
        assert broker.ask("GET", "/metrics")[0] == 404
        assert broker.ask("GET", f"{BASE}/v0/vim_types")[0] == 200


def test_a_replaced_workers_counts_go_on(framework: str) -> None:
    with a_broker(framework, 1) as broker:
        broker.ask("GET", f"{BASE}/v0/vim_types")
        (worker,) = (pid for pid in children(broker.popen.pid) if _serves_soon(broker, pid))
        os.kill(worker, signal.SIGKILL)
        broker.read_until("worker 0 serves")
        broker.ask("GET", f"{BASE}/v0/vim_types")
        text = broker.ask("GET", "/metrics")[2].decode()
    assert 'multicloud_http_requests_total{code="200",method="GET",route="/v0/vim_types"} 2.0' in text
    assert "multicloud_workers 1.0" in text


def _serves_soon(broker: Process, pid: int) -> bool:
    if not any("serves" in line for line in broker.lines):
        broker.read_until("worker 0 serves")
    return _serves(broker, pid)


SECRETS = (
    "client-basic-secret",
    "client-bearer-secret",
    "auth-token-secret",
    "body-secret",
    "query-secret",
    "cookie-secret",
)


def test_no_secret_is_logged_or_shown(scene: dict[str, str], framework: str, plugin: Simulated) -> None:
    headers = {"X-Auth-Token": SECRETS[2], "Cookie": SECRETS[5], "X-Fault": "close"}
    with a_broker(framework, **scene, BROKER_LOGS_LEVEL="DEBUG") as broker:
        shown = b""
        for authorization in (f"Basic {SECRETS[0]}", f"Bearer {SECRETS[1]}"):
            for path in (V0 + "/x", f"{BASE}/v0/CloudOwner_RegionOne/x", f"{BASE}/v0/vim_types", f"{BASE}/v0/bad"):
                answer = broker.ask(
                    "POST",
                    f"{path}?password={SECRETS[4]}",
                    SECRETS[3].encode(),
                    {**headers, "Authorization": authorization},
                )
                shown += repr(answer[1].items()).encode() + answer[2]
        shown += broker.ask("GET", "/metrics")[2] + broker.ask("GET", "/healthz?verbose")[2]
        titles = b"".join(_title(pid) for pid in (broker.popen.pid, *children(broker.popen.pid)))
        assert broker.end() == 0
    everything = "".join(broker.lines) + (shown + titles).decode("latin-1")
    assert [secret for secret in (*SECRETS, PASSWORD) if secret in everything] == []


def test_a_download_that_the_client_gives_up_is_no_200(broker: Process, plugin: Simulated) -> None:
    name = uuid.uuid4().hex
    plugin.faults({"path": name, "fault": "huge=100000000"})
    with broker.connect() as sock:
        sock.sendall(f"GET {V0}/{name} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert sock.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")
    until(lambda: any(name in str(line.get("path")) for line in broker.log()))
    (line,) = [line for line in broker.log() if name in str(line.get("path"))]
    assert line["status"] == 499
