"""Contexts: what they insist on, what they refuse to be made of, and what is told of a certificate."""

from __future__ import annotations

import logging
import ssl
import subprocess
from pathlib import Path

import pytest

from app.errors import ConfigurationError
from app.net import tls
from app.net.tls import DAY, Certificate, Tls, told
from tests.authorities import Authority, Issued


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), "root")


@pytest.fixture(scope="module")
def leaf(authority: Authority) -> Issued:
    return authority.issue()


@pytest.fixture
def both(authority: Authority, leaf: Issued) -> list[Tls]:
    return [
        tls.server(leaf.certificate, leaf.key, authority.file),
        tls.client("aai", authority.file, True, leaf.certificate, leaf.key),
    ]


def test_what_every_context_insists_on(both: list[Tls]) -> None:
    for made in both:
        options = made.context.options
        assert made.context.minimum_version is ssl.TLSVersion.TLSv1_2
        assert options & ssl.OP_NO_COMPRESSION
        assert options & ssl.OP_NO_RENEGOTIATION
        assert not options & ssl.OP_IGNORE_UNEXPECTED_EOF


def test_a_client_verifies_names_and_a_server_asks_for_certificates(both: list[Tls], leaf: Issued) -> None:
    server, client = both
    assert server.context.verify_mode is ssl.CERT_OPTIONAL
    assert (client.context.verify_mode, client.context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert tls.server(leaf.certificate, leaf.key, None).context.verify_mode is ssl.CERT_NONE
    unverified = tls.client("aai", None, False, None, None).context
    assert (unverified.verify_mode, unverified.check_hostname) == (ssl.CERT_NONE, False)
    assert tls.client("aai", None, True, None, None).context.verify_mode is ssl.CERT_REQUIRED


def test_it_is_known_what_is_presented(both: list[Tls], leaf: Issued) -> None:
    assert [made.certificate for made in both] == [Certificate("CN=leaf", leaf.not_after)] * 2
    assert [made.group for made in both] == ["tls", "aai"]
    assert tls.client("aai", None, False, None, None).certificate is None


def test_the_error_names_the_file_and_why(authority: Authority, leaf: Issued, tmp_path: Path) -> None:
    other = authority.issue("other")
    garbage, encrypted = tmp_path / "garbage", tmp_path / "encrypted"
    garbage.write_text("-----BEGIN CERTIFICATE-----\nc2VjcmV0\n-----END CERTIFICATE-----\n")
    command = ("openssl", "ec", "-in", leaf.key, "-aes256", "-passout", "pass:phrase", "-out", str(encrypted))
    subprocess.run(command, check=True, capture_output=True)
    half = tmp_path / "half"
    half.write_bytes(Path(leaf.certificate).read_bytes()[:300])
    none = str(tmp_path / "none")

    def refused(certificate: str, key: str, ca_file: str) -> str:
        with pytest.raises(ConfigurationError) as caught:
            tls.server(certificate, key, ca_file)
        assert "c2VjcmV0" not in caught.value.message
        return caught.value.message

    ca = authority.file
    assert refused(none, leaf.key, ca) == f"{none} is no PEM file of a certificate (No such file or directory)"
    for bad in (garbage, half, leaf.key):
        assert refused(str(bad), leaf.key, ca) == f"{bad} is no PEM file of a certificate (it cannot be parsed)"
    fit = f"is no PEM file of the key of the certificate {leaf.certificate}, without a passphrase"
    assert refused(leaf.certificate, none, ca) == f"{none} {fit} (No such file or directory)"
    assert refused(leaf.certificate, other.key, ca) == f"{other.key} {fit} (KEY_VALUES_MISMATCH)"
    for bad in (garbage, encrypted):
        assert refused(leaf.certificate, str(bad), ca).startswith(f"{bad} {fit} (")
    assert (
        refused(leaf.certificate, leaf.key, none)
        == f"{none} is no PEM file of certificates (No such file or directory)"
    )
    assert refused(leaf.certificate, leaf.key, leaf.key).startswith(f"{leaf.key} is no PEM file of certificates (")


@pytest.mark.parametrize(
    ("days", "level", "ends"),
    [
        (90, logging.INFO, "ends 1970-04-01T00:00:00Z, in 90 days"),
        (30, logging.INFO, "in 30 days"),
        (29, logging.WARNING, "in 29 days; renew it"),
        (0, logging.ERROR, "has expired: it ended 1970-01-01T00:00:00Z; renew it"),
        (-1, logging.ERROR, "has expired: it ended 1969-12-31T00:00:00Z; renew it"),
    ],
)
def test_what_the_log_tells_of_a_certificate(days: int, level: int, ends: str) -> None:
    found, line = told("server", Certificate("CN=x", days * DAY), 0.0)
    assert found == level
    assert line.startswith("the certificate of server, CN=x, ")
    assert line.endswith(ends)
