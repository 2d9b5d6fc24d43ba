"""What the configuration's tests share: files, and certificates made by openssl."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

WriteFile = Callable[..., str]


class Certificate(NamedTuple):
    certificate: str
    key: str
    encrypted_key: str
    other_key: str


@pytest.fixture
def write(tmp_path: Path) -> WriteFile:
    """Write a configuration file of these lines; returns its path."""

    def written(*lines: str, name: str = "broker.conf") -> str:
        file = tmp_path / name
        file.write_text("\n".join(lines) + "\n")
        return str(file)

    return written


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    directory = tmp_path_factory.mktemp("certificate")
    names = ("cert.crt", "cert.key", "encrypted.key", "other.key")
    made = Certificate(*(str(directory / name) for name in names))
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")
    _openssl("req", "-x509", *curve, "-nodes", "-subj", "/CN=x", "-keyout", made.key, "-out", made.certificate)
    _openssl("ec", "-in", made.key, "-aes256", "-passout", "pass:phrase", "-out", made.encrypted_key)
    _openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-out", made.other_key)
    return made


def _openssl(*arguments: str) -> None:
    subprocess.run(("openssl", *arguments), check=True, capture_output=True)
