"""What the broker reads from files changes, time after time, and nobody loses a request."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import until
from tests.faults.actors import Plugins
from tests.faults.conftest import Staged
from tests.faults.stage import ALL, LONG, ONE, Stage, map_of

HUPS = 1000 if LONG else 50
SWAPS = 20 if LONG else 2
PAUSE = 0.1
"""Seconds between two reloads that are asked for by a signal."""


class Mounted:
    """A provider-plugin map as a ConfigMap's volume has it: a link to a file in a folder that another link leads to,
    which is replaced in one go (rename(2))."""

    def __init__(self, folder: Path, *contents: str) -> None:
        self.path = folder / "provider-plugin.json"
        self._folder = folder
        self._versions = [f"..{number}" for number in range(len(contents))]
        for version, content in zip(self._versions, contents, strict=True):
            (folder / version).mkdir(parents=True)
            (folder / version / self.path.name).write_text(content)
        self.swap()
        self.path.symlink_to(f"..data/{self.path.name}")

    def swap(self) -> None:
        """To the next version."""
        self._versions.append(self._versions.pop(0))
        new = self._folder / "..new"
        new.symlink_to(self._versions[0])
        new.rename(self._folder / "..data")


@contextmanager
def _two_places(staged: Staged, folder: Path) -> Iterator[tuple[Stage, Mounted, Plugins]]:
    """A stage whose map leads to one of two places where the plugin `one` is, in turn."""
    folder.mkdir()
    with Plugins(folder, ONE) as other:
        found: list[Mounted] = []

        def led(one: Plugins, others: Plugins) -> dict[str, str]:
            found.append(
                Mounted(folder / "mounted", *(map_of({**here.ports, **others.ports}) for here in (one, other)))
            )
            return {"BROKER_PLUGINS_MAP_FILE": str(found[0].path)}

        yield staged(led=led), found[0], other


def _served_by(plugins: Plugins) -> None:
    """Until requests come to it."""
    before = plugins.posts().total()
    until(lambda: plugins.posts().total() > before)


@pytest.mark.timeout(600)
def test_fault_reload_by_sighup(staged: Staged, tmp_path: Path) -> None:
    """The provider-plugin map changes, and the broker is told to reload (SIGHUP): {times} times."""
    with _two_places(staged, tmp_path / "other") as (stage, mounted, other):

        def reload() -> None:
            for _ in range(HUPS):
                mounted.swap()
                stage.broker.popen.send_signal(signal.SIGHUP)
                time.sleep(PAUSE)

        stage.facts["times"] = HUPS
        stage.play(reload, lambda: None, who=ALL, held=0, back_within=0)
        here, there = stage.one.posts().total(), other.posts().total()
        assert min(here, there) > (here + there) / 4, "reloads did not count"


@pytest.mark.timeout(600)
def test_fault_reload_by_itself(staged: Staged, tmp_path: Path) -> None:
    """The provider-plugin map changes as a ConfigMap's does, and nobody tells the broker: {times} times."""
    with _two_places(staged, tmp_path / "other") as (stage, mounted, other):

        def reload() -> None:
            for number in range(SWAPS):
                mounted.swap()
                _served_by((stage.one, other)[number % 2])

        stage.facts["times"] = SWAPS
        stage.play(reload, lambda: None, who=ALL, held=0, back_within=0)
