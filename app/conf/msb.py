"""Options of MSB, the service bus that requests may be sent through."""

from __future__ import annotations

from oslo_config import cfg

from app.conf.types import ADDRESS

GROUP = cfg.OptGroup("msb", help="The Microservice Bus (MSB) that requests to plugins go through, where there is one.")

OPTS = (
    cfg.StrOpt("protocol", default="http", choices=("http", "https"), mutable=True, help="How MSB is spoken to."),
    cfg.Opt(
        "address",
        type=ADDRESS,
        mutable=True,
        help="MSB's host; unset (also by a name that begins with a dot): plugins are reached by their endpoint in the "
        "provider-plugin map, or as Kubernetes services.",
    ),
    cfg.PortOpt("port", default=0, mutable=True, help="MSB's TCP port; 0: the protocol's own, 80 or 443."),
)
