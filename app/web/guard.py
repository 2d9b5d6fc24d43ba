"""A probe that is not for everybody."""

from __future__ import annotations

from collections.abc import Iterable

from app.core.message import Request
from app.web.edge import HEAD, Authenticate, Environ, Head, Probe, StartResponse


def guarded(probe: Probe, authenticate: Authenticate) -> Probe:
    """Answers who is authenticated; raises what `authenticate` raises, which the edge answers."""

    def answer(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        head: Head = environ[HEAD]
        authenticate(Request(head.method, head.target, head.headers, environ["wsgi.input"], "", environ["REMOTE_ADDR"]))
        return probe(environ, start_response)

    return answer
