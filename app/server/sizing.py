"""How many workers: as many as CPUs may be used, by affinity and cgroup quota, within the memory limit.

Read from `/proc/self/cgroup` and `/proc/self/mountinfo` (proc(5), cgroups(7)): v2, v1, and hybrids, where
each controller is in one of them. A group is bounded by every group above it, so the least limit between
the own group and the mount wins. What cannot be read bounds nothing, and the reason says so.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import NamedTuple, TypeVar

Line = TypeVar("Line")

MIB = 1024 * 1024

NO_MEMORY_LIMIT = 1 << 60
"""Bytes; v1 writes "none" as the largest number of pages that fits."""

VERSIONS: Mapping[str, int] = MappingProxyType({"cgroup2": 2, "cgroup": 1})
"""By type of file system."""

ESCAPED = re.compile(r"\\([0-7]{3})")
"""How mountinfo writes a space, and what else would break its lines."""


class Sizing(NamedTuple):
    """The number of workers, and a line for the log that says why."""

    workers: int
    reason: str


class _Mount(NamedTuple):
    """A mounted hierarchy: its version (0: no cgroups), its options (a v1's controllers are among them), the group
    at its root, and where it is mounted."""

    version: int
    options: frozenset[str]
    group: PurePosixPath
    point: PurePosixPath


class _Limit(NamedTuple):
    """CPUs, or bytes, and the file that says so."""

    amount: float
    file: PurePosixPath

    def __str__(self) -> str:
        return f"{self.file.name} of {self.file.parent}"


class _Rule(NamedTuple):
    """A controller's limit in one version: its file, and how the file is read. `ValueError` for garbage."""

    controller: str
    version: int
    file: str
    amount: Callable[[Path], float]


def _cpu_v2(file: Path) -> float:
    """`<quota or max> <period>`, in microseconds."""
    quota, period = file.read_text().split()
    return _cpus(math.inf if quota == "max" else int(quota), int(period))


def _cpu_v1(file: Path) -> float:
    """A quota in microseconds, -1 for none, and its period in the file beside it."""
    quota = int(file.read_text())
    return _cpus(math.inf if quota == -1 else quota, int(file.with_name("cpu.cfs_period_us").read_text()))


def _cpus(quota: float, period: int) -> float:
    if quota <= 0 or period <= 0:
        raise ValueError("it is not above 0")
    return quota / period


def _memory(file: Path) -> float:
    text = file.read_text().strip()
    limit = NO_MEMORY_LIMIT if text == "max" else int(text)
    if limit < 0:
        raise ValueError("it is below 0")
    return limit if limit < NO_MEMORY_LIMIT else math.inf


RULES = (
    _Rule("cpu", 2, "cpu.max", _cpu_v2),
    _Rule("cpu", 1, "cpu.cfs_quota_us", _cpu_v1),
    _Rule("memory", 2, "memory.max", _memory),
    _Rule("memory", 1, "memory.limit_in_bytes", _memory),
)


def size(setting: int, cap: int, worker_memory: int, root: Path = Path("/"), affinity: int | None = None) -> Sizing:
    """The workers for an option that is `setting` (0: choose, up to `cap`), at `worker_memory` MiB each.

    `root` is where `/proc` and `/sys` are looked for, `affinity` the CPUs that the scheduler allows (unset: asked).
    """
    if setting:
        return Sizing(setting, f"{_counted(setting, 'worker')}: set by the option workers")
    tree = _Tree(root)
    cpus = len(os.sched_getaffinity(0)) if affinity is None else affinity
    bounds, said = [cpus, cap], [f"{_counted(cpus, 'CPU')} by affinity", f"cap {cap}"]
    if quota := tree.least("cpu"):
        bounds.append(math.ceil(quota.amount))
        said.insert(0, f"{_counted(quota.amount, 'CPU')} by cgroup quota ({quota})")
    if memory := tree.least("memory"):
        bounds.append(int(memory.amount) // (worker_memory * MIB))
        said.append(f"{memory.amount / MIB:.0f} MiB by cgroup limit ({memory}) at {worker_memory} MiB a worker")
    said += [f"ignored {what}" for what in tree.ignored]
    workers = max(1, min(bounds))
    return Sizing(workers, f"{_counted(workers, 'worker')}: {', '.join(said)}")


def _counted(number: float, noun: str) -> str:
    return f"{number:g} {noun}" if number == 1 else f"{number:g} {noun}s"


class _Tree:
    """The control groups that bound this process, read below `root`; `ignored` tells what could not be read."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.ignored: list[str] = []
        self._groups = {name: group for names, group in self._lines("/proc/self/cgroup", _group) for name in names}
        self._mounts = self._lines("/proc/self/mountinfo", _mount)

    def least(self, controller: str) -> _Limit | None:
        """The least limit in force, or none."""
        limits = [limit for rule in RULES if rule.controller == controller for limit in self._limits(rule)]
        return min(limits, default=None)

    def _limits(self, rule: _Rule) -> Iterator[_Limit]:
        for directory in self._lineage(rule):
            file = directory / rule.file
            amount = self._amount(rule, file)
            if math.isfinite(amount):
                yield _Limit(amount, file)

    def _amount(self, rule: _Rule, file: PurePosixPath) -> float:
        try:
            return rule.amount(self._real(file))
        except FileNotFoundError:
            return math.inf  # the root group has no limits, and a group without the controller has none
        except (OSError, ValueError, ArithmeticError) as error:
            self.ignored.append(f"{file} ({_why(error)})")
            return math.inf

    def _lineage(self, rule: _Rule) -> Iterator[PurePosixPath]:
        """The directories of the own group and of those above it, up to the first mount that has the controller."""
        for mount in self._mounts:
            if mount.version == rule.version and (mount.version == 2 or rule.controller in mount.options):
                group = self._own(mount, self._groups.get("" if mount.version == 2 else rule.controller, "/"))
                yield from (group, *(above for above in group.parents if above.is_relative_to(mount.point)))
                return

    def _own(self, mount: _Mount, group: str) -> PurePosixPath:
        """The own group's directory. A container may be told a path of the host's, which is not below its mount:
        then what is mounted is its own group."""
        path = PurePosixPath(group)
        if ".." not in path.parts and path.is_relative_to(mount.group):
            directory = mount.point / path.relative_to(mount.group)
            if os.path.isdir(self._real(directory)):
                return directory
        return mount.point

    def _lines(self, path: str, parsed: Callable[[str], Line]) -> list[Line]:
        lines: list[Line] = []
        try:
            lines += map(parsed, self._real(PurePosixPath(path)).read_text().splitlines())
        except (OSError, ValueError) as error:
            self.ignored.append(f"{path} ({_why(error)})")
        return lines

    def _real(self, path: PurePosixPath) -> Path:
        return self._root / path.relative_to("/")


def _group(line: str) -> tuple[tuple[str, ...], str]:
    """Controllers and group of `<id>:<controllers>:<group>`; v2 has one controller, the empty name."""
    _, controllers, group = line.split(":", 2)
    return tuple(controllers.split(",")), group


def _mount(line: str) -> _Mount:
    """A line of mountinfo: `id parent device root point options fields* - type source options`."""
    place, separator, kind = line.partition(" - ")
    fields, (fstype, _, options) = place.split(" "), kind.split(" ", 2)
    if not separator or len(fields) < 6:
        raise ValueError(line)
    group, point = (PurePosixPath(ESCAPED.sub(lambda code: chr(int(code[1], 8)), field)) for field in fields[3:5])
    return _Mount(VERSIONS.get(fstype, 0), frozenset(options.split(",")), group, point)


def _why(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or "garbage"
