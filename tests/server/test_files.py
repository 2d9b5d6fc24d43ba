"""The limit of open files, in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys
soft, hard, most = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
from app.server import files
print(files.raise_limit(), files.connections(most), resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


@pytest.mark.parametrize(
    ("soft", "hard", "most", "expected"),
    [
        (256, 1024, 10_000, "1024 640 1024"),  # two thirds of what is left for connections
        (1024, 1024, 100, "1024 100 1024"),
        (100, 100, 10_000, "100 24 100"),
        (40, 40, 10_000, "40 1 40"),
    ],
)
def test_the_limit_is_raised_and_shared_out(soft: int, hard: int, most: int, expected: str) -> None:
    command = [sys.executable, "-c", SCRIPT, str(soft), str(hard), str(most)]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip() == expected
