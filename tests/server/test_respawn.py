"""When the next process starts after the end of one; test_deaths.py has it with real ones."""

from __future__ import annotations

import signal

import pytest

from app.net.loop import NO_MEMORY
from app.server.respawn import AT_ONCE, FIRST, LIVED, LONGEST, Backoff, hint, how


@pytest.mark.parametrize(
    ("lives", "waits"),
    [
        ([100.0, 100.0, 100.0, 100.0], [0, 0, 0, 0]),
        ([0.1] * 6, [0, 0, 0, 0.1, 0.2, 0.4]),
        ([LIVED - 0.1] * 4, [0, 0, 0, 0.1]),
        ([0.1] * 5 + [LIVED] + [0.1] * 4, [0, 0, 0, 0.1, 0.2, 0, 0, 0, 0, 0.1]),
        ([0.1] * 3 + [LIVED] * 3 + [0.1], [0, 0, 0, 0, 0, 0, 0]),
    ],
)
def test_who_ends_early_again_and_again_waits_ever_longer(lives: list[float], waits: list[float]) -> None:
    backoff = Backoff()
    assert [backoff.ended(lived) for lived in lives] == pytest.approx(waits)


def test_the_wait_has_an_end() -> None:
    backoff = Backoff()
    waits = [backoff.ended(0.0) for _ in range(2000)]
    assert waits[: AT_ONCE + 1] == [0.0] * AT_ONCE + [FIRST]
    assert set(waits[20:]) == {LONGEST}


@pytest.mark.parametrize(
    ("status", "words", "hinted"),
    [
        (0, "exited with status 0", ""),
        (3 << 8, "exited with status 3", ""),
        (NO_MEMORY << 8, "exited with status 71", "memory"),
        (signal.SIGKILL, "was killed by SIGKILL", "memory"),
        (signal.SIGSEGV | 0x80, "was killed by SIGSEGV", ""),
        (signal.SIGBUS, "was killed by SIGBUS", "metrics"),
        (40, "was killed by signal 40", ""),
    ],
)
def test_an_end_is_told_in_words(status: int, words: str, hinted: str) -> None:
    assert how(status) == words
    assert hinted in hint(status)
    assert bool(hinted) is bool(hint(status))
