"""Options of what one client may take up."""

from __future__ import annotations

from oslo_config import cfg

from app.conf.types import Seconds

GROUP = cfg.OptGroup(
    "clients",
    help="What one client may take up, over all workers together; a client is an authenticated name, else an address "
    "(of IPv6 the first 64 bits). Probes and metrics do not count.",
)

OPTS = (
    cfg.IntOpt(
        "requests_max",
        default=0,
        min=0,
        max=100000,
        mutable=True,
        help="Requests of a client that are served at once; more are answered 429; 0: any number.",
    ),
    cfg.Opt(
        "rate",
        type=Seconds(0, 1000000),
        default=0.0,
        mutable=True,
        help="Requests a second of a client, on the average of rate_window; more are answered 429; 0: any number.",
    ),
    cfg.Opt(
        "rate_window",
        type=Seconds(1, 3600),
        default=10.0,
        mutable=True,
        help="Seconds over which the rate counts; a client that was quiet may send rate times this number at once.",
    ),
)
