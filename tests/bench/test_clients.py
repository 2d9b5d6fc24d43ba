"""What is read from the clients' output: `captured/` has what they really wrote."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench.clients import ab, bulk, wrk
from bench.clients.said import GaveUpError, Said, output_of

CAPTURED = Path(__file__).parent / "captured"


def of_ab(name: str) -> Said:
    return ab.parse((CAPTURED / f"{name}.txt").read_text(), (CAPTURED / f"{name}.csv").read_text())


def of_wrk(name: str) -> Said:
    return wrk.parse((CAPTURED / f"{name}.txt").read_text())


def test_ab_percentiles_have_parts_of_milliseconds() -> None:
    said = of_ab("ab")
    assert said == Said(requests=2000, failed=0, seconds=0.376, p50_ms=17.704, p99_ms=29.807)
    assert said.rate == pytest.approx(5316.86, rel=0.001)


def test_ab_whose_time_is_up_tells_of_what_was_done() -> None:
    assert of_ab("ab-time") == Said(requests=675, failed=0, seconds=2.009, p50_ms=26.191, p99_ms=104.356)


def test_ab_counts_answers_that_are_no_2xx_as_failed() -> None:
    said = of_ab("ab-404")
    assert (said.requests, said.failed) == (200, 200)


def test_ab_of_few_requests_tells_of_the_longest() -> None:
    """Its table's entry for 99% is then from behind the end: 0.1 ms and the like."""
    said = of_ab("ab-few")
    assert said.p99_ms >= said.p50_ms > 1


def test_ab_that_was_answered_nothing_gave_up() -> None:
    text = (CAPTURED / "ab.txt").read_text().replace("Complete requests:      2000", "Complete requests:      0")
    with pytest.raises(GaveUpError, match="answered nothing"):
        ab.parse(text, (CAPTURED / "ab.csv").read_text())


def test_ab_that_says_something_else_gave_up() -> None:
    with pytest.raises(GaveUpError, match="complete requests"):
        ab.parse("This is ApacheBench", (CAPTURED / "ab.csv").read_text())


def test_wrk_units_are_milliseconds() -> None:
    said = of_wrk("wrk")
    assert said == Said(requests=31699, failed=0, seconds=2.02, p50_ms=6.18, p99_ms=12.41)
    said = of_wrk("wrk-404")
    assert (said.p50_ms, said.p99_ms) == (pytest.approx(0.372), 1.62)


def test_wrk_pads_seconds_with_a_space() -> None:
    assert of_wrk("wrk-seconds").p99_ms == 1060


def test_wrk_counts_answers_that_are_no_2xx_as_failed() -> None:
    said = of_wrk("wrk-404")
    assert (said.requests, said.failed) == (25416, 25416)


def test_wrk_counts_socket_errors_as_failed() -> None:
    assert of_wrk("wrk-errors").failed == 20


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("unable to connect", "nothing of its requests"),
        ("  0 requests in 1.00s, 0.00B read", "answered nothing"),
        ("  10 requests in 1.00s, 1.00KB read", "nothing of 50%"),
    ],
)
def test_wrk_that_has_no_figures_gave_up(text: str, why: str) -> None:
    with pytest.raises(GaveUpError, match=why):
        wrk.parse(text)


def test_a_large_body_has_one_time() -> None:
    assert bulk.parse("0.512345 seconds\n") == Said(1, 0, 0.512345, 512.345, 512.345)
    with pytest.raises(GaveUpError):
        bulk.parse("")


def test_a_client_that_fails_says_why_in_its_last_line() -> None:
    with pytest.raises(GaveUpError, match=r"^apr_pollset_poll: The timeout specified has expired \(70007\)$"):
        output_of(
            [
                sys.executable,
                "-c",
                "raise SystemExit('\\napr_pollset_poll: The timeout specified has expired (70007)')",
            ],
            30,
        )


def test_a_client_that_takes_too_long_gave_up() -> None:
    with pytest.raises(GaveUpError, match=r"took more than 0\.1 s"):
        output_of([sys.executable, "-c", "import time; time.sleep(60)"], 0.1)
