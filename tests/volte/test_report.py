"""What is shown, and the command as a whole."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.volte import Abandoned, Stop, main
from app.volte.outcome import Outcome
from app.volte.report import Progress, Result, Screen, closing, document, text
from app.volte.steps import Step, plan
from tests.volte.conftest import Cloud

ROOT = Path(__file__).parent.parent.parent
REGION = "http://b:1/x/api/multicloud/v0/vmware_fake"
PATH = "/x/api/multicloud/v0/vmware_fake"
OK = Outcome("register", "POST", f"{PATH}/registry", 202, 12.34, "ok", "", "id-1")
FAILED = Outcome("tenants", "GET", f"{PATH}/tenants", 500, 3, "failed", "answered 500", "id-2")
SKIPPED = Outcome("image", "POST", "/{tenants}/images", None, 0, "skipped", "needs tenants")
LEFT = Outcome("delete image", "DELETE", "/{tenants}/images/{image}", None, 0, "left", "it existed before this run")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_table_and_the_closing_sentence() -> None:
    lines = text(Result(REGION, [OK, FAILED, SKIPPED], {"image": "i-1"})).splitlines()
    assert lines[1] == f"Paths are below {REGION}"
    assert lines[3].split() == ["STEP", "METHOD", "PATH", "STATUS", "MS", "RESULT"]
    assert lines[4].split() == ["register", "POST", "/registry", "202", "12", "ok"]
    assert lines[5].split() == ["tenants", "GET", "/tenants", "500", "3", "failed"]
    assert lines[6].split() == ["image", "POST", "/{tenants}/images", "-", "-", "skipped:", "needs", "tenants"]
    assert lines[8:] == [
        "tenants failed: answered 500 (X-ONAP-RequestID id-2)",
        "Left behind, to be deleted by hand: image i-1",
        "1 of 3 steps worked, 1 failed, 1 skipped.",
    ]


@pytest.mark.parametrize(
    ("run", "sentence", "ok"),
    [
        (Result(REGION, [OK, OK]), "2 of 2 steps worked.", True),
        (Result(REGION, [OK, LEFT]), "1 of 1 steps worked, 1 not played, for what existed before.", True),
        (Result(REGION, [OK, FAILED]), "1 of 2 steps worked, 1 failed.", False),
        (Result(REGION, [OK], signal="SIGINT"), "Interrupted by SIGINT: 1 of 1 steps worked.", False),
    ],
)
def test_one_sentence_says_how_it_went(run: Result, sentence: str, ok: bool) -> None:
    assert closing(run) == sentence
    assert run.ok is ok


def test_plain_lines_elsewhere_than_on_a_terminal() -> None:
    assert _progress(io.StringIO()).splitlines() == [
        " 1/33 register        ok 202 12 ms",
        " 2/33 tenants         failed 500 3 ms: answered 500 (X-ONAP-RequestID id-2)",
    ]


def test_a_line_is_redrawn_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "30")
    first, _, rest = _progress(Terminal()).partition("\n")
    assert first.split("\r\x1b[K") == [
        "",
        " 1/33 register        running",
        " 1/33 register        waiting",
        " 1/33 register        ok 202 12 ms",
    ]
    assert rest.startswith("\r\x1b[K 2/33 tenants         running")


def test_a_dumb_terminal_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert "\x1b" not in _progress(Terminal())


def _progress(stream: io.StringIO) -> str:
    steps: tuple[Step, ...] = plan()
    progress = Progress(Screen(stream), len(steps))
    progress.begin(steps[0])
    progress.note("waiting: build")
    progress.end(OK)
    progress.begin(steps[1])
    progress.end(FAILED)
    return stream.getvalue()


def test_what_a_streams_encoding_lacks_is_escaped() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, "ascii", write_through=True)
    Screen(stream).write("caf\u00e9\n")
    assert raw.getvalue() == b"caf\\xe9\n"


def test_plugins_words_cannot_steer_the_terminal() -> None:
    evil = Outcome("tenants", "GET", PATH, 500, 3, "failed", "\x1b]0;x\x07", "id-2")
    assert "\x1b" not in text(Result(REGION, [evil], {"image": "\x1b[2J"}))


def test_the_json_document() -> None:
    found = json.loads(document(Result(REGION, [OK, FAILED], {"image": "i"})))
    assert found["ok"] is False
    assert found["summary"] == "1 of 2 steps worked, 1 failed."
    assert found["leftBehind"] == [{"kind": "image", "id": "i"}]
    assert found["steps"][0] == {
        "step": "register", "method": "POST", "path": f"{PATH}/registry", "status": 202, "ms": 12.3,
        "result": "ok", "detail": None, "requestId": "id-1"}  # fmt: skip


# The command.


def test_all_works(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([f"{cloud.url}/base", "--api", "v1", "--region", "a_b/c_d"]) == 0
    out, err = capsys.readouterr()
    assert out.endswith("\n33 of 33 steps worked.\n")
    assert err == ""
    assert cloud.requests[0].path == "/base/api/multicloud/v1/a_b/c_d/registry"
    assert cloud.left() == []


def test_two_runs_have_names_of_their_own(cloud: Cloud) -> None:
    assert main([cloud.url, "--vim-id", "a_b_c", "--json"]) == main([cloud.url, "--keep-registration"]) == 0
    names = [request.body["name"] for request in cloud.requests if request.path.endswith("/images") and request.body]
    assert len(set(names)) == 2
    assert cloud.requests[0].path == "/api/multicloud/v0/a_b_c/registry"
    assert cloud.registered


def test_json_is_the_only_output(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    cloud.fails["POST flavors"] = (403, {"error": {"message": "quota"}})
    assert main([cloud.url, "--json"]) == 1
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert err == ""
    assert found["ok"] is False
    step = next(step for step in found["steps"] if step["step"] == "flavor")
    assert (step["status"], step["result"], step["detail"]) == (
        403,
        "failed",
        "answered 403, not 200 or 201 or 202: quota",
    )
    assert cloud.left() == []


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_a_refused_connection_is_one_line(capsys: pytest.CaptureFixture[str], flags: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    assert main([url, *flags]) == 1
    out, err = capsys.readouterr()
    told = json.loads(out)["error"] if flags else err.rstrip("\n")
    assert told.startswith(f"nothing listens at {url} (connection refused): start the broker")
    assert "\n" not in told


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["nonsense"],
        ["http://h", "--region", "vmware"],
        ["http://h", "--region", "a_b/c"],
        ["http://h", "--vim-id", "vmware"],
        ["http://h", "--vim-id", "../x_y"],
        ["http://h", "--region", "a/b", "--vim-id", "a_b"],
        ["http://h", "--timeout", "0"],
        ["http://h", "--timeout", "nan"],
        ["http://h", "--timeout", "soon"],
        ["http://h", "--api", "v2"],
        ["https://h", "--ca-file", "/nonexistent"],
        ["https://h", "--ca-file", __file__],
    ],
)
def test_wrong_usage(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == 2
    assert "error:" in capsys.readouterr().err


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert "Exit status" in capsys.readouterr().out


def test_a_second_signal_abandons(capfd: pytest.CaptureFixture[str]) -> None:
    stop = Stop()
    before = signal.getsignal(signal.SIGTERM)
    with stop.listening():
        signal.raise_signal(signal.SIGTERM)
        assert stop.name == "SIGTERM"
        with pytest.raises(Abandoned):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGTERM) is before
    assert "Stopping" in capfd.readouterr().err


@contextmanager
def command(*argv: str, stdout: int = subprocess.PIPE) -> Iterator[subprocess.Popen[str]]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error", "PYTHONUNBUFFERED": "1"}
    arguments = [sys.executable, "-c", "import sys; from app.volte import main; sys.exit(main(sys.argv[1:]))", *argv]
    with subprocess.Popen(arguments, env=environment, stdout=stdout, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def _held(cloud: Cloud, route: str) -> tuple[threading.Event, Callable[[], None]]:
    """Holds a route's answer back: an event for its arrival, and what lets it go."""
    reached, release = threading.Event(), threading.Event()

    def hold() -> None:
        reached.set()
        release.wait(20)

    cloud.on[route] = hold
    return reached, release.set


