"""A control group of a row's own, whose memory has a limit (cgroups(7)): v1's or v2's, whichever has the controller."""

from __future__ import annotations

import os
import re
from pathlib import Path

from tests.conftest import until

ROOT = Path("/sys/fs/cgroup")
MIB = 1 << 20


class Group:
    """Of processes, and of what they fork. Made in `parent`; raises `OSError` where none can be."""

    def __init__(self, parent: Path, *, limits: tuple[str, ...], events: str) -> None:
        """`limits` are the files that hold a limit, of memory first, then of memory and swap."""
        self.folder = parent / f"faults-{os.getpid()}"
        self.folder.mkdir()
        self._limits = [self.folder / name for name in limits]
        self._events = self.folder / events
        try:
            self._before = [
                (file, file.read_text()) for file in self._limits if file.exists() or file is self._limits[0]
            ]
        except OSError:
            self.folder.rmdir()
            raise

    def take(self, pids: list[int]) -> None:
        """From now on what these processes need of memory counts here."""
        for pid in pids:
            (self.folder / "cgroup.procs").write_text(str(pid))

    def bound(self, size: int) -> None:
        """At most so many bytes; no swap."""
        for file, _ in self._before:
            file.write_text(str(0 if "swap" in file.name else size))

    def unbound(self) -> None:
        for file, text in reversed(self._before):
            file.write_text(text)

    @property
    def kills(self) -> int:
        """Processes that the kernel has killed here for want of memory."""
        found = re.search(r"^oom_kill (\d+)$", self._events.read_text(), re.MULTILINE)
        assert found is not None, f"{self._events} does not tell"
        return int(found[1])

    def remove(self) -> None:
        """Once all of its processes have ended."""
        until(lambda: not (self.folder / "cgroup.procs").read_text())
        self.folder.rmdir()


V1 = (ROOT / "memory", ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes"), "memory.oom_control")
V2 = (ROOT, ("memory.max", "memory.swap.max"), "memory.events")


def memory_group() -> Group | None:
    """None where no such group can be made."""
    for parent, limits, events in (V1, V2):
        try:
            return Group(parent, limits=limits, events=events)
        except OSError:
            continue
    return None
