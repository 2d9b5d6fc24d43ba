"""Options of A&AI, the inventory of ONAP."""

from __future__ import annotations

from oslo_config import cfg

from app.conf.types import ADDRESS, PATH, SCHEMA_VERSION, USER, Seconds

GROUP = cfg.OptGroup("aai", help="Active and Available Inventory (A&AI), which tells a region's type and version.")

OPTS = (
    cfg.StrOpt("protocol", default="https", choices=("https", "http"), mutable=True, help="How A&AI is spoken to."),
    cfg.Opt(
        "address",
        type=ADDRESS,
        mutable=True,
        help="A&AI's host; unset (also by a name that begins with a dot): only the built-in regions and those of "
        "inventory.regions_file are known.",
    ),
    cfg.PortOpt("port", default=0, mutable=True, help="A&AI's TCP port; 0: the protocol's own, 443 or 80."),
    cfg.Opt(
        "schema_version",
        type=SCHEMA_VERSION,
        default="v13",
        mutable=True,
        help="The version of A&AI's schema, in its path.",
    ),
    cfg.Opt("username", type=USER, mutable=True, help="The user of Basic authentication; unset: none is sent."),
    cfg.StrOpt(
        "password",
        secret=True,
        mutable=True,
        help="The user's password; needed where a username and an address are set.",
    ),
    cfg.Opt(
        "ca_file",
        type=PATH,
        mutable=True,
        help="The PEM file of the authorities to trust, reloaded when it changes; unset: the system's.",
    ),
    cfg.BoolOpt(
        "verify", default=True, mutable=True, help="Whether A&AI's certificate is verified; false trusts anybody."
    ),
    cfg.Opt(
        "client_certificate",
        type=PATH,
        mutable=True,
        help="The PEM file of the certificate and its chain to present to A&AI (mTLS), reloaded when it or its key "
        "changes; unset: none is presented.",
    ),
    cfg.Opt(
        "client_key",
        type=PATH,
        mutable=True,
        help="The PEM file of client_certificate's key, without a passphrase; set both or none.",
    ),
    cfg.Opt(
        "connect_timeout",
        type=Seconds(0.01, 300),
        default=3.0,
        mutable=True,
        help="Seconds to connect, TLS included.",
    ),
    cfg.Opt(
        "response_timeout", type=Seconds(0.01, 300), default=10.0, mutable=True, help="Seconds for the whole answer."
    ),
    cfg.IntOpt(
        "lookups_max",
        default=64,
        min=1,
        max=10000,
        mutable=True,
        help="Regions that a worker asks for at once; four times as many wait, for up to 3 s; others are answered 503.",
    ),
)
