"""Faults of DNS, and addresses that die or change: a name server of the row's own, asked by the system's resolver."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from tests.faults.actors import Plugins
from tests.faults.apart import POSSIBLE, cut_off, join_again, put_over
from tests.faults.names import SERVER_FAILURE, NameServer
from tests.faults.stage import ALL, ONE, Row, Stage, stages

pytestmark = pytest.mark.skipif(not POSSIBLE, reason="a network of one's own needs root, ip and nft")
FAILED = (502, 503, 504, "cut")
HOST, OTHER = "127.0.0.1", "127.0.0.2"
HOSTS = {name: f"plugin-{name}.example." for name in ALL}


@pytest.fixture(scope="module")
def names(all_isolated: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NameServer]:
    resolv = tmp_path_factory.mktemp("names") / "resolv.conf"
    resolv.write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
    put_over(Path("/etc/resolv.conf"), resolv)
    server = NameServer(**{f"plugin_{name}": (HOST,) for name in ALL})
    yield server
    server.close()


@pytest.fixture(scope="module")
def _both(names: NameServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Stage]]:
    with stages(tmp_path_factory.mktemp, hosts=HOSTS, BROKER_UPSTREAM_RESOLVE_INTERVAL="0.3") as made:
        yield made


@pytest.fixture
def stage(_both: dict[str, Stage], names: NameServer, framework: str, row: Row) -> Stage:
    """Before each row the plugins are where they were, whatever the one before did to their names."""
    stage = _both[framework].for_row(row)
    names.addresses = dict.fromkeys(names.addresses, (HOST,))
    stage.until_sound()
    return stage


def test_fault_names_unanswered(stage: Stage, names: NameServer) -> None:
    """The name server does not answer; the plugins' names were looked up before."""
    stage.play(partial(setattr, names, "silent", True), partial(setattr, names, "silent", False), back_within=0)


def test_fault_names_failing(stage: Stage, names: NameServer) -> None:
    """The name server answers that it failed; the plugins' names were looked up before."""
    stage.play(partial(setattr, names, "rcode", SERVER_FAILURE), partial(setattr, names, "rcode", 0), back_within=0)


def test_fault_name_changed(stage: Stage, names: NameServer, tmp_path: Path) -> None:
    """A plugin is killed, and started at another address, which its name leads to from then on."""
    with ExitStack() as stack:

        def elsewhere() -> None:
            stack.enter_context(Plugins(tmp_path, ONE, host=OTHER, port=stage.one.ports[ONE]))
            names.addresses[b"plugin-one"] = (OTHER,)

        stage.play(stage.one.kill, elsewhere, sees=FAILED, back_within=3)
    stage.one.start()


def test_fault_name_of_two_addresses(stage: Stage, names: NameServer, tmp_path: Path) -> None:
    """One of the two addresses of a plugin is cut off, for good."""
    port = stage.one.ports[ONE]
    with Plugins(tmp_path, ONE, host=OTHER, port=port):
        names.addresses[b"plugin-one"] = (HOST, OTHER)
        stage.play(partial(cut_off, port, HOST), lambda: None, sees=FAILED, held=0, back_within=4)
    join_again()
