from __future__ import annotations

import pytest

from app.core.retry import may_send_again


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PROPFIND"])
def test_an_idempotent_request_may_be_sent_again(method: str) -> None:
    assert may_send_again(method, written=True, held=True)


@pytest.mark.parametrize("method", ["POST", "PATCH", "LOCK", "MKCOL", "get", "NEW"])
def test_any_other_only_if_nothing_of_it_was_sent(method: str) -> None:
    assert not may_send_again(method, written=True, held=True)
    assert may_send_again(method, written=False, held=True)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("written", [True, False])
def test_never_without_the_whole_body(method: str, written: bool) -> None:
    assert not may_send_again(method, written=written, held=False)
