"""Options of inbound authentication: who may call."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from oslo_config import cfg, types

from app.conf.types import PATH, Seconds

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""RFC 7518, 3.1 and RFC 8037, 3.1: those whose keys are public. With HS256 beside them a public key would pass for a
shared secret, and `none` is no signature (RFC 8725, 2.1)."""

URL = re.compile(r"[!-~]+")


class HttpUrl(types.String):
    """Where something is fetched from."""

    def __init__(self) -> None:
        super().__init__(type_name="http(s)://host[:port][/path][?query], without userinfo and fragment")

    def __call__(self, value: object) -> str:
        text = str(value)
        parts = urlsplit(text)
        if parts.scheme not in ("http", "https") or not parts.hostname or not URL.fullmatch(text):
            raise ValueError("it is no URL of HTTP")
        if "@" in parts.netloc or "#" in text or parts.port == 0:
            raise ValueError("it holds what is not fetched by")
        return text


class Algorithms(types.String):
    """Names with commas between them; the value is the same text without spaces."""

    def __init__(self) -> None:
        super().__init__(type_name=f"some of {', '.join(ALGORITHMS)}, with commas between them")

    def __call__(self, value: object) -> str:
        names = [name.strip() for name in str(value).split(",")]
        if not set(names) <= set(ALGORITHMS):
            raise ValueError("it is not one of them")
        return ",".join(names)


REALM = types.String(regex=r"^[ !#-\[\]-~]+$", type_name='a text of ASCII without `"` and `\\`')
NAME = types.String(regex=r"^[!#-\[\]-~]+$", type_name='a text of visible ASCII without `"` and `\\`')

GROUP = cfg.OptGroup(
    "auth",
    help="Who may call: off unless a file of passwords (Basic) or a set of keys (Bearer tokens) is given.",
)

OPTS = (
    cfg.Opt(
        "basic_file",
        type=PATH,
        mutable=True,
        help="The file of users and bcrypt hashes, as `htpasswd -B` writes it, for Basic authentication; unset: no "
        "Basic. Read anew within 1 to 2 seconds of a change.",
    ),
    cfg.Opt(
        "jwks_file",
        type=PATH,
        mutable=True,
        help="The file of public keys (a JSON Web Key Set, RFC 7517) that Bearer tokens are verified by; unset, and "
        "jwks_url too: no Bearer. Read anew within 1 to 2 seconds of a change.",
    ),
    cfg.Opt(
        "jwks_url",
        type=HttpUrl(),
        mutable=True,
        help="The URL of that set, instead of a file; redirects are not followed.",
    ),
    cfg.Opt(
        "jwks_ca_file",
        type=PATH,
        mutable=True,
        help="The PEM file of the authorities to trust for jwks_url; unset: the system's.",
    ),
    cfg.Opt(
        "jwks_refresh",
        type=Seconds(10, 86400),
        default=300.0,
        mutable=True,
        help="Seconds after which the set is fetched anew from jwks_url; the last good one serves while that fails. A "
        "token of an unknown key has it fetched at once, at most every 5 seconds.",
    ),
    cfg.Opt(
        "jwks_timeout",
        type=Seconds(0.01, 60),
        default=5.0,
        mutable=True,
        help="Seconds for the whole answer of jwks_url, connecting included.",
    ),
    cfg.Opt(
        "jwt_issuer", type=NAME, mutable=True, help="The issuer (`iss`) of tokens; needed where a set of keys is given."
    ),
    cfg.Opt(
        "jwt_audience",
        type=NAME,
        mutable=True,
        help="What tokens have to hold as their audience (`aud`), alone or among others; needed where a set of keys "
        "is given.",
    ),
    cfg.Opt(
        "jwt_algorithms",
        type=Algorithms(),
        default=",".join(ALGORITHMS),
        mutable=True,
        help="The signatures of tokens that are accepted.",
    ),
    cfg.IntOpt(
        "jwt_leeway",
        default=30,
        min=0,
        max=300,
        mutable=True,
        help="Seconds that the issuer's clock may differ from this one's.",
    ),
    cfg.Opt(
        "jwt_name_claim", type=NAME, default="sub", mutable=True, help="The claim of a token that is the caller's name."
    ),
    cfg.Opt("realm", type=REALM, default="multicloud", mutable=True, help="The realm that a 401 names."),
    cfg.BoolOpt(
        "forward_authorization",
        default=False,
        mutable=True,
        help="Whether plugins get the `Authorization` of a caller that it has authenticated here; without "
        "authentication they always do.",
    ),
    cfg.BoolOpt(
        "exempt_swagger",
        default=True,
        mutable=True,
        help="Whether swagger.json is for everybody, as the probes of ONAP's chart need it; those of health always "
        "are.",
    ),
    cfg.BoolOpt("exempt_metrics", default=False, mutable=True, help="Whether /metrics is for everybody."),
    cfg.Opt(
        "cache_ttl",
        type=Seconds(0, 86400),
        default=300.0,
        mutable=True,
        help="Seconds since its last use that a verified password is remembered, as a digest; a new hash in the file "
        "ends that at once. 0: each request is verified by bcrypt.",
    ),
)
