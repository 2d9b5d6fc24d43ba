"""Options of the HTTP server and of its workers."""

from __future__ import annotations

from oslo_config import cfg

from app.conf.types import ADDRESS, Seconds

GROUP = cfg.OptGroup("server", help="The HTTP server, its limits, and its workers.")

OPTS = (
    cfg.StrOpt(
        "web_framework",
        default="django",
        choices=("django", "pecan"),
        help="The web framework that routes requests; both answer alike.",
    ),
    cfg.Opt("host", type=ADDRESS, default="0.0.0.0", help="The address to listen on; `::` is IPv6 and IPv4."),
    cfg.PortOpt("port", default=9001, help="The TCP port to listen on; 0: any free one."),
    cfg.IntOpt(
        "backlog",
        default=4096,
        min=1,
        max=65535,
        help="Connections that wait to be accepted; the kernel's net.core.somaxconn bounds it too.",
    ),
    cfg.IntOpt(
        "workers",
        default=0,
        min=0,
        max=1024,
        help="Worker processes; 0: as many as CPUs may be used, by affinity and cgroup quota, within workers_max "
        "and the memory limit.",
    ),
    cfg.IntOpt("workers_max", default=16, min=1, max=1024, help="The most workers that `workers = 0` chooses."),
    cfg.IntOpt(
        "worker_memory",
        default=96,
        min=1,
        max=65536,
        help="MiB that a worker is reckoned with where `workers = 0` is bounded by the cgroup's memory limit. A fresh "
        "one holds some 50; 100,000 regions of A&AI's in use take 40 more.",
    ),
    cfg.IntOpt(
        "request_line_limit",
        default=8192,
        min=256,
        max=1048576,
        mutable=True,
        help="Bytes of a request line; a longer one is answered 414. At most header_limit.",
    ),
    cfg.IntOpt(
        "header_limit",
        default=65536,
        min=256,
        max=1048576,
        mutable=True,
        help="Bytes of a request's whole header, request line included; a larger one is answered 431.",
    ),
    cfg.IntOpt(
        "header_count", default=128, min=1, max=10000, mutable=True, help="Fields of a header; more are answered 431."
    ),
    cfg.Opt(
        "header_timeout",
        type=Seconds(0.01, 3600),
        default=10.0,
        mutable=True,
        help="Seconds for the whole header to arrive; then 408.",
    ),
    cfg.Opt(
        "idle_timeout",
        type=Seconds(0.01, 86400),
        default=75.0,
        mutable=True,
        help="Seconds that a connection is kept open between two requests.",
    ),
    cfg.Opt(
        "body_timeout",
        type=Seconds(0.01, 3600),
        default=60.0,
        mutable=True,
        help="Seconds between two pieces of a request's body (then 408), or of a response that the client reads "
        "(then the connection is cut).",
    ),
    cfg.IntOpt(
        "body_rate",
        default=240,
        min=0,
        max=1048576,
        mutable=True,
        help="Bytes a second that a client must send of a request's body (else 408), and read of a response (else the "
        "connection is cut), on the average of the time in which it is waited for; 0: any rate will do.",
    ),
    cfg.Opt(
        "body_grace",
        type=Seconds(0, 3600),
        default=10.0,
        mutable=True,
        help="Seconds of waiting for a client in a body before body_rate counts.",
    ),
    cfg.IntOpt(
        "drain_limit",
        default=65536,
        min=0,
        max=16777216,
        mutable=True,
        help="Bytes of an unread request body that are read and dropped to keep the connection; beyond it, and with "
        "0 always, the connection is closed.",
    ),
    cfg.IntOpt(
        "connections_max",
        default=10000,
        min=1,
        max=1000000,
        mutable=True,
        help="Connections of clients that a worker holds, within two thirds of the limit of open files; for one more "
        "the oldest idle one is closed, else the oldest that has not sent its whole header, else requests but those of "
        "probes are answered 503.",
    ),
    cfg.IntOpt(
        "requests_max",
        default=1000,
        min=1,
        max=100000,
        mutable=True,
        help="Requests that a worker serves at once, less the uploads and downloads of the next two; more are "
        "answered 503.",
    ),
    cfg.IntOpt(
        "uploads_max",
        default=256,
        min=1,
        max=100000,
        mutable=True,
        help="Requests of a worker whose body has not arrived whole; more are answered 503, and one of which nothing "
        "came for a second is answered 408 then.",
    ),
    cfg.IntOpt(
        "downloads_max",
        default=256,
        min=1,
        max=100000,
        mutable=True,
        help="Responses of a worker that wait for their client to read; where there are more, they count as requests, "
        "and one of which nothing was taken for a second is cut.",
    ),
    cfg.Opt(
        "grace_period",
        type=Seconds(0, 3600),
        default=20.0,
        mutable=True,
        help="Seconds for requests in flight to finish after SIGTERM and drain_pause; the rest is cut; 0: at once. "
        "Whoever ends the broker has to wait for the sum of both and 5 seconds more (Kubernetes' "
        "terminationGracePeriodSeconds is 30 by default, docker stop waits for 10); a second SIGTERM cuts at once.",
    ),
    cfg.Opt(
        "drain_pause",
        type=Seconds(0, 600),
        default=2.0,
        mutable=True,
        help="Seconds after SIGTERM in which readiness is 503 and connections are still taken, so that others notice "
        "and come no more; each answer ends its connection. 0: no connection is taken any more.",
    ),
    cfg.Opt(
        "watchdog_timeout",
        type=Seconds(0, 3600),
        default=30.0,
        mutable=True,
        help="Seconds of silence after which a worker that stands still is killed and replaced, its stacks in the log; "
        "at least 1; 0: never.",
    ),
    cfg.IntOpt(
        "worker_memory_max",
        default=0,
        min=0,
        max=1048576,
        help="MiB in memory (resident) beyond which a worker is replaced: another one takes its place, then it ends "
        "as in a drain; one at a time; at least half as much again as a fresh worker holds (some 50), else that "
        "counts; 0: never.",
    ),
)
