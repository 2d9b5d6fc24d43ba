"""The probes: cheap, no log line, and nothing of A&AI or of plugins in them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from app.errors import MethodNotAllowed

Check = Callable[[], str]
"""Returns what is wrong, or an empty text."""

METHODS = ("GET", "HEAD")


class Health:
    """Answers a probe: 200 `ok`, or 503 with what is wrong; JSON by `Accept`; every check with `?verbose`, and then the
    `warnings` too, checks of what keeps nobody from serving."""

    def __init__(self, checks: Mapping[str, Check], warnings: Mapping[str, Check] = MappingProxyType({})) -> None:
        self._checks = checks
        self._warnings = warnings

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] not in METHODS:
            raise MethodNotAllowed(f"Use {' or '.join(METHODS)} here.", METHODS)
        results = {name: check() for name, check in self._checks.items()}
        wrong = [problem for problem in results.values() if problem]
        as_json = "application/json" in environ.get("HTTP_ACCEPT", "")
        verbose = any(part.partition("=")[0] == "verbose" for part in environ["QUERY_STRING"].split("&"))
        warnings = {name: check() for name, check in self._warnings.items()} if verbose else {}
        body = (_json if as_json else _text)(results, warnings, verbose)
        kind = "application/json" if as_json else "text/plain; charset=utf-8"
        status = "503 Service Unavailable" if wrong else "200 OK"
        headers = [("Content-Type", kind), ("Content-Length", str(len(body))), ("Cache-Control", "no-store")]
        start_response(status, headers)
        return [body]


def _text(results: Mapping[str, str], warnings: Mapping[str, str], verbose: bool) -> bytes:
    wrong = [problem for problem in results.values() if problem]
    verdict = "; ".join(wrong) if wrong else "ok"
    lines = [f"[{'!' if warning else '+'}] {name}: {warning or 'ok'}" for name, warning in warnings.items()]
    lines += [f"[{'-' if problem else '+'}] {name}: {problem or 'ok'}" for name, problem in results.items()]
    return "\n".join([*lines, verdict] if verbose else [verdict]).encode()


def _json(results: Mapping[str, str], warnings: Mapping[str, str], verbose: bool) -> bytes:
    wrong = [problem for problem in results.values() if problem]
    document: dict[str, object] = {"status": "; ".join(wrong) or "ok"}
    if verbose:
        told = {name: f"warning: {warning}" if warning else "ok" for name, warning in warnings.items()}
        document["checks"] = told | {name: problem or "ok" for name, problem in results.items()}
    return json.dumps(document).encode()
