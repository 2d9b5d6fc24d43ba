"""TLS contexts, for clients and for upstreams: TLS 1.2 or newer, no compression, no renegotiation, HTTP/1.1 only.

A context is never changed: a renewed certificate, key or CA makes a new one, which is for new handshakes; what is
open goes on with the old one.
"""

from __future__ import annotations

import logging
import socket
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from app.errors import ConfigurationError

SOON = 30
"""Days before a certificate's end from which on the log warns; the renewal of a 90 days' one is due by then."""

DAY = 86400.0


def end_tls(sock: socket.socket) -> None:
    """Send TLS's own end, if the socket has TLS; without it the peer takes a close for a cut (RFC 8446, 6.1).

    The peer's is not waited for.
    """
    if isinstance(sock, ssl.SSLSocket):
        with suppress(OSError, ValueError):  # it has gone, or sent more; ValueError: the end was sent already
            sock.unwrap()


def is_cut(error: OSError) -> bool:
    """Whether a peer ended TLS without a word; what says so is of a class of its own, but not in early Pythons 3.11."""
    return isinstance(error, ssl.SSLEOFError) or getattr(error, "reason", "") == "UNEXPECTED_EOF_WHILE_READING"


class Certificate(NamedTuple):
    """What the log and the metrics tell of one; `not_after` in seconds since the epoch."""

    subject: str
    not_after: float


@dataclass(frozen=True, slots=True)
class Tls:
    """A context, what it presents, and the group of options that it comes from, which errors name."""

    context: ssl.SSLContext
    certificate: Certificate | None = None
    group: str = "upstream"


def server(certificate: str, key: str, client_ca_file: str | None) -> Tls:
    """Towards clients. With `client_ca_file` a certificate that they present has to be of it; whether one without is
    served is up to the server, since probes have none. Raises `ConfigurationError`."""
    context = _context(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")  # of TLS 1.2; forward secret and AEAD only (RFC 9325, 4.2)
    if client_ca_file:
        context.verify_mode = ssl.CERT_OPTIONAL
        _trust(context, client_ca_file)
    return Tls(context, _present(context, certificate, key), "tls")


def client(group: str, ca_file: str | None, verify: bool, certificate: str | None, key: str | None) -> Tls:
    """Towards upstreams: names are checked too. Without a `ca_file` the system's authorities are trusted; without a
    certificate none is presented. Raises `ConfigurationError`."""
    context = _context(ssl.PROTOCOL_TLS_CLIENT)
    presented = _present(context, certificate, key) if certificate and key else None
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif ca_file:
        _trust(context, ca_file)
    else:
        context.load_default_certs()
    return Tls(context, presented, group)


def _context(protocol: int) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF  # an end without close_notify is a cut (RFC 9112, 9.8)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # an intermediate in a CA file is trusted as it stands
    context.set_alpn_protocols(["http/1.1"])
    return context


def _trust(context: ssl.SSLContext, ca_file: str) -> None:
    try:
        context.load_verify_locations(ca_file)
    except OSError as error:
        raise ConfigurationError(f"{ca_file} is no PEM file of certificates ({_why(error)})") from None


def _present(context: ssl.SSLContext, certificate: str, key: str) -> Certificate:
    found = _read(certificate)
    try:
        context.load_cert_chain(certificate, key, password=_no_passphrase)
    except OSError as error:
        raise ConfigurationError(
            f"{key} is no PEM file of the key of the certificate {certificate}, without a passphrase ({_why(error)})"
        ) from None
    return found


def _no_passphrase() -> bytes:
    """Else OpenSSL asks on the terminal for it, and the worker waits."""
    return b""


def _why(error: OSError) -> str:
    """OpenSSL's or the system's reason; never what is in the file."""
    return getattr(error, "reason", None) or error.strerror or "it cannot be parsed"


def _read(file: str) -> Certificate:
    """The first certificate of a PEM file: the one that is presented, before its chain."""
    from cryptography import x509  # 18 MiB: not for a broker that presents no certificate

    try:
        first = x509.load_pem_x509_certificate(Path(file).read_bytes())
        subject = first.subject.rfc4514_string() or f"serial number {first.serial_number:x}"
    except (OSError, ValueError) as error:
        why = _why(error) if isinstance(error, OSError) else "it cannot be parsed"
        raise ConfigurationError(f"{file} is no PEM file of a certificate ({why})") from None
    return Certificate(subject, first.not_valid_after_utc.timestamp())


def told(role: str, certificate: Certificate, now: float) -> tuple[int, str]:
    """The log's level and line on a certificate; `now` in seconds since the epoch."""
    end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(certificate.not_after))
    days = (certificate.not_after - now) / DAY
    line = f"the certificate of {role}, {certificate.subject}, "
    if days <= 0:
        return logging.ERROR, f"{line}has expired: it ended {end}; renew it"
    line += f"ends {end}, in {days:.0f} days"
    return (logging.WARNING, f"{line}; renew it") if days < SOON else (logging.INFO, line)
