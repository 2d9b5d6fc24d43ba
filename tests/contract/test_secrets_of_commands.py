"""No secret is in what the command line says of a configuration, be it a good one or a bad one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.contract.evidence import Evidence, S

A, U = S["AaiPassword"], S["Userinfo"]
BAD: tuple[dict[str, str], ...] = (
    {"AAI_PASSWORD": A, "BROKER_AAI_PASSWORD": A + "x"},
    {"AAI_PASSWORD": A, "AAI_PASSWORD_FILE": A},
    {"AAI_PASSWORD": A, "AAI_ADDR": "aai"},
    {"AAI_PASSWORD": f"{A}\n", "AAI_ADDR": "aai", "AAI_USERNAME": "u", "AAI_PORT": "x"},
    {"AAI_USERNAME": f"user:{A}", "AAI_ADDR": "aai"},
    {"AAI_ADDR": f"user:{U}@aai", "AAI_PASSWORD": A},
    {"AAI_ADDR": f"https://user:{U}@aai:8443/"},
    {"MSB_ADDR": f"user:{U}@msb"},
    {"MSB_ADDR": f"user:{U}@msb", "BROKER_MSB_ADDRESS": f"user:{U}@other"},
    {"BROKER_AAI_PASWORD": A},
    {"BROKER_SERVER_HOST": f"user:{U}@here"},
    {"BROKER_PLUGINS_MAP_FILE": "{map}"},
    {"BROKER_INVENTORY_REGIONS_FILE": "{regions}"},
    {"BROKER_INVENTORY_REGIONS_FILE": "{password}"},
    {"BROKER_PLUGINS_MAP_FILE": "{password}"},
    {"BROKER_TLS_CERTIFICATE": "{password}", "BROKER_TLS_KEY": "{password}", "SSL_ENABLED": "true"},
    {"BROKER_AAI_CA_FILE": "{password}"},
)
"""What an operator may write in the wrong place, or wrongly in the right one."""

FILES = {
    "map": json.dumps({"a": {"provider_plugin": "p", "endpoint": f"http://user:{U}@plugin/"}}),
    "regions": f"- cloud-owner: a\n  esr-system-info: {{password: {U}: {{",
    "password": A,
}
CONFIGURATIONS = (
    f"[aai]\npassword = {A}\nport = x\n",
    f"[aai]\npassword {A}\n",
    f"[aai]\nusername = u\n  password = {A}\n",
    f"[aai]\npasword = {A}\n",
    f"[ai]\npassword = {A}\n",
    f"password = {A}\n",
    f"[aai]\naddress = user:{U}@aai\npassword = {A}\n",
    f"[aai\npassword = {A}\n",
)


RUNS = """
import json, os, sys
from app.cli import main
for arguments, env in json.load(sys.stdin):
    os.environ.update(env)
    main(arguments)
    for name in env:
        del os.environ[name]
    sys.stderr.flush()
    print("=====", flush=True)
"""


def each(verb: str, *runs: tuple[Sequence[str], Mapping[str, str]]) -> list[str]:
    """All that a verb says, run for run, in one process: arguments and environment of each."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("BROKER_", "AAI_", "MSB_"))}
    given = json.dumps([((verb, *arguments), env) for arguments, env in runs])
    command = (sys.executable, "-W", "ignore", "-c", RUNS)
    done = subprocess.run(
        command, cwd=ROOT, input=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=True, env=clean
    )  # fmt: skip
    said = done.stdout.split("=====\n")
    assert len(said) == len(runs) + 1
    return said[:-1]


@pytest.mark.parametrize("verb", ["check-config", "show-config", "render-config", "serve"])
def test_a_command_that_refuses_a_configuration_tells_no_secret(verb: str, tmp_path: Path) -> None:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    for number, text in enumerate(CONFIGURATIONS):
        (tmp_path / f"{number}.conf").write_text(text)
    places = {name: str(tmp_path / name) for name in FILES}
    runs = [((), {name: text.format(**places) for name, text in bad.items()}) for bad in BAD]
    files = [(("--config-file", str(tmp_path / f"{number}.conf")), {}) for number in range(len(CONFIGURATIONS))]
    said = each(verb, *runs, *(files if verb != "render-config" else ()))
    evidence = Evidence()
    for number, text in enumerate(said):
        evidence.add(f"run {number} of {verb}", text)
    assert evidence.leaks() == []
    assert all(said)
    if verb in ("check-config", "serve"):
        assert [text for text in said if len(text.splitlines()) != 1] == []


@pytest.mark.parametrize("verb", ["check-config", "show-config", "render-config"])
def test_a_command_that_takes_a_configuration_tells_no_secret(verb: str, tmp_path: Path) -> None:
    (tmp_path / "password").write_text(A)
    (tmp_path / "good.conf").write_text(f"[aai]\npassword = {A}\n")
    common = {"AAI_ADDR": "aai", "AAI_USERNAME": "u"}
    own = {"AAI_PASSWORD": A, "AAI_PASSWORD_FILE": str(tmp_path / "password"), "BROKER_AAI_PASSWORD": A}
    said = each(verb, *(((), {**common, name: value}) for name, value in own.items()))
    assert [name in text for name, text in zip(own, said, strict=True)] == [verb != "check-config"] * 3
    if verb != "render-config":
        said += each(verb, (("--config-file", str(tmp_path / "good.conf")), common))
    evidence = Evidence()
    for number, text in enumerate(said):
        evidence.add(f"run {number} of {verb}", text)
    assert evidence.leaks() == []
