"""How the shared socket ends: what has begun comes through, nothing else begins."""

from __future__ import annotations

import select
import socket

import pytest

from app.server.listening import accept_silent_ones, hear, open_listener, refuse_new
from tests.conftest import until


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "::"])
def test_who_was_there_before_is_accepted_and_who_comes_later_is_not(host: str) -> None:
    with open_listener(host, 0, 16) as listener:
        address = ("127.0.0.1" if host == "::" else host, listener.getsockname()[1])
        with socket.create_connection(address) as before:
            refuse_new(listener)
            with pytest.raises(TimeoutError), socket.create_connection(address, timeout=0.3):
                pass
            before.sendall(b"x")
            accepted, _ = listener.accept()
            with accepted:
                hear(accepted)
                before.sendall(b"y")
                until(lambda: accepted.recv(4, socket.MSG_PEEK) == b"xy")
                accepted.sendall(b"z")
                assert before.recv(4) == b"z"
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_who_has_sent_nothing_is_held_back_until_that_is_over() -> None:
    with open_listener("127.0.0.1", 0, 16) as listener, socket.create_connection(listener.getsockname()):
        with pytest.raises(BlockingIOError):
            listener.accept()
        accept_silent_ones(listener)
        listener.settimeout(5)
        listener.accept()[0].close()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "::"])
def test_who_is_accepted_and_not_heard_is_heard_later(host: str) -> None:
    """What another worker accepts, that has not been told yet: nothing of it is lost."""
    with open_listener(host, 0, 16) as listener:
        address = ("127.0.0.1" if host == "::" else host, listener.getsockname()[1])
        with socket.create_connection(address) as before:
            refuse_new(listener)
            before.sendall(b"x")
            until(lambda: select.select([listener], [], [], 0)[0])
            accepted, _ = listener.accept()
            with accepted:
                before.sendall(b"y")
                assert accepted.recv(1) == b"x"
                accepted.settimeout(0.1)
                with pytest.raises(TimeoutError):
                    accepted.recv(1)
                hear(accepted)
                accepted.settimeout(20)
                assert accepted.recv(4) == b"y"
