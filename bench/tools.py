"""`python -m bench.tools`: installs the programs that the bench needs where it may, else says which are missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from pathlib import Path

PACKAGES = {
    "ab": ("apache2-utils",),
    "wrk": ("wrk",),
    "nginx": ("nginx-light",),
    "haproxy": ("haproxy",),
}
SBIN = "/usr/sbin:/usr/local/sbin"


def missing() -> list[str]:
    """Packages."""
    wanted = [
        package
        for tool, packages in PACKAGES.items()
        if not (shutil.which(tool) or shutil.which(tool, path=SBIN))
        for package in packages
    ]
    if shutil.which("cc") is None or not Path("/usr/include/stdio.h").exists():  # the broker, and uWSGI, are compiled
        wanted += ["gcc", "libc6-dev"]
    headers = Path(sysconfig.get_path("include")) / "Python.h"
    return wanted if headers.exists() else [*wanted, "python3-dev"]


def main() -> None:
    if not (wanted := missing()):
        return
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *wanted]
    if os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "update", "-qq"], check=False)
        subprocess.run(install, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"}, check=False)
    if wanted := missing():
        raise SystemExit(f"the bench needs these packages, and cannot install them: {' '.join(wanted)}")


if __name__ == "__main__":
    main()
