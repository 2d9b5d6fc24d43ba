"""`python -m app simulate KIND`: runs one simulator until it is ended, or until its parent is."""

from __future__ import annotations

import argparse
import os
import signal
import ssl
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import yaml

from app.simulators.aai import Aai
from app.simulators.http import Application, Simulator
from app.simulators.plugin import Plugin
from app.simulators.processes import PASSWORD
from app.simulators.regions import REGIONS, Entry
from app.simulators.resources import Cloud

PORTS = {"aai": 8443, "plugin": 9004}


def main(argv: Sequence[str]) -> int:
    """Run a simulator; it says where it listens, on one line of standard output."""
    options = _options(argv)
    try:
        simulator = Simulator(options.host, options.port, _application(options), _tls(options))
    except (OSError, OverflowError, ValueError, yaml.YAMLError) as error:
        sys.stderr.write(f"cannot start the {options.kind} simulator on {options.host} port {options.port}: {error}\n")
        return 1
    _end_in_time(simulator, options.with_parent)
    sys.stdout.write(f"{options.kind} simulator listens on {options.host} port {simulator.server_address[1]}\n")
    sys.stdout.flush()
    simulator.serve_forever(poll_interval=0.1)
    simulator.server_close()
    return 0


def _options(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m app simulate", description="Run a simulator of A&AI or of plugins")
    parser.add_argument("kind", choices=sorted(PORTS))
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; :: for IPv6 (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, help=f"0 for any free one (default: by kind, {PORTS})")
    parser.add_argument("--regions", type=Path, metavar="FILE", help="aai: YAML or JSON list of cloud-regions")
    parser.add_argument("--username", default="", help=f"aai: ask for Basic authentication: this user, {PASSWORD}")
    parser.add_argument("--settle", type=float, default=0.2, help="plugin: seconds until a resource is ready or gone")
    parser.add_argument("--certificate", metavar="FILE", help="serve HTTPS")
    parser.add_argument("--key", metavar="FILE", help="the certificate's key")
    parser.add_argument("--client-ca", metavar="FILE", help="HTTPS: demand client certificates of these authorities")
    parser.add_argument("--with-parent", action="store_true", help="end when standard input does")
    options = parser.parse_args(argv)
    if options.port is None:
        options.port = PORTS[options.kind]
    return options


def _application(options: argparse.Namespace) -> Application:
    if options.kind == "plugin":
        return Plugin(Cloud(options.settle))
    regions: Sequence[Entry] = REGIONS
    if options.regions is not None:
        regions = _regions(yaml.safe_load(options.regions.read_text()))
    if options.username and not os.environ.get(PASSWORD):
        raise ValueError(f"--username needs the password in {PASSWORD}")
    return Aai(regions, options.username, os.environ.get(PASSWORD, ""))


def _regions(document: object) -> list[Entry]:
    """Raises `ValueError`."""
    if not isinstance(document, list) or not all(isinstance(entry, dict) for entry in document):
        raise ValueError("the regions file is no list of cloud-regions")
    for entry in document:
        if not {"cloud-owner", "cloud-region-id"} <= set(entry):
            raise ValueError(f"a region of the regions file lacks its cloud-owner or cloud-region-id: {entry}")
    return document


def _tls(options: argparse.Namespace) -> ssl.SSLContext | None:
    if not options.certificate:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(options.certificate, options.key)
    if options.client_ca:
        context.load_verify_locations(options.client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _end_in_time(simulator: Simulator, with_parent: bool) -> None:
    def end(*_: object) -> None:
        threading.Thread(target=simulator.shutdown).start()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    if with_parent:

        def wait() -> None:
            sys.stdin.read()
            simulator.shutdown()

        threading.Thread(target=wait, daemon=True).start()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
