"""Where a fault is played: a broker of two workers, a plugin that will go wrong and three that will not."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.conftest import FRAMEWORKS, Process, a_broker, until
from tests.faults.actors import Plugins
from tests.faults.load import Load, Traffic, mixed
from tests.faults.verdict import CALM, May, Seen, longest, outcomes

LONG = os.environ.get("FAULTS") == "long"
"""`make faults`; else the short form of each row."""

RECORDS = os.environ.get("FAULTS_RECORDS")
"""The folder for what the tests saw; unset: nothing is kept."""

BEFORE, HELD, AFTER = (2.0, 8.0, 3.0) if LONG else (0.3, 1.0, 0.1)
"""Seconds of load before a fault, during it, and once all is as before."""

RATE = 60.0 if LONG else 40.0
"""Requests a second to each plugin."""

ONE = "one"
OTHERS = ("two", "three", "four")
ALL = (ONE, *OTHERS)

Row = tuple[str, str]
"""A test's name, and its fault."""

LIMITS = {
    "BROKER_UPSTREAM_CONNECT_TIMEOUT": "0.5",
    "BROKER_UPSTREAM_RESPONSE_TIMEOUT": "0.7",
    "BROKER_UPSTREAM_IDLE_TIMEOUT": "0.7",
    "BROKER_UPSTREAM_BREAKER_OPEN": "0.3",
    "BROKER_UPSTREAM_BREAKER_OPEN_MAX": "1",
}
"""So that a fault shows within a row's time."""


def entry_of(name: str, endpoint: str) -> dict[str, object]:
    """A plugin's entry in the provider-plugin map."""
    return {"vim_type": name, "versions": {}, "provider_plugin": f"multicloud-{name}", "endpoint": endpoint}


def region_of(name: str) -> dict[str, str]:
    return {"cloud-owner": "owner", "cloud-region-id": name, "cloud-type": name}


def path_of(name: str) -> str:
    """Below the region of a plugin."""
    return f"/api/multicloud/v0/owner_{name}/x"


def map_of(ports: Mapping[str, int], hosts: Mapping[str, str] = {}) -> str:
    """A provider-plugin map; a plugin that has no other host is at 127.0.0.1."""
    where = {name: f"http://{hosts.get(name, '127.0.0.1')}:{port}" for name, port in ports.items()}
    return json.dumps({name: entry_of(name, endpoint) for name, endpoint in where.items()})


def scene_of(folder: Path, ports: Mapping[str, int], hosts: Mapping[str, str] = {}) -> dict[str, str]:
    """The environment that leads a broker to plugins; each has a region of its name."""
    (folder / "map.json").write_text(map_of(ports, hosts))
    (folder / "regions.json").write_text(json.dumps([region_of(name) for name in ports]))
    return {
        **LIMITS,
        "BROKER_PLUGINS_MAP_FILE": str(folder / "map.json"),
        "BROKER_INVENTORY_REGIONS_FILE": str(folder / "regions.json"),
    }


def serving(broker: Process, workers: int) -> bool:
    return sum('serves"' in line for line in broker.lines) >= workers


