"""Whether a request may be sent again (rule 16; RFC 9110, 9.2.2; RFC 9112, 9.3.1), and how many may."""

from __future__ import annotations

IDEMPOTENT = frozenset(("GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PROPFIND", "REPORT", "SEARCH"))
"""RFC 9110, 9.2.2, and the safe ones of WebDAV (RFC 4918, 3253, 5323)."""

RESERVE = 10.0
"""Requests that may be sent again at once, however few were sent before; gRPC's retry throttling (A6) has it too."""


def may_send_again(method: str, *, written: bool, held: bool) -> bool:
    """After a connection that closed before any byte of an answer.

    `written`: a byte of the request was handed to the connection; `held`: the whole body is still there.
    """
    return held and (not written or method in IDEMPOTENT)


class Budget:
    """Of one upstream: a share of what is sent may be sent again, so that one that fails gets no twofold load."""

    __slots__ = ("_left", "share")

    def __init__(self, share: float) -> None:
        """`share` from 0, which lets nothing be sent again, to 1, which lets everything; it may be replaced."""
        self.share = share
        self._left = RESERVE if share else 0.0

    def sent(self) -> None:
        """One more request was sent for the first time."""
        if self._left < RESERVE:
            self._left += self.share

    def spend(self) -> bool:
        """Whether one more may be sent again."""
        if self._left < 1 or not self.share:
            return False
        self._left -= 1
        return True
