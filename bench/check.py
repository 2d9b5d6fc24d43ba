"""Before anything is measured: each system answers what all the others do, byte for byte."""

from __future__ import annotations

import http.client

from bench.processes import ask
from bench.site import CREATED, FORWARDED, MIB, POST_BODY, POSTED, SIZES, TENANTS, UPLOADED, VIM_TYPES, Site
from bench.systems import Running
from bench.systems.system import FORWARD
from bench.systems.system import VIM_TYPES as DOES_VIM_TYPES

Asked = tuple[str, str, bytes | None, int, bytes]
"""Method, path and body; status and body of the answer."""


def wrong(site: Site, running: Running, does: frozenset[str]) -> str:
    """What a system answers wrongly, or nothing."""
    for method, path, body, status, answer in _asked(site, does):
        try:
            got = ask(running.port, method, path, body)
        except (OSError, http.client.HTTPException) as error:
            return f"{method} {path} was not answered: {error}"
        if got != (status, answer):
            return f"{method} {path} was answered {got[0]}, {len(got[1])} bytes, not {status}, {len(answer)} bytes"
    return ""


def _asked(site: Site, does: frozenset[str]) -> list[Asked]:
    mib = bytes(SIZES["mib"])
    forwarded: list[Asked] = [
        ("GET", FORWARDED, None, 200, TENANTS.encode()),
        ("POST", POSTED, POST_BODY, 201, CREATED.encode()),
        ("GET", MIB, None, 200, mib),
        ("PUT", UPLOADED, mib, 201, b'{"bytes": %d}' % len(mib)),
    ]
    own: list[Asked] = [("GET", VIM_TYPES, None, 200, site.vim_types)]
    return (own if DOES_VIM_TYPES in does else []) + (forwarded if FORWARD in does else [])
