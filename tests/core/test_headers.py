from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.headers import forwarded_request_headers, request_id, response_headers
from app.core.message import Headers

HOP_BY_HOP = (
    b"Connection", b"Keep-Alive", b"Proxy-Connection", b"Proxy-Authenticate", b"Proxy-Authorization", b"TE", b"Trailer",
    b"Transfer-Encoding", b"Upgrade",
)  # fmt: skip
OURS = (
    b"Host", b"Content-Length", b"Expect", b"X-InvocationID", b"X-ONAP-InvocationID", b"Forwarded", b"X-Forwarded-For",
    b"X-Forwarded", b"X-Forwarded-Client-Cert", b"X_Forwarded_For", b"X-Forwarded_Host",
)  # fmt: skip
END_TO_END = (
    b"Accept", b"authorization", b"X-Auth-Token", b"X-Subject-Token",
    b"Set-Cookie", b"Link", b"Via", b"x_under", b"Project",
    b"X-ONAP-RequestID", b"X-RequestID", b"Content-Type", b"Content-Encoding", b"TE-x", b"Connection-Id",
    b"X-Forward-For", b"Forwarded-By", b"X-Real-IP",
)  # fmt: skip
IDS = {b"x-onap-requestid", b"x-requestid", b"x-transactionid", b"x-ecomp-requestid"}
NEVER_NAMED = {b"host", b"content-length", b"authorization", b"x-auth-token"} | IDS


def cased(name: bytes) -> st.SearchStrategy[bytes]:
    return st.sampled_from([name, name.lower(), name.upper()])


NAMES = st.sampled_from(HOP_BY_HOP + OURS + END_TO_END).flatmap(cased)
VALUES = st.sampled_from([b"", b"own-id", b"a, b", b"\xff", b"close"])
NAMED = NAMES.map(lambda name: (b"Connection", b"close, \t" + name))
HEADERS = st.lists(st.tuples(NAMES, VALUES) | NAMED, max_size=12)


def forwarded(headers: Headers, length: int | None = 0, present: bool = False, told: Headers | None = None) -> Headers:
    return forwarded_request_headers(headers, b"plugin:1", "own-id", "invocation", length, present, told or [])


def back(headers: Headers) -> Headers:
    return response_headers(headers, "own-id", [])


def lower(names: tuple[bytes, ...]) -> set[bytes]:
    return {name.lower() for name in names}


def named(headers: Headers) -> set[bytes]:
    """What the Connection headers take away, but for what they cannot."""
    values = [value for name, value in headers if name.lower() == b"connection"]
    return {token.strip(b" \t").lower() for value in values for token in value.split(b",")} - NEVER_NAMED


def other_id(header: tuple[bytes, bytes]) -> bool:
    """An id that is not this request's: there is one, and no second one beside it."""
    return header[0].lower() == b"x-onap-requestid" and header[1] != b"own-id"


@given(HEADERS)
def test_a_request_loses_no_end_to_end_header_and_no_hop_by_hop_one_passes(headers: Headers) -> None:
    dropped = lower(HOP_BY_HOP + OURS) | named(headers)
    kept = [header for header in headers if header[0].lower() not in dropped and not other_id(header)]
    sent = forwarded(headers)
    assert sent[0] == (b"Host", b"plugin:1")
    assert sent[1 : len(kept) + 1] == kept
    added = {name for name, _ in sent[len(kept) + 1 :]}
    assert added <= {b"X-ONAP-RequestID", b"X-InvocationID", b"X-ONAP-InvocationID"}


@given(HEADERS)
def test_an_answer_loses_no_end_to_end_header_and_no_hop_by_hop_one_passes(headers: Headers) -> None:
    dropped = lower(HOP_BY_HOP) | named(headers)
    kept = [header for header in headers if header[0].lower() not in dropped]
    sent = back(headers)
    assert sent[: len(kept)] == kept
    assert sent[len(kept) :] in ([], [(b"X-ONAP-RequestID", b"own-id")])


@given(HEADERS)
def test_what_is_sent_on_always_tells_the_requests_id(headers: Headers) -> None:
    ids = {b"x-onap-requestid", b"x-requestid", b"x-transactionid", b"x-ecomp-requestid"}
    assert any(name.lower() in ids and value == b"own-id" for name, value in forwarded(headers))


