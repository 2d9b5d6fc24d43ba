"""The command line, as a user types it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from app.cli import VERBS
from tests.conftest import ROOT


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    env = {"PATH": os.environ["PATH"], **environ}
    return subprocess.run(
        [sys.executable, "-m", "app", *arguments], cwd=ROOT, env=env, capture_output=True, text=True, timeout=30
    )


@pytest.mark.parametrize("arguments", [(), ("brew",), ("-x",)])
def test_an_unknown_verb_lists_them(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (64, "")
    assert all(verb in done.stderr for verb in VERBS)


def test_help_lists_the_verbs() -> None:
    done = run("--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert all(verb in done.stdout for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_has_help(verb: str) -> None:
    done = run(verb, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "usage: python -m app" in done.stdout


@pytest.mark.parametrize("verb", ["serve", "check-config"])
@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"WEB_FRAMEWORK": "flask"}, ("web_framework", "flask", "django")),
        ({"BROKER_SERVER_PORT": "70000"}, ("server.port", "70000", "65535")),
        ({"AAI_PASSWORD": "a", "AAI_PASSWORD_FILE": "/b"}, ("AAI_PASSWORD", "AAI_PASSWORD_FILE")),
        ({"BROKER_PLUGINS_MAP_FILE": "/nowhere.json"}, ("plugins.map_file", "/nowhere.json")),
    ],
    ids=["choice", "bound", "secret twice", "file"],
)
def test_a_bad_value_ends_the_start_with_one_line(verb: str, environ: dict[str, str], named: tuple[str, ...]) -> None:
    done = run(verb, **environ)
    assert (done.returncode, (done.stdout + done.stderr).count("\n")) == (78, 1), done.stderr
    assert all(part in done.stdout + done.stderr for part in named)


@pytest.mark.parametrize("verb", ["serve", "check-config"])
@pytest.mark.parametrize("content", ["{", "[]", '{"vmware": []}', '{"vmware": {"provider_plugin": "a b"}}'])
def test_a_broken_map_is_one_line_that_names_it(tmp_path, content: str, verb: str) -> None:
    file = tmp_path / "map.json"
    file.write_text(content)
    done = run(verb, BROKER_PLUGINS_MAP_FILE=str(file))
    assert (done.returncode, done.stderr.count("\n")) == (78, 1), done.stderr
    assert str(file) in done.stderr
    assert "plugins.map_file" in done.stderr


@pytest.mark.parametrize("verb", ["serve", "check-config"])
def test_a_broken_regions_file_is_one_line_that_names_it(verb: str) -> None:
    done = run(verb, BROKER_INVENTORY_REGIONS_FILE="/etc/hostname")
    assert (done.returncode, done.stderr.count("\n")) == (78, 1), done.stderr
    assert "inventory.regions_file: the regions file /etc/hostname" in done.stderr


def test_a_metrics_directory_that_cannot_be_written_is_one_line(tmp_path) -> None:
    file = tmp_path / "no-directory"
    file.write_text("")
    done = run("serve", BROKER_METRICS_DIRECTORY=str(file / "below"), BROKER_SERVER_PORT="0", BROKER_LOGS_LEVEL="ERROR")
    assert (done.returncode, done.stderr.count("\n"), done.stdout) == (78, 1, ""), done
    assert "BROKER_METRICS_DIRECTORY" in done.stderr
