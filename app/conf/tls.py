"""Options of TLS towards clients."""

from __future__ import annotations

from oslo_config import cfg

from app.conf.types import PATH

GROUP = cfg.OptGroup("tls", help="TLS towards clients.")

DIRECTORY = "/opt/multivimbroker/multivimbroker/pub/ssl/cert"
"""Where today's image, and OOM's chart with it, keeps the certificate."""

OPTS = (
    cfg.BoolOpt("enabled", default=False, help="Whether clients are served over TLS, and no longer in the clear."),
    cfg.Opt(
        "certificate",
        type=PATH,
        default=f"{DIRECTORY}/cert.crt",
        mutable=True,
        help="The PEM file of the certificate and its chain; must load when TLS is enabled. It is reloaded when it "
        "changes, as are the key and client_ca_file: new connections get the new one within 3 seconds.",
    ),
    cfg.Opt(
        "key",
        type=PATH,
        default=f"{DIRECTORY}/cert.key",
        mutable=True,
        help="The PEM file of the certificate's key, without a passphrase; must load when TLS is enabled.",
    ),
    cfg.Opt(
        "client_ca_file",
        type=PATH,
        mutable=True,
        help="The PEM file of the authorities whose certificate clients must present (mTLS): any other one ends the "
        "handshake, a request without one is answered 403, but for /livez, /readyz, /startupz and /healthz; unset: "
        "clients are not asked for any.",
    ),
)
