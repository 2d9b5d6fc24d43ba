"""How fast it could be: nginx and HAProxy, each with one thread and no access log. Bodies stream, as ours do: what
nginx writes to the disk by default would make it slower with the large ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from bench.processes import free_port, listens, running, wait_until
from bench.site import BASES, PREFIX, VIM_TYPES, Site, executable, nginx
from bench.systems.system import FORWARD, STREAM, Running, System

NGINX = """
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        root {folder};
{proxied}
    }}
"""
PROXIED = """
        location {prefix}/v0/{region}/ {{
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_request_buffering off;
            proxy_max_temp_file_size 0;
            proxy_pass http://{region}{base}/v0/{region}/;
        }}
"""
POOL = """
    upstream {region} {{ server 127.0.0.1:{port}; keepalive 64; keepalive_requests 1000000000; }}
"""

HAPROXY = """
global
    nbthread 1
    maxconn 8192
defaults
    mode http
    timeout connect 5s
    timeout client 75s
    timeout server 300s
frontend broker
    bind 127.0.0.1:{port} backlog 4096
    default_backend vmware_fake
    use_backend bench_sink if {{ path_beg {prefix}/v0/bench_sink/ }}
{backends}
"""
BACKEND = """
backend {region}
    http-request replace-path {prefix}/(.*) {base}/\\1
    server plugin 127.0.0.1:{port} pool-max-conn 64
"""


def _ports(site: Site) -> dict[str, int]:
    return dict(zip(BASES, (site.upstream, site.sink), strict=True))


@contextmanager
def _nginx(site: Site) -> Iterator[Running]:
    folder, port = site.under("nginx"), free_port()
    folder.chmod(0o755)
    pools = "".join(POOL.format(region=region, port=to) for region, to in _ports(site).items())
    proxied = "".join(PROXIED.format(prefix=PREFIX, region=region, base=base) for region, base in BASES.items())
    with nginx(folder, pools + NGINX.format(port=port, folder=folder, proxied=proxied)) as program:
        wait_until(program, lambda: listens(port), "nginx")
        static = folder / VIM_TYPES.lstrip("/")
        static.parent.mkdir(parents=True)
        static.write_bytes(site.vim_types)
        yield Running(port, program)


@contextmanager
def _haproxy(site: Site) -> Iterator[Running]:
    folder, port = site.under("haproxy"), free_port()
    backends = "".join(
        BACKEND.format(region=region, prefix=PREFIX, base=BASES[region], port=to) for region, to in _ports(site).items()
    )
    conf = folder / "haproxy.cfg"
    conf.write_text(HAPROXY.format(port=port, prefix=PREFIX, backends=backends))
    with running([executable("haproxy"), "-db", "-f", str(conf)], folder / "log") as program:
        wait_until(program, lambda: listens(port), "HAProxy")
        yield Running(port, program)


SYSTEMS = (
    System("nginx", "limit", "static file / proxy_pass; 1 worker, 64 upstream connections, no access log", _nginx),
    System("haproxy", "limit", "1 thread, 64 upstream connections, no log", _haproxy, frozenset({FORWARD, STREAM})),
)
