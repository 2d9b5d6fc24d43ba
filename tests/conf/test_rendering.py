from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from oslo_config import cfg

from app.conf import load, render, show
from app.conf.options import OPTIONS
from app.errors import ConfigurationError

PRINTABLE = st.text(st.characters(codec="utf-8", exclude_characters=":"), min_size=1).filter(str.isprintable)


def test_what_the_environment_sets_is_rendered() -> None:
    environ = {"MSB_ADDR": ".onap", "AAI_ADDR": "aai", "BROKER_SERVER_PORT": "9002", "WEB_FRAMEWORK": "pecan"}
    assert render(environ).splitlines() == [
        "# Rendered from the environment, which stands over it. Secrets are not in here.",
        "",
        "[server]",
        "# WEB_FRAMEWORK",
        "web_framework = pecan",
        "# BROKER_SERVER_PORT",
        "port = 9002",
        "",
        "[aai]",
        "# AAI_ADDR",
        "address = aai",
    ]


@pytest.mark.parametrize("name", ["AAI_PASSWORD", "BROKER_AAI_PASSWORD_FILE"])
def test_a_secret_is_not_rendered_but_where_it_is_read_from(name: str) -> None:
    rendered = render({name: "hidden"})
    assert "hidden" not in rendered
    assert f"# password is read from {name} when it is needed\n" in rendered


def test_rendering_checks_each_value() -> None:
    with pytest.raises(ConfigurationError, match=r"^server.port is 'x' \(BROKER_SERVER_PORT\)"):
        render({"BROKER_SERVER_PORT": "x"})


@given(PRINTABLE)
@example(" a ")
@example('"a"')
@example("'")
@example("[a]")
@example("# a = b")
def test_whatever_is_rendered_is_read_again_as_it_was(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    file = tmp_path_factory.mktemp("rendered") / "broker.conf"
    file.write_text(render({"AAI_USERNAME": text}), encoding="utf-8")
    assert load([str(file)], {}).aai.username == text


def shown(conf: cfg.ConfigOpts) -> dict[str, str]:
    return dict(line.split(" = ", 1) for line in show(conf).splitlines())


def test_every_option_is_shown_with_its_value_and_its_origin(write: Callable[..., str]) -> None:
    file = write("[server]", "backlog = 5", "port = 6")
    lines = shown(load([file], {"BROKER_SERVER_PORT": "7", "SSL_ENABLED": "FALSE"}))
    assert list(lines) == [str(key) for key in OPTIONS]
    assert lines["server.port"] == "7 (BROKER_SERVER_PORT; a change needs a restart)"
    assert lines["server.backlog"] == f"5 ({file}; a change needs a restart)"
    assert lines["server.workers"] == "0 (default; a change needs a restart)"
    assert lines["server.idle_timeout"] == "75.0 (default)"
    assert lines["tls.enabled"] == "false (SSL_ENABLED; a change needs a restart)"
    assert lines["msb.address"] == lines["aai.password"] == "<unset> (default)"


def test_secrets_are_shown_masked(write: Callable[..., str], tmp_path: Path) -> None:
    file = write("[aai]", "password = hidden")
    password = tmp_path / "password"
    password.write_text("hidden")
    for files, environ, name in (
        ([file], {}, file),
        ((), {"AAI_PASSWORD": "hidden"}, "AAI_PASSWORD"),
        ((), {"AAI_PASSWORD_FILE": str(password)}, "AAI_PASSWORD_FILE"),
    ):
        conf = load(files, environ)
        assert shown(conf)["aai.password"] == f"*** ({name})"
        assert "hidden" not in show(conf)


def test_a_list_of_networks_is_shown_as_it_is_written() -> None:
    lines = shown(load((), {"BROKER_FORWARDED_TRUSTED": "10.0.0.0/8, ::1"}))
    assert lines["forwarded.trusted"] == "10.0.0.0/8, ::1/128 (BROKER_FORWARDED_TRUSTED)"
