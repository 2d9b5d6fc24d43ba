"""What is around a broker, as processes that can be killed, frozen, started again on their ports, and told to go wrong."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from app.simulators.processes import SimulatorProcess
from tests.conftest import ROOT, Process
from tests.contract.conftest import Simulated
from tests.faults.load import prefer

PORTS = re.compile(r"listens on \S+ ports ([\d ]+)")


class Plugins:
    """One process that is a plugin under each of some names; see `tests.faults.plugin` for its modes."""

    def __init__(self, folder: Path, *names: str, host: str = "127.0.0.1", port: int = 0) -> None:
        self.names = names
        self._host = host
        self._log = folder / f"{names[0]}.posts"
        self.ports = dict.fromkeys(names, port)
        self.start()

    def __enter__(self) -> Plugins:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.kill()

    def start(self) -> None:
        """Again, on the same ports."""
        where = [f"{name}:{port}" for name, port in self.ports.items()]
        popen = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.plugin", str(self._log), self._host, *where],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._process = Process(popen)
        prefer(popen.pid)
        ports = self._process.read_until(PORTS.pattern)[1].split()
        self.ports = dict(zip(self.names, map(int, ports), strict=True))

    def turn(self, mode: str, seconds: float = 0.0) -> None:
        """Go wrong from now on, or be `ok` again."""
        popen = self._process.popen
        assert popen.stdin is not None
        popen.stdin.write(f"{mode} {seconds}\n")
        popen.stdin.flush()
        self._process.read_until("done")

    def kill(self) -> None:
        popen = self._process.popen
        popen.kill()
        popen.wait()
        assert popen.stdin is not None
        popen.stdin.close()
        self._process.close()

    def freeze(self) -> None:
        self._process.popen.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.popen.send_signal(signal.SIGCONT)

    def posts(self) -> Counter[str]:
        """How often each POST has come, by the plugin's name and its id."""
        return Counter(self._log.read_text().split()) if self._log.exists() else Counter()


class Inventory:
    """A&AI as a process that can be killed, started again on its port, and told to go wrong."""

    def __init__(self, folder: Path, regions: Sequence[Mapping[str, str]]) -> None:
        self._regions = folder / "aai.json"
        self._regions.write_text(json.dumps(regions))
        self.port = 0
        self.start()

    def start(self) -> None:
        self._process = SimulatorProcess("aai", "--port", str(self.port), "--regions", str(self._regions))
        self.port = self._process.port

    def kill(self) -> None:
        self._process.end()

    def fails(self, fault: str) -> None:
        Simulated(self._process).faults({"path": "/aai/", "fault": fault})

    def works(self) -> None:
        Simulated(self._process).faults()
