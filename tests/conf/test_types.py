from __future__ import annotations

import pytest

from app.conf.types import ADDRESS, NETWORKS, Seconds


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


@pytest.mark.parametrize(
    ("text", "networks"),
    [
        ("10.0.0.7", ["10.0.0.7/32"]),
        ("10.0.0.0/8, 2001:db8::/32,::1", ["10.0.0.0/8", "2001:db8::/32", "::1/128"]),
        ("::ffff:10.0.0.0/104", ["10.0.0.0/8"]),  # peers of a dual-stack listener are compared as IPv4
        ("::ffff:10.0.0.7", ["10.0.0.7/32"]),
        ("::/0", ["::/0"]),
        ("0.0.0.0/0", ["0.0.0.0/0"]),
    ],
)
def test_networks(text: str, networks: list[str]) -> None:
    value = NETWORKS(text)
    assert [str(network) for network in value] == networks
    assert str(value) == ", ".join(networks)


@pytest.mark.parametrize(
    "text",
    ["", ",", "10.0.0.0/8,", "10.0.0.1/8", "10.0.0.0/33", "host", "fe80::1%eth0", "fe80::%eth0/64", "10.0.0.0-9"],
)
def test_what_is_no_network(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        NETWORKS(text)
