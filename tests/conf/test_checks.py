from __future__ import annotations

from pathlib import Path
from typing import Protocol

import pytest

from app.conf import load
from app.errors import ConfigurationError


class Certificate(Protocol):
    certificate: str
    key: str
    encrypted_key: str
    other_key: str


def refused(environ: dict[str, str]) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load((), environ)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        (
            {"BROKER_SERVER_HEADER_LIMIT": "4096"},
            "server.request_line_limit is 8192 (default): allowed is at most server.header_limit, which is 4096",
        ),
        (
            {"BROKER_UPSTREAM_BREAKER_OPEN": "31"},
            "upstream.breaker_open is 31.0 (BROKER_UPSTREAM_BREAKER_OPEN): allowed is at most upstream.breaker_open_max, which is 30.0",
        ),
        (
            {"BROKER_SERVER_WATCHDOG_TIMEOUT": "0.05"},
            "server.watchdog_timeout is 0.05 (BROKER_SERVER_WATCHDOG_TIMEOUT): allowed is 0, or at least 1",
        ),
        (
            {"BROKER_CLIENTS_RATE": "0.05"},
            (
                "clients.rate is 0.05 (BROKER_CLIENTS_RATE): allowed is 0, or at least 0.1, one request in "
                "clients.rate_window, which is 10"
            ),
        ),
        (
            {"AAI_ADDR": "aai", "AAI_USERNAME": "u"},
            (
                "aai.address is 'aai' (AAI_ADDR): allowed is to set it with both aai.username and aai.password, "
                "but aai.password is unset"
            ),
        ),
        (
            {"AAI_ADDR": "aai", "AAI_PASSWORD": "hidden"},
            (
                "aai.address is 'aai' (AAI_ADDR): allowed is to set it with both aai.username and aai.password, "
                "but aai.username is unset"
            ),
        ),
        (
            {"BROKER_PLUGINS_MAP_FILE": "/none"},
            (
                "plugins.map_file is '/none' (BROKER_PLUGINS_MAP_FILE): "
                "allowed is a file that can be read (No such file or directory)"
            ),
        ),
        (
            {"BROKER_INVENTORY_REGIONS_FILE": "/"},
            (
                "inventory.regions_file is '/' (BROKER_INVENTORY_REGIONS_FILE): "
                "allowed is a file that can be read (Is a directory)"
            ),
        ),
        (
            {"AAI_PASSWORD_FILE": "/none"},
            (
                "aai.password is in '/none' (AAI_PASSWORD_FILE): "
                "allowed is a file that can be read (No such file or directory)"
            ),
        ),
        (
            {"BROKER_AUTH_BASIC_FILE": "/none"},
            (
                "auth.basic_file is '/none' (BROKER_AUTH_BASIC_FILE): "
                "allowed is a file that can be read (No such file or directory)"
            ),
        ),
        (
            {"BROKER_AUTH_JWKS_URL": "https://i/keys"},
            (
                "auth.jwks_url is 'https://i/keys' (BROKER_AUTH_JWKS_URL): "
                "allowed is to set it with auth.jwt_issuer, which is unset"
            ),
        ),
        (
            {"BROKER_AUTH_JWKS_URL": "https://i/keys", "BROKER_AUTH_JWT_ISSUER": "i"},
            (
                "auth.jwks_url is 'https://i/keys' (BROKER_AUTH_JWKS_URL): "
                "allowed is to set it with auth.jwt_audience, which is unset"
            ),
        ),
        (
            {"BROKER_AUTH_JWT_AUDIENCE": "a", "BROKER_AUTH_JWT_ISSUER": "i"},
            "auth.jwt_issuer is 'i' (BROKER_AUTH_JWT_ISSUER): allowed is to set it with auth.jwks_url, which is unset",
        ),
        (
            {"BROKER_AUTH_JWKS_URL": "https://i/keys", "BROKER_AUTH_JWKS_FILE": "/dev/null"},
            (
                "auth.jwks_url is 'https://i/keys' (BROKER_AUTH_JWKS_URL): "
                "allowed is to leave it unset where auth.jwks_file is set"
            ),
        ),
        (
            {"SSL_ENABLED": "true", "BROKER_TLS_CERTIFICATE": "/none"},
            (
                "tls.certificate is '/none' (BROKER_TLS_CERTIFICATE): allowed is a PEM file of a certificate, "
                "and its chain after it (No such file or directory)"
            ),
        ),
        (
            {"BROKER_TLS_CLIENT_CA_FILE": "/none"},
            (
                "tls.client_ca_file is '/none' (BROKER_TLS_CLIENT_CA_FILE): "
                "allowed is a PEM file of certificates (No such file or directory)"
            ),
        ),
        (
            {"BROKER_UPSTREAM_CLIENT_CERTIFICATE": "/none"},
            (
                "upstream.client_certificate is '/none' (BROKER_UPSTREAM_CLIENT_CERTIFICATE): "
                "allowed is to set it together with upstream.client_key, which is unset"
            ),
        ),
        (
            {"BROKER_AAI_CLIENT_KEY": "/none"},
            (
                "aai.client_key is '/none' (BROKER_AAI_CLIENT_KEY): "
                "allowed is to set it together with aai.client_certificate, which is unset"
            ),
        ),
    ],
)
def test_what_does_not_fit_together_or_is_not_there_is_refused(environ: dict[str, str], message: str) -> None:
    assert refused(environ) == message


