"""That the launcher overrides what this oslo.service calls; test_workers.py has it with real processes."""

from __future__ import annotations

import inspect
import warnings

import pytest

with warnings.catch_warnings():  # oslo.service's eventlet backend, which the launcher is, warns in several words
    warnings.simplefilter("ignore", DeprecationWarning)
    from oslo_service import service

    from app.server.launcher import Launcher


@pytest.mark.parametrize(
    "name",
    [
        "_start_child",
        "_child_process",
        "_child_process_handle_signal",
        "_respawn_children",
        "handle_signal",
        "stop",
    ],
)
def test_what_the_launcher_overrides_is_what_oslo_service_calls(name: str) -> None:
    assert name in vars(Launcher)
    source = inspect.getsource(service.ProcessLauncher)
    assert f"def {name}(" in source
    assert f"self.{name}" in source


@pytest.mark.parametrize("name", ["running", "sigcaught", "children", "wait_interval"])
def test_what_it_reads_is_what_oslo_service_sets(name: str) -> None:
    assert f"self.{name}" in inspect.getsource(service.ProcessLauncher)


def test_a_process_is_started_from_a_wrapper_and_found_by_its_pid() -> None:
    source = inspect.getsource(service.ProcessLauncher._start_child)
    for used in ("wrap.forktimes", "wrap.children.add(pid)", "self.children[pid] = wrap", "return pid"):
        assert used in source
    assert list(inspect.signature(service.ServiceWrapper).parameters) == ["service", "workers"]
    assert "self.services.append(service)" in inspect.getsource(service.Services)
