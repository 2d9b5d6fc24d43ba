"""Options of what the broker remembers of regions, and of those it knows without A&AI."""

from __future__ import annotations

from oslo_config import cfg

from app.conf.types import PATH, Seconds

GROUP = cfg.OptGroup("inventory", help="What the broker knows of regions, and for how long it remembers it.")

OPTS = (
    cfg.Opt(
        "regions_file",
        type=PATH,
        mutable=True,
        help="A YAML or JSON file of regions that the broker knows without asking A&AI; unset: the built-in ones only.",
    ),
    cfg.Opt(
        "cache_ttl",
        type=Seconds(0, 86400),
        default=300.0,
        mutable=True,
        help="Seconds that an answer about a region is remembered; one in use is asked for anew before that, in the "
        "background, and serves a tenth of the time, at most 10 s, longer; 0: not at all.",
    ),
    cfg.Opt(
        "negative_ttl",
        type=Seconds(0, 3600),
        default=5.0,
        mutable=True,
        help="Seconds that it is remembered that there is no such region, or that A&AI fails (the last known answer "
        "serves meanwhile; once it fails for three regions, others are answered 503); 0: not at all.",
    ),
    cfg.Opt(
        "stale_ttl",
        type=Seconds(0, 31536000),
        default=86400.0,
        mutable=True,
        help="Seconds, beyond cache_ttl, that the last known answer serves while A&AI fails, or takes longer than a "
        "second; 0: not at all.",
    ),
)
