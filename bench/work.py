"""What is asked of the systems: a table, for each extent of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from bench.clients.ab import ab
from bench.clients.bulk import bulk
from bench.clients.said import Said
from bench.clients.wrk import wrk
from bench.site import FORWARDED, GIB, MIB, POST_BODY, POSTED, SIZES, UPLOADED
from bench.site import VIM_TYPES as VIM_TYPES_PATH
from bench.systems.system import FORWARD, STREAM, VIM_TYPES

NEW, KEPT, ONE = "new connections", "kept connections", "one body"
"""By `ab`, by `wrk`, and by the client for large bodies."""


@dataclass(frozen=True)
class Work:
    """`needs` is what a system must do for it. A run ends after `count` requests where that is not 0, and after
    `seconds` in any case. `rounds` is how many there are for each one of the whole run; 0: one in all."""

    name: str
    label: str
    needs: str
    path: str
    how: str
    concurrency: int
    count: int
    seconds: int
    method: str = "GET"
    size: int = 0
    rounds: int = 1

    def ask(self, port: int, folder: Path) -> Said:
        """Once; `folder` is for files. Raises `GaveUpError`."""
        url = f"http://127.0.0.1:{port}{self.path}"
        if self.how == ONE:
            return bulk("get" if self.method == "GET" else "put", port, self.path, self.size, self.seconds)
        if self.how == KEPT:
            return wrk(url, self.concurrency, self.seconds, POST_BODY if self.method == "POST" else None)
        return ab(url, self.count, self.concurrency, self.seconds, self._body(folder))

    def turns(self, number: int) -> range:
        """The numbers of what is done in a round of the whole run."""
        if not self.rounds:
            return range(1) if number == 0 else range(0)
        return range(number * self.rounds, (number + 1) * self.rounds)

    def _body(self, folder: Path) -> tuple[str, Path] | None:
        if self.method == "GET":
            return None
        file = folder / f"{self.name}.body"
        if not file.exists():
            file.write_bytes(POST_BODY if self.method == "POST" else bytes(self.size))
        return self.method, file


@dataclass(frozen=True)
class Extent:
    """How much there is of a run: the seconds at most of `ab` at 100 and at 1000, those of `wrk`, and whether all kinds
    of work are done at all concurrencies."""

    requests: int
    seconds: int
    thousand_seconds: int
    kept_seconds: int
    all_work: bool = False
    thousand: int = 100_000
    bodies: int = 200


QUICK = Extent(requests=2000, seconds=4, thousand_seconds=8, kept_seconds=1, thousand=5000, bodies=100)
NORMAL = Extent(requests=10_000, seconds=4, thousand_seconds=40, kept_seconds=2)
FULL = Extent(requests=10_000, seconds=120, thousand_seconds=300, kept_seconds=10, all_work=True, bodies=1000)

ASKED = (
    ("vim_types", "vim_types", VIM_TYPES, VIM_TYPES_PATH, "GET"),
    ("get", "forwarded GET, 1 KiB", FORWARD, FORWARDED, "GET"),
    ("post", "forwarded POST, 1 KiB", FORWARD, POSTED, "POST"),
)


def works(extent: Extent) -> list[Work]:
    """All that is to be done."""
    return [*(work for asked in ASKED for work in _small(extent, *asked)), *_bodies(extent)]


def _small(extent: Extent, name: str, label: str, needs: str, path: str, method: str) -> Iterable[Work]:
    """One request's work at each concurrency, on new and on kept connections."""

    def new(concurrency: int, count: int, seconds: int, rounds: int = 1) -> Work:
        what = f"{label}, ab -c {concurrency} -n {count}"
        return Work(
            f"{name}-c{concurrency}", what, needs, path, NEW, concurrency, count, seconds, method, rounds=rounds
        )

    def kept(concurrency: int, seconds: int) -> Work:
        what = f"{label}, keep-alive, wrk -c {concurrency}"
        return Work(f"{name}-kept-c{concurrency}", what, needs, path, KEPT, concurrency, 0, seconds, method)

    yield new(1, 100, extent.seconds, rounds=3)  # a tenth of a second each: more of them, since one hiccup is much
    yield new(100, extent.requests, extent.seconds)
    if extent.all_work or name != "post":
        yield kept(1, -(-extent.kept_seconds // 2))
    yield kept(100, extent.kept_seconds)
    if extent.all_work:
        yield new(1000, extent.thousand, extent.thousand_seconds)
        yield kept(1000, extent.kept_seconds)
    elif name == "vim_types":
        yield new(1000, extent.thousand, extent.thousand_seconds, rounds=0)


def _bodies(extent: Extent) -> Iterable[Work]:
    count, mib, gib = extent.bodies, SIZES["mib"], SIZES["gib"]
    for size, how, needs, rest in ((mib, NEW, FORWARD, f", ab -c 10 -n {count}"), (gib, ONE, STREAM, "")):
        unit = "mib" if size == mib else "gib"
        what, seconds = f"1 {'MiB' if size == mib else 'GiB'}", max(extent.seconds, 60 if how == ONE else 0)
        path = MIB if size == mib else GIB
        yield Work(f"down-{unit}", f"{what} down{rest}", needs, path, how, 10, count, seconds, "GET", size)
        yield Work(f"up-{unit}", f"{what} up{rest}", needs, UPLOADED, how, 10, count, seconds, "PUT", size)


Select = Callable[[Work], bool]
