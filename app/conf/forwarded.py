"""Options of what is believed, and said, of where requests come from."""

from __future__ import annotations

from oslo_config import cfg

from app.conf.types import NETWORKS, TOKEN

GROUP = cfg.OptGroup(
    "forwarded", help="Which peers are believed when they say for whom they forward, and what plugins are told."
)

OPTS = (
    cfg.Opt(
        "trusted",
        type=NETWORKS,
        mutable=True,
        help="The peers whose X-Forwarded-* (or Forwarded, by format) are believed: proxies that write or remove each "
        "of these headers themselves; unset: none, and what any client sends of them goes no further.",
    ),
    cfg.StrOpt(
        "format",
        default="x-forwarded",
        choices=("x-forwarded", "forwarded"),
        mutable=True,
        help="The format that is believed of trusted peers and sent to plugins: X-Forwarded-For, -Proto and -Host, or "
        "the Forwarded of RFC 7239; the other one is dropped.",
    ),
    cfg.BoolOpt("headers", default=True, mutable=True, help="Whether plugins are sent these headers at all."),
    cfg.StrOpt(
        "via",
        default="requests",
        choices=("requests", "both", "none"),
        mutable=True,
        help="What the broker adds its Via to: requests, answers too, or none (RFC 9110, 7.6.3, asks for the first).",
    ),
    cfg.Opt(
        "pseudonym",
        type=TOKEN,
        default="multicloud",
        mutable=True,
        help="The broker's name in Via, which tells no host.",
    ),
)
