"""The issue's aims, and whether the results meet them: ratios of one run, to nginx unless another peer is named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from bench.results import GROWN, P99, Results

PEER, SEED = "nginx", "uwsgi"
Measured = Callable[[Results, str], float | None]
"""Of a framework; None where it was not measured."""


@dataclass(frozen=True)
class Aim:
    """`low` is the least that will do, `high` the most."""

    what: str
    wanted: str
    measured: Measured
    low: float | None = None
    high: float | None = None

    def met(self, value: float | None) -> bool | None:
        """None where it was not measured."""
        if value is None:
            return None
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)


class Verdict(NamedTuple):
    """Of an aim, by framework."""

    aim: Aim
    values: dict[str, float | None]

    @property
    def met(self) -> bool | None:
        """By all frameworks; None where one was not measured and none fails."""
        met = {self.aim.met(value) for value in self.values.values()}
        return False if False in met else None if None in met or not met else True


def _rate(work: str, peer: str = PEER) -> Measured:
    return lambda results, name: results.ratio(work, name, peer)


def _time(work: str) -> Measured:
    def measured(results: Results, name: str) -> float | None:
        ratio = results.ratio(work, name, PEER)
        return 1 / ratio if ratio else None

    return measured


def _most(work: str, what: str) -> Measured:
    return lambda results, name: max(results.values(work, name, what), default=None)


def _failures(work: str) -> Measured:
    """What was not answered when the client's time was up failed too; all, where it gave up."""

    def measured(results: Results, name: str) -> float | None:
        runs = [run for run in results.runs if run.work == work and run.system == name]
        count = results.count(work)
        failed = (float("inf") if run.gave_up else run.failed + max(0, count - run.requests) for run in runs)
        return sum(failed) if runs else None

    return measured


def _figure(figure: str) -> Measured:
    def measured(results: Results, name: str) -> float | None:
        found = results.figure(figure, name)
        return found.median if found else None

    return measured


AIMS = (
    Aim("forwarded GET, c100, new connections, 2 workers", "at least 0.5 of nginx's rate", _rate("get-c100"), low=0.5),
    Aim("forwarded GET, c1", "at most 2.5 times nginx's time", _time("get-c1"), high=2.5),
    Aim("vim_types, c100, new connections", "4 times Django + uWSGI", _rate("vim_types-c100", SEED), low=4),
    Aim("vim_types, c100, new connections", "at least 0.8 of nginx static", _rate("vim_types-c100"), low=0.8),
    Aim("vim_types, c100, keep-alive", "at least 0.4 of nginx static", _rate("vim_types-kept-c100"), low=0.4),
    Aim("vim_types, 100,000 at c1000", "no failure", _failures("vim_types-c1000"), high=0),
    Aim("vim_types, 100,000 at c1000", "p99 under 2,000 ms", _most("vim_types-c1000", P99), high=2000),
    Aim("forwarded GET, c100, keep-alive", "at least 0.5 of nginx's rate", _rate("get-kept-c100"), low=0.5),
    Aim("1 GiB down", "at least 0.5 of nginx's rate", _rate("down-gib"), low=0.5),
    Aim("1 GiB up", "at least 0.5 of nginx's rate", _rate("up-gib"), low=0.5),
    Aim("1 GiB down", "RSS flat: grows by at most 16 MiB", _most("down-gib", GROWN), high=16),
    Aim("1 GiB up", "RSS flat: grows by at most 16 MiB", _most("up-gib", GROWN), high=16),
    Aim("capacity check, 20 VIMs (0.5 s, one 1 s)", "at most 1.1 s", _figure("capacity 20"), high=1.1),
    Aim("capacity check, 200 VIMs (0.5 s, one 1 s)", "at most 1.1 s", _figure("capacity 200"), high=1.1),
    Aim("2 workers over 1: CPU a request", "at most 1.1 times", _figure("workers"), high=1.1),
    Aim("start to ready, 2 workers", "under 1 s", _figure("start"), high=1),
    Aim(
        "CPU a request with 100,000 regions, 100 plugins, 10,000 idle connections",
        "at most 1.05 times that with one region, one plugin, none idle",
        _figure("crowded"),
        high=1.05,
    ),
)


def verdicts(results: Results, frameworks: tuple[str, ...] = ("django", "pecan")) -> list[Verdict]:
    return [Verdict(aim, {name: aim.measured(results, name) for name in frameworks}) for aim in AIMS]
