"""Faults of the machine: nothing is left of something; the broker refuses clearly or goes on, and recovers by itself."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import resource
import signal
import time
from base64 import b64encode
from pathlib import Path

import bcrypt
import pytest

from tests.conftest import a_broker, until
from tests.faults import another
from tests.faults.apart import POSSIBLE, small_folder
from tests.faults.conftest import Staged
from tests.faults.processes import all_of, until_replaced, workers_of
from tests.faults.stage import ALL, ONE, OTHERS, path_of, serving

ENDED = ("closed unanswered", "cut")

NAMED = "named"
"""A plugin that is known by a name, which nobody has looked up before the fault."""


def test_fault_no_descriptors(staged: Staged) -> None:
    """The workers have no file descriptors left, and get some again."""
    stage = staged()
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)

    def take() -> None:
        for pid in workers_of(stage.broker):
            taken = max(int(fd.name) for fd in Path(f"/proc/{pid}/fd").iterdir())
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (taken + 1, limit[1]))

    def give() -> None:
        for pid in workers_of(stage.broker):
            resource.prlimit(pid, resource.RLIMIT_NOFILE, limit)

    stage.play(take, give, who=ALL, sees=(503,), back_within=2, others_within=5)


@pytest.mark.skipif(not POSSIBLE, reason="a file system of one's own needs root")
@pytest.mark.usefixtures("isolated")
def test_fault_shared_memory_full(staged: Staged, tmp_path: Path) -> None:
    """The file system of the metrics is full, and has room again."""
    folder = tmp_path / "metrics"
    folder.mkdir()
    small_folder(folder, 8192)
    stage, filler = staged(BROKER_METRICS_DIRECTORY=str(folder)), folder / "filler"

    def fill() -> None:
        _fill(filler)
        for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"):  # of which there are no metrics yet
            for path in ("x", "tenants", "extensions", "registry"):
                assert stage.broker.ask(method, path_of(ONE).removesuffix("x") + path)[0] == 200

    stage.play(fill, filler.unlink, who=ALL, back_within=0)


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass


limited = pytest.mark.skipif(not another.possible(), reason="a user of one's own needs root, setpriv and prlimit")


@limited
def test_fault_no_processes(staged: Staged, tmp_path: Path) -> None:
    """No process and no thread can be made any more (RLIMIT_NPROC), and a worker is killed; then they can again."""
    stage = staged(
        others=(*OTHERS, NAMED), hosts={NAMED: "localhost"}, by=another.BY, BROKER_METRICS_DIRECTORY=str(tmp_path)
    )
    stage.traffics = [traffic for traffic in stage.traffics if traffic.name != NAMED]
    broker, killed = stage.broker, workers_of(stage.broker)[0]

    def take() -> None:
        another.bound(all_of(broker), 1)
        os.kill(killed, signal.SIGKILL)
        broker.read_until("worker . cannot be started: Resource temporarily unavailable; it is tried again every 0.5 s")
        began = time.monotonic()
        status, headers, body = broker.ask("GET", path_of(NAMED))
        assert (status, headers["Retry-After"], json.loads(body)["error"]["reason"]) == (
            503,
            "1",
            "Service-Unavailable",
        )
        assert time.monotonic() - began < 0.5

    def give() -> None:
        another.bound(all_of(broker))
        stage.facts["replaced_after"] = until_replaced(broker, killed)

    seen = stage.play(take, give, who=ALL, sees=ENDED, back_within=0)
    assert not [one for one in seen.samples if not one.fine and one.began > seen.made + 0.5]
    assert stage.facts["replaced_after"] < 2
    assert sum("cannot be started" in line for line in broker.lines) == 1
    assert broker.ask("GET", path_of(NAMED))[0] == 200


@limited
def test_where_no_thread_can_be_made_no_password_is_waited_for(tmp_path: Path) -> None:
    """It is in a thread that the first one is verified."""
    users = tmp_path / "users"
    users.write_text(f"so:{bcrypt.hashpw(b'secret', bcrypt.gensalt(4)).decode()}\n")
    login = {"Authorization": f"Basic {b64encode(b'so:secret').decode()}"}
    env = {"BROKER_AUTH_BASIC_FILE": str(users), "BROKER_METRICS_DIRECTORY": str(tmp_path)}
    with a_broker(by=another.BY, **env) as broker:
        until(lambda: serving(broker, 1))
        another.bound(all_of(broker), 1)
        began = time.monotonic()
        status, _, body = broker.ask("GET", "/api/multicloud/v0/vim_types", headers=login)
        assert (status, b"gives it no thread" in body) == (503, True)
        assert time.monotonic() - began < 1
        another.bound(all_of(broker))
        assert broker.ask("GET", "/api/multicloud/v0/vim_types", headers=login)[0] == 200


def test_fault_log_unread(staged: Staged) -> None:
    """Nobody reads the log any more, which is a pipe that is full, and somebody does again."""
    stage = staged()
    before = workers_of(stage.broker)
    assert stage.broker.popen.stdout is not None
    fcntl.fcntl(stage.broker.popen.stdout, fcntl.F_SETPIPE_SZ, 4096)  # the kernel's is 64 KiB, which takes a while

    stage.play(stage.broker.reads.clear, stage.broker.reads.set, back_within=0)
    stage.broker.read_until(r"\d+ lines of this process's log were lost, since its output took no more")
    assert workers_of(stage.broker) == before
