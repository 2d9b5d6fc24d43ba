"""What the tests of authentication share: credentials, a server of keys, and floods."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.auth.conftest import AUDIENCE, ISSUER, basic, hashed
from tests.conftest import Process, children
from tests.contract.conftest import BASE

TYPES = f"{BASE}/v0/vim_types"
PROBES = ("/livez", "/readyz", "/startupz", "/healthz")
RIGHT = "Basic " + basic(b"alice", b"pass:word").decode()
TOKENS = {"BROKER_AUTH_JWT_ISSUER": ISSUER, "BROKER_AUTH_JWT_AUDIENCE": AUDIENCE}
BASIC_ON = 'Basic realm="multicloud", charset="UTF-8"'
BEARER_ON = 'Bearer realm="multicloud"'


def users(path: Path, cost: int = 4, **passwords: str) -> str:
    """Write a file of users; returns its path."""
    path.write_text("".join(f"{name}:{hashed(password.encode(), cost)}\n" for name, password in passwords.items()))
    return str(path)


def ask(broker: Process, authorization: str | None = None, path: str = TYPES, method: str = "GET") -> tuple[int, Any]:
    headers = {} if authorization is None else {"Authorization": authorization}
    status, answer, _ = broker.ask(method, path, headers=headers)
    return status, answer.get_all("WWW-Authenticate", [])


class KeyServer:
    """Publishes a set of keys, or does something worse."""

    def __init__(self, text: bytes, tls: ssl.SSLContext | None = None) -> None:
        self.text = text
        self.status = 200
        self.asked: list[str] = []
        self.hold = threading.Event()
        self.hold.set()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.path)
                outer.hold.wait(30)
                self.send_response(outer.status)
                if outer.status in (301, 302):
                    self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", str(len(outer.text)))
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(outer.text)

            def log_message(self, *_: object) -> None: ...

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._server.daemon_threads = True
        scheme = "http" if tls is None else "https"
        self.url = f"{scheme}://localhost:{self._server.server_port}/certs?x=1"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self.hold.set()
        self._server.shutdown()
        self._server.server_close()


class Flood:
    """Requests on many connections at once; `statuses` are their answers', 0 for none."""

    def __init__(self, broker: Process, count: int, authorization: Callable[[int], str], path: str = TYPES) -> None:
        self.statuses: list[int] = []
        self._threads = [
            threading.Thread(target=self._one, args=(broker, authorization(number), path)) for number in range(count)
        ]

    def _one(self, broker: Process, authorization: str, path: str) -> None:
        try:
            self.statuses.append(ask(broker, authorization, path)[0])
        except (OSError, http.client.HTTPException):
            self.statuses.append(0)

    def __enter__(self) -> Flood:
        for thread in self._threads:
            thread.start()
        return self

    def ends(self) -> None:
        for thread in self._threads:
            thread.join(60)

    def __exit__(self, *_: object) -> None:
        self.ends()


def cpu(broker: Process) -> float:
    """Seconds of CPU that the broker's processes have taken."""
    fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in children(broker.popen.pid)]
    return sum(int(field) for one in fields for field in one[11:13]) / 100
