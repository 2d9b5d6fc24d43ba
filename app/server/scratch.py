"""A directory of one broker's own, that no broker leaves behind for good.

It is removed at the end. Whoever is killed (SIGKILL) cannot, and those of random ports, or of containers that share
`/dev/shm`, would fill the memory in time: whoever starts next removes what nobody holds any longer. Held is a directory
that is locked by flock(2), which also works on directories, lasts as long as any process has the descriptor (the
workers inherit it), and ends with the last one whatever its end is.
"""

from __future__ import annotations

import fcntl
import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LOG = logging.getLogger(__name__)


@contextmanager
def scratch_directory(parent: Path, prefix: str, kind: str) -> Iterator[Path]:
    """A new directory in `parent`, named by the prefix, eight characters, and the kind; for files, not for directories.

    Raises `OSError` where it cannot be made.
    """
    parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    parent = parent.resolve()  # where it is a link, what it leads to is locked
    with _locked(parent):  # else another one's might be removed between its making and its locking
        for left in parent.glob(f"*-????????.{kind}"):
            _remove_unless_held(left)
        directory = Path(tempfile.mkdtemp(prefix=f"{prefix}-", suffix=f".{kind}", dir=parent))
        held = _lock(directory, fcntl.LOCK_EX)
    try:
        yield directory
    finally:
        _remove(directory)
        os.close(held)


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    descriptor = _lock(directory, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(descriptor)


def _lock(directory: Path, how: int) -> int:
    """The descriptor that holds the lock."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, how)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _remove_unless_held(directory: Path) -> None:
    with suppress(OSError):  # held, another user's, or gone in the meantime
        descriptor = _lock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _remove(directory)
        os.close(descriptor)
        LOG.info("removed %s, which a killed broker had left", directory)


def _remove(directory: Path) -> None:
    """The files of a directory, and then the directory itself; what is in a directory within it is nobody's of ours."""
    with suppress(OSError):
        for file in directory.iterdir():
            file.unlink()
        directory.rmdir()
