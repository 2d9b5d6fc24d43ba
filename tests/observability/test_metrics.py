"""In processes of their own: prometheus_client reads its environment when it is imported, and keeps its files open."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.observability import metrics

WORKER = """
import sys
from app.observability.metrics import Metrics, use_slot
use_slot(int(sys.argv[1]))
metrics = Metrics("1.2", "pecan")
exec(sys.argv[2])
"""
BOOTSTRAP = """
import sys
from app.observability.metrics import merged, slot_ended
for slot in sys.argv[1:]:
    slot_ended(int(slot))
sys.stdout.write(merged().decode())
"""
ALL = """
metrics.answered("GET", "/v0/{vim_id}/{rest}", 200, 0.003)
metrics.answered("GET", "/v0/{vim_id}/{rest}", 200, 99.0)
metrics.answered("BREW", "unmatched", 501, 0.0)
metrics.upstream("multicloud-pike", 504, 7.0)
metrics.retried()
metrics.not_sent("multicloud-pike", "circuit")
metrics.plugin("multicloud-pike", 2, 7, 1)
metrics.in_flight(3)
metrics.inventory_asked(0.2)
metrics.certificate("server", 1797421347.0)
for event in ("hit", "hit", "miss", "stale"):
    metrics.inventory_cache(event)
"""


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(metrics.DIRECTORY, "")
    (tmp_path / "metrics").mkdir()
    metrics.prepare(tmp_path / "metrics")
    return tmp_path / "metrics"


def run(script: str, *arguments: str) -> str:
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True)
    return done.stdout


def scraped(*ended: str) -> dict[str, float]:
    lines = [line.rsplit(" ", 1) for line in run(BOOTSTRAP, *ended).splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in lines}


def test_what_a_worker_counts_is_scraped(directory: Path) -> None:
    run(WORKER, "0", ALL)
    found = scraped()
    version = ".".join(map(str, sys.version_info[:3]))
    expected = {
        'http_requests_total{code="200",method="GET",route="/v0/{vim_id}/{rest}"}': 2,
        'http_requests_total{code="501",method="other",route="unmatched"}': 1,
        'http_request_duration_seconds_count{method="GET",route="/v0/{vim_id}/{rest}"}': 2,
        'http_request_duration_seconds_bucket{le="0.005",method="GET",route="/v0/{vim_id}/{rest}"}': 1,
        'http_request_duration_seconds_bucket{le="120.0",method="GET",route="/v0/{vim_id}/{rest}"}': 2,
        'upstream_requests_total{code="504",plugin="multicloud-pike"}': 1,
        'upstream_request_duration_seconds_sum{plugin="multicloud-pike"}': 7,
        "upstream_retries_total": 1,
        'upstream_refused_total{by="circuit",plugin="multicloud-pike"}': 1,
        'circuit_state{plugin="multicloud-pike"}': 2,
        'upstream_requests_in_flight{plugin="multicloud-pike",state="sent"}': 7,
        'upstream_requests_in_flight{plugin="multicloud-pike",state="waiting"}': 1,
        "http_requests_in_flight": 3,
        "inventory_request_duration_seconds_sum": 0.2,
        "inventory_cache_hits_total": 2,
        "inventory_cache_misses_total": 1,
        "inventory_cache_stale_total": 1,
        'tls_certificate_not_after_timestamp_seconds{role="server"}': 1797421347,
        "workers": 1,
        f'build_info{{framework="pecan",python="{version}",version="1.2"}}': 1,
    }
    assert {name: found.get(f"multicloud_{name}") for name in expected} == expected


def test_workers_add_up_and_one_that_replaces_another_goes_on_with_its_files(directory: Path) -> None:
    for slot in ("0", "1", "1"):
        run(WORKER, slot, "metrics.retried(); metrics.in_flight(2)")
    found = scraped()
    assert found["multicloud_upstream_retries_total"] == 3
    assert found["multicloud_workers"] == 2
    assert found["multicloud_http_requests_in_flight"] == 4
    assert {path.stem.rsplit("_", 1)[-1] for path in directory.glob("*.db")} == {"0", "1"}


def test_of_several_workers_the_certificate_that_ends_first_counts(directory: Path) -> None:
    for slot, end in (("0", 20), ("1", 10)):
        run(WORKER, slot, f"metrics.certificate('server', {end})")
    name = 'multicloud_tls_certificate_not_after_timestamp_seconds{role="server"}'
    assert scraped()[name] == 10
    assert scraped("1")[name] == 20
    assert 'role="aai"' not in str(scraped())


def test_of_a_circuit_the_worst_that_a_worker_sees_counts_and_of_requests_the_sum(directory: Path) -> None:
    for slot, state in (("0", 2), ("1", 0)):
        run(WORKER, slot, f"metrics.plugin('p', {state}, 3, 1)")
    found = scraped()
    assert found['multicloud_circuit_state{plugin="p"}'] == 2
    assert found['multicloud_upstream_requests_in_flight{plugin="p",state="sent"}'] == 6
    assert scraped("0")['multicloud_circuit_state{plugin="p"}'] == 0


def test_a_worker_that_ended_is_no_longer_there_but_what_it_counted_is(directory: Path) -> None:
    run(WORKER, "0", "metrics.retried(); metrics.in_flight(2)")
    run(WORKER, "1", "metrics.retried(); metrics.in_flight(5)")
    found = scraped("1")
    assert found["multicloud_upstream_retries_total"] == 2
    assert found["multicloud_workers"] == 1
    assert found["multicloud_http_requests_in_flight"] == 2


def test_the_end_of_a_slot_without_metrics_is_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(metrics.DIRECTORY, raising=False)
    metrics.slot_ended(0)


def test_prepare_points_the_library_there(directory: Path) -> None:
    assert os.environ[metrics.DIRECTORY] == str(directory)
    assert list(directory.iterdir()) == []