@pytest.mark.parametrize(("signo", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_cleans_up(cloud: Cloud, signo: signal.Signals, status: int) -> None:
    reached, release = _held(cloud, "POST servers")
    with command(cloud.url) as process:
        assert reached.wait(20)
        process.send_signal(signo)
        release()
        out, err = process.communicate(timeout=30)
    assert process.returncode == status
    assert f"Interrupted by {signo.name}: 24 of 33 steps worked, 9 skipped." in out
    assert "Traceback" not in err
    assert cloud.left() == []
    assert not cloud.registered
    assert "POST servers/action" not in cloud.routes()


def test_a_second_signal_says_what_is_left(cloud: Cloud) -> None:
    reached, release = _held(cloud, "POST flavors")
    with command(cloud.url) as process:
        assert reached.wait(20)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        assert "Stopping" in process.stderr.readline() + process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
        release()
    assert process.returncode == 130
    assert "Left behind, to be deleted by hand: image images-1" in out
    assert "perhaps, named volte-flavor-" in out
    assert "Traceback" not in err


def test_a_reader_that_goes_away_does_not_keep_from_cleaning_up(cloud: Cloud) -> None:
    reached, release = _held(cloud, "POST volumes")
    with command(cloud.url) as process:
        assert reached.wait(20)
        assert process.stdout is not None
        process.stdout.close()
        release()
        assert process.stderr is not None
        assert process.stderr.read() == ""
        assert process.wait(30) == 0
    assert cloud.left() == []
