"""5,000 slow clients on two workers hold nobody up (rule 21); `python -m bench.hostages` has the figures."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.attack import KINDS
from tests.conftest import ROOT, Process, a_broker, children, started, until
from tests.contract.conftest import BASE, V0

COUNT = 5000
OTHER = f"{BASE}/v0/other_one/x"
PATHS = ("/livez", "/readyz", "/healthz", f"{BASE}/v0/vim_types", OTHER)


@contextlib.contextmanager
def an_attack(kind: str, port: int, path: str) -> Iterator[None]:
    command = [sys.executable, "-m", "bench.attack", kind, str(port), str(COUNT), path]
    popen = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    attack = Process(popen)
    try:
        attack.read_until(f"{COUNT} clients have come", 60)
        yield
        assert popen.poll() is None
    finally:
        assert popen.stdin is not None
        popen.stdin.close()
        popen.wait(30)
        attack.close()


@pytest.fixture(scope="module")
def source() -> Iterator[Process]:
    with started("-m", "bench.source") as process:
        yield process


@pytest.mark.parametrize("kind", KINDS)
def test_slow_clients_hold_nobody_up(framework: str, source: Process, kind: str, tmp_path: Path) -> None:
    """Whatever they ask of one plugin; of that one itself its bulkhead lets in only so much at once."""
    with a_broker(framework, 2, **_two_plugins(source, tmp_path)) as broker:
        until(lambda: broker.ask("GET", "/livez")[0] == 200)
        with an_attack(kind, broker.port, V0 + "/big"):
            for _ in range(4):
                for path in PATHS:  # within `ask`'s 30 s; how fast is the bench's to say
                    assert broker.ask("GET", path)[0] == 200, path
            until(lambda: broker.ask("PUT", OTHER, b"x" * 50_000)[0] == 200)  # an upload may have to come again
        until(lambda: _most_descriptors(broker) < 100, 30)  # all is as before
        until(lambda: broker.ask("GET", V0 + "/x")[0] == 200)  # its circuit too, if it was open
        assert broker.end() == 0
    assert not [line for line in broker.log() if "traceback" in line]


def _two_plugins(source: Process, folder: Path) -> dict[str, str]:
    plugin = {"endpoint": f"http://127.0.0.1:{source.port}"}
    attacked, other = ({"provider_plugin": name, **plugin} for name in ("multicloud-vio", "other"))
    types = {"vmware": {"versions": {"4.0": attacked}}, "other": {"versions": {}, **other}}
    (folder / "map.json").write_text(json.dumps(types))
    region = {"cloud-owner": "other", "cloud-region-id": "one", "cloud-type": "other"}
    (folder / "regions.json").write_text(json.dumps([region]))
    files = {"BROKER_PLUGINS_MAP_FILE": "map.json", "BROKER_INVENTORY_REGIONS_FILE": "regions.json"}
    return {option: str(folder / name) for option, name in files.items()}


def _most_descriptors(broker: Process) -> int:
    return max(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in children(broker.popen.pid))
