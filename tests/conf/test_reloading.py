from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from app.conf.options import OPTIONS, Key
from app.conf.reloading import Configuration, begin, renew
from app.errors import ConfigurationError

WriteFile = Callable[..., str]

RESTART = {
    *("server." + name for name in ("web_framework", "host", "port", "backlog", "workers", "workers_max")),
    *("server.worker_memory", "server.worker_memory_max", "tls.enabled", "metrics.enabled", "metrics.directory"),
}
"""What the process is made of, or its shared memory; everything else is to reload."""


def named(*names: str) -> tuple[Key, ...]:
    return tuple(Key(*name.split(".")) for name in names)


def test_what_needs_a_restart_is_this_and_nothing_else() -> None:
    assert {str(key) for key, opt in OPTIONS.items() if not opt.mutable} == RESTART


def test_what_reloads_counts_and_what_does_not_stays(write: WriteFile) -> None:
    file = write("[server]", "port = 1", "idle_timeout = 2", "[clients]", "rate = 3")
    first = begin([file], {})
    write("[server]", "port = 11", "idle_timeout = 22", "[clients]", "rate = 3")
    second = renew(first, [file], {})
    assert (second.options.server.port, second.options.server.idle_timeout) == (1, 22)
    assert (second.changed, second.waiting) == (named("server.idle_timeout"), named("server.port"))
    third = renew(second, [file], {})
    assert (third.options.server.port, third.changed, third.waiting) == (1, (), named("server.port"))
    write("[server]", "port = 1", "idle_timeout = 22", "[clients]", "rate = 3")
    assert renew(third, [file], {})[2:] == ((), ())


def test_an_option_that_is_taken_out_of_a_file_has_its_default_again(write: WriteFile) -> None:
    file = write("[server]", "idle_timeout = 2", "port = 1")
    first = begin([file], {})
    write("[logs]", "level = DEBUG")
    second = renew(first, [file], {})
    assert (second.options.server.idle_timeout, second.options.server.port) == (75.0, 1)
    assert second.changed == named("server.idle_timeout", "logs.level")


def test_another_text_of_the_same_value_is_no_change(write: WriteFile) -> None:
    file = write("[server]", "idle_timeout = 2", "port = 01")
    first = begin([file], {})
    write("[server]", "idle_timeout = 2.0", "port = 1", "backlog = 4096")
    assert renew(first, [file], {})[2:] == ((), ())


def test_the_environment_stands_over_the_file_that_changes(write: WriteFile) -> None:
    file = write("[logs]", "level = INFO")
    environ = {"BROKER_LOGS_LEVEL": "ERROR"}
    first = begin([file], environ)
    write("[logs]", "level = DEBUG")
    assert renew(first, [file], environ)[2:] == ((), ())


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (("[server]", "idle_timeout = x"), r"server\.idle_timeout is 'x' \(.*broker\.conf\): allowed is a number from"),
        (("[server]", "port = 99999"), r"server\.port is '99999' .*: allowed is a whole number"),
        (("[server]", "prot = 1"), r"the option 'server\.prot' in .* is unknown: did you mean server\.port"),
        (("[server]", "request_line_limit = 70000"), r"request_line_limit is 70000 .*: allowed is at most"),
        (("[plugins]", "map_file = /none"), r"plugins\.map_file is '/none' .*: allowed is a file that can be read"),
        (("nothing",), r"is wrong in line 1"),
    ],
)
def test_what_would_end_a_start_is_refused_in_one_line(write: WriteFile, lines: tuple[str, ...], why: str) -> None:
    file = write()
    first = begin([file], {})
    write(*lines)
    with pytest.raises(ConfigurationError, match=why) as caught:
        renew(first, [file], {})
    assert "\n" not in caught.value.message


def test_a_configuration_file_that_is_gone_is_refused(write: WriteFile) -> None:
    file = write()
    first = begin([file], {})
    Path(file).unlink()
    with pytest.raises(ConfigurationError, match="cannot be read: No such file"):
        renew(first, [file], {})


def test_a_file_of_an_option_that_did_not_change_is_not_tried(write: WriteFile, tmp_path: Path) -> None:
    """Whoever watches it tells of it, and an option that has changed beside it counts."""
    regions = tmp_path / "regions"
    regions.write_text("[]")
    setting = f"regions_file = {regions}"
    file = write("[inventory]", setting)
    first = begin([file], {})
    regions.unlink()
    write("[inventory]", setting, "cache_ttl = 1")
    assert renew(first, [file], {}).changed == named("inventory.cache_ttl")


def test_a_secret_is_compared_and_never_shown(write: WriteFile, tmp_path: Path) -> None:
    login = ("[aai]", "address = a", "username = u")
    file = write(*login, "password = hidden")
    first = begin([file], {})
    write(*login, "password = other")
    assert renew(first, [file], {}).changed == named("aai.password")
    password = tmp_path / "password"
    password.write_text("hidden")
    environ = {"AAI_PASSWORD_FILE": str(password)}
    by_file: Configuration = begin([file], environ)
    password.unlink()
    with pytest.raises(ConfigurationError, match=r"aai\.password is in .*: allowed is a file that can be read"):
        renew(by_file, [file], environ)


def test_client_certificates_for_tls_that_needs_a_restart_are_no_reason_to_refuse(
    write: WriteFile, certificate: tuple[str, str, str, str]
) -> None:
    file = write()
    first = begin([file], {})
    names = ("certificate", "key", "client_ca_file")
    files = (f"{name} = {path}" for name, path in zip(names, (*certificate[:2], certificate[0]), strict=True))
    write("[tls]", "enabled = true", *files)
    second = renew(first, [file], {})
    assert second.waiting == named("tls.enabled")
    assert second.options.tls.client_ca_file == certificate[0]
    assert second.options.tls.enabled is False
