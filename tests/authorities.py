"""Certificate authorities for the tests: a root, an intermediate below it, and leaves of every kind, as PEM files."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LOCAL = ("localhost", "127.0.0.1")
PEM = (PrivateFormat.PKCS8, NoEncryption())
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class Issued(NamedTuple):
    """The paths of a certificate, its chain after it, and of its key; `not_after` in seconds since the epoch."""

    certificate: str
    key: str
    not_after: float

    def context(self) -> ssl.SSLContext:
        """Of a server that presents it."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context


class Authority:
    """Signs certificates, which it writes below `folder`; `above` is who has signed its own, itself if nobody."""

    def __init__(self, folder: Path, name: str, above: Authority | None = None) -> None:
        self.name = name
        self._folder = folder
        self._above = above
        self._key = ec.generate_private_key(ec.SECP256R1())
        signer, signer_key = (above.name, above._key) if above else (name, self._key)
        self.own = _signed(name, self._key, signer, signer_key, days=(-1, 30), ca=True)
        self.file = str(folder / f"{name}.crt")
        Path(self.file).write_bytes(self.own)

    @property
    def chain(self) -> bytes:
        """What a server sends after its own certificate: up to the root, which is not sent."""
        return self.own + self._above.chain if self._above else b""

    @property
    def trusted(self) -> ssl.SSLContext:
        """Of a client that trusts this one."""
        return ssl.create_default_context(cafile=self.file)

    def issue(
        self,
        name: str = "leaf",
        names: Sequence[str] = LOCAL,
        days: tuple[float, float] = (-1, 20),
        *,
        chain: bool = True,
        client: bool = False,
        key: Key | None = None,
        folder: Path | None = None,
    ) -> Issued:
        """A leaf for these names, valid from and to so many days from now, with or without its chain."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        signed = _signed(name, key, self.name, self._key, days=days, names=names, client=client)
        return _written((folder or self._folder) / name, signed + (self.chain if chain else b""), key)


def self_signed(folder: Path, name: str = "self", names: Sequence[str] = LOCAL) -> Issued:
    key = ec.generate_private_key(ec.SECP256R1())
    return _written(folder / name, _signed(name, key, name, key, days=(-1, 20), names=names), key)


def _written(path: Path, certificates: bytes, key: Key) -> Issued:
    issued = Issued(
        f"{path}.crt", f"{path}.key", x509.load_pem_x509_certificate(certificates).not_valid_after_utc.timestamp()
    )
    Path(issued.certificate).write_bytes(certificates)
    Path(issued.key).write_bytes(key.private_bytes(Encoding.PEM, *PEM))
    return issued


def _signed(
    name: str,
    key: Key,
    signer: str,
    signer_key: Key,
    *,
    days: tuple[float, float],
    names: Sequence[str] = (),
    ca: bool = False,
    client: bool = False,
) -> bytes:
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_named(name))
        .issuer_name(_named(signer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=days[0]))
        .not_valid_after(now + timedelta(days=days[1]))
        .add_extension(x509.BasicConstraints(ca, None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer_key.public_key()), critical=False)
    )
    if ca:
        builder = builder.add_extension(_usage(), critical=True)
    else:
        purpose = ExtendedKeyUsageOID.CLIENT_AUTH if client else ExtendedKeyUsageOID.SERVER_AUTH
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        builder = builder.add_extension(x509.SubjectAlternativeName([_general(one) for one in names]), critical=False)
    return builder.sign(signer_key, hashes.SHA256()).public_bytes(Encoding.PEM)


def _usage() -> x509.KeyUsage:
    no = dict.fromkeys(
        (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    return x509.KeyUsage(digital_signature=True, key_cert_sign=True, crl_sign=True, **no)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
