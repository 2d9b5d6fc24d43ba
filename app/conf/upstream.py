"""Options of the connections to plugins and MSB."""

from __future__ import annotations

from oslo_config import cfg

from app.conf.types import PATH, Seconds

GROUP = cfg.OptGroup("upstream", help="The connections to plugins, straight or through MSB.")

OPTS = (
    cfg.Opt(
        "connect_timeout",
        type=Seconds(0.01, 300),
        default=5.0,
        mutable=True,
        help="Seconds to connect, TLS included; then 504.",
    ),
    cfg.Opt(
        "response_timeout",
        type=Seconds(0.01, 86400),
        default=300.0,
        mutable=True,
        help="Seconds from the request's end until the head of the response; then 504.",
    ),
    cfg.Opt(
        "idle_timeout",
        type=Seconds(0.01, 86400),
        default=60.0,
        mutable=True,
        help="Seconds between two pieces of a body, either way; then 504, or the client's connection is cut.",
    ),
    cfg.Opt(
        "total_timeout",
        type=Seconds(0, 86400),
        default=0.0,
        mutable=True,
        help="Seconds for all of a request, from its sending to the last byte of the answer; then 504, or the "
        "client's connection is cut; 0: any time, since a limit ends large and slow transfers too.",
    ),
    cfg.IntOpt(
        "pool_size",
        default=64,
        min=0,
        max=10000,
        mutable=True,
        help="Idle connections that a worker keeps to each plugin; 0: none.",
    ),
    cfg.Opt(
        "pool_idle_timeout",
        type=Seconds(0.01, 3600),
        default=4.0,
        mutable=True,
        help="Seconds that an idle connection is kept; must stay below the time after which plugins close theirs.",
    ),
    cfg.Opt(
        "ca_file",
        type=PATH,
        mutable=True,
        help="The PEM file of the authorities to trust, reloaded when it changes; unset: the system's.",
    ),
    cfg.BoolOpt("verify", default=True, mutable=True, help="Whether certificates are verified; false trusts anybody."),
    cfg.Opt(
        "client_certificate",
        type=PATH,
        mutable=True,
        help="The PEM file of the certificate and its chain to present to plugins and MSB (mTLS), reloaded when it or "
        "its key changes; unset: none is presented.",
    ),
    cfg.Opt(
        "client_key",
        type=PATH,
        mutable=True,
        help="The PEM file of client_certificate's key, without a passphrase; set both or none.",
    ),
    cfg.IntOpt(
        "replay_limit",
        default=65536,
        min=0,
        max=1048576,
        mutable=True,
        help="Bytes of a request body that is held so that the request can be sent again; 0: only requests without a "
        "body are sent again.",
    ),
    cfg.IntOpt(
        "retry_percent",
        default=20,
        min=0,
        max=100,
        mutable=True,
        help="Requests that may be sent again, in percent of those sent to the same plugin, and ten at once; 0: none.",
    ),
)
