"""Medians and ratios, the aims, the table."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench import aims
from bench.aims import AIMS, Aim, verdicts
from bench.results import CPU, P99, RATE, Figure, Results, Run, load
from bench.table import UNKNOWN, markdown, number, table
from bench.work import FULL, NORMAL, Extent, works

WORKS = (("get-c100", "0", "1000"), ("up-gib", "1024", "0"), ("vim_types-c1000", "0", "1000"))


def some(*runs: Run, figures: list[Figure] | None = None) -> Results:
    systems = [
        {"name": name, "kind": kind, "settings": f"{name} as it is", "error": ""}
        for name, kind in (("django", "ours"), ("pecan", "ours"), ("nginx", "limit"), ("uwsgi", "seed"))
    ]
    labels = [{"name": name, "label": f"about {name}", "mib": mib, "count": count} for name, mib, count in WORKS]
    machine = {"CPU": "a CPU", "cores": "2", "Python": "3.11"}
    return Results(machine, {"rounds": "3"}, systems, labels, list(runs), figures or [])


def run(system: str, rate: float, number: int = 0, work: str = "get-c100", **more: float) -> Run:
    return Run(work, system, number, requests=1000, rate=rate, **more)  # type: ignore[arg-type]


def rounds(system: str, *rates: float, work: str = "get-c100") -> list[Run]:
    return [run(system, rate, number, work) for number, rate in enumerate(rates)]


def test_the_median_is_of_all_rounds() -> None:
    results = some(*rounds("django", 300, 100, 200))
    assert results.median("get-c100", "django") == 200
    assert results.median("get-c100", "pecan") is None


def test_ratios_are_of_a_round_then_the_median() -> None:
    """The second round was slow for both; the medians' ratio would be 200 / 400."""
    results = some(*rounds("django", 300, 100, 200), *rounds("nginx", 400, 200, 1000))
    assert results.ratio("get-c100", "django", "nginx") == 0.5
    assert some(*rounds("django", 300, 100, 200), *rounds("nginx", 1000, 400, 250)).ratio(
        "get-c100", "django", "nginx"
    ) == pytest.approx(0.3)


def test_a_round_without_its_peer_has_no_ratio() -> None:
    gave_up = Run("get-c100", "nginx", 1, gave_up="no answer")
    results = some(*rounds("django", 300, 100), run("nginx", 600), gave_up)
    assert results.ratio("get-c100", "django", "nginx") == 0.5
    assert results.ratio("get-c100", "django", "haproxy") is None


def test_what_was_given_up_has_no_figures() -> None:
    results = some(run("django", 10), Run("get-c100", "django", 1, gave_up="timed out"))
    assert results.values("get-c100", "django", RATE) == [10]
    assert results.gave_up("get-c100", "django") == "timed out"


def test_failed_are_those_with_a_failure_and_those_given_up() -> None:
    bad = [run("django", 1, failed=2), Run("get-c100", "pecan", 0, gave_up="x")]
    assert some(run("django", 1), *bad, run("uwsgi", 1, failed=9)).failed(("django", "pecan")) == bad


def test_results_come_back_from_their_file(tmp_path: Path) -> None:
    results = some(*rounds("django", 1, 2), figures=[Figure("start", "django", (0.5, 0.7))])
    file = tmp_path / "results.json"
    file.write_text(results.as_json())
    assert load(file) == results


def test_an_aim_is_met_by_both_frameworks_or_not_met() -> None:
    def verdict(django: float, pecan: float | None) -> bool | None:
        runs = [*rounds("django", django), *rounds("nginx", 100), *([] if pecan is None else rounds("pecan", pecan))]
        return verdicts(some(*runs))[0].met

    assert verdict(50, 50) is True
    assert verdict(50, 49) is False
    assert verdict(50, None) is None
    assert verdict(49, None) is False


def test_the_time_of_c1_is_the_inverse_of_the_rates_ratio() -> None:
    results = some(*rounds("django", 400, work="get-c1"), *rounds("nginx", 1000, work="get-c1"))
    aim = next(aim for aim in AIMS if aim.wanted == "at most 2.5 times nginx's time")
    assert aim.measured(results, "django") == 2.5
    assert aim.met(2.5)
    assert not aim.met(2.51)