@pytest.mark.parametrize(
    "environ",
    [
        {"AAI_USERNAME": "u", "AAI_PASSWORD": "p", "AAI_ADDR": "aai"},
        {"AAI_ADDR": "aai"},
        {"AAI_USERNAME": "u", "AAI_ADDR": ".onap"},
        {"BROKER_TLS_CERTIFICATE": "/none"},
        {"BROKER_SERVER_HEADER_LIMIT": "8192"},
        {"BROKER_AUTH_BASIC_FILE": "/dev/null"},
        {"BROKER_AUTH_JWT_AUDIENCE": "a", "BROKER_AUTH_JWT_ISSUER": "i", "BROKER_AUTH_JWKS_URL": "https://i/keys"},
    ],
)
def test_what_fits_is_accepted(environ: dict[str, str]) -> None:
    load((), environ)


@pytest.mark.parametrize(
    ("group", "certificate_option", "key_option", "environ"),
    [
        ("tls", "certificate", "key", {"SSL_ENABLED": "true"}),
        ("upstream", "client_certificate", "client_key", {}),
        ("aai", "client_certificate", "client_key", {}),
    ],
)
def test_a_certificate_has_to_load_with_its_key(
    group: str,
    certificate_option: str,
    key_option: str,
    environ: dict[str, str],
    certificate: Certificate,
    tmp_path: Path,
) -> None:
    names = [f"BROKER_{group}_{option}".upper() for option in (certificate_option, key_option)]

    def given(crt: str, key: str) -> dict[str, str]:
        return {**environ, names[0]: crt, names[1]: key}

    load((), given(certificate.certificate, certificate.key))
    empty = tmp_path / "empty"
    empty.touch()
    for bad in ("/none", str(empty), certificate.key):
        start = f"{group}.{certificate_option} is {bad!r} ({names[0]}): allowed is a PEM file of a certificate"
        assert refused(given(bad, certificate.key)).startswith(start)
    for bad in ("/none", str(empty), certificate.encrypted_key, certificate.certificate, certificate.other_key):
        start = f"{group}.{key_option} is {bad!r} ({names[1]}): allowed is a PEM file of the key of the certificate"
        assert refused(given(certificate.certificate, bad)).startswith(start)


def test_client_certificates_are_not_asked_for_without_tls(certificate: Certificate) -> None:
    """It would look guarded, and be open."""
    environ = {"BROKER_TLS_CLIENT_CA_FILE": certificate.certificate}
    assert refused(environ).endswith("allowed is to set it where tls.enabled is true, which is false")
    tls = {"SSL_ENABLED": "1", "BROKER_TLS_CERTIFICATE": certificate.certificate, "BROKER_TLS_KEY": certificate.key}
    load((), {**environ, **tls})


@pytest.mark.parametrize("name", ["BROKER_AAI_CA_FILE", "BROKER_UPSTREAM_CA_FILE", "BROKER_AUTH_JWKS_CA_FILE"])
def test_authorities_have_to_load(name: str, certificate: Certificate) -> None:
    load((), {name: certificate.certificate})
    assert f"({name}): allowed is a PEM file of certificates" in refused({name: certificate.key})


def test_a_password_file_that_is_no_text_is_refused_without_its_content(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_bytes(b"hidden\xff")
    message = refused({"AAI_PASSWORD_FILE": str(file)})
    assert message.endswith("allowed is a file that can be read (it is no UTF-8 text)")
    assert "hidden" not in message
