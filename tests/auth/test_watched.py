from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from app.auth.watched import EVERY, Watched
from app.errors import ConfigurationError

Write = Callable[..., Path]


class Reader:
    """Reads a file, and counts how often; `bad` is refused."""

    def __init__(self) -> None:
        self.reads = 0

    def __call__(self, path: Path) -> str:
        self.reads += 1
        text = path.read_text() if path.exists() else "bad"
        if text.startswith("bad"):
            raise ConfigurationError("the file is bad")
        return text


def test_a_bad_file_ends_the_start(write: Write) -> None:
    with pytest.raises(ConfigurationError):
        Watched(write("bad"), Reader())


def test_a_change_is_seen_at_the_next_look_and_read_once(write: Write) -> None:
    reader = Reader()
    watched = Watched(write("one"), reader)
    watched.tick(100)
    write("two!")
    watched.tick(100 + EVERY - 0.01)
    assert (watched.current(), watched.renewed(), reader.reads) == ("one", "one", 1)
    for tick in range(5):
        watched.tick(100 + EVERY + tick)
    assert (watched.current(), watched.renewed(), reader.reads) == ("two!", "two!", 2)


def test_a_bad_new_file_leaves_the_old_one_in_force_and_is_told_once(
    write: Write, caplog: pytest.LogCaptureFixture
) -> None:
    path = write("one")
    watched = Watched(path, Reader())
    write("bad")
    for now in range(5):
        watched.tick(float(now))
    assert (watched.current(), len(caplog.records), caplog.records[0].levelno) == ("one", 1, logging.ERROR)
    assert "the file is bad; what was read before stays in force" in caplog.text
    path.unlink()
    for now in range(5, 10):
        watched.tick(float(now))
    assert (watched.current(), len(caplog.records)) == ("one", 2)
    write("good")
    watched.tick(20)
    assert watched.current() == "good"


def test_a_file_that_is_replaced_by_another_of_the_same_size_and_time_is_seen(write: Write) -> None:
    path = write("one")
    watched = Watched(path, Reader())
    was = path.stat()
    other = write("two", "other")
    os.utime(other, ns=(was.st_atime_ns, was.st_mtime_ns))
    other.replace(path)
    watched.tick(1)
    assert watched.current() == "two"


def test_a_link_that_is_turned_is_seen(write: Write, tmp_path: Path) -> None:
    """As Kubernetes renews a mounted Secret."""
    first, second = tmp_path / "..1", tmp_path / "..2"
    for folder, text in ((first, "one"), (second, "two")):
        folder.mkdir()
        (folder / "users").write_text(text)
    data = tmp_path / "..data"
    data.symlink_to(first.name)
    (tmp_path / "users").symlink_to("..data/users")
    watched = Watched(tmp_path / "users", Reader())
    turned = tmp_path / "..tmp"
    turned.symlink_to(second.name)
    turned.replace(data)
    watched.tick(1)
    assert watched.current() == "two"
