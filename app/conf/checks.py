"""What the bounds of single options cannot say: orders between them, files that must load, secrets."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from oslo_config import cfg

from app.conf.options import OPTIONS, Key, refused
from app.conf.secrets import secret

AT_MOST = (
    (Key("server", "request_line_limit"), Key("server", "header_limit")),
    (Key("upstream", "breaker_open"), Key("upstream", "breaker_open_max")),
)
"""The first is at most the second."""


def _is_readable(file: str) -> None:
    with Path(file).open("rb"):
        pass


def _holds_authorities(file: str) -> None:
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(file)


FILES: Mapping[Key, tuple[Callable[[str], None], str]] = MappingProxyType(
    {
        Key("aai", "ca_file"): (_holds_authorities, "a PEM file of certificates"),
        Key("auth", "basic_file"): (_is_readable, "a file that can be read"),
        Key("auth", "jwks_ca_file"): (_holds_authorities, "a PEM file of certificates"),
        Key("auth", "jwks_file"): (_is_readable, "a file that can be read"),
        Key("upstream", "ca_file"): (_holds_authorities, "a PEM file of certificates"),
        Key("tls", "client_ca_file"): (_holds_authorities, "a PEM file of certificates"),
        Key("inventory", "regions_file"): (_is_readable, "a file that can be read"),
        Key("plugins", "map_file"): (_is_readable, "a file that can be read"),
    }
)
"""The files that must be there where the option is set: how each is tried, and what is allowed."""

WATCHDOG_LEAST = 1.0
"""Seconds; less would kill workers that are well."""

SERVER_PAIR = frozenset(Key("tls", name) for name in ("enabled", "certificate", "key"))
"""Any of these says that another pair is to be tried."""

CLIENT_PAIRS = tuple((Key(group, "client_certificate"), Key(group, "client_key")) for group in ("upstream", "aai"))
"""Both or none, and they fit."""


def check(conf: cfg.ConfigOpts, environ: Mapping[str, str], tried: Collection[Key] = OPTIONS) -> None:
    """Raises `ConfigurationError` for the first thing that is wrong. Of the files, those of the options `tried` are
    looked into."""
    _check_orders(conf)
    _check_files(conf, tried)
    for key, opt in OPTIONS.items():
        if opt.secret:
            secret(conf, key.group, key.option, environ)
    _check_login(conf, environ)
    _check_tokens(conf)
    _check_rate(conf)
    _check_watchdog(conf)


def _check_files(conf: cfg.ConfigOpts, tried: Collection[Key]) -> None:
    for key, (attempt, wanted) in FILES.items():
        if key in tried and _value(conf, key) is not None:
            _try(conf, key, wanted, attempt)
    if not conf.tls.enabled and conf.tls.client_ca_file is not None:
        raise _refused(conf, Key("tls", "client_ca_file"), "to set it where tls.enabled is true, which is false")
    if conf.tls.enabled and not SERVER_PAIR.isdisjoint(tried):
        _check_pair(conf, Key("tls", "certificate"), Key("tls", "key"))
    for pair in CLIENT_PAIRS:
        if not set(pair).isdisjoint(tried):
            _check_client_pair(conf, *pair)


def _check_orders(conf: cfg.ConfigOpts) -> None:
    for lower, upper in AT_MOST:
        if _value(conf, lower) > _value(conf, upper):
            raise _refused(conf, lower, f"at most {upper}, which is {_value(conf, upper)}")


def _check_client_pair(conf: cfg.ConfigOpts, certificate: Key, key: Key) -> None:
    unset = [one for one in (certificate, key) if _value(conf, one) is None]
    if len(unset) == 1:
        other = key if unset == [certificate] else certificate
        raise _refused(conf, other, f"to set it together with {unset[0]}, which is unset")
    if not unset:
        _check_pair(conf, certificate, key)


def _check_pair(conf: cfg.ConfigOpts, certificate: Key, key: Key) -> None:
    """Each file by itself, so that the error names the right one; then both together."""
    file = _value(conf, certificate)

    def load(key_file: str) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file, key_file, password=lambda: b"")  # else a passphrase is asked for

    _try(conf, certificate, "a PEM file of a certificate, and its chain after it", _holds_authorities)
    _try(conf, key, f"a PEM file of the key of the certificate {file!r}, without a passphrase", load)


def _check_rate(conf: cfg.ConfigOpts) -> None:
    """Less than one request in a window would let none through, ever."""
    rate, window = conf.clients.rate, conf.clients.rate_window
    if rate and rate * window < 1:
        wanted = f"0, or at least {1 / window:g}, one request in clients.rate_window, which is {window:g}"
        raise _refused(conf, Key("clients", "rate"), wanted)


def _check_watchdog(conf: cfg.ConfigOpts) -> None:
    """A worker is heard ten times a second, and a reload or a busy machine keeps it from that."""
    if 0 < conf.server.watchdog_timeout < WATCHDOG_LEAST:
        raise _refused(conf, Key("server", "watchdog_timeout"), f"0, or at least {WATCHDOG_LEAST:g}")


def _check_login(conf: cfg.ConfigOpts, environ: Mapping[str, str]) -> None:
    has_password = bool(secret(conf, "aai", "password", environ))
    if conf.aai.address is None or has_password == (conf.aai.username is not None):
        return
    missing = "aai.username" if has_password else "aai.password"
    raise _refused(
        conf, Key("aai", "address"), f"to set it with both aai.username and aai.password, but {missing} is unset"
    )


def _check_tokens(conf: cfg.ConfigOpts) -> None:
    """A set of keys goes with whose tokens count; half of it would be no authentication where one is meant."""
    options = conf.auth
    keys = [name for name in ("jwks_file", "jwks_url") if options[name] is not None]
    claims = ("jwt_issuer", "jwt_audience")
    if len(keys) > 1:
        raise _refused(conf, Key("auth", "jwks_url"), "to leave it unset where auth.jwks_file is set")
    for name in (*keys, *claims):
        missing = [claim for claim in claims if options[claim] is None]
        missing += [] if keys else ["jwks_url"]
        if options[name] is not None and missing:
            raise _refused(conf, Key("auth", name), f"to set it with auth.{missing[0]}, which is unset")


def _try(conf: cfg.ConfigOpts, key: Key, wanted: str, attempt: Callable[[str], None]) -> None:
    try:
        attempt(_value(conf, key))
    except OSError as error:
        why = getattr(error, "reason", None) or error.strerror or "it is none"  # OpenSSL's, else the system's
        raise _refused(conf, key, f"{wanted} ({why})") from None


def _refused(conf: cfg.ConfigOpts, key: Key, wanted: str) -> Exception:
    return refused(key, _value(conf, key), conf.get_location(key.option, key.group), wanted)


def _value(conf: cfg.ConfigOpts, key: Key) -> Any:
    return conf[key.group][key.option]
