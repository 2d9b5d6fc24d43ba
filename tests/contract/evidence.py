"""The secrets of a run, in every form, and a search for them in all that a broker tells.

To add a secret: name it in `SECRETS`, and use it in `headers` (sent with every request), in `whole_run`, or in what the
commands refuse; a broker's own goes into the `settings` of `test_secrets`.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import itertools
import json
import re
import ssl
from collections.abc import Mapping
from urllib.parse import quote, quote_plus

from tests.conftest import Process, read_all

SECRETS: Mapping[str, str] = {
    name: f"{name.lower()}-s3/cr&t+{number}x7~q"
    for number, name in enumerate(
        (
            "AaiPassword",
            "BasicPassword",
            "BearerToken",
            "AuthToken",
            "SubjectToken",
            "Cookie",
            "SetCookie",
            "Query",
            "RequestBody",
            "AnswerBody",
            "Userinfo",
            "ProxyPassword",
            "Trailer",
            "ReasonPhrase",
        )
    )
}
"""Each with characters that are not the same percent-encoded."""

S = SECRETS
BASIC = base64.b64encode(f"so:{S['BasicPassword']}".encode()).decode()
QUERY = quote(S["Query"], safe="")


def headers(authorization: str) -> dict[str, str]:
    """With every request."""
    return {
        "Authorization": authorization,
        "X-Auth-Token": S["AuthToken"],
        "X-Subject-Token": S["SubjectToken"],
        "Cookie": f"session={S['Cookie']}; other=1",
        "Proxy-Authorization": f"Basic {base64.b64encode(S['ProxyPassword'].encode()).decode()}",
        "Content-Type": "application/json",
    }


AUTHORIZATIONS = (f"Basic {BASIC}", f"Bearer {S['BearerToken']}")


def forms(secret: str) -> dict[str, str]:
    """How a secret may look in a text: what stands in base64 may be a part of something longer, at any of 3 places."""
    data = secret.encode()
    found = {
        "itself": secret,
        "JSON": json.dumps(secret)[1:-1],
        "percent-encoded": quote(secret, safe=""),
        "percent-encoded in lower case": re.sub("%..", lambda code: code[0].lower(), quote(secret, safe="")),
        "percent-encoded as a path": quote(secret),
        "a form's field": quote_plus(secret),
        "hexadecimal": data.hex(),
    }
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + data + b"\0\0")
        whole = encoded[-(-shift * 8 // 6) : (shift + len(data)) * 8 // 6].decode()
        found[f"base64 {shift}"] = whole
        found[f"base64url {shift}"] = whole.replace("+", "-").replace("/", "_")
    return found


class Evidence:
    """Every text that the broker made, by where it was found."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.reasons: set[str] = set()
        self._count = itertools.count(1)

    def add(self, where: str, text: str | bytes) -> None:
        self.texts[f"{where} #{next(self._count)}"] = text if isinstance(text, str) else text.decode("latin-1")

    def answer(self, where: str, head: str, body: bytes, *, own: bool = False) -> None:
        """An answer, if it is the broker's own: an error of its own, or a page. What a plugin said is the client's."""
        with contextlib.suppress(ValueError, KeyError, TypeError):
            error = json.loads(body)["error"]
            self.reasons.add(error["reason"])
            own = own or "request_id" in error
        if own:
            self.add(where, head)
            self.add(where, body)

    def leaks(self) -> list[str]:
        return [
            f"{name} ({form}) in {where}"
            for name, secret in SECRETS.items()
            for form, text in forms(secret).items()
            for where, found in self.texts.items()
            if text in found
        ]


class Client:
    """Asks a broker, with all the secrets that a client has, and keeps what it made of them."""

    def __init__(self, broker: Process, evidence: Evidence, tls: ssl.SSLContext | None = None) -> None:
        self.broker = broker
        self.evidence = evidence
        self._tls = tls
        self._authorizations = itertools.cycle(AUTHORIZATIONS)

    def ask(self, method: str, path: str, body: object = None, *, own: bool = False, **more: str) -> None:
        """With each kind of authorization in turn."""
        payload = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        target = path + ("&" if "?" in path else "?") + f"password={QUERY}"
        extra = {name.replace("_", "-"): value for name, value in more.items()}
        connection = self._connection()
        with contextlib.closing(connection), contextlib.suppress(http.client.HTTPException, ConnectionError):
            connection.request(method, target, payload, {**headers(next(self._authorizations)), **extra})
            answer = connection.getresponse()
            self.evidence.answer(f"{method} {path}", str(answer.headers), answer.read(), own=own)

    def _connection(self) -> http.client.HTTPConnection:
        if self._tls is None:
            return http.client.HTTPConnection("127.0.0.1", self.broker.port, timeout=20)
        return http.client.HTTPSConnection("127.0.0.1", self.broker.port, timeout=20, context=self._tls)

    def raw(self, first: str, *lines: str, rest: bytes = b"", own: bool = True) -> None:
        """Bytes as they are, with the secrets in the head."""
        head = [
            first,
            "Host: broker",
            *(f"{name}: {value}" for name, value in headers(AUTHORIZATIONS[0]).items()),
            *lines,
        ]
        with self.broker.connect(20) as sock:
            sock.sendall("\r\n".join([*head, "", ""]).encode("latin-1") + rest)
            answer = read_all(sock)
        before, _, body = answer.partition(b"\r\n\r\n")
        self.evidence.answer(first, before.decode("latin-1"), body, own=own)
