"""`python -m tests.contract.failing`: serves a broker whose parts fail, by what a request's target holds.

Each failure is one that nobody has foreseen: what the log says of it is a traceback.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

from app.cli import main
from app.core.message import Response
from app.upstream.client import Client
from app.upstream.forward import Forwarder
from app.web.broker import Broker
from app.web.edge import Edge

PLACES = ("handler", "forwarder", "client", "inventory", "body", "edge")


class DeliberateError(RuntimeError):
    """What no code of ours raises."""


def fails(place: str, of: type, method: str, target: Callable[..., object]) -> None:
    """Have a method fail where `target`, which gets its arguments, holds `fail-in-` and the place."""
    sound = getattr(of, method)

    def failing(self: Any, *arguments: Any, **keywords: Any) -> Any:
        if f"fail-in-{place}" in str(target(*arguments)):
            raise DeliberateError(place) from KeyError(place)
        return sound(self, *arguments, **keywords)

    setattr(of, method, failing)


def fails_in_body() -> None:
    """An answer that ends in the middle, by a failure of ours."""
    sound = Forwarder.forward

    def pieces() -> Iterator[bytes]:
        yield b"the first piece"
        raise DeliberateError("body")

    def failing(self: Forwarder, request: Any, destination: Any) -> Response:
        answer = sound(self, request, destination)
        if b"fail-in-body" in request.target:
            answer.body = pieces()
        return answer

    Forwarder.forward = failing  # type: ignore[method-assign]


if __name__ == "__main__":
    fails_in_body()
    fails("handler", Broker, "forward", lambda _version, _names, request: request.target)
    fails("forwarder", Forwarder, "forward", lambda request, _destination: request.target)
    fails("client", Client, "send", lambda _origin, _method, target, *_: target)
    fails("inventory", Client, "fetch", lambda _origin, _method, target, *_: target)
    fails("edge", Edge, "__call__", lambda environ, _: environ["PATH_INFO"])
    raise SystemExit(main(["serve", *sys.argv[1:]]))
