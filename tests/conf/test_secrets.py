from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from app.conf import load, secret
from app.errors import ConfigurationError


@pytest.mark.parametrize("name", ["AAI_PASSWORD", "BROKER_AAI_PASSWORD"])
def test_a_secret_comes_from_the_environment(name: str) -> None:
    environ = {name: "p$1 "}
    assert secret(load((), environ), "aai", "password", environ) == "p$1 "


def test_a_secret_of_the_environment_stands_over_one_of_a_file(write: Callable[..., str]) -> None:
    file, environ = write("[aai]", "password = filed"), {"AAI_PASSWORD": "set"}
    assert secret(load([file], {}), "aai", "password", {}) == "filed"
    assert secret(load([file], environ), "aai", "password", environ) == "set"


def test_an_unset_secret_is_empty() -> None:
    assert secret(load((), {}), "aai", "password", {}) == ""
    assert secret(load((), {"AAI_PASSWORD": "gone"}), "aai", "password", {}) == ""


@pytest.mark.parametrize("name", ["AAI_PASSWORD_FILE", "BROKER_AAI_PASSWORD_FILE"])
def test_a_secrets_file_is_read_each_time(name: str, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("one\n\n")
    environ = {name: str(file)}
    conf = load((), environ)
    assert secret(conf, "aai", "password", environ) == "one\n"
    file.write_text("two")
    assert secret(conf, "aai", "password", environ) == "two"
    file.unlink()
    with pytest.raises(ConfigurationError, match=r"No such file"):
        secret(conf, "aai", "password", environ)
