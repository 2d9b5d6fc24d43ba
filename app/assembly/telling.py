"""What the log says of the configuration at the start."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from oslo_config import cfg

from app.assembly.sources import TODAYS_CONFIG
from app.server import files

LOG = logging.getLogger(__name__)


def tell(conf: cfg.ConfigOpts) -> None:
    _tell_unset(conf)
    _tell_connections(conf)
    _tell_bulkhead(conf)


def _tell_connections(conf: cfg.ConfigOpts) -> None:
    limit = files.raise_limit()
    most = files.connections(conf.server.connections_max)
    if most < conf.server.connections_max:
        LOG.warning("a worker holds at most %d connections: its limit of open files is %d; raise that", most, limit)


UNSET: Mapping[str, str] = {
    "aai": "A&AI is not configured: only built-in and listed regions are known; set AAI_ADDR to ask it for others",
    "msb": "MSB is not configured: plugins are reached by their endpoint or Kubernetes service; MSB_ADDR would set it",
}


def _tell_unset(conf: cfg.ConfigOpts) -> None:
    for group, message in UNSET.items():
        if not conf[group].address:
            LOG.info("%s", message)
    if (TODAYS_CONFIG / "log.yml").exists():
        LOG.info(
            "%s is not applied: logs go to standard output; set BROKER_LOGS_LEVEL and BROKER_LOGS_FORMAT",
            TODAYS_CONFIG / "log.yml",
        )


def _tell_bulkhead(conf: cfg.ConfigOpts) -> None:
    """A plugin's bulkhead that is no smaller than the ship is none."""
    most, waiting, all_of_them = conf.upstream.bulkhead_max, conf.upstream.bulkhead_waiting, conf.server.requests_max
    if not most or most + waiting >= all_of_them:
        LOG.warning(
            "one slow plugin can take all requests that a worker serves (%d): set upstream.bulkhead_max and "
            "upstream.bulkhead_waiting, which are %d and %d, well below server.requests_max",
            all_of_them, most, waiting,
        )  # fmt: skip
