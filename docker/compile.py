"""`python docker/compile.py TARGET`: a copy of `app` whose data path is compiled to machine code, by mypyc.

TARGET gets the folder `app`, with an extension module beside the source of each compiled module, which Python prefers
to that, and their shared library. What is compiled behaves as the source does, for 0.6 to 0.7 of the CPU of a request.
It needs a C compiler and Python's headers.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

MODULES = """
    core/address core/addresses core/breaker core/bulkhead core/chunked core/circuits core/forwarded core/headers
    core/ids core/message core/origin core/plugins core/quota core/region core/retry core/target
    inventory/cache inventory/file inventory/model inventory/remembered
    net/loop net/tls
    observability/access observability/metrics observability/output observability/reserved
    server/accepting server/body server/connection server/crowd server/download server/exchange server/limits
    server/link server/pace server/protocol server/serving server/slots
    upstream/census upstream/client upstream/connection upstream/forward upstream/guards upstream/pool upstream/protocol
    web/broker web/edge
""".split()
"""What a request passes. Not the frameworks' adapters: their classes extend Pecan's and Django's, which are Python."""

OPTIONS = ("--config-file=", "--ignore-missing-imports", "--no-warn-unused-ignores")
LIBRARY = "multicloud_app"

SETUP = """
from mypyc.build import mypycify
from setuptools import setup

extensions = mypycify({paths!r}, opt_level="2", debug_level="0", group_name={library!r}, multi_file=True)
setup(name="app", packages=[], ext_modules=extensions)
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="compile.py", description=__doc__)
    parser.add_argument("target", type=Path, help="a folder that is made, or whose app is replaced")
    said = "the interpreter whose packages are the broker's; this one, unless it is another"
    parser.add_argument("--packages", type=Path, default=sys.executable, help=said)
    options = parser.parse_args()
    compile_to(options.target, options.packages)


def compile_to(target: Path, packages: Path) -> None:
    """Raises `SystemExit` with what the compiler says."""
    with tempfile.TemporaryDirectory(prefix="compile-") as name:
        folder = Path(name)
        shutil.copytree(ROOT / "app", folder / "app", ignore=shutil.ignore_patterns("__pycache__"))
        _build(folder, packages)
        target.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(target / "app", ignore_errors=True)
        for library in target.glob(f"{LIBRARY}__mypyc.*"):
            library.unlink()
        shutil.copytree(folder / "app", target / "app")
        for library in folder.glob(f"{LIBRARY}__mypyc.*"):
            shutil.copy2(library, target)


def _build(folder: Path, packages: Path) -> None:
    paths = [*OPTIONS, f"--python-executable={packages}", *(f"app/{module}.py" for module in MODULES)]
    (folder / "setup.py").write_text(SETUP.format(paths=paths, library=LIBRARY))
    command = [sys.executable, "setup.py", "-q", "build_ext", "--inplace", f"-j{len(os.sched_getaffinity(0))}"]
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise SystemExit(f"the data path cannot be compiled:\n{done.stdout}")


if __name__ == "__main__":
    main()
