from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from oslo_config import cfg

from app.conf import load
from app.conf.loading import build
from app.conf.options import OPTIONS, Key, Setting
from app.errors import ConfigurationError


def test_without_anything_every_option_has_its_default() -> None:
    conf = load((), {})
    assert {key: conf[key.group][key.option] for key in OPTIONS} == {key: opt.default for key, opt in OPTIONS.items()}


def test_the_defaults_that_others_rely_on() -> None:
    conf = load((), {})
    assert (conf.server.web_framework, conf.server.host, conf.server.port) == ("django", "0.0.0.0", 9001)
    assert (conf.aai.protocol, conf.aai.port, conf.aai.schema_version, conf.aai.address) == ("https", 0, "v13", None)
    assert (conf.msb.protocol, conf.msb.address, conf.msb.port) == ("http", None, 0)
    assert conf.tls.certificate == "/opt/multivimbroker/multivimbroker/pub/ssl/cert/cert.crt"


def test_environment_over_file_over_default(write: Callable[..., str]) -> None:
    file = write("[server]", "port = 1", "backlog = 2")
    conf = load([file], {"BROKER_SERVER_PORT": "3"})
    assert (conf.server.port, conf.server.backlog, conf.server.header_count) == (3, 2, 128)
    assert load([file], {"BROKER_SERVER_PORT": ""}).server.port == 1


def test_each_load_is_a_configuration_of_its_own() -> None:
    one, other = load((), {"BROKER_SERVER_PORT": "1"}), load((), {})
    assert (one.server.port, other.server.port) == (1, 9001)


def test_neither_the_command_line_nor_oslos_own_variables_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["broker", "--config-file", "none", "--nonsense"])
    monkeypatch.setenv("OS_SERVER__PORT", "1")
    assert load((), {}).server.port == 9001


def test_a_dollar_is_no_reference(write: Callable[..., str]) -> None:
    conf = load([write("[aai]", r"password = $$a\$b${aai.username}")], {"AAI_USERNAME": "$port"})
    assert conf.aai.username == "$port"
    assert conf.aai.password == r"$$a\$b${aai.username}"


@pytest.mark.parametrize("text", ["true", "True", "TRUE", "false", "False", "FALSE"])
def test_ssl_enabled_has_any_case(text: str) -> None:
    location = cfg.LocationInfo(cfg.Locations.environment, "SSL_ENABLED")
    assert build({Key("tls", "enabled"): Setting(text, location)}).tls.enabled is (text.lower() == "true")


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        (
            {"BROKER_SERVER_PORT": "65536"},
            "server.port is '65536' (BROKER_SERVER_PORT): allowed is a whole number from 0 to 65535",
        ),
        ({"MSB_PORT": "http"}, "msb.port is 'http' (MSB_PORT): allowed is a whole number from 0 to 65535"),
        ({"WEB_FRAMEWORK": "flask"}, "server.web_framework is 'flask' (WEB_FRAMEWORK): allowed is django or pecan"),
        ({"SSL_ENABLED": "maybe"}, "tls.enabled is 'maybe' (SSL_ENABLED): allowed is true or false"),
        (
            {"BROKER_UPSTREAM_IDLE_TIMEOUT": "nan"},
            "upstream.idle_timeout is 'nan' (BROKER_UPSTREAM_IDLE_TIMEOUT): allowed is a number from 0.01 to 86400",
        ),
        (
            {"AAI_SCHEMA_VERSION": "13/.."},
            "aai.schema_version is '13/..' (AAI_SCHEMA_VERSION): allowed is v and a number",
        ),
        (
            {"AAI_USERNAME": "a\nb"},
            r"aai.username is 'a'... (AAI_USERNAME): allowed is printable text in one line",
        ),
        (
            {"AAI_ADDR": "http://aai"},
            (
                "aai.address is 'http://aai' (AAI_ADDR): "
                "allowed is a host name or an IP address, without scheme, port and brackets"
            ),
        ),
    ],
)
def test_a_bad_value_is_one_line_of_option_value_origin_and_what_is_allowed(
    environ: dict[str, str], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"^{re.escape(message)}$"):
        load((), environ)


def test_a_bad_value_of_a_file_names_the_file(write: Callable[..., str]) -> None:
    file = write("[server]", "workers = -1")
    message = f"server.workers is '-1' ({file}): allowed is a whole number from 0 to 1024"
    with pytest.raises(ConfigurationError, match=f"^{re.escape(message)}$"):
        load([file], {})


def test_a_bad_value_that_the_environment_stands_over_does_not_matter(write: Callable[..., str]) -> None:
    assert load([write("[server]", "workers = -1")], {"BROKER_SERVER_WORKERS": "1"}).server.workers == 1


def test_a_configuration_never_holds_a_secret_of_the_environment() -> None:
    assert load((), {"AAI_PASSWORD": "hidden"}).aai.password == "***"
