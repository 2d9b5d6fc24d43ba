"""The option of the provider-plugin map."""

from __future__ import annotations

from oslo_config import cfg

from app.conf.types import PATH

GROUP = cfg.OptGroup("plugins", help="Which plugin serves which type of cloud.")

OPTS = (
    cfg.Opt(
        "map_file",
        type=PATH,
        mutable=True,
        help="The provider-plugin map, JSON in OOM's format; unset: "
        "/opt/multivimbroker/multivimbroker/pub/config/provider-plugin.json where it exists, else the built-in map.",
    ),
)
