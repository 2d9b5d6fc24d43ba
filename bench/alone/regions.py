"""An A&AI that knows any number of regions, and a hundred plugins: nginx gives the answers.

A region is `crowd_rNNNNNNN`; the last two digits say which of the plugins serves it.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from bench.processes import listens, wait_until
from bench.site import PREFIX, TENANTS, Site, nginx
from bench.systems.ours import environment

PLUGINS = 100
OWNER = "crowd"
CHECK = f"{PREFIX}/v0/check_vim_capacity"
LONG = "3600"
"""Seconds: what is remembered is not asked for again, and who is idle is not sent away, while it is measured."""

SERVERS = """
    server {{
        listen 127.0.0.1:{aai} backlog=4096;
        location ~ /cloud-region/(?<owner>[^/]+)/(?<id>r\\d*(?<plugin>\\d\\d))$ {{
            return 200 '{{"cloud-owner": "$owner", "cloud-region-id": "$id", "cloud-type": "crowd",
                "cloud-region-version": "$plugin", "resource-version": "1"}}';
        }}
    }}
    server {{
{listens}
        location ~ /capacity_check$ {{ return 200 '{{"result": false}}'; }}
        location / {{ return 200 '{tenants}'; }}
    }}
"""


class Crowd(NamedTuple):
    """Ports of A&AI and of each plugin."""

    aai: int
    plugins: Sequence[int]


@contextmanager
def crowd(site: Site) -> Iterator[Crowd]:
    aai, *plugins = _free_ports(PLUGINS + 1)
    lines = "\n".join(f"        listen 127.0.0.1:{port} backlog=1024;" for port in plugins)
    folder = site.under("crowd")
    with nginx(folder, SERVERS.format(aai=aai, listens=lines, tenants=TENANTS)) as program:
        wait_until(program, lambda: listens(aai), "the crowd's A&AI")
        yield Crowd(aai, plugins)


def crowd_environment(folder: Path, framework: str, crowd: Crowd) -> dict[str, str]:
    """For a broker of two workers that asks that A&AI; plugin number n is at the n-th port, the last ones first again
    where there are fewer."""
    versions = {
        f"{number:02}": {
            "provider_plugin": f"plugin-{number:02}",
            "endpoint": f"http://127.0.0.1:{crowd.plugins[number % len(crowd.plugins)]}",
        }
        for number in range(PLUGINS)
    }
    map_file = folder / "map.json"
    map_file.write_text(json.dumps({"crowd": {"vim_type": "crowd", "versions": versions}}))
    return {
        **environment(map_file, None, framework, workers=2),
        "AAI_PROTOCOL": "http",
        "AAI_ADDR": "127.0.0.1",
        "AAI_PORT": str(crowd.aai),
        "BROKER_INVENTORY_CACHE_TTL": LONG,
        "BROKER_SERVER_IDLE_TIMEOUT": LONG,
    }


def vim_id(number: int) -> str:
    return f"{OWNER}_r{number:07}"


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [int(one.getsockname()[1]) for one in sockets]
