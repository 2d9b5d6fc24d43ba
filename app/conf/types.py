"""The types of options that oslo.config lacks, and those that are shared; `type_name` says what is allowed."""

from __future__ import annotations

import ipaddress
import math
import re

from oslo_config import types

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


ADDRESS = Address()
PATH = types.String(type_name="a file's path")
DIRECTORY = types.String(type_name="a directory's path")
USER = types.String(regex=r"^[^:]+$", type_name="a text without a colon (RFC 7617, 2)")
SCHEMA_VERSION = types.String(regex=r"^v\d+$", type_name="v and a number")
