"""The verbs of the command line that check, show and render the configuration; each returns the exit code."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from oslo_config import cfg

from app.conf.loading import load
from app.conf.rendering import render, show
from app.errors import ConfigurationError


def check_config(
    files: Sequence[str], environ: Mapping[str, str] = os.environ, also: Callable[[cfg.ConfigOpts], None] | None = None
) -> int:
    """Say whether the broker would start with this configuration; `also` checks what is not known here."""

    def verdict() -> str:
        conf = load(files, environ)
        if also is not None:
            also(conf)
        return "the configuration is valid\n"

    return _printed(verdict)


def show_config(files: Sequence[str], environ: Mapping[str, str] = os.environ) -> int:
    """Print each option's value in force and its origin, secrets masked."""
    return _printed(lambda: show(load(files, environ)))


def render_config(output: str | None, environ: Mapping[str, str] = os.environ) -> int:
    """Write what the environment sets, as a file for `serve --config-file`; to standard output without `output`."""

    def written() -> str:
        rendered = render(environ)
        if output is None:
            return rendered
        _write(Path(output), rendered)
        return ""

    return _printed(written)


def _write(file: Path, text: str) -> None:
    """All or nothing, for this user only, and never through a link that another user has put there."""
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    except OSError as error:
        raise _unwritable(file, error) from None
    try:
        with open(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
        os.replace(name, file)
    except OSError as error:
        os.unlink(name)
        raise _unwritable(file, error) from None


def _unwritable(file: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(
        f"the configuration cannot be written to {str(file)!r}: {error.strerror}; "
        "set BROKER_RUN_DIR to a directory that can be written"
    )


def _printed(produce: Callable[[], str]) -> int:
    """Standard output and 0, or one line on standard error and 78 (EX_CONFIG of sysexits.h)."""
    try:
        text = produce()
    except ConfigurationError as error:
        sys.stderr.write(f"{error.message}\n")
        return os.EX_CONFIG
    sys.stdout.write(text)
    return os.EX_OK
