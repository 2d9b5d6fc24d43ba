"""What is measured: the broker under each framework, and nginx; all in front of the same nginx as upstream."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

VIM_TYPES = "/api/multicloud/v0/vim_types"
FORWARDED = "/api/multicloud/v0/vmware_fake/tenants"

NGINX = """
worker_processes {workers};
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
worker_rlimit_nofile 16384;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    default_type application/json;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    keepalive_requests 1000000;
    upstream plugin {{ server 127.0.0.1:{upstream}; keepalive 64; }}
    server {{
        listen 127.0.0.1:{upstream} backlog=4096;
        root {folder}/upstream;
        location / {{ try_files /answer.json =404; }}
    }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        root {folder}/static;
        location /api/multicloud/v0/vmware_fake/ {{
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_pass http://plugin/api/multicloud-vio/v0/vmware_fake/;
        }}
    }}
}}
"""

TENANTS = {"vimId": "vmware_fake", "vimName": "vmware_fake", "tenants": [{"id": "0" * 32, "name": "volte"}]}


class Served(NamedTuple):
    """A running server: where it listens, and the processes whose CPU time its requests cost."""

    name: str
    port: int
    pids: list[int]


@contextmanager
def scene(folder: Path, workers: int) -> Iterator[list[Served]]:
    """nginx, and a broker of `workers` under each framework."""
    with ExitStack() as stack:
        upstream, port = _free_port(), _free_port()
        nginx = stack.enter_context(_nginx(folder, workers, upstream, port))
        environ = environment(folder, upstream, workers)
        brokers = [stack.enter_context(broker(folder, name, environ)) for name in ("django", "pecan")]
        static = folder / "static" / VIM_TYPES.lstrip("/")
        static.parent.mkdir(parents=True)
        static.write_bytes(_get(brokers[0].port, VIM_TYPES))
        for one in (nginx, *brokers):
            assert _get(one.port, FORWARDED) == json.dumps(TENANTS).encode(), one.name
            assert _get(one.port, VIM_TYPES) == static.read_bytes(), one.name
        yield [nginx, *brokers]


@contextmanager
def _nginx(folder: Path, workers: int, upstream: int, port: int) -> Iterator[Served]:
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None or shutil.which("ab") is None:
        raise SystemExit("the bench needs nginx and ab: apt-get install nginx-light apache2-utils")
    (folder / "upstream").mkdir()
    (folder / "upstream" / "answer.json").write_text(json.dumps(TENANTS))
    (folder / "static").mkdir()
    folder.chmod(0o755)
    conf = folder / "nginx.conf"
    conf.write_text(NGINX.format(folder=folder, workers=workers, upstream=upstream, port=port))
    with ended(subprocess.Popen([program, "-c", conf, "-e", folder / "error.log"])) as process:
        for one in (upstream, port):
            _wait(one)
        yield Served("nginx", port, _children(process.pid))


def environment(folder: Path, upstream: int, workers: int) -> dict[str, str]:
    plugin = {"provider_plugin": "multicloud-vio", "endpoint": f"http://127.0.0.1:{upstream}"}
    map_file = folder / "provider-plugin.json"
    map_file.write_text(json.dumps({"vmware": {"vim_type": "vmware", "versions": {"4.0": plugin}}}))
    return {
        **os.environ,
        "BROKER_PLUGINS_MAP_FILE": str(map_file),
        "BROKER_SERVER_WORKERS": str(workers),
        "BROKER_SERVER_PORT": "0",
        "BROKER_SERVER_HOST": "127.0.0.1",
        "BROKER_SERVER_DRAIN_PAUSE": "0",
    }


@contextmanager
def broker(
    folder: Path, framework: str, environ: dict[str, str], under: tuple[str, ...] = (), patience: float = 30
) -> Iterator[Served]:
    """With everything on that it has by default: its access lines go to a file. `under`: what runs it; `patience`:
    seconds until it has to serve."""
    log = folder / f"{framework}.log"
    with log.open("wb") as out:
        command = [*under, sys.executable, "-m", "app", "serve"]
        popen = subprocess.Popen(command, env={**environ, "WEB_FRAMEWORK": framework}, stdout=out, stderr=out)
    with ended(popen) as process:
        workers = int(environ["BROKER_SERVER_WORKERS"])
        serving = re.compile(r'"pid": (\d+), "message": "worker \d+ serves"')
        deadline = time.monotonic() + patience
        while len(pids := serving.findall(log.read_text())) < workers:
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"the broker did not start:\n{log.read_text()}")
            time.sleep(0.1)
        port = re.search(r"listens on \S+ port (\d+)", log.read_text())
        assert port is not None
        yield Served(framework, int(port[1]), [int(pid) for pid in pids])


@contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=60)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _wait(port: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit(f"nothing listens on port {port}")


def _get(port: int, path: str) -> bytes:
    from urllib.request import urlopen

    with urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        body: bytes = answer.read()
        return body


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
