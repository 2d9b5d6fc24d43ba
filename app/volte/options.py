"""The command line of `python -m app volte`."""

from __future__ import annotations

import argparse
import math
import re
import ssl
from collections.abc import Sequence
from dataclasses import dataclass

from app.volte.client import Base, trust

OWNER = {"v0": re.compile(r"[0-9A-Za-z-]+"), "v1": re.compile(r"[0-9A-Za-z_-]+")}
REGION = re.compile(r"[0-9A-Za-z_-]+")
"""What the parts of a region's id are made of (contract, section 1)."""

EPILOG = """\
The region is registered, and unregistered at the end; for one that is in use, say --keep-registration.
Whatever this run makes has a random suffix in its name and is deleted again, also after a failure or Ctrl-C;
a second Ctrl-C ends at once and names what is left.

Exit status: 0 all steps worked, 1 a step failed or nothing answers at URL, 2 wrong usage,
130 or 143 interrupted by SIGINT or SIGTERM.
"""


@dataclass(frozen=True)
class Options:
    """`region` is a path, such as /api/multicloud/v0/vmware_fake; `timeout` is in seconds."""

    base: Base
    region: str
    tenant: str
    timeout: float
    json: bool
    keep_registration: bool
    tls: ssl.SSLContext | None


def parse(argv: Sequence[str]) -> Options:
    """The options. Raises `SystemExit`: 2 for wrong usage, with a line that says what is wrong, and 0 for --help."""
    parser = _parser()
    given = parser.parse_args(argv)
    try:
        base = Base.parse(given.url)
        region = _region(given.api, given.region or "", given.vim_id or "")
        tls = trust(given.ca_file, given.insecure) if base.tls else None
    except ValueError as error:
        parser.error(str(error))
    except OSError as error:
        parser.error(f"--ca-file {given.ca_file} cannot be used: {error.strerror or error}")
    return Options(base, region, given.tenant, given.timeout, given.json, given.keep_registration, tls)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m app volte",
        description="Play the VoLTE use case through a broker: register, create, list, stop, start, delete, unregister",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("url", metavar="URL", help="the broker, such as http://127.0.0.1:9001; it may have a path")
    region = parser.add_mutually_exclusive_group()
    region.add_argument("--region", metavar="OWNER/ID", help="cloud owner and region (default: vmware/fake)")
    region.add_argument("--vim-id", metavar="OWNER_ID", help="the same in one word, such as vmware_fake")
    parser.add_argument("--api", choices=("v0", "v1"), default="v0", help="the API's version (default: v0)")
    parser.add_argument("--tenant", default="", metavar="NAME", help="the tenant's name (default: the first one)")
    parser.add_argument("--timeout", type=_seconds, default=60.0, metavar="SECONDS", help="the longest wait for an "
                        "answer, and for a resource to become ready, free or gone (default: 60)")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print the result as one JSON document instead")
    parser.add_argument("--keep-registration", action="store_true", help="do not unregister the region at the end")
    trusted = parser.add_mutually_exclusive_group()
    trusted.add_argument("--ca-file", metavar="FILE", help="https: the CAs to trust, in PEM")
    trusted.add_argument("--insecure", action="store_true", help="https: trust any certificate; for tests")
    return parser


def _seconds(text: str) -> float:
    """Raises `argparse.ArgumentTypeError`."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not (math.isfinite(seconds) and seconds > 0):
        raise argparse.ArgumentTypeError("give a number of seconds above 0")
    return seconds


def _region(api: str, region: str, vim_id: str) -> str:
    """The path of the region. Raises `ValueError`."""
    if vim_id:
        owner, separator, id_ = vim_id.partition("_")
        form = "--vim-id is OWNER_ID, such as vmware_fake"
    else:
        owner, separator, id_ = (region or "vmware/fake").partition("/")
        form = "--region is OWNER/ID, such as vmware/fake"
    if not (separator and OWNER[api].fullmatch(owner) and REGION.fullmatch(id_)):
        raise ValueError(f"{form}, of letters, digits, - and _; with --api v0 an owner has no _")
    return f"/api/multicloud/v0/{owner}_{id_}" if api == "v0" else f"/api/multicloud/v1/{owner}/{id_}"
