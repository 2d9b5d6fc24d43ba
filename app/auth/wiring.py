"""Puts authentication together from its options; the assembly imports it only when it is on."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

from oslo_config import cfg

from app.auth.gate import Gate, Scheme
from app.auth.htpasswd import load_users
from app.auth.jwk import KeySet, load_keys
from app.auth.passwords import Passwords
from app.auth.remote import Fetch, RemoteKeys, RemoteSettings
from app.auth.tokens import Keys, Rules, Tokens
from app.errors import ConfigurationError
from app.net.background import Background
from app.net.files import Watched
from app.net.loop import Loop
from app.net.offload import Offload

LOG = logging.getLogger(__name__)

T = TypeVar("T")

AT_ONCE = 2
WAITING = 32
SECONDS = 5.0
"""Passwords of a worker that bcrypt verifies at once, those of a client that wait for it, and how long at the most."""


class Authentication:
    """What is read before the fork; `gate` is made in each worker. Raises `ConfigurationError`."""

    def __init__(self, options: cfg.ConfigOpts.GroupAttr) -> None:
        self._options = options
        self._users = _watched("basic_file", options.basic_file, load_users)
        self._keys = _watched("jwks_file", options.jwks_file, load_keys)
        schemes = (["Basic"] if self._users else []) + (["Bearer"] if self._keys or options.jwks_url else [])
        passed = "passed on to" if options.forward_authorization else "kept from"
        LOG.info("callers authenticate by %s; Authorization is %s plugins", " or ".join(schemes), passed)
        if (options.jwks_url or "").startswith("http:"):
            LOG.warning("auth.jwks_url is not https: who can change what comes from there can make valid tokens")

    def gate(self, loop: Loop, fetch: Callable[[], Fetch], exempt: frozenset[bytes]) -> Gate:
        """`fetch` makes what asks for the set of keys, where it has a URL; `exempt` paths are for everybody."""
        options = self._options
        schemes: dict[bytes, Scheme] = {}
        if self._users is not None:
            users = self._watch(loop, self._users)
            offload = Offload(loop, AT_ONCE, WAITING, SECONDS)
            schemes[b"basic"] = Passwords(options.realm, users, offload.run, options.cache_ttl)
        keys = self._key_source(loop, fetch)
        if keys is not None:
            algorithms = frozenset(options.jwt_algorithms.split(","))
            rules = Rules(
                options.jwt_issuer, options.jwt_audience, algorithms, options.jwt_leeway, options.jwt_name_claim
            )
            schemes[b"bearer"] = Tokens(options.realm, keys, rules)
        return Gate(schemes, exempt)

    def _key_source(self, loop: Loop, fetch: Callable[[], Fetch]) -> Keys | None:
        options = self._options
        if self._keys is not None:
            return FileKeys(self._watch(loop, self._keys))
        if not options.jwks_url:
            return None
        settings = RemoteSettings(options.jwks_url, options.jwks_timeout, options.jwks_refresh)
        remote = RemoteKeys(settings, fetch(), partial(Background, loop))
        remote.tick(time.monotonic())
        loop.every_tick.append(remote.tick)
        return remote

    def _watch(self, loop: Loop, watched: Watched[T]) -> Callable[[], T]:
        """What gives the present content; a worker that replaces one begins with what is there now."""
        watched.refresh(time.monotonic())
        loop.every_tick.append(watched.look)
        return lambda: watched.current


class FileKeys:
    """Keys of a file. A change is seen by the loop's tick alone: who calls with a key that is unknown cannot have the
    file read."""

    def __init__(self, current: Callable[[], KeySet]) -> None:
        self.current = self.renewed = current


def _watched(option: str, path: str | None, load: Callable[[Path], T]) -> Watched[T] | None:
    if not path:
        return None
    try:
        return Watched(f"auth.{option}", [Path(path)], partial(load, Path(path)))
    except ConfigurationError as error:
        raise ConfigurationError(f"auth.{option}: {error.message}") from None
