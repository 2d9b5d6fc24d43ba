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
    cfg.IntOpt(
        "breaker_failures",
        default=5,
        min=0,
        max=1000,
        mutable=True,
        help="Requests of a worker to a plugin that fail in a row, after which all workers leave it alone and answer "
        "503; 0: any number. A request fails without an answer: refused, garbled or too late; an answer of any status "
        "is none.",
    ),
    cfg.IntOpt(
        "breaker_rate_percent",
        default=50,
        min=0,
        max=100,
        mutable=True,
        help="Requests of a worker to a plugin that fail, in percent of those within breaker_window, from which on all "
        "workers leave it alone; 0: any. With breaker_failures 0 too there is no circuit breaker.",
    ),
    cfg.Opt(
        "breaker_window",
        type=Seconds(0.1, 3600),
        default=10.0,
        mutable=True,
        help="Seconds over which breaker_rate_percent is reckoned.",
    ),
    cfg.IntOpt(
        "breaker_minimum",
        default=20,
        min=1,
        max=100000,
        mutable=True,
        help="Requests of a worker to a plugin within breaker_window below which breaker_rate_percent says nothing.",
    ),
    cfg.Opt(
        "breaker_open",
        type=Seconds(0.1, 3600),
        default=2.0,
        mutable=True,
        help="Seconds for which a plugin is left alone, or down to half of it by chance; twice as long each time that "
        "it fails when it is tried again.",
    ),
    cfg.Opt(
        "breaker_open_max",
        type=Seconds(0.1, 3600),
        default=30.0,
        mutable=True,
        help="Seconds for which a plugin is left alone at most; not less than breaker_open.",
    ),
    cfg.IntOpt(
        "breaker_probes",
        default=3,
        min=1,
        max=10,
        mutable=True,
        help="Requests that try a plugin again, at most as many at once over all workers; when as many were answered, "
        "all are sent again. One that has not ended after breaker_open_max no longer counts.",
    ),
    cfg.IntOpt(
        "bulkhead_max",
        default=200,
        min=0,
        max=100000,
        mutable=True,
        help="Requests of a worker that a plugin has to answer at once, those aside whose client is waited for; 0: any "
        "number. Together with bulkhead_waiting well below server.requests_max, or one slow plugin takes it all.",
    ),
    cfg.IntOpt(
        "bulkhead_waiting",
        default=100,
        min=0,
        max=100000,
        mutable=True,
        help="Requests of a worker that wait for one of a plugin's bulkhead_max; more are answered 503; 0: none waits.",
    ),
    cfg.Opt(
        "bulkhead_wait",
        type=Seconds(0.01, 300),
        default=1.0,
        mutable=True,
        help="Seconds for which they wait; then 503.",
    ),
    cfg.Opt(
        "resolve_interval",
        type=Seconds(0.1, 3600),
        default=5.0,
        mutable=True,
        help="Seconds after which the addresses of a name in use (a plugin's, MSB's, A&AI's) are looked up again, "
        "in the background; connections to an address that it has no more are closed.",
    ),
)