class Stage:
    """`one` is the plugin that goes wrong; `row` names the test. What a load is made of can be told by `traffics`."""

    def __init__(
        self, framework: str, env: Mapping[str, str], broker: Process, one: Plugins, others: Plugins, row: Row
    ) -> None:
        self.framework = framework
        self.broker = broker
        self.one = one
        self.others = others
        self.row, self.fault = row
        self.traffics: list[Traffic] = [
            traffic for name in (*one.names, *others.names) for traffic in mixed(name, path_of(name), RATE)
        ]
        self.facts: dict[str, float] = {}
        """What there is to say of the row beside what clients saw: `times`, `replaced_after` (seconds)."""
        self._env = env

    def for_row(self, row: Row) -> Stage:
        """The same for another row."""
        return Stage(self.framework, self._env, self.broker, self.one, self.others, row)

    def until_sound(self) -> None:
        """Until requests to the plugin that went wrong are answered, whichever worker has them."""
        until(lambda: all(self.broker.ask("GET", path_of(ONE))[0] == 200 for _ in range(10)))

    @contextmanager
    def another(self, workers: int = 2, **env: str) -> Iterator[Process]:
        """One more broker of the same scene, once it serves."""
        with a_broker(self.framework, workers, **{**self._env, **env}) as broker:
            until(lambda: serving(broker, workers))
            yield broker

    def play(
        self,
        make: Callable[[], object],
        end: Callable[[], object],
        *,
        sees: Iterable[object] = (),
        who: Iterable[str] = (ONE,),
        methods: Iterable[str] = ("GET", "POST"),
        back_within: float,
        others_within: float = 0.5,
        held: float = HELD,
    ) -> Seen:
        """Make a fault under load, and end it after `held` seconds.

        Clients of `who` may see what `sees` says, where they use one of `methods`, until all is as before,
        `back_within` seconds after the fault's end.
        All others see nothing of it, and wait less than `others_within` seconds. No plugin gets a POST twice.
        """
        with Load(self.broker.port, self.traffics) as load:
            self.load = load
            time.sleep(BEFORE)
            made = time.monotonic()
            make()
            time.sleep(held)
            end()
            ended = time.monotonic()
            await_calm(load, ended, back_within)
            time.sleep(AFTER)
        seen = Seen(load.samples, made, ended, May(frozenset(who), frozenset(map(str, sees)), frozenset(methods)))
        self.record(seen)
        self.judge(seen, back_within, others_within)
        return seen

    def judge(self, seen: Seen, back_within: float, others_within: float) -> None:
        assert not seen.losses, outcomes(seen.losses)
        assert seen.as_before_after <= back_within
        late = [one for one in seen.of_those(hit=False) if one.seconds >= others_within]
        assert not late, [(one.traffic.name, one.outcome, one.seconds) for one in late]
        twice = [id_ for plugins in (self.one, self.others) for id_, times in plugins.posts().items() if times > 1]
        assert not twice, "a POST came twice"

    def record(self, seen: Seen) -> None:
        """For docs/faults.md."""
        if RECORDS is None:
            return
        hit, others = seen.of_those(hit=True), seen.of_those(hit=False)
        document = {
            "row": self.row,
            "fault": self.fault,
            "framework": self.framework,
            "long": LONG,
            "hit": outcomes(hit),
            "others": outcomes(others),
            "others_longest": longest(others),
            "as_before_after": seen.as_before_after,
            "lost": len(seen.losses),
            **self.facts,
        }
        (Path(RECORDS) / f"{self.row}-{self.framework}.json").write_text(json.dumps(document))


def await_calm(load: Load, ended: float, seconds: float) -> None:
    """Until a full second has seen only fine answers, or `seconds` and this second have passed."""
    while (now := time.monotonic()) < ended + seconds + CALM:
        moment = Seen(load.samples[:], ended, ended).calm
        if load.settled - moment > CALM:
            return
        time.sleep(max(moment + CALM - now, 0.02))


@contextmanager
def a_stage(
    framework: str,
    folder: Path,
    row: Row = ("", ""),
    others: Iterable[str] = OTHERS,
    workers: int = 2,
    hosts: Mapping[str, str] = {},
    by: Sequence[str] = (),
    led: Callable[[Plugins, Plugins], Mapping[str, str]] = lambda *_: {},
    **env: str,
) -> Iterator[Stage]:
    """With a broker of its own, which the command `by` becomes; `hosts` names plugins that it is to know by another
    host than 127.0.0.1. What `led` makes of the plugins, once they are there, is of its environment too."""
    with ExitStack() as stack:
        one = stack.enter_context(Plugins(folder, ONE))
        sound = stack.enter_context(Plugins(folder, *others))
        env = {**scene_of(folder, {**one.ports, **sound.ports}, hosts), **led(one, sound), **env}
        broker = stack.enter_context(a_broker(framework, workers, by, **env))
        until(lambda: serving(broker, workers))
        yield Stage(framework, env, broker, one, sound, row)


@contextmanager
def stages(folder: Callable[[str], Path], **options: Any) -> Iterator[dict[str, Stage]]:
    """One of each framework, for all rows that leave it sound; `options` are those of `a_stage`."""
    with ExitStack() as stack:
        yield {name: stack.enter_context(a_stage(name, folder(name), **options)) for name in FRAMEWORKS}
