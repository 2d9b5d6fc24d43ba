"""`python -m app demo`: the broker with simulators of A&AI and of the plugins, ready to try."""

from __future__ import annotations

import argparse
import json
import os
import secrets
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from app.assembly import serve
from app.conf import load
from app.errors import ConfigurationError
from app.server.scratch import scratch_directory
from app.simulators.processes import SimulatorProcess
from app.simulators.regions import provider_plugins

TRY = """\

The broker is ready, with simulators of A&AI and of the plugins. Three requests to try:

  {curl} {url}/api/multicloud/v0/vim_types
  {curl} {url}/api/multicloud/v0/vmware_fake/tenants
  {curl} {url}/api/multicloud/v1/CloudOwner/RegionOne/tenants

The whole VoLTE use case:  python -m app volte {url}
Ctrl-C ends everything.

"""


def main(argv: Sequence[str]) -> int:
    """Run until a signal; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m app demo", description="Run the broker with its simulators")
    parser.add_argument("--simulator-host", default="127.0.0.1", help="where the simulators listen; ::1 for IPv6")
    options = parser.parse_args(argv)
    with ExitStack() as stack:
        try:
            _lead(stack, options.simulator_host)
            conf = load([], os.environ)
            serve([], os.environ, partial(_invite, "https" if conf.tls.enabled else "http"))
        except (ConfigurationError, RuntimeError) as error:
            sys.stderr.write(f"{error}\n")
            return os.EX_CONFIG
    return 0


def _lead(stack: ExitStack, host: str) -> None:
    """Start the simulators, and lead the broker to them by this process's environment."""
    password = secrets.token_urlsafe()
    run_dir = os.environ.get("BROKER_RUN_DIR") or ("/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
    directory = stack.enter_context(scratch_directory(Path(run_dir or tempfile.gettempdir()), "multicloud", "demo"))
    aai = stack.enter_context(SimulatorProcess("aai", "--host", host, "--username", "demo", password=password))
    plugin = stack.enter_context(SimulatorProcess("plugin", "--host", host))
    literal = f"[{host}]" if ":" in host else host
    map_file = directory / "provider-plugin.json"
    map_file.write_text(json.dumps(provider_plugins(f"http://{literal}:{plugin.port}"), indent=2))
    for name in [name for name in os.environ if name.startswith(("AAI_", "MSB_", "BROKER_AAI_", "BROKER_MSB_"))]:
        del os.environ[name]
    os.environ |= {
        "BROKER_SERVER_DRAIN_PAUSE": os.environ.get("BROKER_SERVER_DRAIN_PAUSE", "0"),  # nobody has to notice its end
        "AAI_PROTOCOL": "http",
        "AAI_ADDR": host,
        "AAI_PORT": str(aai.port),
        "AAI_USERNAME": "demo",
        "AAI_PASSWORD": password,
        "BROKER_PLUGINS_MAP_FILE": str(map_file),
    }


def _invite(scheme: str, address: tuple[str, int]) -> None:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address[0], address[0])
    host = f"[{host}]" if ":" in host else host
    curl = "curl" if scheme == "http" else "curl -k"
    sys.stdout.write(TRY.format(url=f"{scheme}://{host}:{address[1]}", curl=curl))
    sys.stdout.flush()
