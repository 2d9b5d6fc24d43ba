"""Puts authentication together from its options; the assembly imports it only when it is on."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

from oslo_config import cfg

from app.auth.gate import Gate, Scheme
from app.auth.htpasswd import Users, load_users
from app.auth.jwk import KeySet, load_keys
from app.auth.passwords import Passwords, Verified
from app.auth.remote import Fetch, RemoteKeys, RemoteSettings
from app.auth.tokens import Keys, Rules, Tokens
from app.net.background import Background
from app.net.files import Watched
from app.net.loop import Loop
from app.net.offload import Offload
from app.observability.once import Once

LOG = logging.getLogger(__name__)

T = TypeVar("T")

AT_ONCE = 2
WAITING = 32
SECONDS = 5.0
"""Passwords of a worker that bcrypt verifies at once, those of a client that wait for it, and how long at the most."""


class Watch(Protocol):
    """Watches an option's file; None where the option is unset."""

    def __call__(self, option: str, path: str | None, load: Callable[[Path], T], /) -> Watched[T] | None: ...


class Authentication:
    """What callers are verified by, as the options have it; `watch` raises `ConfigurationError`."""

    def __init__(self, options: cfg.ConfigOpts.GroupAttr, watch: Watch) -> None:
        self.options = options
        self.settings: dict[str, Any] = dict(options)
        self.users: Watched[Users] | None = watch("auth.basic_file", options.basic_file, load_users)
        self.keys: Watched[KeySet] | None = watch("auth.jwks_file", options.jwks_file, load_keys)

    def tell(self, once: Once) -> None:
        """What the log says of it."""
        options = self.options
        schemes = (["Basic"] if self.users else []) + (["Bearer"] if self.keys or options.jwks_url else [])
        passed = "passed on to" if options.forward_authorization else "kept from"
        line = f"callers authenticate by {' or '.join(schemes)}; Authorization is {passed} plugins"
        once.log(LOG, logging.INFO, line)
        if (options.jwks_url or "").startswith("http:"):
            line = "auth.jwks_url is not https: who can change what comes from there can make valid tokens"
            once.log(LOG, logging.WARNING, line)


class Gates:
    """In a worker: makes the gate of each configuration, and keeps what outlives one: the threads, the passwords that
    are verified, the keys of a URL."""

    def __init__(self, loop: Loop, fetch: Callable[[], Fetch]) -> None:
        """`fetch` makes what asks for the set of keys, where it has a URL."""
        self._loop = loop
        self._fetch = fetch
        self._offload = Offload(loop, AT_ONCE, WAITING, SECONDS)
        self._verified = Verified()
        self._remote: RemoteKeys | None = None
        loop.every_tick.append(self._tick)

    def gate(self, authentication: Authentication, exempt: frozenset[bytes]) -> tuple[Gate, Callable[[], None]]:
        """And what is to be called when it takes the place of another; `exempt` paths are for everybody."""
        options = authentication.options
        schemes: dict[bytes, Scheme] = {}
        if authentication.users is not None:
            users = partial(_current, authentication.users)
            schemes[b"basic"] = Passwords(options.realm, users, self._offload.run, options.cache_ttl, self._verified)
        remote = self._remote_keys(authentication)
        keys: Keys | None = FileKeys(partial(_current, authentication.keys)) if authentication.keys else remote
        if keys is not None:
            algorithms = frozenset(options.jwt_algorithms.split(","))
            rules = Rules(
                options.jwt_issuer, options.jwt_audience, algorithms, options.jwt_leeway, options.jwt_name_claim
            )
            schemes[b"bearer"] = Tokens(options.realm, keys, rules)
        return Gate(schemes, exempt), partial(self._keep, remote)

    def _remote_keys(self, authentication: Authentication) -> RemoteKeys | None:
        options = authentication.options
        if not options.jwks_url:
            return None
        settings = RemoteSettings(options.jwks_url, options.jwks_timeout, options.jwks_refresh)
        if self._remote is not None and self._remote.settings == settings:
            return self._remote
        return RemoteKeys(settings, self._fetch(), partial(Background, self._loop))

    def _keep(self, remote: RemoteKeys | None) -> None:
        self._remote = remote
        self._tick(time.monotonic())

    def _tick(self, now: float) -> None:
        if self._remote is not None:
            self._remote.tick(now)


class FileKeys:
    """Keys of a file. A change is seen by the loop's tick alone: who calls with a key that is unknown cannot have the
    file read."""

    def __init__(self, current: Callable[[], KeySet]) -> None:
        self.current = self.renewed = current


def _current(watched: Watched[T]) -> T:
    return watched.current
