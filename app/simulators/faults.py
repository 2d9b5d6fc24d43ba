"""What a simulator can be told to do wrong: by the request's `X-Fault` header, or by a rule set at `/_faults`.

A fault is a text such as `delay=0.5;status=503`: terms separated by `;`, each a name with or without a value.
A rule is `{"path": TEXT, "fault": FAULT, "times": NUMBER}`: it applies to requests whose target holds the
text, for ever or so many times; this is how to reach requests whose headers are the broker's own.
"""

from __future__ import annotations

import threading

KNOWN = {
    "delay": "seconds before the answer",
    "status": "answer with this status and a JSON body",
    "close": "close the connection without an answer",
    "reset": "reset the connection without an answer",
    "garbage": "answer with bytes that are not HTTP",
    "cut": "close in the middle of a body with a Content-Length",
    "cut-at-head": "close after the head, before the body",
    "cut-chunked": "close in the middle of a chunked body",
    "huge": "stream this many bytes",
    "trickle": "seconds between the bytes of the body",
    "extra": "send bytes that belong to no response after this one",
    "switch": "answer 101",
    "early-hints": "send a 103 first",
}
"""Every fault, and what its value means."""


def parse(text: str) -> dict[str, float]:
    """The terms of a fault, by name; without a value it is 0. Raises `ValueError` that lists what is known."""
    terms: dict[str, float] = {}
    for term in filter(None, (part.strip() for part in text.split(";"))):
        name, _, value = term.partition("=")
        if name not in KNOWN:
            raise ValueError(f"unknown fault {name!r}; known are {', '.join(KNOWN)}")
        terms[name] = float(value or 0)
    return terms


class Rules:
    """The rules set at `/_faults`; of several that match, the first one counts."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: list[tuple[str, dict[str, float], float]] = []

    def replace(self, document: object) -> None:
        """Set the rules. Raises `ValueError`."""
        if not isinstance(document, list):
            raise ValueError("send a list of rules")
        rules = [_rule(entry) for entry in document]
        with self._lock:
            self._rules = rules

    def take(self, target: str) -> dict[str, float]:
        """The fault for a request, counted as used."""
        with self._lock:
            for index, (path, fault, times) in enumerate(self._rules):
                if path in target and times > 0:
                    self._rules[index] = (path, fault, times - 1)
                    return fault
        return {}


def _rule(entry: object) -> tuple[str, dict[str, float], float]:
    if not isinstance(entry, dict) or not isinstance(entry.get("fault"), str):
        raise ValueError('a rule is {"path": TEXT, "fault": FAULT, "times": NUMBER}')
    return str(entry.get("path", "")), parse(entry["fault"]), float(entry.get("times", "inf"))
