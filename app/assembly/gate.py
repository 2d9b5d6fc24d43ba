"""Who may call."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from app.assembly.sources import Sources
from app.net.files import Watched
from app.net.loop import Loop
from app.net.resolver import Resolver
from app.net.tls import Tls
from app.upstream.client import Client
from app.upstream.pool import Pool
from app.web import api
from app.web.edge import Authenticate

if TYPE_CHECKING:
    from app.auth.remote import Fetch
    from app.auth.wiring import Authentication, Gates


class Gatehouse:
    """Of one worker: makes what lets requests pass by each configuration. It is kept while the options of
    authentication are what they were."""

    def __init__(self, loop: Loop, table: api.RouteTable) -> None:
        own = [route for version in api.VERSIONS for route in table.own_routes(version)]
        self._swagger = frozenset(
            f"/api/multicloud{route.template}".encode() for route in own if route.handler == "swagger"
        )
        self._loop = loop
        self._gates: Gates | None = None
        self._kept: tuple[Authentication, Authenticate] | None = None
        self._issuer: Watched[Tls] | None = None
        self._resolver = Resolver(loop)  # one for life: it may have threads

    def gate(self, sources: Sources) -> tuple[Authenticate | None, Callable[[], None]]:
        """None where everybody may call; and what is to be called when it counts."""
        authentication = sources.authentication
        if authentication is None:
            return None, partial(self._take, sources, None)
        if self._kept is not None and self._kept[0] is authentication:
            return self._kept[1], partial(self._take, sources, self._kept)
        exempt = self._swagger if authentication.options.exempt_swagger else frozenset[bytes]()
        gate, take = self._made_gates().gate(authentication, exempt)
        return gate, partial(self._take, sources, (authentication, gate), take)

    def _take(
        self,
        sources: Sources,
        kept: tuple[Authentication, Authenticate] | None,
        take: Callable[[], None] = lambda: None,
    ) -> None:
        self._issuer = sources.tls.get("auth", self._issuer)
        self._kept = kept
        take()

    def _made_gates(self) -> Gates:
        if self._gates is None:
            from app.auth.wiring import Gates  # only who authenticates pays for PyJWT

            self._gates = Gates(self._loop, self._key_fetch)
        return self._gates

    def _key_fetch(self) -> Fetch:
        return Client(self._loop, self._resolver, Pool(0, 0.0), self._current_tls).fetch

    def _current_tls(self) -> Tls:
        assert self._issuer is not None, "keys are fetched only once their URL has been configured"
        return self._issuer.current
