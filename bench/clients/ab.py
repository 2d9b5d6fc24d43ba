"""`ab`, the specification's client: HTTP/1.0, a connection for each request."""

from __future__ import annotations

import csv
import re
import tempfile
from pathlib import Path

from bench.clients.said import GaveUpError, Said, output_of

WAIT = 30
"""Seconds that it waits for a byte before it gives a connection up."""

FEW = 50
"""Up to so many requests it reads what it says of 99% from behind the end of its table."""


def ab(url: str, requests: int, concurrency: int, seconds: int, body: tuple[str, Path] | None = None) -> Said:
    """So many requests, or as many as there is time for; with a body they are `POST` or `PUT`, and its file.

    Raises `GaveUpError`.
    """
    with tempfile.TemporaryDirectory(prefix="ab-") as folder:
        table = Path(folder) / "percentages.csv"
        command = ["ab", "-q", "-r", "-s", str(WAIT), "-t", str(seconds), "-n", str(requests)]
        command += ["-c", str(concurrency), "-e", str(table), *_body(body), url]
        text = output_of(command, seconds + WAIT)
        return parse(text, table.read_text())


def _body(body: tuple[str, Path] | None) -> list[str]:
    if body is None:
        return []
    method, file = body
    return ["-p" if method == "POST" else "-u", str(file), "-T", "application/json"]


def parse(text: str, percentages: str) -> Said:
    """Of what `ab` writes, and of its file of percentages, which has the milliseconds' parts."""
    served = {row[0]: float(row[1]) for row in list(csv.reader(percentages.splitlines()))[1:]}
    requests = int(_value(text, "Complete requests"))
    if not requests or not served:
        raise GaveUpError("ab was answered nothing")
    failed = int(_value(text, "Failed requests")) + int(_value(text, "Non-2xx responses", 0))
    p99 = served["99"] if requests > FEW else _longest(text)
    return Said(requests, failed, _value(text, "Time taken for tests"), served["50"], p99)


def _longest(text: str) -> float:
    found = re.search(r"^\s*100%\s+(\d+)", text, flags=re.MULTILINE)
    if found is None:
        raise GaveUpError("ab says nothing of the longest request")
    return float(found[1])


def _value(text: str, name: str, absent: float | None = None) -> float:
    found = re.search(rf"^{name}:\s+([\d.]+)", text, flags=re.MULTILINE)
    if found is not None:
        return float(found[1])
    if absent is None:
        raise GaveUpError(f"ab says nothing of its {name.lower()}")
    return absent
