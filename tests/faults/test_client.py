"""The client sees what is there: a broker that goes wrong in each way that it has a word for."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from tests.conftest import until
from tests.faults import load
from tests.faults.client import CUT, GARBLED, LATE, MIXED_UP, REFUSED, UNANSWERED
from tests.faults.load import Load, Sample, Traffic

TRAFFIC = Traffic("one", lambda _: "/", 50)
Serve = Callable[[socket.socket, str], object]
"""Given a connection and the id of a request on it."""


@contextmanager
def served(serve: Serve) -> Iterator[int]:
    """A broker; its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_accept, args=(listener, serve), daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, serve: Serve) -> None:
    while True:
        try:
            sock, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_each, args=(sock, serve), daemon=True).start()


def _each(sock: socket.socket, serve: Serve) -> None:
    with sock:
        while data := sock.recv(4096):
            if serve(sock, data.partition(b"RequestID: ")[2].partition(b"\r")[0].decode()) is None:
                return


def told(content: str) -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Length: {len(content)}\r\n\r\n{content}".encode()


def fine(sock: socket.socket, id_: str) -> bool:
    sock.sendall(told(f"one {id_} "))
    return True


def seen(port: int, traffic: Traffic = TRAFFIC, least: int = 5) -> list[Sample]:
    with Load(port, [traffic]) as running:
        until(lambda: len(running.samples) >= least)
    return running.samples


@pytest.mark.parametrize(
    ("serve", "outcome"),
    [
        (fine, "200"),
        (lambda sock, id_: sock.sendall(told("one another ")), MIXED_UP),
        (lambda sock, id_: sock.sendall(told(f"one {id_} ")[:-3]), CUT),
        (lambda sock, id_: None, UNANSWERED),
        (lambda sock, id_: sock.sendall(b"what is this?\r\n\r\n"), GARBLED),
    ],
)
def test_each_outcome_is_told_apart(serve: Serve, outcome: str) -> None:
    with served(serve) as port:
        assert {one.outcome for one in seen(port)} == {outcome}


def test_nobody_listens() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        assert {one.outcome for one in seen(bound.getsockname()[1])} == {REFUSED}


def test_an_answer_that_never_comes_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "PATIENCE", 0.2)
    with served(lambda sock, id_: time.sleep(0.5)) as port:
        samples = seen(port)
    assert {one.outcome for one in samples} == {LATE}
    assert min(one.seconds for one in samples) >= 0.2


@pytest.mark.parametrize(("method", "tries"), [("GET", 2), ("POST", 1)])
def test_only_a_get_on_an_idle_connection_is_sent_again(method: str, tries: int) -> None:
    """The broker closes each connection as its second request comes."""
    asked: set[socket.socket] = set()

    def serve(sock: socket.socket, id_: str) -> object:
        if sock in asked:
            return None
        asked.add(sock)
        body = f"of {id_}" * 20 if method == "POST" else ""
        sock.sendall(told(f"one {id_} {body}"))
        return True

    with served(serve) as port:
        samples = seen(port, replace(TRAFFIC, method=method), least=20)
    again = [one for one in samples if one.tries > 1 or not one.fine]
    assert again
    assert {(one.tries, one.outcome) for one in again} == {(tries, "200" if method == "GET" else UNANSWERED)}


def test_a_slow_answer_holds_no_other_request_up() -> None:
    def serve(sock: socket.socket, id_: str) -> object:
        time.sleep(0.3)
        return fine(sock, id_)

    with served(serve) as port:
        began = time.monotonic()
        samples = seen(port, replace(TRAFFIC, kept=False), least=30)
    assert samples[29].ended - began < 2
