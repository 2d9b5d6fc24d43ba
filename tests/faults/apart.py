"""A network and a mount table of a row's own, in which packets are dropped and files are others, and nobody else is
touched: this thread's, and those of the processes and threads that it starts meanwhile (unshare(2), setns(2))."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import until

CLONE_NEWNS, CLONE_NEWNET = 0x00020000, 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)
POSSIBLE = os.geteuid() == 0 and shutil.which("nft") is not None and shutil.which("ip") is not None


@contextmanager
def apart() -> Iterator[None]:
    """Within namespaces of one's own, the loopback interface up, until the end of the block."""
    folder = Path.cwd()
    before = [os.open(f"/proc/thread-self/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC) for kind in ("net", "mnt")]
    if LIBC.unshare(CLONE_NEWNET | CLONE_NEWNS):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    try:
        _run("mount", "--make-rprivate", "/")
        _run("ip", "link", "set", "lo", "up")
        yield
    finally:
        for descriptor in before:
            until(
                lambda descriptor=descriptor: LIBC.setns(descriptor, 0) == 0
            )  # once threads that are in it have ended
            os.close(descriptor)
        os.chdir(folder)


def _run(*command: str, said: str = "") -> None:
    subprocess.run(command, input=said, text=True, check=True, capture_output=True)


def cut_off(port: int, host: str = "127.0.0.1") -> None:
    """From now on no packet reaches a port of a host, nor leaves it."""
    lines = ("add table inet faults", "add chain inet faults cut { type filter hook input priority 0; }")
    rules = [f"add rule inet faults cut ip {way}addr {host} tcp {way}port {port} drop" for way in "ds"]
    _run("nft", "-f", "-", said="\n".join((*lines, *rules, "")))


def join_again() -> None:
    """All packets pass."""
    _run("nft", "delete", "table", "inet", "faults")


def put_over(path: Path, content: Path) -> None:
    """Another file in a file's place."""
    _run("mount", "--bind", str(content), str(path))


def small_folder(path: Path, kib: int) -> None:
    """A file system of its own, of so many KiB, in a folder's place."""
    _run("mount", "-t", "tmpfs", "-o", f"size={kib}k", "none", str(path))
