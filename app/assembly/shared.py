"""What is made once, before the fork."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from oslo_config import cfg

from app.core import plugins
from app.core.circuits import Circuits
from app.core.quota import Allowance, Counts
from app.errors import ConfigurationError
from app.inventory import file
from app.inventory.generations import Generations
from app.net import tls
from app.net.files import Watched
from app.net.tls import Tls

if TYPE_CHECKING:
    from app.auth.wiring import Authentication

LOG = logging.getLogger(__name__)

T = TypeVar("T")


TODAYS_CONFIG = Path("/opt/multivimbroker/multivimbroker/pub/config")
"""Where OOM mounts the map, and today's broker has its log.yml."""


class Shared:
    """What is made once, before the fork, and shared by all workers: a file that is broken ends the start."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        path = Path(conf.plugins.map_file or TODAYS_CONFIG / "provider-plugin.json")
        if not conf.plugins.map_file and not path.exists():
            path = plugins.BUILT_IN
        regions = conf.inventory.regions_file
        self.plugins = _named("plugins.map_file", plugins.load_map, path)
        self.built_in = file.load_regions(file.BUILT_IN)
        self.regions = _named("inventory.regions_file", file.load_regions, Path(regions)) if regions else None
        self.authentication = _authentication(conf)
        self.generations = Generations()
        self.circuits = Circuits()
        self.allowance = Allowance(conf.clients.requests_max, conf.clients.rate, conf.clients.rate_window)
        self.counts: Counts | None = None
        self.tls = _tls(conf)
        LOG.info("provider-plugin map: %s", path)


def _tls(conf: cfg.ConfigOpts) -> dict[str, Watched[Tls]]:
    """By role: what the handshakes with clients, plugins and A&AI are made with, and its files watched."""
    roles = {}
    if conf.tls.enabled:
        files = (conf.tls.certificate, conf.tls.key, conf.tls.client_ca_file)
        roles["server"] = _watched("server", files, partial(tls.server, *files))
    for group in ("upstream", "aai") if conf.aai.address else ("upstream",):
        options = conf[group]
        if not options.verify:
            LOG.warning("%s.verify is false: whoever answers is taken for the one who was asked", group)
        pair = (options.client_certificate, options.client_key)
        files = (options.ca_file if options.verify else None, *pair)
        load = partial(tls.client, group, options.ca_file, options.verify, *pair)
        roles[group] = _watched(group, files, load)
    return roles


def _watched(role: str, files: tuple[str | None, ...], load: Callable[[], Tls]) -> Watched[Tls]:
    watched = Watched(f"TLS of {role}", [Path(file) for file in files if file], load)
    tell_certificate(role, watched.current)
    watched.replaced.append(partial(tell_certificate, role))
    return watched


def tell_certificate(role: str, current: Tls) -> None:
    if current.certificate is not None:
        LOG.log(*tls.told(role, current.certificate, time.time()))


def authenticates(conf: cfg.ConfigOpts) -> bool:
    """One of these options turns authentication on."""
    return any(conf.auth[name] for name in ("basic_file", "jwks_file", "jwks_url"))


def _authentication(conf: cfg.ConfigOpts) -> Authentication | None:
    """None where it is off."""
    if not authenticates(conf):
        return None
    from app.auth.wiring import Authentication  # only who authenticates pays for PyJWT: 15 MiB and 70 ms

    return Authentication(conf.auth)


def _named(option: str, load: Callable[[Path], T], path: Path) -> T:
    """What a file holds; an error names the option too."""
    try:
        return load(path)
    except ConfigurationError as error:
        raise ConfigurationError(f"{option}: {error.message}") from None
