"""A broker between a raw client and a raw plugin, both of them in this process and in one loop."""

from __future__ import annotations

import json
import selectors
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import NO_BREAKER, Process, a_broker

PATIENCE = 5.0
"""Seconds for a broker to do what it is expected to; more is a finding, or a machine that is busy."""

Answer = Callable[[bytes], tuple[bytes, int] | None]
"""What a plugin sends for what has arrived on a connection, and how many of those bytes that answers; None: wait."""


class Plugin:
    """A listening socket and its connections; what `answer` makes of their bytes goes back. `closing`: after an
    answer the connection is closed."""

    def __init__(self, selector: selectors.BaseSelector, answer: Answer) -> None:
        self.answer = answer
        self.closing = False
        self._selector = selector
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._listener.setblocking(False)
        self._held: dict[socket.socket, bytes] = {}
        selector.register(self._listener, selectors.EVENT_READ, self._accept)

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def _accept(self, _: socket.socket) -> None:
        sock, _ = self._listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._held[sock] = b""
        self._selector.register(sock, selectors.EVENT_READ, self._readable)

    def _readable(self, sock: socket.socket) -> None:
        try:
            data = sock.recv(65536)
        except ConnectionResetError:
            data = b""
        if not data:
            self._close(sock)
            return
        held = self._held[sock] + data
        while held and (answered := self.answer(held)) is not None:
            sent, taken = answered
            held = held[taken:]
            if not _sent(sock, sent) or self.closing:
                self._close(sock)
                return
        self._held[sock] = held

    def _close(self, sock: socket.socket) -> None:
        self._selector.unregister(sock)
        del self._held[sock]
        sock.close()

    def say(self, data: bytes) -> None:
        """Send on every connection what nobody asked for."""
        for sock in list(self._held):
            _sent(sock, data)

    def close(self) -> None:
        for sock in list(self._held):
            self._close(sock)
        self._selector.unregister(self._listener)
        self._listener.close()


def _sent(sock: socket.socket, data: bytes) -> bool:
    """Whether it could be sent: the broker may have closed."""
    try:
        sock.sendall(data)
    except OSError:
        return False
    return True


class Client:
    """One raw connection to the broker."""

    def __init__(self, scene: Scene) -> None:
        self.received = b""
        self.ended = False
        self.reset = False
        self._scene = scene
        scene.clients.add(self)
        self._sock = socket.create_connection(("127.0.0.1", scene.broker.port), PATIENCE)
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        scene.selector.register(self._sock, selectors.EVENT_READ, self._readable)

    def send(self, segments: Sequence[bytes]) -> None:
        """Whatever the broker does meanwhile: it may have refused, and closed."""
        try:
            for segment in segments:
                self._sock.sendall(segment)
        except OSError:
            pass

    def _readable(self, sock: socket.socket) -> None:
        try:
            data = sock.recv(65536)
        except ConnectionResetError:
            data = b""
            self.reset = True
        self.received += data
        if not data:
            self.ended = True
            self._scene.selector.unregister(sock)

    def close(self) -> None:
        if not self.ended:
            self._scene.selector.unregister(self._sock)
        self._sock.close()
        self._scene.clients.discard(self)


class Scene:
    """The broker of one framework, the plugin, and the loop that drives the clients and the plugin."""

    def __init__(self, selector: selectors.BaseSelector, plugin: Plugin, broker: Process) -> None:
        self.selector = selector
        self.plugin = plugin
        self.broker = broker
        self.clients: set[Client] = set()

    def client(self) -> Client:
        return Client(self)

    def run_until(self, done: Callable[[], bool], seconds: float = PATIENCE) -> bool:
        """Serve both sides until `done`; whether it came to that in time."""
        deadline = time.monotonic() + seconds
        while not done():
            events = self.selector.select(max(0.0, deadline - time.monotonic()))
            if not events:
                return False
            self._serve(events)
        return True

    def settle(self) -> None:
        """Take what is there already."""
        while events := self.selector.select(0):
            self._serve(events)

    def _serve(self, events: list[tuple[selectors.SelectorKey, int]]) -> None:
        for key, _ in events:
            if key.fileobj in self.selector.get_map():  # an earlier one may have closed it
                key.data(key.fileobj)


@contextmanager
def a_scene(framework: str, folder: Path, answer: Answer) -> Iterator[Scene]:
    """A broker of one worker before a plugin that answers so."""
    selector = selectors.DefaultSelector()
    plugin = Plugin(selector, answer)
    served = {"provider_plugin": "multicloud-vio", "endpoint": f"http://127.0.0.1:{plugin.port}"}
    version = {"version": "4.0", "extra_info_hint": "", **served}
    map_file = folder / f"provider-plugin-{framework}.json"
    map_file.write_text(json.dumps({"vmware": {"vim_type": "vmware", "versions": {"4.0": version}, **served}}))
    try:
        settings = {"BROKER_PLUGINS_MAP_FILE": str(map_file), "BROKER_LOGS_ACCESS": "false", **NO_BREAKER}
        with a_broker(framework, **settings) as broker:
            scene = Scene(selector, plugin, broker)
            try:
                yield scene
            finally:
                for client in list(scene.clients):
                    client.close()
    finally:
        plugin.close()
        selector.close()
