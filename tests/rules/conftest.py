"""A raw client in front, a recording plugin behind, and a broker of one worker under each framework between them."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import FRAMEWORKS, NO_BREAKER, Process, a_broker
from tests.rules.plugin import Plugin
from tests.rules.reading import Session

X = b"/api/multicloud/v0/vmware_fake/x"
"""A path below a region of the recording plugin's."""
THERE = b"/api/multicloud-vio/v0/vmware_fake/x"
"""The same at the plugin."""
TYPES = b"/api/multicloud/v0/vim_types"
NOWHERE = b"/api/multicloud/v0/owner_nowhere/x"
"""A path below a region whose plugin takes no connection."""
CLOSE = b"Connection: close"


def request(
    *lines: bytes, method: bytes = b"GET", target: bytes = X, version: bytes = b"1.1", body: bytes = b""
) -> bytes:
    """A request's bytes; `lines` go after Host, and the body's framing is theirs to declare."""
    head = b"".join(line + b"\r\n" for line in (b"Host: client.example", *lines))
    return b"%b %b HTTP/%b\r\n%b\r\n%b" % (method, target, version, head, body)


def last(*lines: bytes, method: bytes = b"GET", target: bytes = X, body: bytes = b"") -> bytes:
    """A request after whose answer the broker closes."""
    return request(CLOSE, *lines, method=method, target=target, body=body)


def chunked(*pieces: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def told(body: bytes = b"ok", *lines: bytes, status: bytes = b"200 OK") -> bytes:
    """A plugin's answer with a Content-Length."""
    head = b"".join(line + b"\r\n" for line in (*lines, b"Content-Length: %d" % len(body)))
    return b"HTTP/1.1 %b\r\n%b\r\n%b" % (status, head, body)


def scene_of(port: int, folder: Path, **others: int) -> dict[str, str]:
    """The environment that leads a broker to the plugin at a port; `others` are regions `owner_{name}` of theirs."""
    ports = {"vmware": port, **others}
    names = {"vmware": "multicloud-vio"}
    entries = {
        kind: {
            "vim_type": kind,
            "versions": {},
            "provider_plugin": names.get(kind, f"multicloud-{kind}"),
            "endpoint": f"http://127.0.0.1:{port}",
        }
        for kind, port in ports.items()
    }
    regions = [{"cloud-owner": "owner", "cloud-region-id": kind, "cloud-type": kind} for kind in others]
    (folder / "map.json").write_text(json.dumps(entries))
    (folder / "regions.json").write_text(json.dumps(regions))
    return {
        "BROKER_PLUGINS_MAP_FILE": str(folder / "map.json"),
        "BROKER_INVENTORY_REGIONS_FILE": str(folder / "regions.json"),
        "BROKER_UPSTREAM_RETRY_PERCENT": "100",  # no test spends what another needs
        **NO_BREAKER,
    }


@pytest.fixture(scope="session")
def _plugin() -> Iterator[Plugin]:
    plugin = Plugin()
    yield plugin
    plugin.close()


@pytest.fixture
def plugin(_plugin: Plugin) -> Iterator[Plugin]:
    """The one of this test; fails it for whatever the broker has sent that is no valid HTTP."""
    _plugin.reset()
    yield _plugin
    violations = list(_plugin.violations)
    assert not violations


@pytest.fixture(scope="session")
def scene(_plugin: Plugin, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment that leads a broker to the recording plugin, and for `owner_nowhere` to where nobody listens."""
    with contextlib.closing(socket.socket()) as bound:
        bound.bind(("127.0.0.1", 0))
        yield scene_of(_plugin.port, tmp_path_factory.mktemp("map"), nowhere=bound.getsockname()[1])


@pytest.fixture(scope="session")
def both(scene: dict[str, str]) -> Iterator[dict[str, Process]]:
    with contextlib.ExitStack() as stack:
        yield {name: stack.enter_context(a_broker(name, 1, **scene)) for name in FRAMEWORKS}


@pytest.fixture
def broker(both: dict[str, Process], framework: str) -> Process:
    return both[framework]


@pytest.fixture
def session(broker: Process) -> Iterator[Session]:
    with broker.connect() as sock:
        yield Session(sock)


@pytest.fixture
def taken() -> threading.Event:
    """Set by a test once it has what was sent to it."""
    return threading.Event()
