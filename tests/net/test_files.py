"""Watched files: what counts as a change, when it is taken, and what becomes of one that cannot be loaded."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from app.errors import ConfigurationError
from app.net.files import LOOK, RETRY, Watched, identity
from app.observability.once import Once


def load_text(path: Path) -> str:
    try:
        text = path.read_text()
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from None
    if "bad" in text:
        raise ConfigurationError(f"{path} is bad")
    return text


class Clock:
    """Looks at a watched file once a `LOOK`."""

    def __init__(self, watched: Watched[str]) -> None:
        self._watched = watched
        self.now = 100.0

    def look(self, times: int = 1) -> str:
        for _ in range(times):
            self._watched.look(self.now)
            self.now += LOOK
        return self._watched.current


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_text("one")
    return path


@pytest.fixture
def watched(file: Path) -> Watched[str]:
    return Watched("the file", [file], lambda: load_text(file), Once())


def test_what_has_changed_is_loaded_once_two_looks_agree(watched: Watched[str], file: Path) -> None:
    clock, told = Clock(watched), []
    watched.replaced.append(told.append)
    assert clock.look(3) == "one"
    file.write_text("two, half wri")
    assert clock.look() == "one"
    file.write_text("two, whole")
    assert clock.look() == "one"
    assert clock.look() == "two, whole"
    assert clock.look(3) == "two, whole"
    assert told == ["two, whole"]


def test_it_is_not_looked_at_more_often_than_said(watched: Watched[str], file: Path) -> None:
    file.write_text("two")
    for tenth in range(10):
        watched.look(100.0 + tenth / 10.001)
    assert watched.current == "one"


def replace_by_another(file: Path) -> None:
    other = file.with_name("other")
    other.write_text("two")
    os.utime(other, ns=(1, file.stat().st_mtime_ns))
    other.replace(file)


def write_in_place_with_the_old_time(file: Path) -> None:
    """As `cp -p` does."""
    before = file.stat()
    file.write_text("two")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("change", [replace_by_another, write_in_place_with_the_old_time])
def test_a_change_of_the_same_size_and_time_is_one(
    change: Callable[[Path], None], watched: Watched[str], file: Path
) -> None:
    change(file)
    assert Clock(watched).look(3) == "two"


def test_a_swap_of_a_mounted_secret_is_a_change(tmp_path: Path) -> None:
    """kubelet: `file` -> `..data/file`, `..data` -> a dated directory, which is swapped by a rename."""
    for name, text in (("first", "one"), ("second", "two")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(text)
    (tmp_path / "..data").symlink_to("first")
    (tmp_path / "file").symlink_to("..data/file")
    watched = Watched("secret", [tmp_path / "file"], lambda: load_text(tmp_path / "file"), Once())
    (tmp_path / "..data_tmp").symlink_to("second")
    (tmp_path / "..data_tmp").rename(tmp_path / "..data")
    shutil.rmtree(tmp_path / "first")
    assert Clock(watched).look(3) == "two"


def test_of_several_files_each_counts(tmp_path: Path) -> None:
    paths = [tmp_path / "a", tmp_path / "b"]
    for path in paths:
        path.write_text("1")
    watched = Watched("both", paths, lambda: "".join(map(load_text, paths)), Once())
    clock = Clock(watched)
    paths[1].write_text("2")
    assert clock.look(3) == "12"
    paths[0].write_text("3")
    assert clock.look(3) == "32"


def test_what_cannot_be_loaded_leaves_the_former_with_one_line_a_change(
    watched: Watched[str], file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock(watched)
    file.write_text("bad")
    assert clock.look(30) == "one"
    assert [record.getMessage() for record in caplog.records] == [
        f"the file stays as it was loaded before: {file} is bad"
    ]
    file.write_text("bad again")
    assert clock.look(3) == "one"
    file.unlink()
    assert clock.look(3) == "one"
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 3
    file.write_text("good")
    assert clock.look(3) == "good"


def test_it_is_tried_again_unchanged_after_a_while(file: Path) -> None:
    fails = False

    def load() -> str:
        if fails:
            raise ConfigurationError("too many open files")
        return file.read_text()

    watched = Watched("the file", [file], load, Once())
    clock = Clock(watched)
    fails = True
    file.write_text("two")
    assert clock.look(3) == "one"
    fails = False
    assert clock.look() == "one"
    assert clock.look(int(RETRY / LOOK)) == "two"


def test_a_loader_that_fails_in_its_own_way_ends_no_look(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    results = iter([lambda: "one", lambda: 1 / 0])
    watched: Watched[object] = Watched("the file", [file], lambda: next(results)(), Once())
    file.write_text("two")
    for look in range(3):
        watched.look(100 + look * LOOK)
    assert watched.current == "one"
    assert "ZeroDivisionError" in caplog.text


def test_a_fork_takes_at_once_what_has_changed_since_the_start(watched: Watched[str], file: Path) -> None:
    watched.refresh(100)
    assert watched.current == "one"
    file.write_text("two")
    watched.refresh(100)
    assert watched.current == "two"


def test_what_cannot_be_loaded_at_the_start_ends_it(file: Path) -> None:
    file.write_text("bad")
    with pytest.raises(ConfigurationError, match="is bad"):
        Watched("the file", [file], lambda: load_text(file), Once())


def test_a_file_that_is_not_there_has_no_identity(tmp_path: Path) -> None:
    assert identity(tmp_path / "none") is None
    assert identity(tmp_path / "none" / "below") is None


def test_who_asks_gets_it_at_once(watched: Watched[str], file: Path) -> None:
    file.write_text("two")
    watched.reload(100)
    assert watched.current == "two"


def test_what_was_taken_at_once_is_looked_at_again_once_it_has_settled(file: Path) -> None:
    """It may have been written to meanwhile, within one tick of the file system's clock and with the same size."""
    texts = iter(["one", "tw.", "two"])
    watched = Watched("the file", [file], lambda: next(texts), Once())
    file.write_text("two")
    watched.reload(100)
    assert watched.current == "tw."
    assert Clock(watched).look(4) == "two"
    assert next(texts, None) is None


