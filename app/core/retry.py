"""Whether a request may be sent again (rule 16; RFC 9110, 9.2.2; RFC 9112, 9.3.1)."""

from __future__ import annotations

IDEMPOTENT = frozenset(("GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PROPFIND", "REPORT", "SEARCH"))
"""RFC 9110, 9.2.2, and the safe ones of WebDAV (RFC 4918, 3253, 5323)."""


def may_send_again(method: str, *, written: bool, held: bool) -> bool:
    """After a connection that closed before any byte of an answer.

    `written`: a byte of the request was handed to the connection; `held`: the whole body is still there.
    """
    return held and (not written or method in IDEMPOTENT)
