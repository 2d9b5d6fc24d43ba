"""The decoder of chunked bodies alone; what it reads and refuses in numbers is in tests/fuzz."""

from __future__ import annotations

import pytest

from app.core.chunked import OVERHEAD, ChunkedBody

TINY = b"1\r\nx\r\n" * 5000 + b"0\r\n\r\n"


def test_small_chunks_come_as_one_piece() -> None:
    body = ChunkedBody()
    assert body.feed(TINY + b"rest") == (b"x" * 5000, b"rest")
    assert body.complete


def test_in_single_bytes() -> None:
    body = ChunkedBody()
    read = b"".join(body.feed(bytes([byte]))[0] for byte in b'5;a="b"\r\nhello\r\n1\r\n \r\n0\r\nA: b\r\nB:\r\n\r\n')
    assert (read, body.complete) == (b"hello ", True)


@pytest.mark.parametrize(
    "data",
    [
        b"\n",
        b"1\n",
        b"1\r\nab",
        b"1\r\na\rb",
        b"1\r\na\r\n\n",
        b"0\r\nA b\r\n",
        b"1 \r\n",
        b"0x1\r\n",
        b"+1\r\n",
        b"1_0\r\n",
    ],
)
def test_what_is_no_chunk_is_refused_at_once(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"chunk|trailer"):
        ChunkedBody().feed(data)


@pytest.mark.parametrize("step", [1, 1000, 1 << 20])
@pytest.mark.parametrize(
    "data", [b"1;" + b"e" * 2 * OVERHEAD, b"0\r\n" + b"A: b\r\n" * OVERHEAD, b"0\r\nA: " + b"b" * 2 * OVERHEAD]
)
def test_lines_without_end_are_refused(data: bytes, step: int) -> None:
    def feed() -> None:
        body = ChunkedBody()
        for start in range(0, len(data), step):
            body.feed(data[start : start + step])

    with pytest.raises(ValueError, match="do not end"):
        feed()
