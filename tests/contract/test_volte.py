"""The VoLTE use case, played through the broker by the same command that an operator has."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.conftest import ROOT, Process
from tests.contract.conftest import Simulated


@pytest.mark.parametrize("api", ["v0", "v1"])
@pytest.mark.parametrize("region", ["vmware/fake", "CloudOwner/RegionOne", "CloudOwner/Region_Two"])
def test_every_step_works(broker: Process, plugin: Simulated, api: str, region: str) -> None:
    command = [
        sys.executable,
        "-m",
        "app",
        "volte",
        f"http://127.0.0.1:{broker.port}",
        "--api",
        api,
        "--region",
        region,
    ]
    played = subprocess.run([*command, "--json"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert played.returncode == 0, played.stdout + played.stderr
    assert len(json.loads(played.stdout)["steps"]) > 20
    kinds = {one["target"].rstrip("?").split("/")[-1] for one in plugin.asked() if one["method"] == "POST"}
    assert kinds >= {"registry", "images", "networks", "subnets", "ports", "flavors", "volumes", "servers", "action"}
