from __future__ import annotations

import pytest

from app.conf.options import OPTIONS, Key, allowed, is_set, nearest, refused


@pytest.mark.parametrize("key", OPTIONS, ids=str)
def test_every_option_has_help_that_is_a_sentence_and_one_line_of_what_is_allowed(key: Key) -> None:
    opt = OPTIONS[key]
    assert opt.help
    assert opt.help[0].isupper()
    assert opt.help.endswith(".")
    assert "|" not in opt.help  # it stands in a table of the documentation
    assert allowed(opt)
    assert opt.name == opt.dest


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("server.web_framework", "django or pecan"),
        ("server.port", "a whole number from 0 to 65535"),
        ("server.grace_period", "a number from 0 to 3600"),
        ("tls.enabled", "true or false"),
        ("aai.schema_version", "v and a number"),
    ],
)
def test_what_is_allowed_is_said_in_words(name: str, words: str) -> None:
    assert allowed(OPTIONS[Key(*name.split("."))]) == words


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("msb.address", "msb", True),
        ("msb.address", "", False),
        ("msb.address", ".onap", False),
        ("aai.port", "tcp://10.0.0.1:80", False),
        ("aai.port", "80", True),
        ("aai.username", ".onap", True),
    ],
)
def test_what_is_empty_or_not_meant_is_unset(name: str, text: str, expected: bool) -> None:
    assert is_set(Key(*name.split(".")), text) is expected


def test_the_nearest_name_is_always_named() -> None:
    assert nearest("worker", ["workers", "port"]) == "workers"
    assert nearest("????", ["workers"]) == "workers"


def test_a_value_that_is_refused_is_told_unless_it_is_a_secret() -> None:
    assert str(refused(Key("msb", "port"), "x", None, "a number")) == "msb.port is 'x' (default): allowed is a number"
    assert str(refused(Key("aai", "password"), "x", None, "less")) == "aai.password is *** (default): allowed is less"


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("aai.address", "aai:8443", "'aai:8443'"),
        ("aai.address", "user:pass@word@aai", "'***@aai'"),
        ("msb.address", "https://user:pa//ss@msb:80", "'https://***@msb:80'"),
        ("aai.username", "user:password", "'user:***'"),
        ("aai.username", "user\n  password=x", "'user'..."),
        ("server.port", 7, "7"),
    ],
)
def test_what_may_be_a_password_is_not_shown_with_a_value_that_is_refused(name: str, value: object, shown: str) -> None:
    assert str(refused(Key(*name.split(".")), value, None, "less")) == f"{name} is {shown} (default): allowed is less"
