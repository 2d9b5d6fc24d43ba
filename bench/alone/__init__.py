"""What is measured of ours alone, with nothing else at work: each function gives figures of both frameworks."""

from __future__ import annotations

FRAMEWORKS = ("django", "pecan")
