"""The command line: `python -m app VERB`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from app.errors import ConfigurationError


def main(argv: Sequence[str]) -> int:
    """Run a verb; returns the exit status."""
    if not argv or argv[0] not in VERBS:
        out = sys.stdout if argv and argv[0] in ("-h", "--help", "help") else sys.stderr
        out.write(_usage(argv[0] if argv and out is sys.stderr else ""))
        return 0 if out is sys.stdout else os.EX_USAGE
    return VERBS[argv[0]][0](list(argv[1:]))


def _usage(unknown: str) -> str:
    lines = [f"There is no verb {unknown!r}.\n"] if unknown else []
    lines.append("usage: python -m app VERB [OPTION...]\n\nVerbs (each has --help):\n")
    lines += [f"  {name:14} {text}\n" for name, (_, text) in VERBS.items()]
    return "".join(lines)


def _files(verb: str, argv: list[str], output: bool = False) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=f"python -m app {verb}", description=VERBS[verb][1])
    parser.add_argument("--config-file", action="append", default=[], metavar="FILE", help="an INI file; repeatable")
    if output:
        parser.add_argument("--output", metavar="FILE", help="write there instead of to standard output")
    return parser.parse_args(argv)


def _serve(argv: list[str]) -> int:
    from app.server.held import hold_back

    hold_back()  # what comes next takes half a second
    from app.assembly import serve

    try:
        serve(_files("serve", argv).config_file, os.environ)
    except ConfigurationError as error:
        sys.stderr.write(f"{error.message}\n")
        return os.EX_CONFIG
    return 0


def _check_config(argv: list[str]) -> int:
    from app.assembly import check_files
    from app.conf.verbs import check_config

    return check_config(_files("check-config", argv).config_file, os.environ, check_files)


def _show_config(argv: list[str]) -> int:
    from app.conf.verbs import show_config

    return show_config(_files("show-config", argv).config_file, os.environ)


def _render_config(argv: list[str]) -> int:
    from app.conf.verbs import render_config

    return render_config(_files("render-config", argv, output=True).output, os.environ)


def _volte(argv: list[str]) -> int:
    from app.volte import main as volte

    return volte(argv)


def _simulate(argv: list[str]) -> int:
    from app.simulators.__main__ import main as simulate

    return simulate(argv)


def _demo(argv: list[str]) -> int:
    from app.demo import main as demo

    return demo(argv)


VERBS: dict[str, tuple[Callable[[list[str]], int], str]] = {
    "serve": (_serve, "run the broker"),
    "demo": (_demo, "run the broker with its simulators, ready to try"),
    "check-config": (_check_config, "check the configuration, and say what is wrong"),
    "show-config": (_show_config, "show every option's value and where it is from; secrets masked"),
    "render-config": (_render_config, "write the environment's configuration as a file; no secrets in it"),
    "volte": (_volte, "play the VoLTE use case through a broker"),
    "simulate": (_simulate, "run the simulators of A&AI and of the plugins"),
}
