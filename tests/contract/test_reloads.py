"""Many reloads: nobody loses a request, and nothing is left behind."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import children, until
from tests.contract.callers import TYPES, users
from tests.contract.conftest import Simulated
from tests.contract.reloading import Load, Scene, playing


@pytest.fixture
def scene(framework: str, plugin: Simulated, tmp_path: Path) -> Scene:
    return Scene(tmp_path, plugin, framework)


def test_fifty_reloads_under_load_lose_nothing(scene: Scene) -> None:
    options: list[dict[str, Any]] = [
        {"server__header_limit": "32768", "upstream__pool_size": "0", "logs__access": "false"},
        {"clients__requests_max": "1000", "upstream__retry_percent": "0", "upstream__verify": "false"},
        {"auth__exempt_swagger": "false", "msb__address": "127.0.0.1", "forwarded__format": "forwarded"},
        {},
    ]
    with playing(scene), Load(scene, 4) as load:
        for number in range(50):
            scene.configure(**options[number % len(options)])
            scene.map.write(scene.map_of(f"p{number}"))
            before = len(scene.lines("the configuration was loaded anew"))
            scene.hang_up()
            until(lambda before=before: len(scene.lines("the configuration was loaded anew")) > before)
        scene.everywhere(lambda: scene.types() == ["vmware", "p49"])
        until(lambda: load.answered > 500)
    assert load.lost == []
    assert not scene.lines("Traceback")


def test_two_hundred_reloads_leave_nothing_behind(scene: Scene) -> None:
    def held() -> dict[int, tuple[int, int]]:
        """By worker: descriptors and threads."""
        return {
            pid: (len(os.listdir(f"/proc/{pid}/fd")), len(os.listdir(f"/proc/{pid}/task")))
            for pid in children(scene.broker.popen.pid)
        }

    def resident() -> dict[int, int]:
        """By worker: MiB."""
        text = {pid: Path(f"/proc/{pid}/status").read_text() for pid in children(scene.broker.popen.pid)}
        return {pid: int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) >> 10 for pid, status in text.items()}

    file = users(scene.folder / "users", alice="a")

    def reload(times: int) -> None:
        for number in range(times):
            scene.configure(auth__basic_file=file, auth__realm=f"r{number % 2}", upstream__idle_timeout=str(number + 1))
            before = len(scene.lines("the configuration was loaded anew"))
            scene.hang_up()
            until(lambda before=before: len(scene.lines("the configuration was loaded anew")) > before)
        scene.everywhere(lambda: f'realm="r{(times - 1) % 2}"' in scene.broker.ask("GET", TYPES)[1]["WWW-Authenticate"])

    with playing(scene):
        reload(20)
        before, memory = held(), resident()
        reload(200)
        until(lambda: all(now <= before[pid] for pid, now in held().items()))
        grown = {pid: mib - memory[pid] for pid, mib in resident().items()}
        assert max(grown.values()) <= 2, grown
