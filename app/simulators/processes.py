"""Starts simulators as processes that end with the one that started them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from types import TracebackType

PASSWORD = "SIMULATOR_PASSWORD"  # noqa: S105  a name
"""The environment variable of the password that a simulator asks for: a command line is for all to see."""

LISTENS = re.compile(r"listens on \S+ port (\d+)")


class SimulatorProcess:
    """A running simulator, ready to answer; ends at the end of a `with` block, or when this process does."""

    def __init__(self, kind: str, *options: str, password: str = "") -> None:
        """`options` are those of `python -m app simulate KIND`; the port is any free one unless they say otherwise.

        Raises `RuntimeError` when it does not start.
        """
        command = [sys.executable, "-m", "app.simulators", kind, "--port", "0", "--with-parent", *options]
        self._popen = subprocess.Popen(  # noqa: S603  our own interpreter and module
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, PASSWORD: password},
            start_new_session=True,  # Ctrl-C is for the one who started it, who then ends it
        )
        assert self._popen.stdout is not None
        match = LISTENS.search(self._popen.stdout.readline())
        if match is None:
            self.end()
            raise RuntimeError(f"the {kind} simulator did not start")
        self.port = int(match[1])

    def __enter__(self) -> SimulatorProcess:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.end()

    def end(self) -> None:
        """End it, and wait until it has ended."""
        self._popen.terminate()
        self._popen.communicate(timeout=10)
