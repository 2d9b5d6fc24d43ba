"""What all systems stand on: the upstream, the map of plugins, and what is asked for and answered."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.processes import ROOT, Program, free_port, listens, running, wait_until

PEERS = ROOT / "bench" / "peers"
PEERS_BIN = ROOT / ".venv-bench" / "bin"

PREFIX = "/api/multicloud"
REGION = "vmware_fake"
SINK_REGION = "bench_sink"
V0 = f"{PREFIX}/v0/{REGION}"
VIM_TYPES = f"{PREFIX}/v0/vim_types"
FORWARDED = f"{V0}/tenants"
POSTED = f"{V0}/networks"
MIB = f"{V0}/images/mib"
GIB = f"{V0}/images/gib"
UPLOADED = f"{PREFIX}/v0/{SINK_REGION}/images/upload"

BASES = {REGION: "/api/multicloud-vio", SINK_REGION: "/api/multicloud-titaniumcloud"}
"""What a region's plugin has in the place of `PREFIX`."""


def _a_kib() -> str:
    tenants = [{"id": f"{number:032x}", "name": f"tenant-{number}"} for number in range(14)]
    text = json.dumps({"vimId": REGION, "vimName": REGION, "tenants": tenants})
    return text[:-1] + " " * (1024 - len(text)) + "}"


TENANTS = _a_kib()
"""1 KiB of JSON."""

CREATED = '{"id": "5d2ae1f0", "name": "net-1", "status": "ACTIVE", "returnCode": 1}'
POST_BODY = json.dumps({"name": "net-1", "shared": 1, "description": "x" * 970}).ljust(1024).encode()
SIZES = {"mib": 1 << 20, "gib": 1 << 30}

NGINX = """
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
worker_rlimit_nofile {files};
events {{ worker_connections 16384; }}
http {{
    access_log off;
    default_type application/json;
    client_max_body_size 0;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000000;
{servers}
}}
"""

UPSTREAM = """
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location ~ /tenants$ {{ return 200 '{tenants}'; }}
        location ~ /networks$ {{ return 201 '{created}'; }}
        location ~ /images/(?<file>mib|gib)$ {{ alias {folder}/$file; default_type application/octet-stream; }}
    }}
"""


@dataclass(frozen=True)
class Site:
    """Where everything is. `folder` is for files of the run; `map_file` is the provider-plugin map, `regions_file` has
    the regions beside the built-in one."""

    folder: Path
    upstream: int
    sink: int
    map_file: Path
    regions_file: Path

    @property
    def vim_types(self) -> bytes:
        """What vim_types has to answer, byte for byte."""
        entries = json.loads(self.map_file.read_text()).values()
        types = [{"vim_type": entry["vim_type"], "versions": list(entry["versions"])} for entry in entries]
        return json.dumps(types).encode()

    @property
    def plugins(self) -> dict[str, str]:
        """By region: what stands for `PREFIX` at its plugin."""
        ports = {REGION: self.upstream, SINK_REGION: self.sink}
        return {region: f"http://127.0.0.1:{ports[region]}{base}" for region, base in BASES.items()}

    def under(self, name: str) -> Path:
        """A folder of that name."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        return folder


@contextmanager
def site(folder: Path) -> Iterator[Site]:
    """The upstream serves: nginx for what is read from it, a sink for what is sent to it."""
    folder.chmod(0o755)  # nginx's worker is another user
    with ExitStack() as stack:
        upstream = stack.enter_context(_upstream(folder))
        sink = free_port()
        program = stack.enter_context(running([sys.executable, "-m", "bench.sink", str(sink)], folder / "sink.log"))
        wait_until(program, lambda: listens(sink), "the sink")
        map_file = plugin_map(folder, {"vmware": upstream, "titanium_cloud": sink})
        yield Site(folder, upstream, sink, map_file, _regions(folder))


@contextmanager
def nginx(folder: Path, servers: str) -> Iterator[Program]:
    """One worker, no access log."""
    conf = folder / "nginx.conf"
    files = os.sysconf("SC_OPEN_MAX")
    conf.write_text(NGINX.format(folder=folder, servers=servers, files=files))
    command = [executable("nginx"), "-c", str(conf), "-e", str(folder / "error.log")]
    with running(command, folder / "nginx.log") as program:
        yield program


def executable(name: str) -> str:
    """Raises `SystemExit` where it is not installed."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if found is None:
        raise SystemExit(f"the bench needs {name}: see docs/bench.md")
    return found


@contextmanager
def _upstream(folder: Path) -> Iterator[int]:
    port = free_port()
    below = folder / "upstream"
    below.mkdir()
    below.chmod(0o755)
    for name, size in SIZES.items():
        with (below / name).open("wb") as file:
            file.truncate(size)
    servers = UPSTREAM.format(port=port, tenants=TENANTS, created=CREATED, folder=below)
    with nginx(below, servers) as program:
        wait_until(program, lambda: listens(port), "the upstream")
        yield port


def plugin_map(folder: Path, ports: Mapping[str, int]) -> Path:
    """The product's own map, so that vim_types answers what it does by default, with endpoints for some types."""
    document = json.loads((ROOT / "app" / "data" / "provider-plugin.json").read_text())
    for name, port in ports.items():
        for place in (document[name], *document[name]["versions"].values()):
            place["endpoint"] = f"http://127.0.0.1:{port}"
    path = folder / "provider-plugin.json"
    path.write_text(json.dumps(document))
    return path


def _regions(folder: Path) -> Path:
    owner, id_ = SINK_REGION.split("_")
    path = folder / "regions.json"
    path.write_text(json.dumps([{"cloud-owner": owner, "cloud-region-id": id_, "cloud-type": "titanium_cloud"}]))
    return path
