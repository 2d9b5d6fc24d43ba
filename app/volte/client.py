"""HTTP to a broker, as VF-C speaks it: one request a connection, `Content-Length: 0` on GET and DELETE."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from app.volte.answers import Answer, Failure


class Unreachable(Failure):
    """No connection was made, so nothing was sent: refused, no such host, time-out, or a certificate not trusted."""


@dataclass(frozen=True)
class Base:
    """A broker's address; `path` has no slash at its end."""

    url: str
    tls: bool
    host: str
    port: int
    path: str

    @classmethod
    def parse(cls, url: str) -> Base:
        """Raises `ValueError` that says what is wrong."""
        if not url.isascii() or not url.isprintable() or " " in url:
            raise ValueError("a URL is printable ASCII without spaces")
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("give a URL such as http://127.0.0.1:9001")
        if parts.username is not None or parts.query or parts.fragment:
            raise ValueError("a user, a query or a fragment has no place in a broker's URL")
        tls = parts.scheme == "https"
        port = parts.port if parts.port is not None else (443 if tls else 80)
        return cls(url.rstrip("/"), tls, parts.hostname, port, parts.path.rstrip("/"))


class Client:
    """`timeout` in seconds bounds connecting and each wait for bytes, not a whole answer that trickles in."""

    def __init__(self, base: Base, timeout: float, tls: ssl.SSLContext | None = None) -> None:
        self._base = base
        self._timeout = timeout
        self._tls = tls

    def ask(self, method: str, path: str, body: object, request_id: str) -> Answer:
        """One request for a whole path, the base's included; `body` None is none, anything else goes as JSON.

        Redirects are not followed. Raises `Unreachable`, or `Failure` where the answer stayed out or is no HTTP.
        """
        payload = None if body is None else json.dumps(body).encode()
        connection = self._connection()
        try:
            self._connect(connection)
            connection.request(method, path, payload, _headers(payload, request_id))
            response = connection.getresponse()
            return Answer(response.status, response.read())
        except TimeoutError:
            raise Failure(f"no answer within {self._timeout:g} s") from None
        except (OSError, http.client.HTTPException) as error:
            raise Failure(f"no valid answer ({str(error) or type(error).__name__})") from error
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        base = self._base
        if not base.tls:
            return http.client.HTTPConnection(base.host, base.port, timeout=self._timeout)
        return http.client.HTTPSConnection(base.host, base.port, timeout=self._timeout, context=self._tls)

    def _connect(self, connection: http.client.HTTPConnection) -> None:
        """Apart from sending: after a failure here nothing was asked for. Raises `Unreachable`."""
        url = self._base.url
        try:
            connection.connect()
        except ssl.SSLCertVerificationError as error:
            hint = "name its CA with --ca-file, or use --insecure for a test"
            raise Unreachable(f"{url} has a certificate that is not trusted ({error.verify_message}): {hint}") from None
        except ssl.SSLError as error:
            reason = error.reason or "no TLS"
            raise Unreachable(f"{url} does not speak TLS with us ({reason}): is it an http:// address?") from None
        except ConnectionRefusedError:
            hint = "start the broker (python -m app demo), or give the URL of one that runs"
            raise Unreachable(f"nothing listens at {url} (connection refused): {hint}") from None
        except TimeoutError:
            hint = "check the address and the network"
            raise Unreachable(f"{url} does not take a connection within {self._timeout:g} s: {hint}") from None
        except (OSError, UnicodeError) as error:
            text = getattr(error, "strerror", None) or str(error)
            raise Unreachable(f"{url} cannot be reached ({text}): check the address and the network") from None


def _headers(payload: bytes | None, request_id: str) -> Mapping[str, str]:
    common = {"Accept": "application/json", "User-Agent": "multicloud-volte", "X-ONAP-RequestID": request_id}
    if payload is None:
        return {**common, "Content-Length": "0"}
    return {**common, "Content-Type": "application/json"}


def trust(ca_file: str | None, insecure: bool) -> ssl.SSLContext:
    """The TLS settings. Raises `OSError` (of which `ssl.SSLError` is one) where the file is no list of CAs."""
    context = ssl.create_default_context(cafile=ca_file)
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
