"""The broker with a name service that a test answers for: `python -m tests.contract.named FILE serve`.

The file holds a JSON object: by name its addresses, or the text `hangs`, or the name of an error of getaddrinfo's.
A name ends in `.test` (RFC 6761); all others are the system's.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
import warnings
from pathlib import Path
from typing import Any

warnings.filterwarnings("ignore", message="(?s).*Eventlet is deprecated")

from app.cli import main  # noqa: E402  the filter has to come first

SYSTEMS = socket.getaddrinfo


class NameService:
    """The test's side: what is said of names, and how often each was asked for."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._names: dict[str, list[str] | str] = {}
        self.says({})

    def says(self, names: dict[str, list[str] | str]) -> None:
        self._names = {**self._names, **names}
        new = self.file.with_suffix(".new")
        new.write_text(json.dumps(self._names))
        new.rename(self.file)

    def asked(self, host: str) -> int:
        log = self.file.with_suffix(".asked")
        return log.read_text().split().count(host) if log.exists() else 0


def answering(file: Path) -> Any:
    def getaddrinfo(host: str, port: int, *rest: Any, **more: Any) -> list[Any]:
        if not host.endswith(".test"):
            return SYSTEMS(host, port, *rest, **more)
        with file.with_suffix(".asked").open("a") as log:
            log.write(f"{host}\n")
        while (answer := json.loads(file.read_text())[host]) == "hangs":
            time.sleep(0.02)
        if isinstance(answer, str):
            raise socket.gaierror(getattr(socket, answer), answer)
        found = [SYSTEMS(address, port, *rest, **more) for address in answer]
        return [one for each in found for one in each]

    return getaddrinfo


if __name__ == "__main__":
    socket.getaddrinfo = answering(Path(sys.argv[1]))
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    sys.exit(main(sys.argv[2:]))
