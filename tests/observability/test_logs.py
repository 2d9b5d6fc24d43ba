from __future__ import annotations

import json
import logging
import re
import subprocess
import sys

import pytest

from app.observability.access import DATES, access_log
from app.observability.logs import PLAIN, JsonFormatter, PlainFormatter

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def record(message: str, *arguments: object, error: BaseException | None = None) -> logging.LogRecord:
    exc_info = (type(error), error, error.__traceback__) if error else None
    made = logging.LogRecord("app.x", logging.WARNING, "f.py", 1, message, arguments, exc_info)
    made.created, made.process = 1700000000.25, 42
    return made


def test_a_record_is_one_json_object_on_one_line() -> None:
    line = JsonFormatter().format(record('a "%s"\n\u2028ä', "b\\"))
    assert len(line.splitlines()) == 1
    assert json.loads(line) == {
        "time": "2023-11-14T22:13:20.250Z",
        "level": "WARNING",
        "logger": "app.x",
        "pid": 42,
        "message": 'a "b\\"\n\u2028ä',
    }


def test_a_traceback_is_in_its_records_line() -> None:
    try:
        raise ValueError("why")
    except ValueError as error:
        line = JsonFormatter().format(record("failed", error=error))
    assert len(line.splitlines()) == 1
    assert json.loads(line)["traceback"].splitlines()[-1] == "ValueError: why"


def test_a_plain_record_is_one_line_whatever_it_quotes() -> None:
    line = PlainFormatter(PLAIN, DATES).format(record("%s", "a\nb\r\x00\x1b[2K\x7f\x85\u2028\ud800\tä"))
    assert line.endswith(r"app.x a\nb\r\x00\x1b[2K\x7f\x85\u2028\ud800\tä")
    assert line.isprintable()


def test_no_line_of_a_plain_traceback_looks_like_a_record() -> None:
    try:
        raise ValueError("why\n2023-11-14T22:13:20.250Z INFO 42 access forged\u2028x")
    except ValueError as error:
        first, *rest = PlainFormatter(PLAIN, DATES).format(record("failed", error=error)).splitlines()
    assert first.endswith("Z WARNING 42 app.x failed")
    assert all(line.startswith("  ") for line in rest)
    assert rest[-2:] == ["  ValueError: why", r"  2023-11-14T22:13:20.250Z INFO 42 access forged\u2028x"]


def written(form: str, *values: object) -> str:
    lines: list[bytes] = []
    access_log(form, lines.append)(*values)  # type: ignore[arg-type]
    (line,) = lines
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    return line.decode()


@pytest.mark.parametrize(
    ("request_id", "path"), [("id-1", "/api/x"), ('"},{"', '/a"b\\c%00'), ("\\", "/"), ("{}", "/{}%s")]
)
def test_an_access_line_in_json_whatever_the_client_sends(request_id: str, path: str) -> None:
    entry = json.loads(written("json", request_id, "::1", "", "GET", path, "multicloud-pike", 200, 0.01234))
    assert TIME.fullmatch(entry.pop("time"))
    assert entry == {
        "level": "INFO", "logger": "access", "request_id": request_id, "client": "::1", "method": "GET", "path": path,
        "plugin": "multicloud-pike", "status": 200, "duration_ms": 12.3,
    }  # fmt: skip


@pytest.mark.parametrize(("plugin", "shown"), [("multicloud-pike", "multicloud-pike"), ("", "-")])
def test_an_access_line_in_plain_text(plugin: str, shown: str) -> None:
    time, rest = written("plain", "id-1", "10.0.0.9", "", "PUT", "/x", plugin, 404, 1.5).split(" ", 1)
    assert TIME.fullmatch(time)
    assert rest == f"INFO access id-1 10.0.0.9 PUT /x {shown} 404 1500.0ms\n"


@pytest.mark.parametrize("user", ["alice", 'a "b"\\', "Zoë 1"])
def test_an_access_line_names_the_user_where_there_is_one(user: str) -> None:
    assert json.loads(written("json", "i", "c", user, "GET", "/", "", 200, 0.0))["user"] == user
    line = written("plain", "i", "c", user, "GET", "/", "", 200, 0.0)
    assert line.rstrip("\n").endswith(f"200 0.0ms {json.dumps(user)}")


@pytest.mark.parametrize("form", ["json", "plain"])
def test_an_access_line_tells_when_it_was_written(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 1700000000.999)
    assert "2023-11-14T22:13:20.999Z" in written(form, "i", "c", "", "GET", "/", "", 200, 0.0)


SCRIPT = """
import logging, sys, warnings
from app.observability.logs import set_up
set_up(sys.argv[1], "INFO")
logging.getLogger("app.x").info("a %s", "b")
logging.getLogger("app.x").debug("too small")
logging.getLogger("oslo_service.x").info("not of interest")
warnings.warn("careful")
"""


def process(form: str) -> list[str]:
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", SCRIPT, form]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_a_process_writes_its_records_as_json_to_standard_output() -> None:
    first, second = map(json.loads, process("json"))
    assert (first["level"], first["logger"], first["message"]) == ("INFO", "app.x", "a b")
    assert (second["logger"], "careful" in second["message"]) == ("py.warnings", True)


def test_a_process_writes_its_records_as_plain_lines_to_standard_output() -> None:
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO \d+ app\.x a b", process("plain")[0])
