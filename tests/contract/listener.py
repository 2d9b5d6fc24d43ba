"""A server that says what it is told to, whatever is asked, and remembers who came."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

from tests.conftest import until

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class Listener:
    """Knows the ports that connections came from, and keeps the heads of the requests that came on them."""

    def __init__(self, answer: bytes = OK, host: str = "127.0.0.1", port: int = 0) -> None:
        self.answer = answer
        self.go_on = threading.Event()
        """While this is clear nothing is answered."""
        self.go_on.set()
        self.heads: list[bytes] = []
        self._peers: list[int] = []
        self._socket = socket.create_server((host, port), backlog=128)
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with contextlib.suppress(OSError):  # closed: the end
            while True:
                sock, address = self._socket.accept()
                self._peers.append(address[1])
                threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        """One request a connection."""
        with sock, contextlib.suppress(OSError):
            sock.settimeout(10)
            data = b""
            while b"\r\n\r\n" not in data:
                piece = sock.recv(65536)
                if not piece:
                    return
                data += piece
            self.heads.append(data.partition(b"\r\n\r\n")[0])
            self.go_on.wait(30)
            sock.sendall(self.answer)
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(65536):
                pass

    @property
    def connections(self) -> int:
        """How many there have been up to now: they are taken in order, so all are counted once a last one is."""
        with socket.create_connection(("127.0.0.1", self.port)) as last:
            port = last.getsockname()[1]
            until(lambda: port in self._peers)
            self._peers.remove(port)
        return len(self._peers)

    def close(self) -> None:
        self.go_on.set()
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(10)


@contextlib.contextmanager
def listening(answer: bytes = OK, host: str = "127.0.0.1", port: int = 0) -> Iterator[Listener]:
    listener = Listener(answer, host, port)
    try:
        yield listener
    finally:
        listener.close()
