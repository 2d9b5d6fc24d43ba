from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from app.conf import files
from app.errors import ConfigurationError


def test_the_last_file_to_set_an_option_wins(write: Callable[..., str]) -> None:
    first = write("[server]", "port = 0", "port = 1", "workers = 1", "[logs]", "level = DEBUG", name="a")
    second = write("[server]", "port = 2", "workers =", name="b")
    read = {str(key): (setting.text, setting.location.detail) for key, setting in files.read([first, second]).items()}
    assert read == {"server.port": ("2", second), "server.workers": ("1", first), "logs.level": ("DEBUG", first)}


def test_an_address_of_oom_is_unset_in_a_file_too(write: Callable[..., str]) -> None:
    assert files.read([write("[msb]", "address = .onap", "port = tcp://10.0.0.1:80")]) == {}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["[servers]"], "the group 'servers' in FILE is unknown: did you mean server?"),
        (["[DEFAULT]", "debug = true"], "the group 'DEFAULT' in FILE is unknown: did you mean "),
        (["[server]", "prt = 1"], "the option 'server.prt' in FILE is unknown: did you mean server.port?"),
        (
            ["[server]", "cache_ttl = 1"],
            "the option 'server.cache_ttl' in FILE is unknown: did you mean inventory.cache_ttl?",
        ),
        (["[aai]", "pasword = hidden"], "the option 'aai.pasword' in FILE is unknown: did you mean aai.password?"),
        (["[aai]", "", "password hidden"], "the configuration file 'FILE' is wrong in line 3: "),
        (["port = hidden"], "the configuration file 'FILE' is wrong in line 1: Section must be started"),
        (["  hidden"], "the configuration file 'FILE' is wrong in line 1: Unexpected continuation"),
    ],
)
def test_what_is_unknown_or_no_ini_is_refused_in_one_line(
    write: Callable[..., str], lines: list[str], message: str
) -> None:
    file = write(*lines)
    with pytest.raises(ConfigurationError, match=f"^{re.escape(message.replace('FILE', file))}") as caught:
        files.read([file])
    assert "hidden" not in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"[server]\nport = \xff\n")
    for name, why in (("none", os.strerror(2)), (".", os.strerror(21)), ("binary", "it is no UTF-8 text")):
        with pytest.raises(ConfigurationError, match=f"^the configuration file .* cannot be read: {why}$"):
            files.read([str(tmp_path / name)])
