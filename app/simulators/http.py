"""The HTTP server under every simulator: threads, state behind a lock, a record of what came, faults.

Control paths, which are not recorded: `GET /_recorded` lists the requests that came, `DELETE /_recorded`
forgets them; `PUT /_faults` sets rules; `GET /_healthz` answers 200.
"""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from app.simulators import faults

KEPT_BODY = 64 << 10
"""Bytes of a body that the record keeps; beyond, it has the length and the digest."""

KEPT_REQUESTS = 10_000
PIECE = 64 << 10
RESET = struct.pack("ii", 1, 0)


@dataclass
class Asked:
    """A request as it came: `target` and header values as latin-1 texts, the body whole up to `KEPT_BODY`."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes = b""
    length: int = 0
    sha256: str = ""
    complete: bool = False
    certificate: str = ""
    """The common name of the client's certificate, where one was demanded."""

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    def header(self, name: str) -> str | None:
        """The first value of a header."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def json(self) -> Any:
        """The body as JSON; raises `ValueError`."""
        return json.loads(self.body)

    def json_object(self) -> dict[str, Any]:
        """The body as a JSON object; raises `ValueError`."""
        document = self.json()
        if not isinstance(document, dict):
            raise ValueError("send a JSON object")
        return document

    def as_dict(self) -> dict[str, object]:
        """As `/_recorded` lists it; the body in base64."""
        return {**vars(self), "body": base64.b64encode(self.body).decode()}


@dataclass
class Answer:
    """A response. `document` is sent as JSON unless there is a `body`; `headers` in their order and spelling."""

    status: int
    document: object = None
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes | None = None
    reason: str = ""
    chunked: bool = False

    def content(self) -> bytes:
        if self.body is not None:
            return self.body
        return b"" if self.document is None else json.dumps(self.document).encode()


Application = Callable[[Asked], Answer]


class Simulator(ThreadingHTTPServer):
    """A server of an application; `record` holds what it was asked."""

    daemon_threads = True
    request_queue_size = 4096

    def __init__(self, host: str, port: int, application: Application, tls: ssl.SSLContext | None = None) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Handler)
        self.application = application
        self.rules = faults.Rules()
        self.record: list[Asked] = []
        self.lock = threading.Lock()
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no news here."""

    def control(self, asked: Asked) -> Answer:
        """The control paths."""
        if asked.path == "/_recorded" and asked.method == "GET":
            with self.lock:
                return Answer(200, [one.as_dict() for one in self.record])
        if asked.path == "/_recorded" and asked.method == "DELETE":
            with self.lock:
                self.record.clear()
            return Answer(204)
        if asked.path == "/_faults" and asked.method == "PUT":
            try:
                self.rules.replace(asked.json())
            except ValueError as error:
                return Answer(400, {"error": str(error)})
            return Answer(204)
        if asked.path == "/_healthz":
            return Answer(200, {"status": "ok"})
        return Answer(404, {"error": "the control paths are /_recorded, /_faults and /_healthz"})


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 120
    server: Simulator

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name is the base class's
        """The record is the log."""

    def __getattr__(self, name: str) -> Callable[[], None]:
        if name.startswith("do_"):
            return self._answer
        raise AttributeError(name)

    def _answer(self) -> None:
        target = self.requestline.split(" ")[1]
        headers = [(name, str(value)) for name, value in self.headers.items()]
        asked = Asked(self.command, target, headers, certificate=self._client())
        control = target.startswith("/_")
        if not control:
            with self.server.lock:
                del self.server.record[:-KEPT_REQUESTS]
                self.server.record.append(asked)
        self._read_body(asked)
        if control:
            self._send(self.server.control(asked))
            return
        try:
            fault = faults.parse(asked.header("X-Fault") or "") or self.server.rules.take(target)
        except ValueError as error:
            self._send(Answer(400, {"error": str(error)}))
            return
        time.sleep(fault.get("delay", 0))
        if not self._misbehave(fault):
            answer = Answer(int(fault["status"]), {"fault": fault}) if "status" in fault else None
            self._send(answer or self.server.application(asked), fault)

    def _client(self) -> str:
        presented: Any = self.connection.getpeercert() if isinstance(self.connection, ssl.SSLSocket) else None
        subject = [pair for part in (presented or {}).get("subject", ()) for pair in part]
        return str(dict(subject).get("commonName", ""))

    def _read_body(self, asked: Asked) -> None:
        digest = hashlib.sha256()
        for piece in self._pieces():
            digest.update(piece)
            asked.length += len(piece)
            if len(asked.body) < KEPT_BODY:
                asked.body += piece[: KEPT_BODY - len(asked.body)]
        asked.sha256 = digest.hexdigest()
        asked.complete = True

    def _pieces(self) -> Iterator[bytes]:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            while size := int(self.rfile.readline(), 16):
                yield from self._exactly(size)
                self.rfile.readline()
            while self.rfile.readline() not in (b"\r\n", b""):
                pass
            return
        yield from self._exactly(int(self.headers.get("Content-Length") or 0))

    def _exactly(self, size: int) -> Iterator[bytes]:
        while size:
            piece = self.rfile.read1(min(size, PIECE))
            if not piece:
                raise ConnectionError("the body was cut")
            size -= len(piece)
            yield piece

    def _misbehave(self, fault: dict[str, float]) -> bool:
        """Whether a fault has been the whole answer."""
        if "reset" in fault:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        raw = {
            "close": b"",
            "reset": b"",
            "garbage": b"\x16\x03\x01 this is no HTTP\r\n\r\n",
            "cut": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf of i",
            "cut-at-head": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n",
            "cut-chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nhalf of i",
            "switch": b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
        }
        name = next((name for name in raw if name in fault), None)
        if name is not None:
            self.close_connection = True
            self.wfile.write(raw[name])
            return True
        if "huge" in fault:
            self._stream(int(fault["huge"]))
            return True
        return False

    def _stream(self, size: int) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n")
        self.wfile.write(b"Content-Length: %d\r\n\r\n" % size)
        piece = bytes(range(256)) * (PIECE // 256)
        while size:
            sent = piece[:size]
            self.wfile.write(sent)
            size -= len(sent)

    def _send(self, answer: Answer, fault: dict[str, float] | None = None) -> None:
        fault = fault or {}
        content = answer.content()
        head = self._head(answer, content)
        if "early-hints" in fault:
            self.wfile.write(b"HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n")
        if self.command == "HEAD" or answer.status in (204, 304):
            content = b""
        elif answer.chunked:
            content = b"".join(b"1\r\n%c\r\n" % byte for byte in content) + b"0\r\n\r\n"
        if "extra" in fault:
            content += b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\npoisoned"
        if "trickle" in fault:
            self.wfile.write(head)
            self._trickle(content, fault["trickle"])
        else:
            self.wfile.write(head + content)

    def _head(self, answer: Answer, content: bytes) -> bytes:
        headers = list(answer.headers)
        names = {name.lower() for name, _ in headers}
        if answer.document is not None and "content-type" not in names:
            headers.append(("Content-Type", "application/json"))
        if answer.chunked:
            headers.append(("Transfer-Encoding", "chunked"))
        elif "content-length" not in names and answer.status not in (204, 304):
            headers.append(("Content-Length", str(len(content))))
        reason = answer.reason or HTTPStatus(answer.status).phrase
        lines = [f"HTTP/1.1 {answer.status} {reason}", *(f"{name}: {value}" for name, value in headers), "", ""]
        return "\r\n".join(lines).encode("latin-1")

    def _trickle(self, content: bytes, pause: float) -> None:
        with suppress(OSError):  # the client has left, which is what a trickle is for
            for index in range(len(content)):
                self.wfile.write(content[index : index + 1])
                time.sleep(pause)
