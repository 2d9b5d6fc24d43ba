"""A plugin's answers reach the client as they were sent (contract, section 5)."""

from __future__ import annotations

import gzip
import hashlib

import pytest

from tests.conftest import Process
from tests.contract.conftest import V0, V1, Simulated, told

EVERY_BYTE = bytes(range(256))


def body_of(raw: bytes) -> bytes:
    return raw.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize(
    "status", [200, 201, 202, 203, 206, 207, 300, 301, 302, 307, 308, 400, 401, 403, 404, 409, 422, 429, 500, 503, 599]
)
def test_status_reason_and_binary_body_come_back(broker: Process, plugin: Simulated, status: int) -> None:
    answer = told(status, ("Content-Type", "application/x-odd"), body=EVERY_BYTE, reason="A Reason of its own")
    got, headers, body = broker.ask("POST", V1 + "/x", b"{}", {"X-Answer": answer})
    assert (got, body, headers.get_all("Content-Type")) == (status, EVERY_BYTE, ["application/x-odd"])
    assert len(plugin.asked()) == 1


def test_the_reason_phrase_is_the_plugins(broker: Process, plugin: Simulated) -> None:
    request = (
        f"GET {V0}/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Answer: {told(404, reason='Gone Fishing')}\r\n\r\n"
    )
    assert broker.raw(request.encode()).startswith(b"HTTP/1.1 404 Gone Fishing\r\n")


def test_every_end_to_end_header_comes_back_as_it_was(broker: Process, plugin: Simulated) -> None:
    sent = [
        ("Set-Cookie", "a=1; Path=/"),
        ("x-odd-CASE", "1"),
        ("Set-Cookie", "b=2"),
        ("Link", "</a>; rel=next"),
        ("Link", "</b>; rel=prev"),
        ("Location", "/relative?x=%2F"),
        ("X-Subject-Token", "gAAAA"),
        ("WWW-Authenticate", "Keystone uri=x"),
        ("ETag", 'W/"x"'),
        ("Server", "a plugin"),
        ("Date", "Tue, 01 Jan 2030 00:00:00 GMT"),
        ("X-Latin", "caf\xe9"),
        ("Via", "1.1 before"),
    ]
    request = f"GET {V0}/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Answer: {told(200, *sent)}\r\n\r\n"
    head = broker.raw(request.encode()).partition(b"\r\n\r\n")[0].decode("latin-1")
    got = [tuple(line.split(": ", 1)) for line in head.split("\r\n")[1:]]
    ours = {"Content-Length", "X-ONAP-RequestID", "Connection"}
    assert [header for header in got if header[0] not in ours] == sent
    assert len([name for name, _ in got if name == "X-ONAP-RequestID"]) == 1


def test_the_plugins_own_request_id_is_not_added_to(broker: Process, plugin: Simulated) -> None:
    _, headers, _ = broker.ask("GET", V0 + "/x", headers={"X-Answer": told(200, ("x-onap-requestid", "its-own"))})
    assert headers.get_all("X-ONAP-RequestID") == ["its-own"]


def test_hop_by_hop_headers_stay_here(broker: Process, plugin: Simulated) -> None:
    answer = told(200, ("Connection", "X-Named"), ("X-Named", "1"), ("Keep-Alive", "timeout=5"), ("Upgrade", "h2c"))
    _, headers, _ = broker.ask("GET", V0 + "/x", headers={"X-Answer": answer})
    assert not {name.lower() for name in headers} & {"x-named", "keep-alive", "upgrade"}


def test_gzip_comes_back_as_it_is(broker: Process, plugin: Simulated) -> None:
    packed = gzip.compress(b"x" * 10000)
    answer = told(200, ("Content-Encoding", "gzip"), body=packed)
    _, headers, body = broker.ask("GET", V0 + "/x", headers={"X-Answer": answer, "Accept-Encoding": "gzip"})
    assert (body, headers["Content-Encoding"]) == (packed, "gzip")


@pytest.mark.parametrize("accept", ["application/json", "text/x-odd", "image/*;q=0", "*/*", ""])
def test_no_accept_header_is_refused(broker: Process, plugin: Simulated, accept: str) -> None:
    status, headers, _ = broker.ask("GET", V0 + "/x.rpm", headers={"Accept": accept, "X-Answer": told(200)})
    assert (status, headers["Content-Type"]) == (200, None)


