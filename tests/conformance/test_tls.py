"""sslscan and testssl.sh against the broker's TLS, which is below the frameworks: one of them is enough."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.conformance.conftest import run
from tests.conftest import Process, a_broker

GOOD_CIPHER = re.compile(r"(TLS_|ECDHE-)[\w-]*(GCM|CHACHA20)[\w-]*")
"""Forward secret and AEAD (RFC 9325, 4.2): all of TLS 1.3's, and of 1.2 those with an ephemeral key."""


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """One with an RSA certificate, which the most ciphers can be used with."""
    folder = tmp_path_factory.mktemp("tls")
    crt, key = str(folder / "cert.crt"), str(folder / "cert.key")
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    subprocess.run([*made, "-keyout", key, "-out", crt], check=True, capture_output=True)
    with a_broker(SSL_ENABLED="true", BROKER_TLS_CERTIFICATE=crt, BROKER_TLS_KEY=key) as process:
        yield process


def test_sslscan_finds_nothing_old_and_nothing_weak(broker: Process, tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    status, said = run("sslscan", f"--xml={report}", f"127.0.0.1:{broker.port}")
    assert status == 0, said
    found = ElementTree.parse(report).getroot()
    enabled = [(one.get("type"), one.get("version")) for one in found.iter("protocol") if one.get("enabled") == "1"]
    assert enabled == [("tls", "1.2"), ("tls", "1.3")]
    ciphers = {str(one.get("cipher")): one for one in found.iter("cipher")}
    assert {str(one.get("sslversion")) for one in ciphers.values()} == {"TLSv1.2", "TLSv1.3"}
    assert [name for name in ciphers if not GOOD_CIPHER.fullmatch(name)] == []
    assert {one.get("strength") for one in ciphers.values()} <= {"strong", "acceptable"}
    assert [one.attrib for one in found.iter("heartbleed") if one.get("vulnerable") != "0"] == []
    assert [one.get("supported") for one in found.iter("renegotiation")] == ["0"]


def test_testssl_finds_no_compression_and_no_renegotiation(broker: Process, tmp_path: Path) -> None:
    """By bytes of its own, where sslscan can only test what its OpenSSL was built with."""
    report = tmp_path / "report.json"
    options = ("--quiet", "--color", "0", "--warnings", "batch", "--ip", "127.0.0.1", "--jsonfile", str(report))
    status, said = run("testssl", *options, "-C", "-R", f"localhost:{broker.port}")
    assert status == 0, said
    found = {one["id"]: one["severity"] for one in json.loads(report.read_text())}
    assert {found[name] for name in ("CRIME_TLS", "secure_renego", "secure_client_renego")} == {"OK"}, said
