"""The TLS handshake with an upstream, and what to do about one that fails: the error names the option to set."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Mapping
from types import MappingProxyType

from app.errors import UpstreamRefused, UpstreamTimeout
from app.net.loop import Loop, Waiter
from app.net.tls import Tls

UNTRUSTED = "set {group}.ca_file to the authority that signed it, and have the intermediate certificates sent with it"
CURES: Mapping[int, str] = MappingProxyType(
    {
        9: "wait until it is valid, or set the clocks right",
        10: "renew it",
        26: "have one issued for servers",
        62: "use a name that it is made out to",
        64: "use an address that it is made out to, or a name",
        66: "have one issued for a longer key",
        67: "have one issued by an authority with a longer key",
        68: "have one issued with a stronger digest",
    }
)
"""What to do about a certificate, by OpenSSL's verify code (x509_vfy.h); else `UNTRUSTED`, which is 18 to 21."""

ASKED = frozenset(("TLSV13_ALERT_CERTIFICATE_REQUIRED", "SSLV3_ALERT_HANDSHAKE_FAILURE", "SSLV3_ALERT_BAD_CERTIFICATE"))
"""The alerts of servers that want a client certificate and got none; the first is TLS 1.3's, the others are what
servers send with TLS 1.2 (RFC 8446, 6.2; RFC 5246, 7.4.6)."""

REFUSED = ASKED | {
    "SSLV3_ALERT_CERTIFICATE_EXPIRED",
    "SSLV3_ALERT_CERTIFICATE_REVOKED",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN",
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE",
    "TLSV1_ALERT_ACCESS_DENIED",
    "TLSV1_ALERT_DECRYPT_ERROR",
    "TLSV1_ALERT_UNKNOWN_CA",
}
"""The alerts of servers that do not take the client certificate that they got."""

OLD = frozenset(("UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION"))


def shake_hands(loop: Loop, sock: socket.socket, tls: Tls, name: str, seconds: float) -> ssl.SSLSocket:
    """The socket, secured; its certificate is made out to `name`, be that a host's name or an address.

    All of it may take `seconds`. Raises `UpstreamRefused` or `UpstreamTimeout`, and closes the socket then.
    """
    deadline = time.monotonic() + seconds
    secured = sock
    try:
        secured = tls.context.wrap_socket(
            sock, server_hostname=name.rstrip("."), do_handshake_on_connect=False, suppress_ragged_eofs=False
        )
        _complete(loop, secured, deadline)
    except BaseException as error:
        secured.close()
        if isinstance(error, OSError):
            raise UpstreamRefused(_explained(error, tls, name)) from None
        raise
    return secured


def _complete(loop: Loop, secured: ssl.SSLSocket, deadline: float) -> None:
    late = UpstreamTimeout("The upstream did not finish the TLS handshake in time.")
    waiter = Waiter(loop)
    while True:
        try:
            secured.do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError) as wanted:
            left = deadline - time.monotonic()
            if left <= 0:  # whoever drips a handshake wakes the waiter again and again
                raise late from None
            wait = waiter.readable if isinstance(wanted, ssl.SSLWantReadError) else waiter.writable
            wait(secured.fileno(), left, late)
        else:
            return


def _explained(error: OSError, tls: Tls, name: str) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        cure = CURES.get(error.verify_code, UNTRUSTED).format(group=tls.group)
        return f"The certificate of {name} is not trusted ({error.verify_message.rstrip('.')}); {cure}."
    if (message := unwelcome(error, tls)) is not None:
        return message
    reason = getattr(error, "reason", None)
    if reason in OLD:
        return f"There was no TLS handshake with {name} ({reason}); it has to speak TLS 1.2 or newer."
    return f"There was no TLS handshake with {name} ({reason or 'it closed'}); is it served by https?"


def unwelcome(error: OSError, tls: Tls) -> str | None:
    """What to do where an upstream's alert is about the client certificate, else None. With TLS 1.3 it comes after
    the handshake, in place of an answer (RFC 8446, 4.4.2.4)."""
    reason = getattr(error, "reason", None)
    if tls.certificate is None and reason in ASKED:
        options = f"{tls.group}.client_certificate and {tls.group}.client_key"
        return f"The upstream seems to ask for a client certificate ({reason}); set {options}."
    if tls.certificate is not None and reason in REFUSED:
        return f"The upstream does not take {tls.group}.client_certificate ({reason}); have it renewed or issued anew."
    return None