def test_a_client_that_gave_up_did_not_see_no_failure() -> None:
    aim = next(aim for aim in AIMS if aim.wanted == "no failure")
    gave_up = Run("vim_types-c1000", "django", 0, gave_up="timed out")
    fine = run("pecan", 1, work="vim_types-c1000")
    assert not aim.met(aim.measured(some(gave_up, fine), "django"))
    assert aim.met(aim.measured(some(gave_up, fine), "pecan"))
    assert aim.met(aim.measured(some(), "pecan")) is None


def test_what_was_not_answered_in_time_failed() -> None:
    aim = next(aim for aim in AIMS if aim.wanted == "no failure")
    results = some(replace(run("django", 1, work="vim_types-c1000"), requests=990))
    assert aim.measured(results, "django") == 10
    assert "| 0; 990 in time |" in markdown(results)


def test_the_slowest_round_of_a_thousand_counts() -> None:
    aim = next(aim for aim in AIMS if aim.wanted == "p99 under 2,000 ms")
    slow = [run("django", 1, number, "vim_types-c1000", p99_ms=p99) for number, p99 in enumerate((100.0, 2500.0, 90.0))]
    assert aim.measured(some(*slow), "django") == 2500


def test_figures_of_ours_alone_are_judged_by_their_median() -> None:
    aim = next(aim for aim in AIMS if aim.what == "start to ready, 2 workers")
    results = some(figures=[Figure("start", "django", (0.8, 0.9, 3.0))])
    assert aim.measured(results, "django") == 0.9


@pytest.mark.parametrize("extent", [NORMAL, FULL], ids=["normal", "full"])
def test_aims_are_of_work_that_is_done(extent: Extent) -> None:
    """An aim whose work has another name would be 'not measured' for ever."""
    done = works(extent)
    runs = [run(one, 1, work=work.name) for work in done for one in ("django", "pecan", "nginx", "uwsgi")]
    figures = [
        Figure(name, one, (1.0,))
        for name in ("start", "capacity 20", "capacity 200", "workers", "crowded")
        for one in ("django", "pecan")
    ]
    results = some(*runs, figures=figures)
    assert [one.aim.what for one in verdicts(results) if one.met is None] == []


def test_works_have_names_of_their_own() -> None:
    for extent in (NORMAL, FULL):
        names = [work.name for work in works(extent)]
        assert len(names) == len(set(names))


def test_numbers_have_as_many_digits_as_tell_something() -> None:
    assert [number(value) for value in (None, 0.1234, 1.0, 12.34, 123.4, 12345.6, float("inf"))] == [
        UNKNOWN,
        "0.12",
        "1",
        "12.3",
        "123",
        "12,346",
        "all",
    ]


def test_a_table_aligns_its_figures_to_the_right() -> None:
    assert table(("a", "b"), [("x", "1")]) == "| a | b |\n| --- | ---: |\n| x | 1 |\n"


def test_the_page_says_what_was_measured_and_which_aims_are_met() -> None:
    runs = [*rounds("django", 50, 60, 40), *rounds("nginx", 100, 100, 100), *rounds("pecan", 10, 10, 10)]
    runs += [run("django", 0.5, work="up-gib"), Run("get-c100", "uwsgi", 0, gave_up="ab was answered nothing")]
    page = markdown(some(*runs, figures=[Figure("start", "django", (0.5,))]))
    assert "| nginx | 100 (100 to 100) | 1 | 0 | 0 | 0 | 0 | 0 |" in page
    assert "| **django** | 50 (40 to 60) | 0.50 |" in page
    assert "| uwsgi | the client gave up: ab was answered nothing |" in page
    assert "| **django** | 512 (512 to 512) | - |" in page, "a GiB a request at half a request a second"
    first = next(line for line in page.splitlines() if line.startswith("| forwarded GET, c100, new"))
    assert first.endswith("| 0.50 | 0.10 | **not met** |")
    assert "| start | django | 0.50 |" in page


def test_bounds_are_inclusive() -> None:
    low, high = Aim("a", "b", aims.AIMS[0].measured, low=1), Aim("a", "b", aims.AIMS[0].measured, high=1)
    assert (low.met(1), low.met(0.99), high.met(1), high.met(1.01)) == (True, False, True, False)


def test_cpu_and_percentiles_have_ratios_too() -> None:
    results = some(run("django", 1, cpu_us=30.0, p99_ms=6.0), run("nginx", 1, cpu_us=10.0, p99_ms=2.0))
    assert (results.ratio("get-c100", "django", "nginx", CPU), results.ratio("get-c100", "django", "nginx", P99)) == (
        3,
        3,
    )
