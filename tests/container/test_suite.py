"""The unit and contract tests, of the image's own modules, on its Python and its system."""

from __future__ import annotations

import subprocess

import pytest

from tests.conftest import ROOT
from tests.container.test_image import IMAGE, docker, pytestmark  # noqa: F401  the same condition

RUN = (  # of the broker the image's own files: its data path is compiled
    "tar x && rm -r app && ln -s /opt/multicloud/app /opt/multicloud/multicloud_app__mypyc.*.so ."
    " && ln -s /build/venv .venv && exec .venv/bin/pytest -n 2 --dist loadfile -p no:cacheprovider"
    " --ignore tests/container --ignore tests/conformance"
)
LOAD = (  # they say no more here
    " --ignore tests/faults --ignore tests/soak --ignore tests/rules/test_memory.py"
    " --ignore tests/contract/test_hostages.py"
)
CLIENTS = " --ignore tests/contract/test_clients.py"  # they have an environment of their own, which is not the image's


@pytest.mark.timeout(1500)
def test_the_tests_pass_in_the_image() -> None:
    name = f"{IMAGE}-test"
    docker(
        "build",
        "--network=host",
        "--build-arg",
        f"IMAGE={IMAGE}",
        "-t",
        name,
        "-f",
        "docker/test.Dockerfile",
        ".",
        timeout=250,
    )
    source = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, capture_output=True, check=True).stdout
    command = [
        "docker",
        "run",
        "--rm",
        "-i",
        "--sysctl",
        "net.ipv6.conf.lo.disable_ipv6=0",
        name,
        "sh",
        "-c",
        RUN + LOAD + CLIENTS,
    ]
    done = subprocess.run(command, input=source, capture_output=True, timeout=1100)
    assert done.returncode == 0, done.stdout.decode()[-3000:]
