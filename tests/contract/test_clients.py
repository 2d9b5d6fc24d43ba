"""Third-party clients against the broker, each unchanged and in an environment of its own (onapsdk pins old packages)."""

from __future__ import annotations

import json
import os
import subprocess

from tests.conftest import ROOT, Process
from tests.contract.conftest import V0, Simulated

HERE = ROOT / "tests" / "clients"
PYTHON = ROOT / ".venv-clients" / "bin" / "python"


def run(script: str, *arguments: str, **environ: str) -> str:
    assert PYTHON.exists(), "`make test` makes the clients' environment"
    env = {**os.environ, "PYTHONPATH": str(HERE), **environ}
    done = subprocess.run([PYTHON, HERE / script, *arguments], env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_keystoneauth_gets_tokens_and_uses_them(broker: Process, plugin: Simulated) -> None:
    said = json.loads(run("openstack_client.py", f"http://127.0.0.1:{broker.port}{V0}"))
    assert len(said["v3"]) == len(said["v2"]) == 32
    assert (said["names"], said["deleted"]) == (["by-keystoneauth"], 204)
    token = [value for name, value in plugin.asked("/networks")[0]["headers"] if name == "X-Auth-Token"]
    assert token == [said["v3"]]


def test_onapsdk_registers_through_the_broker_as_its_msb(broker: Process, plugin: Simulated) -> None:
    said = run("onap_client.py", BROKER_URL=f"http://127.0.0.1:{broker.port}", ONAP_PYTHON_SDK_SETTINGS="onap_settings")
    assert said.strip() == "registered, unregistered, and not found"
    assert [(one["method"], one["target"]) for one in plugin.asked()] == [
        ("POST", "/api/multicloud-pike/v1/CloudOwner/RegionOne/registry"),
        ("POST", "/api/multicloud-vio/v1/vmware/fake/registry"),
        ("DELETE", "/api/multicloud-pike/v1/CloudOwner/RegionOne"),
    ]
    assert b"volte" in plugin.asked("RegionOne/registry")[0]["body"]
