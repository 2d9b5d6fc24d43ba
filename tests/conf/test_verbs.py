from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from app.conf import load
from app.conf.verbs import check_config, render_config, show_config

GOOD = {"MSB_ADDR": "msb", "AAI_PASSWORD": "hidden"}
BAD = {"BROKER_SERVER_PORT": "x"}
LINE = "server.port is 'x' (BROKER_SERVER_PORT): allowed is a whole number from 0 to 65535\n"

Output = pytest.CaptureFixture[str]


def test_a_good_configuration_is_said_to_be_one(capsys: Output, write: Callable[..., str]) -> None:
    assert check_config([write("[server]", "port = 1")], GOOD) == 0
    assert capsys.readouterr() == ("the configuration is valid\n", "")


def test_a_good_configuration_is_shown(capsys: Output) -> None:
    assert show_config([], GOOD) == 0
    out, err = capsys.readouterr()
    assert "msb.address = msb (MSB_ADDR)\n" in out
    assert "hidden" not in out + err


def test_the_environment_is_rendered_to_standard_output(capsys: Output) -> None:
    assert render_config(None, GOOD) == 0
    assert "[msb]\n# MSB_ADDR\naddress = msb\n" in capsys.readouterr().out


@pytest.mark.parametrize("verb", [check_config, show_config])
def test_a_broken_configuration_is_one_line_and_78(
    capsys: Output, verb: Callable[[list[str], dict[str, str]], int]
) -> None:
    assert verb([], BAD) == 78
    assert capsys.readouterr() == ("", LINE)


def test_a_broken_environment_is_not_rendered(capsys: Output, tmp_path: Path) -> None:
    assert render_config(str(tmp_path / "x.conf"), BAD) == 78
    assert capsys.readouterr() == ("", LINE)
    assert list(tmp_path.iterdir()) == []


def test_a_rendered_file_is_for_its_user_only_and_replaces_what_was_there(tmp_path: Path) -> None:
    file, other = tmp_path / "x.conf", tmp_path / "other"
    other.write_text("mine")
    file.symlink_to(other)
    assert render_config(str(file), GOOD) == 0
    assert other.read_text() == "mine"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert load([str(file)], {}).msb.address == "msb"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "x.conf"]


@pytest.mark.parametrize("name", ["none/x.conf", "directory"])
def test_a_file_that_cannot_be_written_is_one_line_and_78(capsys: Output, tmp_path: Path, name: str) -> None:
    (tmp_path / "directory").mkdir()
    assert render_config(str(tmp_path / name), GOOD) == 78
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"the configuration cannot be written to {str(tmp_path / name)!r}: ")
    assert err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["directory"]
