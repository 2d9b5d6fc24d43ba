"""Trees that look like real ones: files by path, below a directory that stands for `/`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from app.server.sizing import Sizing, size

MIB = 1024 * 1024
V2 = "30 23 0:26 {root} /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate"
CPU = "33 32 0:30 {root} /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 - cgroup cgroup rw,cpu,cpuacct"
MEMORY = "34 32 0:31 {root} /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory"
SYSTEMD = "35 32 0:32 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd"
UNIFIED = "36 32 0:33 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw"
OTHERS = ("22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw", "23 22 0:21 / /proc rw - proc proc rw")

V1_NONE = "9223372036854771712\n"
CPU_V1 = "/sys/fs/cgroup/cpu,cpuacct"


def quota_v1(directory: str, quota: str, period: str = "100000") -> dict[str, str]:
    return {f"{directory}/cpu.cfs_quota_us": f"{quota}\n", f"{directory}/cpu.cfs_period_us": f"{period}\n"}


class Case(NamedTuple):
    """What `/proc` says, what is in the files, and the number and reason with 8 CPUs, cap 16, 96 MiB a worker."""

    name: str
    cgroup: str
    mounts: tuple[str, ...]
    files: Mapping[str, str]
    workers: int
    reason: str


CASES = (
    Case("no limits, v2", "0::/\n", (V2.format(root="/"),), {}, 8, "8 CPUs by affinity, cap 16"),
    Case("no cgroups at all", "", (), {}, 8, "8 CPUs by affinity, cap 16"),
    Case(
        "v2, a container with a namespace of its own",
        "0::/\n",
        (V2.format(root="/"),),
        {"/sys/fs/cgroup/cpu.max": "150000 100000\n", "/sys/fs/cgroup/memory.max": "max\n"},
        2,
        "1.5 CPUs by cgroup quota (cpu.max of /sys/fs/cgroup), 8 CPUs by affinity, cap 16",
    ),
    Case(
        "v2, max",
        "0::/\n",
        (V2.format(root="/"),),
        {"/sys/fs/cgroup/cpu.max": "max 100000\n"},
        8,
        "8 CPUs by affinity, cap 16",
    ),
    Case(
        "v2, nested: an ancestor has the least quota",
        "0::/kubepods.slice/pod1/c1\n",
        (V2.format(root="/"),),
        {
            "/sys/fs/cgroup/kubepods.slice/cpu.max": "600000 100000\n",
            "/sys/fs/cgroup/kubepods.slice/pod1/cpu.max": "100000 50000\n",
            "/sys/fs/cgroup/kubepods.slice/pod1/c1/cpu.max": "400000 100000\n",
        },
        2,
        "2 CPUs by cgroup quota (cpu.max of /sys/fs/cgroup/kubepods.slice/pod1), 8 CPUs by affinity, cap 16",
    ),
    Case(
        "v2, a service of systemd",
        "0::/system.slice/broker.service\n",
        (V2.format(root="/"),),
        {"/sys/fs/cgroup/system.slice/broker.service/cpu.max": "50000 100000\n"},
        1,
        "0.5 CPUs by cgroup quota (cpu.max of /sys/fs/cgroup/system.slice/broker.service), 8 CPUs by affinity, cap 16",
    ),
    Case(
        "v2, a sibling's quota is not ours",
        "0::/a\n",
        (V2.format(root="/"),),
        {"/sys/fs/cgroup/b/cpu.max": "100000 100000\n", "/sys/fs/cgroup/a/cpu.max": "max 100000\n"},
        8,
        "8 CPUs by affinity, cap 16",
    ),
    Case(
        "v2, a host's path that is not below the mount: what is mounted is our own group",
        "0::/kubepods/burstable/pod1/c1\n",
        (V2.format(root="/"),),
        {"/sys/fs/cgroup/cpu.max": "300000 100000\n"},
        3,
        "3 CPUs by cgroup quota (cpu.max of /sys/fs/cgroup), 8 CPUs by affinity, cap 16",
    ),
    Case(
        "v2, a host's path of which only the beginning is below the mount: that one is not ours",
        "0::/kubepods/pod1/c1\n",
        (V2.format(root="/"),),
        {"/sys/fs/cgroup/cpu.max": "300000 100000\n", "/sys/fs/cgroup/kubepods/cpu.max": "100000 100000\n"},
        3,
        "3 CPUs by cgroup quota (cpu.max of /sys/fs/cgroup), 8 CPUs by affinity, cap 16",
    ),
    Case(
        "v2, outside of the namespace's root",
        "0::/../c2\n",
        (V2.format(root="/"),),
        {"/sys/fs/cgroup/cpu.max": "300000 100000\n", "/sys/fs/c2/cpu.max": "100000 100000\n"},
        3,
        "3 CPUs by cgroup quota (cpu.max of /sys/fs/cgroup), 8 CPUs by affinity, cap 16",
    ),
    Case(
        "v2, the container's own group is mounted, and named by the mount's root",
        "0::/docker/abc/inner\n",
        (V2.format(root="/docker/abc"),),
        {"/sys/fs/cgroup/inner/cpu.max": "200000 100000\n", "/sys/fs/cgroup/cpu.max": "400000 100000\n"},
        2,
        "2 CPUs by cgroup quota (cpu.max of /sys/fs/cgroup/inner), 8 CPUs by affinity, cap 16",
    ),
    Case(
        "v1, cpu and cpuacct mounted together",
        "5:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n1:name=systemd:/docker/abc\n",
        (SYSTEMD, MEMORY.format(root="/docker/abc"), CPU.format(root="/docker/abc")),
        {**quota_v1(CPU_V1, "250000"), "/sys/fs/cgroup/memory/memory.limit_in_bytes": V1_NONE},
        3,
        "2.5 CPUs by cgroup quota (cpu.cfs_quota_us of /sys/fs/cgroup/cpu,cpuacct), 8 CPUs by affinity, cap 16",
    ),
    Case(
        "v1, no quota",
        "5:cpu,cpuacct:/\n",
        (CPU.format(root="/"),),
        quota_v1(CPU_V1, "-1"),
        8,
        "8 CPUs by affinity, cap 16",
    ),
    Case(
        "v1, nested: an ancestor has the least quota",
        "5:cpu,cpuacct:/a/b\n",
        (CPU.format(root="/"),),
        {**quota_v1(f"{CPU_V1}/a/b", "-1"), **quota_v1(f"{CPU_V1}/a", "20000", "10000"), **quota_v1(CPU_V1, "-1")},
        2,
        "2 CPUs by cgroup quota (cpu.cfs_quota_us of /sys/fs/cgroup/cpu,cpuacct/a), 8 CPUs by affinity, cap 16",
    ),
    Case(
        "v1, a host's path in a container",
        "5:cpu,cpuacct:/docker/abc\n",
        (CPU.format(root="/"),),
        quota_v1(CPU_V1, "400000"),
        4,
        "4 CPUs by cgroup quota (cpu.cfs_quota_us of /sys/fs/cgroup/cpu,cpuacct), 8 CPUs by affinity, cap 16",
    ),
    Case(
        "hybrid: v2 has no cpu controller, v1 has",
        "5:cpu,cpuacct:/svc\n0::/svc\n",
        (UNIFIED, CPU.format(root="/")),
        {**quota_v1(f"{CPU_V1}/svc", "200000"), "/sys/fs/cgroup/unified/svc/cgroup.procs": "1\n"},
        2,
        "2 CPUs by cgroup quota (cpu.cfs_quota_us of /sys/fs/cgroup/cpu,cpuacct/svc), 8 CPUs by affinity, cap 16",
    ),
    Case(
        "hybrid: cpu in v2, memory in v1",
        "4:memory:/m\n0::/c\n",
        (UNIFIED, MEMORY.format(root="/")),
        {
            "/sys/fs/cgroup/unified/c/cpu.max": "600000 100000\n",
            "/sys/fs/cgroup/memory/m/memory.limit_in_bytes": f"{512 * MIB}\n",
        },
        5,
        "6 CPUs by cgroup quota (cpu.max of /sys/fs/cgroup/unified/c), 8 CPUs by affinity, cap 16, "
        "512 MiB by cgroup limit (memory.limit_in_bytes of /sys/fs/cgroup/memory/m) at 96 MiB a worker",
    ),
    Case(
        "v2, memory of an ancestor bounds",
        "0::/a/b\n",
        (V2.format(root="/"),),
        {"/sys/fs/cgroup/a/memory.max": f"{300 * MIB}\n", "/sys/fs/cgroup/a/b/memory.max": "max\n"},
        3,
        "8 CPUs by affinity, cap 16, 300 MiB by cgroup limit (memory.max of /sys/fs/cgroup/a) at 96 MiB a worker",
    ),
    Case(
        "a memory limit below one worker still lets one serve",
        "0::/\n",
        (V2.format(root="/"),),
        {"/sys/fs/cgroup/memory.max": f"{64 * MIB}\n"},
        1,
        "8 CPUs by affinity, cap 16, 64 MiB by cgroup limit (memory.max of /sys/fs/cgroup) at 96 MiB a worker",
    ),
    Case(
        "a mount point and a group with a space in their names",
        "0::/my group\n",
        ("30 23 0:26 / /sys/fs/my\\040cgroup rw - cgroup2 cgroup2 rw",),
        {"/sys/fs/my cgroup/my group/cpu.max": "100000 100000\n"},
        1,
        "1 CPU by cgroup quota (cpu.max of /sys/fs/my cgroup/my group), 8 CPUs by affinity, cap 16",
    ),
)


def planted(root: Path, cgroup: str, mounts: tuple[str, ...], files: Mapping[str, str]) -> Path:
    proc = {"/proc/self/cgroup": cgroup, "/proc/self/mountinfo": "\n".join((*OTHERS, *mounts)) + "\n"}
    for path, text in {**proc, **files}.items():
        file = root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_least_limit_in_force_is_found_and_named(case: Case, tmp_path: Path) -> None:
    root = planted(tmp_path, case.cgroup, case.mounts, case.files)
    noun = "worker" if case.workers == 1 else "workers"
    assert size(0, 16, 96, root, 8) == (case.workers, f"{case.workers} {noun}: {case.reason}")


@pytest.mark.parametrize(
    ("affinity", "quota", "cap", "expected"),
    [(1, "400000 100000", 16, 1), (8, "max 100000", 4, 4), (8, "1 100000", 16, 1), (3, "290000 100000", 16, 3)],
)
def test_the_least_of_affinity_quota_and_cap_wins(
    affinity: int, quota: str, cap: int, expected: int, tmp_path: Path
) -> None:
    root = planted(tmp_path, "0::/\n", (V2.format(root="/"),), {"/sys/fs/cgroup/cpu.max": quota})
    assert size(0, cap, 96, root, affinity).workers == expected


def test_a_setting_wins_over_everything(tmp_path: Path) -> None:
    root = planted(tmp_path, "0::/\n", (V2.format(root="/"),), {"/sys/fs/cgroup/cpu.max": "100000 100000"})
    assert size(24, 16, 96, root, 8) == Sizing(24, "24 workers: set by the option workers")


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("cpu.max", "lots\n"),
        ("cpu.max", "max\n"),
        ("cpu.max", "0 100000\n"),
        ("cpu.max", "-5 100000\n"),
        ("cpu.max", "100000 0\n"),
        ("cpu.max", "1" + "0" * 400 + " 1\n"),
        ("cpu.max", ""),
        ("memory.max", "much\n"),
        ("memory.max", "-1\n"),
    ],
)
def test_garbage_bounds_nothing_and_is_told(file: str, text: str, tmp_path: Path) -> None:
    root = planted(tmp_path, "0::/\n", (V2.format(root="/"),), {f"/sys/fs/cgroup/{file}": text})
    told = f"8 workers: 8 CPUs by affinity, cap 16, ignored /sys/fs/cgroup/{file} (garbage)"
    assert size(0, 16, 96, root, 8) == Sizing(8, told)


def test_a_broken_group_does_not_hide_the_limit_of_another(tmp_path: Path) -> None:
    files = {"/sys/fs/cgroup/a/cpu.max": "garbage\n", "/sys/fs/cgroup/cpu.max": "200000 100000\n"}
    assert size(0, 16, 96, planted(tmp_path, "0::/a\n", (V2.format(root="/"),), files), 8) == Sizing(
        2,
        "2 workers: 2 CPUs by cgroup quota (cpu.max of /sys/fs/cgroup), 8 CPUs by affinity, cap 16, "
        "ignored /sys/fs/cgroup/a/cpu.max (garbage)",
    )


def test_what_cannot_be_read_is_told_with_its_reason(tmp_path: Path) -> None:
    root = planted(tmp_path, "0::/\n", (V2.format(root="/"),), {"/sys/fs/cgroup/cpu.max/not a file": ""})
    told = f"8 workers: 8 CPUs by affinity, cap 16, ignored /sys/fs/cgroup/cpu.max ({os.strerror(21)})"
    assert size(0, 16, 96, root, 8) == Sizing(8, told)


def test_a_proc_that_is_missing_or_garbled_is_told(tmp_path: Path) -> None:
    assert size(0, 16, 96, tmp_path, 8) == Sizing(
        8,
        "8 workers: 8 CPUs by affinity, cap 16, ignored /proc/self/cgroup (No such file or directory), "
        "ignored /proc/self/mountinfo (No such file or directory)",
    )
    assert size(0, 16, 96, planted(tmp_path, "garbage\n", ("garbage",), {}), 8) == Sizing(
        8,
        "8 workers: 8 CPUs by affinity, cap 16, ignored /proc/self/cgroup (garbage), "
        "ignored /proc/self/mountinfo (garbage)",
    )


def test_this_machine_can_be_sized() -> None:
    sizing = size(0, 16, 96)
    assert 1 <= sizing.workers <= len(os.sched_getaffinity(0))
    assert "ignored" not in sizing.reason
