"""swagger.json by others' reading: openapi-spec-validator on the document, schemathesis on what is served by it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.conftest import HERE, run
from tests.conftest import Process
from tests.contract.conftest import BASE, Simulated

VERSIONS = pytest.mark.parametrize("version", ["v0", "v1"])


def tried(broker: Process, version: str, folder: Path, settings: str, *options: str) -> dict[str, Any]:
    """Run schemathesis, always with the same seed; returns its report. Fails on anything that it finds."""
    report = folder / "report.json"
    document = f"http://127.0.0.1:{broker.port}{BASE}/{version}/swagger.json"
    reproducible = ("--seed", "1", "--generation-database", "none", "--report", "json", "--report-json-path")
    command = ("--config-file", str(HERE / settings), "run", document, "--no-color", *reproducible, str(report))
    status, said = run("schemathesis", *command, *options)
    assert status == 0, said
    found: dict[str, Any] = json.loads(report.read_text())
    assert (found["complete"], found["failures"], found["errors"]) == (True, [], []), said
    return found


@VERSIONS
def test_openapi_spec_validator_takes_the_document(broker: Process, tmp_path: Path, version: str) -> None:
    document = tmp_path / "swagger.json"
    document.write_bytes(broker.ask("GET", f"{BASE}/{version}/swagger.json")[2])
    status, said = run("openapi-spec-validator", "--schema", "2.0", "--errors", "all", str(document))
    assert status == 0, said


@VERSIONS
def test_schemathesis_finds_the_brokers_own_endpoints_as_declared(
    broker: Process, plugin: Simulated, tmp_path: Path, version: str
) -> None:
    found = tried(broker, version, tmp_path, "own.toml", "--include-tag", "broker", "--max-examples", "50")
    assert (found["operations"]["tested"], found["operations"]["skipped"]) == (5, 0)
    assert found["valid_rates"]["POST /check_vim_capacity"]["fuzzing"]["accepted"] > 10


@VERSIONS
def test_schemathesis_breaks_nothing_through_the_broker(
    broker: Process, plugin: Simulated, tmp_path: Path, version: str
) -> None:
    found = tried(broker, version, tmp_path, "forwarded.toml", "--exclude-tag", "broker", "--max-examples", "3")
    assert found["operations"]["tested"] == found["operations"]["selected"] > 50
    assert len(plugin.asked()) > 500
