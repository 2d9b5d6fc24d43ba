from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.conf import metrics


def test_the_directory_is_the_one_that_is_set() -> None:
    assert metrics.directory("/run/x") == Path("/run/x")


@pytest.mark.parametrize("there", [True, False])
def test_unset_it_is_in_shared_memory_where_that_is_there(
    there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared, temporary = tmp_path / "shm", tmp_path / "tmp"
    if there:
        shared.mkdir()
    monkeypatch.setattr(metrics, "SHARED_MEMORY", shared)
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    assert metrics.directory(None) == (shared if there else temporary) / f"multicloud-metrics-{os.getuid()}"
