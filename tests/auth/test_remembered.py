from __future__ import annotations

from app.auth.remembered import Digest, Remembered


def test_a_digest_is_always_the_same_and_no_other_process_has_it() -> None:
    digest, other = Digest(), Digest()
    assert digest(b"secret") == digest(b"secret") != digest(b"Secret")
    assert digest(b"secret") != other(b"secret")
    assert (len(digest(b"")), b"secret" in digest(b"secret")) == (32, False)


def test_the_one_that_was_used_longest_ago_goes_first() -> None:
    table: Remembered[int] = Remembered(2)
    table.keep(b"a", 1)
    table.keep(b"b", 2)
    assert table.find(b"a") == 1
    table.keep(b"c", 3)
    assert [table.find(name) for name in (b"a", b"b", b"c")] == [1, None, 3]
    table.keep(b"a", 4)
    table.keep(b"d", 5)
    assert [table.find(name) for name in (b"a", b"c", b"d")] == [4, None, 5]
