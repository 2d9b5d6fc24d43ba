"""entrypoint.sh as a container starts it: with the real command line, in a process of its own."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import stat
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LISTENS = re.compile(r" listens on 127\.0\.0\.1 port (\d+)")
ENTRYPOINT = str(ROOT / "entrypoint.sh")


def environment(run_directory: Path, **variables: str) -> Mapping[str, str]:
    """The interpreter of the tests as `python3`, and nothing else of this machine's."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}"
    return {"PATH": path, "BROKER_RUN_DIR": str(run_directory), "PYTHONDONTWRITEBYTECODE": "1", **variables}


def run(arguments: list[str], environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ("sh", ENTRYPOINT, *arguments), env=environ, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )


def test_it_is_valid_short_and_ends_in_exec() -> None:
    subprocess.run(("sh", "-n", ENTRYPOINT), check=True)
    lines = Path(ENTRYPOINT).read_text().splitlines()
    assert len(lines) <= 25
    assert lines[-1].startswith("exec ")
    assert os.access(ENTRYPOINT, os.X_OK)


def test_a_verb_is_passed_on(tmp_path: Path) -> None:
    done = run(["show-config"], environment(tmp_path, MSB_ADDR="msb", AAI_PASSWORD="hidden"))
    assert (done.returncode, done.stderr) == (0, "")
    assert "msb.address = msb (MSB_ADDR)\n" in done.stdout
    assert "hidden" not in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [[], ["serve"]])
def test_a_broken_environment_ends_the_start_with_one_line(arguments: list[str], tmp_path: Path) -> None:
    done = run(arguments, environment(tmp_path, BROKER_SERVER_PORT="x"))
    assert (done.returncode, done.stdout) == (78, "")
    assert done.stderr == "server.port is 'x' (BROKER_SERVER_PORT): allowed is a whole number from 0 to 65535\n"
    assert list(tmp_path.iterdir()) == []


def test_a_run_directory_that_is_not_there_ends_the_start_with_one_line(tmp_path: Path) -> None:
    done = run([], environment(tmp_path / "none"))
    assert done.returncode == 78
    assert done.stderr.count("\n") == 1
    assert "BROKER_RUN_DIR" in done.stderr


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """The broker, on any free port, with one worker."""
    environ = environment(
        tmp_path, BROKER_SERVER_HOST="127.0.0.1", BROKER_SERVER_PORT="0", AAI_PASSWORD="hidden",
        BROKER_SERVER_WORKERS="1", BROKER_METRICS_DIRECTORY=str(tmp_path / "metrics"),
    )  # fmt: skip
    command = ("sh", ENTRYPOINT, "serve")
    with subprocess.Popen(
        command, env=environ, cwd=ROOT, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as process:  # fmt: skip
        yield process
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # the workers too, where the test has failed


def test_the_broker_takes_the_shells_place_and_its_configuration(broker: subprocess.Popen[str], tmp_path: Path) -> None:
    assert broker.stdout is not None
    (port,) = next(filter(None, map(LISTENS.findall, iter(broker.stdout.readline, ""))))
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/multicloud/v0/swagger.json", timeout=60) as answer:
        assert answer.status == 200  # the signal handlers are there, too
    (file,) = tmp_path.glob("*.conf")
    assert file.name == f"multicloud-{os.getuid()}-{broker.pid}.conf"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "hidden" not in file.read_text()
    broker.send_signal(signal.SIGTERM)
    assert broker.wait(timeout=60) == 0
