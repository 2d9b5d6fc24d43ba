"""Which headers go on, both ways (contract, section 5; RFC 9110, 7.6)."""

from __future__ import annotations

import re

from app.core.forwarded import CLAIM, CLAIMS
from app.core.message import Headers

HOP_BY_HOP = frozenset(
    (
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"proxy-authenticate",
        b"proxy-authentication-info",
        b"proxy-authorization",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    )
)
"""RFC 9110, 7.6.1, and those of proxy authentication (11.7), which are the next hop's."""

REPLACED = HOP_BY_HOP | {
    b"host", b"content-length", b"expect", b"forwarded", b"x-invocationid", b"x-onap-invocationid",
}  # fmt: skip
"""Of a request: what is dropped here or set anew, like every X-Forwarded-*."""

REQUEST_IDS = (b"x-onap-requestid", b"x-requestid", b"x-transactionid", b"x-ecomp-requestid")
"""In the order in which they count (ONAP's logging guideline)."""

IDS = frozenset(REQUEST_IDS)
"""To look up by: half a microsecond of a request's less than in the tuple."""

PROTECTED = frozenset((b"host", b"content-length", b"authorization", b"x-auth-token", *REQUEST_IDS))
"""What a `Connection` header cannot take away: a client that names them would have a plugin read another request."""

CONTROLS = bytes((*range(9), *range(10, 32), 127))
"""All control bytes but the tab."""

VALID_ID = re.compile(rb"[!-~]{1,128}")


def request_id(headers: Headers) -> str | None:
    """The client's own id for this request; one that is too long or not visible ASCII counts as none."""
    found = {key: value for name, value in headers if (key := name.lower()) in IDS}
    for key in REQUEST_IDS if found else ():
        if key in found and VALID_ID.fullmatch(found[key]):
            return found[key].decode()
    return None


def forwarded_request_headers(
    headers: Headers,
    host: bytes,
    request_id: str,
    invocation_id: str,
    length: int | None,
    present: bool,
    told: Headers,
    replaced: frozenset[bytes] = REPLACED,
) -> Headers:
    """The headers of the outgoing request: end-to-end ones in their order and spelling, framing and Host ours.

    `length` of the body in bytes, None for chunked; `present` whether there is a body at all, be it empty; `told`
    what `app.core.forwarded` has the plugin know of where the request came from; `replaced` names in lower case what
    does not go on, `REPLACED` at the least.
    """
    invocation, own_id = invocation_id.encode(), request_id.encode()
    forwarded = [(b"Host", host)]
    named: set[bytes] = set()
    seen_id = False
    for name, value in headers:
        key = name.lower()
        if key in replaced or key[:CLAIM] in CLAIMS:
            if key == b"connection":
                named.update(_tokens(value))
            continue
        if key in IDS:
            if value == own_id:
                seen_id = True
            elif key == b"x-onap-requestid":  # not a valid one, or one of several: ours takes its place
                continue
        forwarded.append((name, value))
    if named:
        forwarded = [header for header in forwarded if header[0].lower() not in named]
    if present:
        forwarded.append((b"Transfer-Encoding", b"chunked") if length is None else (b"Content-Length", b"%d" % length))
    if not seen_id:
        forwarded.append((b"X-ONAP-RequestID", own_id))
    forwarded.append((b"X-InvocationID", invocation))
    forwarded.append((b"X-ONAP-InvocationID", invocation))
    forwarded += told
    return forwarded


def response_headers(headers: Headers, request_id: str, told: Headers) -> Headers:
    """The headers of the answer to the client: end-to-end ones as they came; the request id where there is none, and
    what is `told` of the way."""
    named: set[bytes] = set()
    seen_id = False
    passed: Headers = []
    for header in headers:
        key = header[0].lower()
        if key in HOP_BY_HOP:
            if key == b"connection":
                named.update(_tokens(header[1]))
            continue
        seen_id = seen_id or key == b"x-onap-requestid"
        passed.append(header)
    if named:
        passed = [header for header in passed if header[0].lower() not in named]
    if not seen_id:
        passed.append((b"X-ONAP-RequestID", request_id.encode()))
    return passed + told if told else passed


def well_formed(head: bytes, lines: int) -> bool:
    """Whether a head of so many lines, each ended by CR LF, holds no other control byte but tabs.

    So that no value becomes a line of its own (RFC 9110, 5.5; RFC 9112, 11.1); in one pass.
    """
    return len(head) - len(head.translate(None, CONTROLS)) == 2 * lines


def _tokens(value: bytes) -> set[bytes]:
    return {token for part in value.split(b",") if (token := part.strip(b" \t").lower()) not in PROTECTED}
