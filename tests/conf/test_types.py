from __future__ import annotations

import pytest

from app.conf.types import ADDRESS, Seconds


@pytest.mark.parametrize(
    "text", ["0.0.0.0", "::", "::1", "fe80::1", "msb-iag", "msb_iag", "a.b.svc.cluster.local.", "1", "x" * 253]
)
def test_an_address_is_a_host_name_or_an_ip_address(text: str) -> None:
    assert ADDRESS(text) == text


@pytest.mark.parametrize(
    "text", ["http://msb", "msb:80", "msb/", "[::1]", "a b", ".onap", "-a", "a-", "é", ":::", "x" * 254, "a\n", ""]
)
def test_nothing_else_is_an_address(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        ADDRESS(text)


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "0.5", "3601", "x", "-1"])
def test_seconds_outside_of_their_bounds_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        Seconds(1, 3600)(text)


def test_seconds_may_have_fractions() -> None:
    assert Seconds(0.01, 3600)("1.5") == 1.5
