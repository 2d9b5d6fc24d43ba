"""h2load over HTTP/1.1: many connections, keep-alive, pipelines; none of its requests may be lost."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conformance.conftest import run
from tests.conftest import Process
from tests.contract.conftest import BASE, V0, V1

VIM_TYPES = f"{BASE}/v0/vim_types"
TENANTS = f"{V0}/tenants"

REQUESTS = re.compile(
    r"requests: (\d+) total, (\d+) started, (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout"
)
CODES = re.compile(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx")


def load(broker: Process, requests: int, *arguments: str) -> None:
    """Run h2load, and fail unless each request was answered by a 2xx."""
    base = f"http://127.0.0.1:{broker.port}"
    uris = [f"{base}{argument}" if argument.startswith("/api/") else argument for argument in arguments]
    status, said = run("h2load", "--h1", "-n", str(requests), "-T", "60", *uris)
    assert status == 0, said
    counted, codes = REQUESTS.search(said), CODES.search(said)
    assert counted is not None, said
    assert codes is not None, said
    assert [int(count) for count in counted.groups()] == [requests] * 4 + [0] * 3, said
    assert [int(count) for count in codes.groups()] == [requests, 0, 0, 0], said


@pytest.mark.parametrize(
    ("requests", "connections", "pipelined", "paths"),
    [
        (10_000, 100, 1, [VIM_TYPES]),
        (5_000, 1_000, 1, [VIM_TYPES]),
        (5_000, 50, 16, [VIM_TYPES]),
        (3_000, 50, 1, [TENANTS]),
        (1_500, 500, 1, [TENANTS]),
        (2_000, 20, 8, [VIM_TYPES, TENANTS, f"{V1}/tenants", "/api/multicloud/v1/swagger.json"]),
    ],
    ids=["kept alive", "1000 at once", "pipelined", "forwarded", "500 at once forwarded", "pipelined mix"],
)
def test_h2load_gets_every_answer(
    broker: Process, requests: int, connections: int, pipelined: int, paths: list[str]
) -> None:
    load(broker, requests, "-c", str(connections), "-m", str(pipelined), *paths)


def test_h2load_posts(broker: Process, tmp_path: Path) -> None:
    body = tmp_path / "body"
    body.write_text('{"vCPU": 1, "Memory": "2", "VIMs": ["vmware_fake"]}')
    load(broker, 500, "-c", "20", "-d", str(body), f"{BASE}/v0/check_vim_capacity")
    body.write_bytes(b"x" * 100_000)
    load(broker, 500, "-c", "20", "-d", str(body), f"{V0}/registry")
