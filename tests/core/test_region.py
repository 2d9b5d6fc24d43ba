from __future__ import annotations

import string
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core import region as regions
from app.core.region import LONGEST, Region, from_pair, from_vim_id
from app.errors import BadRequest

OWNER = st.text(string.ascii_letters + string.digits + "-", min_size=1)
NAME = st.text(string.ascii_letters + string.digits + "-_", min_size=1)


@given(OWNER, NAME)
def test_a_vim_id_splits_at_its_first_underscore(owner: str, region_id: str) -> None:
    region = from_vim_id(f"{owner}_{region_id}")
    assert region == Region(owner, region_id)
    assert region.vim_id == f"{owner}_{region_id}"


@given(NAME, NAME)
def test_the_pair_of_v1_is_taken_as_it_is(owner: str, region_id: str) -> None:
    assert from_pair(owner, region_id) == (owner, region_id)


MIXED = st.text(st.sampled_from("aZ09-_ é.%²٣\n"), max_size=8) | st.sampled_from([LONGEST, LONGEST + 1]).map(
    lambda n: n * "a"
)


@given(st.lists(MIXED, max_size=3).map("_".join), MIXED)
def test_what_is_accepted_is_what_the_description_says(text: str, other: str) -> None:
    assert accepts(from_vim_id, text) == bool(regions.VIM_ID.fullmatch(text))
    assert accepts(from_pair, text, other) == all(map(regions.NAME.fullmatch, (text, other)))


def accepts(make: Callable[..., Region], *texts: str) -> bool:
    try:
        make(*texts)
    except BadRequest:
        return False
    return True


@given(st.text())
def test_any_text_is_a_region_or_the_clients_error(text: str) -> None:
    try:
        region = from_vim_id(text)
    except BadRequest:
        return
    assert "_" not in region.owner
    assert region.vim_id == text


@pytest.mark.parametrize(
    ("vim_id", "region"),
    [("a_b", ("a", "b")), ("a_b_c", ("a", "b_c")), ("a__b", ("a", "_b")), ("A-1_-", ("A-1", "-"))],
)
def test_vim_ids(vim_id: str, region: tuple[str, str]) -> None:
    assert from_vim_id(vim_id) == region


@pytest.mark.parametrize(
    "vim_id", ["", "a", "_", "_b", "a_", "a.b_c", "a_b.c", "a_b/c", "a_b%20", "a b_c", "a_b\n", "ä_b", "a_٣", "a_b?"]
)
def test_what_is_no_vim_id_is_the_clients_error(vim_id: str) -> None:
    with pytest.raises(BadRequest, match="vim_id of the form"):
        from_vim_id(vim_id)


@pytest.mark.parametrize(
    "pair", [("", "b"), ("a", ""), ("a.b", "c"), ("a", "b c"), ("a\n", "b"), ("a", "ä"), ("/", "b")]
)
def test_what_is_no_pair_is_the_clients_error(pair: tuple[str, str]) -> None:
    with pytest.raises(BadRequest, match="cloud-owner and a cloud-region-id"):
        from_pair(*pair)


def test_regions_of_v1_with_the_same_vim_id_are_not_the_same() -> None:
    assert from_pair("a_b", "c") != from_pair("a", "b_c")