@pytest.mark.parametrize(
    ("length", "present", "framing"),
    [
        (0, False, []),
        (0, True, [(b"Content-Length", b"0")]),
        (5, True, [(b"Content-Length", b"5")]),
        (None, True, [(b"Transfer-Encoding", b"chunked")]),
    ],
    ids=["no body", "an empty body", "a length", "chunked"],
)
def test_the_framing_is_our_own(length: int | None, present: bool, framing: Headers) -> None:
    sent = forwarded([(b"Content-Length", b"99"), (b"Transfer-Encoding", b"gzip")], length, present)
    assert [header for header in sent if header[0] in (b"Content-Length", b"Transfer-Encoding")] == framing


def test_the_host_is_the_plugins_alone() -> None:
    sent = forwarded([(b"HOST", b"broker"), (b"Connection", b"host")])
    assert [value for name, value in sent if name.lower() == b"host"] == [b"plugin:1"]


def test_both_invocation_ids_are_new() -> None:
    sent = forwarded([(b"X-InvocationID", b"old"), (b"x-onap-invocationid", b"old")])
    assert sent[-2:] == [(b"X-InvocationID", b"invocation"), (b"X-ONAP-InvocationID", b"invocation")]
    assert b"old" not in dict(sent).values()


@pytest.mark.parametrize(
    ("name", "added"),
    [(b"X-ONAP-RequestID", False), (b"x-requestid", False), (b"X-TransactionID", False), (b"X-ECOMP-RequestID", False),
     (b"X-Other", True)],
)  # fmt: skip
def test_the_id_is_added_only_where_there_is_none(name: bytes, added: bool) -> None:
    assert ((b"X-ONAP-RequestID", b"own-id") in forwarded([(name, b"own-id")])[2:]) == added


def test_a_client_cannot_take_the_request_id_away() -> None:
    sent = forwarded([(b"X-RequestID", b"own-id"), (b"Connection", b"X-RequestID")])
    assert b"own-id" in [value for _, value in sent]


@pytest.mark.parametrize("name", [b"Host", b"Content-Length", b"Authorization", b"X-Auth-Token", b"X-ONAP-RequestID"])
def test_connection_cannot_take_away_what_makes_it_another_request(name: bytes) -> None:
    headers = [(b"Connection", name), (name, b"x")]
    assert name in [key for key, _ in forwarded(headers, 1, True)]
    assert (name, b"x") in back(headers)


def test_what_is_told_of_the_way_stands_last_and_cannot_be_taken_away() -> None:
    told = [(b"X-Forwarded-For", b"10.0.0.1"), (b"Via", b"1.1 own")]
    headers = [(b"Via", b"1.0 before"), (b"x-forwarded-for", b"spoofed"), (b"Connection", b"x-forwarded-for")]
    sent = forwarded(headers, told=told)
    assert sent[1] == (b"Via", b"1.0 before")
    assert sent[-2:] == told
    assert b"spoofed" not in [value for _, value in sent]
    assert response_headers([(b"Via", b"1.0 before")], "i", [(b"Via", b"1.1 own")]) == [
        (b"Via", b"1.0 before"),
        (b"X-ONAP-RequestID", b"i"),
        (b"Via", b"1.1 own"),
    ]


def test_repeated_headers_of_an_answer_stay_repeated_and_in_order() -> None:
    headers = [(b"Set-Cookie", b"a"), (b"Link", b"x"), (b"set-cookie", b"b"), (b"X-ONAP-RequestID", b"theirs")]
    assert back(headers) == headers


def test_an_answer_keeps_its_length() -> None:
    assert back([(b"Content-Length", b"7")]) == [(b"Content-Length", b"7"), (b"X-ONAP-RequestID", b"own-id")]


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ([], None),
        ([(b"x-onap-requestid", b"a")], "a"),
        ([(b"X-ECOMP-RequestID", b"d"), (b"X-TransactionId", b"c"), (b"X-RequestID", b"b")], "b"),
        ([(b"X-RequestID", b"b"), (b"X-ONAP-RequestID", b"a")], "a"),
        ([(b"X-TransactionID", b"c"), (b"X-ECOMP-RequestID", b"d")], "c"),
        ([(b"X-ONAP-RequestID", b""), (b"X-RequestID", b"b")], "b"),
        ([(b"X-ONAP-RequestID", b"a b")], None),
        ([(b"X-ONAP-RequestID", b"\xff")], None),
        ([(b"X-ONAP-RequestID", b"a\n")], None),
        ([(b"X-ONAP-RequestID", b"x" * 128)], "x" * 128),
        ([(b"X-ONAP-RequestID", b"x" * 129)], None),
        ([(b"X-Request-Id", b"a")], None),
    ],
)
def test_the_clients_own_id(headers: Headers, found: str | None) -> None:
    assert request_id(headers) == found
