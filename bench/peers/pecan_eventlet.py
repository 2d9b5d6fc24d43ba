"""The specification's proposal with nothing of ours: Pecan as it is, in the stock `eventlet.wsgi`, in several processes
of oslo.service's launcher that share a socket. `python pecan_eventlet.py PORT`.
"""

from __future__ import annotations

import eventlet

eventlet.monkey_patch()

import sys

import pecan
import pecan.rest
from old_broker import send, vim_types
from oslo_concurrency import processutils
from oslo_config import cfg
from oslo_service import service, wsgi


class VimTypes(pecan.rest.RestController):
    @pecan.expose("json")
    def get(self) -> list[dict[str, object]]:
        return vim_types()


class Forward:
    def __init__(self, vim_id: str) -> None:
        self._vim_id = vim_id

    @pecan.expose()
    def _default(self, *_rest: str) -> pecan.Response:
        asked = pecan.request
        kind = asked.content_type or "application/json"
        status, kind, content = send(self._vim_id, asked.method, asked.path_qs, asked.body, kind)
        return pecan.Response(body=content, status=status, content_type=kind)


class V0:
    vim_types = VimTypes()

    @pecan.expose()
    def _lookup(self, vim_id: str, *rest: str) -> tuple[Forward, tuple[str, ...]]:
        return Forward(vim_id), rest


class Multicloud:
    v0 = V0()


class Api:
    multicloud = Multicloud()


class Root:
    api = Api()


class Service(service.ServiceBase):
    """As ONAP's own was: oslo.service's WSGI server, which is `eventlet.wsgi` on a socket that is bound before the
    fork."""

    def __init__(self, port: int) -> None:
        wsgi.register_opts(cfg.CONF)
        app = pecan.make_app(Root())
        self._server = wsgi.Server(cfg.CONF, "broker", app, host="127.0.0.1", port=port)

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        self._server.stop()

    def wait(self) -> None:
        self._server.wait()

    def reset(self) -> None:
        self._server.reset()


def main() -> None:
    cfg.CONF([])
    workers = processutils.get_worker_count()
    service.launch(cfg.CONF, Service(int(sys.argv[1])), workers=workers).wait()


if __name__ == "__main__":
    main()
