"""A soak: a broker under mixed load while faults come and go, and what is measured of it."""

from __future__ import annotations

import contextlib
import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from app.simulators.processes import SimulatorProcess
from app.simulators.regions import REGIONS as SIMULATED
from app.simulators.regions import provider_plugins
from tests.conftest import Process, a_broker, until
from tests.faults.actors import Inventory, Plugins
from tests.faults.load import Load
from tests.faults.stage import ONE, entry_of, region_of, serving
from tests.soak.injected import KILLED, Injector, Made, kinds
from tests.soak.mix import REGIONS, Asked, Volte, steady
from tests.soak.samples import Held, Sample, sample
from tests.soak.slopes import Trend, percentile, trend

TWO = "two"
RATE = 20.0
"""Requests a second to each of the steady load's two plugins."""


class Scene(NamedTuple):
    broker: Process
    one: Plugins
    aai: Inventory


class Soak:
    """What was measured; `warm_up` is in seconds from `began`, as all moments here."""

    def __init__(self, framework: str, seconds: float) -> None:
        self.framework = framework
        self.began = time.monotonic()
        self.seconds = seconds
        self.warm_up = seconds / 5
        self.window = max(seconds / 120, 5.0)
        self.samples: list[Sample] = []
        self.asked: list[Asked] = []
        self.made: list[Made] = []
        self.plays = 0

    @property
    def names(self) -> list[str]:
        """Of the processes."""
        return sorted({name for one in self.samples for name in one.held})

    def of(self, name: str) -> Iterator[tuple[float, Held]]:
        """What a process held, and when."""
        return ((one.at - self.began, one.held[name]) for one in self.samples if name in one.held)

    def latency(self, part: float) -> list[tuple[float, float]]:
        """By windows: the middle of one, and a percentile of what fine answers took, in ms."""
        taken: dict[int, list[float]] = {}
        for one in self.asked:
            if one.fine:
                number = int((one.ended - self.began) / self.window)
                taken.setdefault(number, []).append((one.ended - one.began) * 1000)
        whole = range(int(self.seconds / self.window))
        return [((number + 0.5) * self.window, percentile(taken[number], part)) for number in whole if number in taken]

    @property
    def losses(self) -> Counter[str]:
        """Failures that no fault excuses."""
        failed = (one for one in self.asked if not one.fine)
        return Counter(
            f"{one.name}: {one.outcome}" for one in failed if not any(made.excuses(one) for made in self.made)
        )

    def trends(self) -> list[Trend]:
        """Of what has to stay flat. The worker that is killed now and then never grows old, so its memory says
        nothing."""
        found = []
        for name in self.names:
            held = [(at, one) for at, one in self.of(name) if at >= self.warm_up]
            moments = [at for at, _ in held]
            if name != KILLED:
                found.append(trend(f"{name} memory", "MiB", moments, [one.anonymous for _, one in held], 2.0))
            found.append(trend(f"{name} descriptors", "", moments, [one.descriptors for _, one in held], 8.0))
        warm = [one for one in self.samples if one.at - self.began >= self.warm_up]
        moments = [one.at for one in warm]
        found.append(trend("greenlets", "", moments, [one.greenlets for one in warm], 10.0))
        found.append(trend("requests in flight", "", moments, [one.in_flight for one in warm], 3.0))
        for part, allowed, share in ((0.5, 0.5, 0.2), (0.99, 5.0, 0.5)):
            windows = [(at, value) for at, value in self.latency(part) if at >= self.warm_up]
            at, values = zip(*windows, strict=True)
            found.append(trend(f"latency p{part * 100:g}", "ms", at, values, allowed, share))
        return found


@contextmanager
def scene(framework: str, workers: int, folder: Path) -> Iterator[Scene]:
    with ExitStack() as stack:
        simulator = stack.enter_context(SimulatorProcess("plugin", "--settle", "0.05"))
        one, two = (stack.enter_context(Plugins(folder, name)) for name in (ONE, TWO))
        aai = Inventory(folder, [*SIMULATED, *map(region_of, (ONE, TWO))])
        stack.callback(aai.kill)
        entries = {
            name: entry_of(name, f"http://127.0.0.1:{port}") for name, port in {**one.ports, **two.ports}.items()
        }
        map_file = folder / "map.json"
        map_file.write_text(json.dumps({**provider_plugins(f"http://127.0.0.1:{simulator.port}"), **entries}))
        env = {"AAI_PROTOCOL": "http", "AAI_ADDR": "127.0.0.1", "AAI_PORT": str(aai.port)}
        broker = stack.enter_context(a_broker(framework, workers, BROKER_PLUGINS_MAP_FILE=str(map_file), **env))
        until(lambda: serving(broker, workers))
        yield Scene(broker, one, aai)


def play(scene: Scene, framework: str, seconds: float, every: float) -> Soak:
    """A fault each `every` seconds."""
    port = scene.broker.port
    soak = Soak(framework, seconds)
    players = [Volte(port, region) for region in REGIONS]
    with Load(port, steady((ONE, TWO), RATE)) as load:
        injector = Injector(kinds(*scene), every)
        _measure(soak, scene.broker)
        injector.stop()
    for player in players:
        player.stop()
    soak.made = injector.made
    soak.plays = sum(player.plays for player in players)
    soak.asked = [Asked(one.traffic.name, one.began, one.ended, one.outcome, one.fine) for one in load.samples]
    soak.asked += [one for player in players for one in player.asked]
    return soak


def _measure(soak: Soak, broker: Process) -> None:
    end = soak.began + soak.seconds
    while (now := time.monotonic()) < end:
        with contextlib.suppress(OSError):  # of a worker that is killed in this moment
            soak.samples.append(sample(broker))
        time.sleep(max(now + min(soak.window, 5.0) - time.monotonic(), 0))
