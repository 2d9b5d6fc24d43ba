"""The types of options that oslo.config lacks, and those that are shared; `type_name` says what is allowed."""

from __future__ import annotations

import ipaddress
import math
import re

from oslo_config import types

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

HOST_NAME = re.compile(r"[0-9A-Za-z_]([0-9A-Za-z_.-]{0,251}[0-9A-Za-z_.])?")
"""RFC 1123, 2.1, with the underscores that Compose's service names may have, and a dot at the end (no search)."""


class Address(types.String):
    """A host name or an IP address, IPv6 without brackets; neither scheme nor port nor path belongs in it."""

    def __init__(self) -> None:
        super().__init__(type_name="a host name or an IP address, without scheme, port and brackets")

    def __call__(self, value: object) -> str:
        text = str(value)
        if not HOST_NAME.fullmatch(text):
            ipaddress.ip_address(text)
        return text


class Seconds(types.Float):
    """A time in seconds; `nan` would pass every comparison, and with it every bound."""

    def __init__(self, low: float, high: float) -> None:
        super().__init__(low, high, type_name="seconds")

    def __call__(self, value: object) -> int | float | None:
        number = super().__call__(value)
        if number is not None and math.isnan(number):
            raise ValueError("it is no number")
        return number


class Networks(types.String):
    """Networks and single addresses, separated by commas."""

    def __init__(self) -> None:
        super().__init__(type_name="addresses and networks (10.0.0.7, 10.1.0.0/16, 2001:db8::/32) separated by commas")

    def __call__(self, value: object) -> NetworkList:  # type: ignore[override]
        return NetworkList(_network(part.strip()) for part in str(value).split(","))


class NetworkList(tuple[Network, ...]):
    """Shown as it is written."""

    __slots__ = ()

    def __str__(self) -> str:
        return ", ".join(map(str, self))


def _network(text: str) -> Network:
    """An IPv4 network that is written as IPv6 (RFC 4291, 2.5.5.2) is IPv4's: peers' addresses are compared so."""
    network = ipaddress.ip_network(text)
    if isinstance(network, ipaddress.IPv6Network):
        if "%" in text:
            raise ValueError("a zone is no part of a network")
        mapped = network.network_address.ipv4_mapped
        if mapped is not None and network.prefixlen >= 96:
            return ipaddress.IPv4Network((mapped, network.prefixlen - 96))
    return network


ADDRESS = Address()
NETWORKS = Networks()
PATH = types.String(type_name="a file's path")
DIRECTORY = types.String(type_name="a directory's path")
USER = types.String(regex=r"^[^:]+$", type_name="a text without a colon (RFC 7617, 2)")
TOKEN = types.String(regex=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$", type_name="a token (RFC 9110, 5.6.2)")
SCHEMA_VERSION = types.String(regex=r"^v\d+$", type_name="v and a number")