@pytest.mark.parametrize("half", ["half", "bad half"])
def test_what_is_written_while_it_is_loaded_is_not_taken(
    file: Path, half: str, caplog: pytest.LogCaptureFixture
) -> None:
    def load_and_write() -> str:
        try:
            return load_text(file)
        finally:
            if file.read_text() == half:
                file.write_text("whole")

    watched = Watched("the file", [file], load_and_write, Once())
    file.write_text(half)
    watched.reload(100)
    assert (watched.current, watched.problem, caplog.records) == ("one", "", [])
    assert Clock(watched).look(3) == "whole"


def test_what_has_not_changed_for_long_is_not_loaded_when_somebody_asks(file: Path) -> None:
    texts = iter(["one"])
    watched = Watched("the file", [file], lambda: next(texts), Once())
    watched.reload(100)
    assert watched.current == "one"
    always = Watched("the file", [file], lambda: file.read_text(), Once(), always=True)
    told: list[str] = []
    always.replaced.append(told.append)
    always.reload(100)
    assert told == ["one"]


def test_what_failed_is_tried_again_when_somebody_asks(watched: Watched[str], file: Path) -> None:
    file.write_text("bad")
    watched.reload(100)
    assert (watched.current, watched.problem) == ("one", f"the file stays as it was loaded before: {file} is bad")
    file.write_text("two")
    watched.reload(100)
    assert (watched.current, watched.problem) == ("two", "")


def test_each_word_of_somebody_who_asks_is_answered_by_one_line(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    once = Once()
    both = [Watched("the file", [file], lambda: load_text(file), once) for _ in range(2)]
    for text in ("bad", "bad", "two"):
        file.write_text(text)
        once.begin_round()
        for watched in both:
            watched.reload(100)
    for clock in map(Clock, both):
        clock.look(4)
    assert [record.levelno for record in caplog.records] == [logging.ERROR, logging.ERROR, logging.INFO]


def test_what_only_one_of_many_finds_is_logged(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    once = Once()

    def fails() -> str:
        raise ConfigurationError("too many open files")

    loads = [lambda: load_text(file), lambda: load_text(file)]
    both = [Watched("the file", [file], lambda number=number: loads[number](), once) for number in range(2)]
    loads[1] = fails
    file.write_text("two")
    for watched in both:
        Clock(watched).look(3)
    assert [record.getMessage() for record in caplog.records] == [
        "the file stays as it was loaded before: too many open files"
    ]


def test_another_reason_is_logged_though_the_file_is_the_same(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    why = ""

    def load() -> str:
        if why:
            raise ConfigurationError(why)
        return file.read_text()

    watched = Watched("the file", [file], load, Once())
    clock = Clock(watched)
    file.write_text("two")
    for why in ("too many open files", "it is bad"):  # noqa: B007  `load` reads it
        clock.look(int(RETRY / LOOK) + 2)
    assert [record.getMessage().rpartition(": ")[2] for record in caplog.records] == [
        "too many open files",
        "it is bad",
    ]


def test_what_cannot_be_put_in_place_leaves_the_look_alive(
    watched: Watched[str], file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    watched.replaced.append(lambda _: 1 / 0)
    file.write_text("two")
    Clock(watched).look(3)
    assert "ZeroDivisionError" in caplog.text
    assert "ZeroDivisionError" in watched.problem


def test_what_failed_long_ago_is_tried_again_when_somebody_asks(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though the file is the same: it may have been a descriptor too few."""
    monkeypatch.setattr("app.net.files.FRESH", 0)
    fails = False

    def load() -> str:
        if fails:
            raise ConfigurationError("too many open files")
        return file.read_text()

    watched = Watched("the file", [file], load, Once())
    file.write_text("two")
    fails = True
    watched.reload(100)
    fails = False
    watched.reload(100)
    assert (watched.current, watched.problem) == ("two", "")
