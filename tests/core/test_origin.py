from __future__ import annotations

import pytest

from app.core.origin import UNIX, Origin, parse_origin


@pytest.mark.parametrize(
    ("url", "origin", "base"),
    [
        ("http://h", Origin("http", "h", 80), ""),
        ("https://h", Origin("https", "h", 443), ""),
        ("https://h:80/", Origin("https", "h", 80), ""),
        ("HTTP://Host.Name:9015/base/", Origin("http", "host.name", 9015), "/base"),
        ("http://h/a/b%2Fc", Origin("http", "h", 80), "/a/b%2Fc"),
        ("http://[::1]:8080/x", Origin("http", "::1", 8080), "/x"),
        ("http://10.0.0.1:65535", Origin("http", "10.0.0.1", 65535), ""),
        ("http://h:", Origin("http", "h", 80), ""),
    ],
)
def test_an_address(url: str, origin: Origin, base: str) -> None:
    assert parse_origin(url) == (origin, base)


@pytest.mark.parametrize(
    "url",
    [
        "", "h", "h:80", "//h", "ftp://h", "unix:///run/x", "http://", "http://:80", "http:///x", "http://u@h", "http://u:p@h",
        "http://@h", "http://h?x", "http://h/#x", "http://h:65536", "http://h:-1", "http://h:a", "http://[::1", "http://ä",
        "http://h/ä", "http://h/\n", "http://h\t", "http://h/\0", "http://h/a b", "http://a b", "http://h:80/ ", "http://h:0",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_origin(url)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        (Origin("http", "h", 80), b"h"),
        (Origin("http", "h", 443), b"h:443"),
        (Origin("https", "h", 443), b"h"),
        (Origin("https", "h", 80), b"h:80"),
        (Origin("http", "::1", 80), b"[::1]"),
        (Origin("http", "::1", 8080), b"[::1]:8080"),
        (Origin(UNIX, "/run/x.sock", 0), b"localhost"),
    ],
)
def test_the_host_header(origin: Origin, host: bytes) -> None:
    assert origin.host_header == host


@pytest.mark.parametrize("url", ["http://h", "https://h:80", "http://[::1]:81"])
def test_an_origin_prints_as_its_url(url: str) -> None:
    assert str(parse_origin(url)[0]) == url
