"""An origin: where an HTTP server is reached (RFC 6454, 4)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import urlsplit

DEFAULT_PORTS = {"http": 80, "https": 443}

VISIBLE = re.compile(r"[!-~]+")

UNIX = "unix"
"""The scheme of an origin whose `host` is the path of a Unix socket, or after a NUL its abstract name."""


class Origin(NamedTuple):
    """A scheme, a host (an IPv6 address without brackets) and a port."""

    scheme: str
    host: str
    port: int

    @property
    def host_header(self) -> bytes:
        """The value of `Host`: the port left out where it is the scheme's own (RFC 9110, 7.2)."""
        return _host_header(self)

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host_header.decode()}"


@lru_cache(maxsize=256)
def _host_header(origin: Origin) -> bytes:
    if origin.scheme == UNIX:
        return b"localhost"
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    return (host if origin.port == DEFAULT_PORTS.get(origin.scheme) else f"{host}:{origin.port}").encode()


def parse_origin(url: str) -> tuple[Origin, str]:
    """The origin of `http(s)://host[:port][/base]`, and its base path without a slash at the end.

    Raises `ValueError` with what is wrong, in words that quote nothing: a password is a URL's part too.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("its host or its port is not valid") from None
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        raise ValueError("it is not of the form http(s)://host:port")
    if "@" in parts.netloc or parts.query or parts.fragment or not VISIBLE.fullmatch(url):
        raise ValueError("it holds more than http(s)://host:port/base")
    if port == 0:
        raise ValueError("its port is 0")
    return Origin(parts.scheme, parts.hostname, port or DEFAULT_PORTS[parts.scheme]), parts.path.rstrip("/")