@pytest.mark.parametrize("status", [204, 304])
def test_a_status_without_a_body(broker: Process, plugin: Simulated, status: int) -> None:
    answer = told(status, ("ETag", '"x"'), ("Content-Type", "application/json"))
    request = f"GET {V0}/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Answer: {answer}\r\n\r\n"
    raw = broker.raw(request.encode())
    assert raw.startswith(b"HTTP/1.1 %d " % status)
    assert body_of(raw) == b""
    assert b'ETag: "x"' in raw
    assert b"Content-Type: application/json" in raw
    assert b"Transfer-Encoding" not in raw


def test_an_empty_200_stays_a_200(broker: Process, plugin: Simulated) -> None:
    status, headers, body = broker.ask("GET", V0 + "/x", headers={"X-Answer": told(200)})
    assert (status, headers["Content-Length"], body) == (200, "0", b"")


def test_head_has_the_length_and_no_body(broker: Process, plugin: Simulated) -> None:
    answer = told(200, body=b"x" * 1234)
    request = f"HEAD {V0}/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Answer: {answer}\r\n\r\n"
    raw = broker.raw(request.encode())
    assert b"Content-Length: 1234\r\n" in raw
    assert body_of(raw) == b""


def test_a_chunked_answer_streams_on(broker: Process, plugin: Simulated) -> None:
    wanted = {"X-Answer": told(200, body=b"by and by", chunked=True), "X-Fault": "trickle=0.01"}
    status, headers, body = broker.ask("GET", V0 + "/x", headers=wanted)
    assert (status, headers["Transfer-Encoding"], headers["Content-Length"], body) == (
        200,
        "chunked",
        None,
        b"by and by",
    )


def test_a_chunked_answer_to_http_1_0_ends_by_closing(broker: Process, plugin: Simulated) -> None:
    request = f"GET {V0}/x HTTP/1.0\r\nX-Answer: {told(200, body=EVERY_BYTE, chunked=True)}\r\n\r\n"
    raw = broker.raw(request.encode())
    assert body_of(raw) == EVERY_BYTE
    assert b"Transfer-Encoding" not in raw


def test_a_redirect_is_passed_on(broker: Process, plugin: Simulated) -> None:
    answer = told(302, ("Location", "http://elsewhere.example/x"))
    status, headers, _ = broker.ask("GET", V0 + "/x", headers={"X-Answer": answer})
    assert (status, headers["Location"]) == (302, "http://elsewhere.example/x")
    assert len(plugin.asked()) == 1


def test_a_conflict_comes_through_with_its_body(broker: Process, plugin: Simulated) -> None:
    """VF-C retries a DELETE by it."""
    answer = told(409, ("Content-Type", "application/json"), body=b'{"NeutronError": {"type": "NetworkInUse"}}')
    status, _, body = broker.ask("DELETE", V0 + "/t/networks/n", headers={"X-Answer": answer, "Content-Length": "0"})
    assert status == 409
    assert b"InUse" in body


def test_a_large_answer_is_whole(broker: Process, plugin: Simulated) -> None:
    size = 20_000_000
    _, headers, body = broker.ask("GET", V0 + "/x", headers={"X-Fault": f"huge={size}"})
    expected = hashlib.sha256((EVERY_BYTE * 256 * (size // 65536 + 1))[:size]).digest()
    assert (headers["Content-Length"], hashlib.sha256(body).digest()) == (str(size), expected)


def test_early_hints_are_not_the_answer(broker: Process, plugin: Simulated) -> None:
    status, _, body = broker.ask("GET", V0 + "/x", headers={"X-Fault": "early-hints", "X-Answer": told(201, body=b"b")})
    assert (status, body) == (201, b"b")


def test_an_answer_begins_before_it_is_whole(broker: Process, plugin: Simulated) -> None:
    with broker.connect() as sock:
        answer = told(200, body=b"slowly" * 20)
        sock.sendall(f"GET {V0}/x HTTP/1.1\r\nHost: x\r\nX-Fault: trickle=0.2\r\nX-Answer: {answer}\r\n\r\n".encode())
        head = sock.recv(4096)
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert head.count(b"slowly") < 20
