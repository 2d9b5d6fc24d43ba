"""h2load over HTTP/1.1: many connections, keep-alive, pipelines; none of its requests may be lost."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conformance.conftest import run
from tests.conftest import Process, a_broker
from tests.contract.conftest import BASE, V0, V1

VIM_TYPES = f"{BASE}/v0/vim_types"
TENANTS = f"{V0}/tenants"

REQUESTS = re.compile(
    r"requests: (\d+) total, (\d+) started, (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout"
)
CODES = re.compile(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx")


FINISHED = re.compile(r"finished in ([\d.]+)(us|ms|s),")
FIRST_BYTE = re.compile(r"time to 1st byte: +\S+ +([\d.]+)(us|ms|s) ")
UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}


def load(broker: Process, requests: int, *arguments: str) -> str:
    """Run h2load, and fail unless each request was answered by a 2xx; returns what it says."""
    base = f"http://127.0.0.1:{broker.port}"
    uris = [f"{base}{argument}" if argument.startswith("/api/") else argument for argument in arguments]
    status, said = run("h2load", "--h1", "-n", str(requests), "-T", "60", *uris)
    assert status == 0, said
    counted, codes = REQUESTS.search(said), CODES.search(said)
    assert counted is not None, said
    assert codes is not None, said
    assert [int(count) for count in counted.groups()] == [requests] * 4 + [0] * 3, said
    assert [int(count) for count in codes.groups()] == [requests, 0, 0, 0], said
    return said


def seconds(pattern: re.Pattern[str], said: str) -> float:
    found = pattern.search(said)
    assert found is not None, said
    return float(found[1]) * UNITS[found[2]]


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


def test_h2load_waits_for_no_connection_to_be_taken_while_others_are_served(framework: str) -> None:
    """Where a look of the loop takes few new connections and serves hundreds of old ones, the last of 400 has its
    first answer when the others have nearly all of theirs. As shares of the run, since that holds on a busy machine
    too; of one worker, which waits for no other to take its share."""
    with a_broker(framework, 1) as broker:
        said = load(broker, 20_000, "-c", "400", VIM_TYPES)
    assert seconds(FIRST_BYTE, said) < 0.4 * seconds(FINISHED, said), said
