from __future__ import annotations

import re

import pytest

from app.conf import environment
from app.conf.options import OPTIONS, Key
from app.errors import ConfigurationError


def read(**environ: str) -> dict[str, str]:
    return {str(key): setting.text for key, setting in environment.read(environ).items()}


@pytest.mark.parametrize(
    ("name", "text", "option"),
    [
        ("MSB_PROTO", "https", "msb.protocol"),
        ("MSB_ADDR", "msb-iag", "msb.address"),
        ("MSB_PORT", "443", "msb.port"),
        ("AAI_PROTOCOL", "http", "aai.protocol"),
        ("AAI_ADDR", "aai", "aai.address"),
        ("AAI_PORT", "8443", "aai.port"),
        ("AAI_SCHEMA_VERSION", "v30", "aai.schema_version"),
        ("AAI_USERNAME", "AAI", "aai.username"),
        ("AAI_PASSWORD", "AAI", "aai.password"),
        ("SSL_ENABLED", "TRUE", "tls.enabled"),
        ("WEB_FRAMEWORK", "pecan", "server.web_framework"),
    ],
)
def test_todays_names_and_the_options_own_names_set_it(name: str, text: str, option: str) -> None:
    own = f"BROKER_{option.replace('.', '_').upper()}"
    assert read(**{name: text}) == read(**{own: text}) == read(**{name: text, own: text}) == {option: text}


def test_no_name_sets_two_options() -> None:
    names = [name for key in OPTIONS for name in environment.names(key)]
    assert len(names) == len(set(names))
    assert "BROKER_UPSTREAM_POOL_IDLE_TIMEOUT" in names
    assert "BROKER_AAI_PASSWORD_FILE" in names


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"MSB_ADDR": "", "MSB_PORT": "", "AAI_PORT": ""},
        {"MSB_ADDR": ".onap", "AAI_ADDR": ".onap", "BROKER_MSB_ADDRESS": ".onap"},
        {"MSB_PORT": "tcp://10.0.0.1:80", "AAI_PORT": "tcp://10.0.0.2:8443", "BROKER_SERVER_PORT": "tcp://10.0.0.3:1"},
        {"MULTICLOUD_PORT": "tcp://10.0.0.1:9001", "OS_SERVER__PORT": "1", "PATH": "/bin"},
        {"BROKER_RUN_DIR": "/dev/shm", "BROKER_TYPO": ""},
        {"BROKER_PORT": "tcp://10.0.0.1:80", "BROKER_SERVICE_HOST": "10.0.0.1", "BROKER_SERVICE_PORT_HTTP": "80"},
        {"BROKER_PORT_80_TCP_ADDR": "10.0.0.1", "BROKER_FILTER_SERVICE_PORT": "80", "BROKER_PORT_80_TCP": "tcp://x"},
    ],
)
def test_what_is_empty_or_set_by_the_platform_sets_nothing(environ: dict[str, str]) -> None:
    assert read(**environ) == {}


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        (
            {"MSB_PORT": "80", "BROKER_MSB_PORT": "81"},
            "msb.port is set by MSB_PORT ('80') and BROKER_MSB_PORT ('81'): allowed is one of them",
        ),
        (
            {"AAI_PASSWORD": "hidden", "AAI_PASSWORD_FILE": "hidden"},
            "aai.password is set by AAI_PASSWORD (***) and AAI_PASSWORD_FILE (***): allowed is one of them",
        ),
        (
            {"AAI_PASSWORD": "hidden", "BROKER_AAI_PASSWORD": "other"},
            "aai.password is set by AAI_PASSWORD (***) and BROKER_AAI_PASSWORD (***): allowed is one of them",
        ),
        (
            {"BROKER_SERVER_WORKER": "hidden"},
            "BROKER_SERVER_WORKER in the environment is unknown: did you mean BROKER_SERVER_WORKERS?",
        ),
        (
            {"BROKER_MSB_PORT_FILE": "hidden"},
            "BROKER_MSB_PORT_FILE in the environment is unknown: did you mean BROKER_MSB_PORT?",
        ),
    ],
)
def test_names_that_contradict_or_are_unknown_are_refused(environ: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{re.escape(message)}$"):
        environment.read(environ)


def test_a_setting_knows_its_variable() -> None:
    setting = environment.find(Key("aai", "address"), {"AAI_ADDR": "aai"})
    assert setting is not None
    assert setting.location.detail == "AAI_ADDR"
