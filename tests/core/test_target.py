from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.target import PREFIX, check, rewrite
from app.errors import BadRequest

VISIBLE = bytes(set(range(0x21, 0x7F)) - {ord("#")})
TARGET = st.lists(st.sampled_from(VISIBLE), max_size=30).map(bytes)
TRICKS = st.lists(
    st.sampled_from([b"/", b".", b"..", b";", b"%2e", b"%2E", b"%2f", b"%5C", b"\\", b"%3B", b"a", b"%25", b"?", b"%"])
).map(b"".join)


def refused(target: bytes) -> bool:
    try:
        check(target)
    except BadRequest:
        return True
    return False


@given(TARGET | TRICKS)
def test_the_rest_goes_on_byte_for_byte(rest: bytes) -> None:
    assert rewrite(PREFIX + rest, "multicloud-pike") == b"/api/multicloud-pike/" + rest


@given(TARGET | TRICKS)
def test_a_path_is_refused_exactly_if_a_segment_decoded_once_is_a_dot_segment(rest: bytes) -> None:
    path = unquote_to_bytes((PREFIX + rest).split(b"?")[0])
    dotted = any(segment.split(b";")[0] in (b".", b"..") for segment in re.split(rb"[/\\]", path))
    assert refused(PREFIX + rest) == dotted


@given(st.binary(), st.integers(0, 255).filter(lambda byte: byte not in VISIBLE), st.binary())
def test_no_byte_but_visible_ascii_passes(before: bytes, byte: int, after: bytes) -> None:
    assert refused(PREFIX + before + bytes([byte]) + after)


@pytest.mark.parametrize(
    "rest",
    [
        b"a\\.", b"a\\./b", b"a%5C.", b"a%5c./b", b"a%2F.", b"a%2f.;x",
        b"v0/a_b/..", b"v0/a_b/.", b"../x", b"./x", b"a/../b", b"a/./b", b"a/%2e%2e/b", b"a/%2E./b",
        b"a/.%2e", b"a%2f..",
        b"a%2F%2e%2e%2Fb", b"a\\..\\b", b"a%5C..", b"a%5c%2e", b"a/..;x/b", b"a/.;/b",
        b"a/..%3Bx", b"a/%2e;a=b", b"a/..?q",
    ],
)  # fmt: skip
def test_a_path_that_could_leave_the_plugins_prefix_is_refused(rest: bytes) -> None:
    with pytest.raises(BadRequest, match="segments"):
        check(PREFIX + rest)


@pytest.mark.parametrize(
    "rest",
    [
        b"", b"v0/a_b//c", b"a/...", b"a/.b", b"a/b.", b"a/..b", b"a/%252e%252e/b", b"a%2Fb", b"%FF", b"a;..", b"a/;..",
        b"a?x=/../y", b"a?..", b"x?name=multicloud-x", b"%", b"%2", b"a/%zz", b'"$&\'()*+,[]^`{|}~',
    ],
)  # fmt: skip
def test_other_paths_and_every_query_pass(rest: bytes) -> None:
    check(PREFIX + rest)


@pytest.mark.parametrize("target", [b"", b"/a b", b"/a#b", b"/a?b#c", b"/\x7f", b"/\xff", b"/a\r\n", b"/a\n", b"/\0"])
def test_what_is_not_visible_ascii_is_refused(target: bytes) -> None:
    with pytest.raises(BadRequest, match="visible ASCII"):
        check(target)


def test_only_the_first_prefix_is_replaced() -> None:
    assert rewrite(b"/api/multicloud/v0/a_b/api/multicloud/x?y=/api/multicloud/", "multicloud-vio") == (
        b"/api/multicloud-vio/v0/a_b/api/multicloud/x?y=/api/multicloud/"
    )
