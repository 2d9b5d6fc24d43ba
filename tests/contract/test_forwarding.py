"""Requests reach the plugin as they were sent (contract, section 5)."""

from __future__ import annotations

import gzip
import hashlib
import socket

import pytest

from tests.conftest import Process, read_all
from tests.contract.conftest import BASE, V0, V1, Simulated, of

OUR_OWN = {
    "host", "x-onap-requestid", "x-invocationid", "x-onap-invocationid",
    "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "via",
}  # fmt: skip
END = b"Connection: close\r\n\r\n"


def only(plugin: Simulated) -> dict:
    asked = plugin.asked()
    assert len(asked) == 1, asked
    return asked[0]


@pytest.mark.parametrize(
    "rest",
    [
        "/a%2Fb",
        "//double//slashes",
        "/%FF%00",
        "?name=multicloud-x",
        "/x?a=b&a=c;d&%zz&e==",
        "/api/multicloud/again",
        "/t/servers/",
        "/semi;colon=1",
        "/x?/../y",
        "/file.txt",
        "/file.rpm?x=%2F..%2F",
        "/a'b(c)*!$,~_-.html",
        "/" + "long" * 500,
    ],
)
def test_the_target_goes_on_byte_for_byte(broker: Process, plugin: Simulated, rest: str) -> None:
    broker.raw(f"GET {V0}{rest} HTTP/1.1\r\nHost: x\r\n".encode() + END)
    assert only(plugin)["target"] == f"/api/multicloud-vio/v0/vmware_fake{rest}"


@pytest.mark.parametrize(
    "rest",
    ["/..", "/../x", "/./x", "/%2e%2E/x", "/a%2F..%2Fb", "/..;x/y", "/a\\..\\b", "/%5c..", "/.;", "/.%2e", "/x/.."],
)
def test_dot_segments_are_refused(broker: Process, plugin: Simulated, rest: str) -> None:
    status, _, body = broker.ask("GET", V0 + rest)
    assert (status, plugin.asked()) == (400, []), body


@pytest.mark.parametrize("byte", [b"\xff", b"\x7f", b"#", b"\x80"])
def test_bytes_that_no_target_may_hold_are_refused(broker: Process, plugin: Simulated, byte: bytes) -> None:
    answer = broker.raw(b"GET %b/x%by HTTP/1.1\r\nHost: x\r\n" % (V0.encode(), byte) + END)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert plugin.asked() == []


METHODS = """DELETE GET HEAD POST PUT OPTIONS COPY LOCK MKCOL MOVE PROPFIND PROPPATCH SEARCH UNLOCK BIND REBIND UNBIND
ACL REPORT MKACTIVITY CHECKOUT MERGE M-SEARCH NOTIFY SUBSCRIBE UNSUBSCRIBE PATCH PURGE MKCALENDAR LINK UNLINK""".split()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("where", [V0, V1])
def test_every_method_is_forwarded(broker: Process, plugin: Simulated, method: str, where: str) -> None:
    answer = broker.raw(f"{method} {where}/anything HTTP/1.1\r\nHost: x\r\n".encode() + END)
    assert answer.startswith(b"HTTP/1.1 200 "), answer
    assert only(plugin)["method"] == method


@pytest.mark.parametrize("method", ["CONNECT", "TRACE", "BREW", "get"])
def test_other_methods_are_not_implemented(broker: Process, plugin: Simulated, method: str) -> None:
    answer = broker.raw(f"{method} {V0}/x HTTP/1.1\r\nHost: x\r\n".encode() + END)
    assert answer.startswith((b"HTTP/1.1 501 ", b"HTTP/1.1 400 ")), answer
    assert plugin.asked() == []


def test_headers_go_on_in_their_order_and_spelling(broker: Process, plugin: Simulated) -> None:
    sent = [
        ("x-LOWER-Upper", "1"),
        ("Accept", "application/x-odd"),
        ("X-Twice", "a"),
        ("Authorization", "Basic dXNlcjpwYXNz"),
        ("X-Twice", "b"),
        ("Cookie", "a=1"),
        ("Cookie", "b=2"),
        ("X-Latin", "caf\xe9"),
        ("X_Under", "kept"),
        ("Accept-Encoding", "gzip, br"),
        ("Project", "p"),
        ("X-Auth-Token", "t"),
    ]
    lines = "".join(f"{name}: {value}\r\n" for name, value in sent).encode("latin-1")
    broker.raw(f"GET {V0}/x HTTP/1.1\r\nHost: client.example\r\n".encode() + lines + END)
    record = only(plugin)
    assert [(name, value) for name, value in record["headers"] if name.lower() not in OUR_OWN] == [
        (name, value) for name, value in sent
    ]
    assert of(record, "Host") == [f"127.0.0.1:{plugin.port}"]


def test_hop_by_hop_headers_stay_here(broker: Process, plugin: Simulated) -> None:
    hop = b"Connection: X-Named, close\r\nX-Named: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\nUpgrade: h2c\r\nProxy-Connection: x\r\n"
    broker.raw(f"GET {V0}/x HTTP/1.1\r\nHost: x\r\n".encode() + hop + b"X-Stays: 1\r\n\r\n")
    names = {name.lower() for name, _ in only(plugin)["headers"]}
    assert names & {"connection", "x-named", "keep-alive", "te", "upgrade", "proxy-connection"} == set()
    assert "x-stays" in names


@pytest.mark.parametrize("size", [0, 1, 65536, 3_000_000])
def test_a_body_with_a_length(broker: Process, plugin: Simulated, size: int) -> None:
    body = bytes(range(256)) * (size // 256 + 1)
    broker.ask("PUT", V0 + "/x", body[:size], {"Content-Type": "application/octet-stream"})
    record = only(plugin)
    assert (record["length"], record["sha256"]) == (size, hashlib.sha256(body[:size]).hexdigest())
    assert of(record, "Content-Length") == [str(size)]


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_a_chunked_body_split_anywhere(broker: Process, plugin: Simulated, step: int) -> None:
    body = bytes(range(256)) * 8
    chunks = b"".join(b"%x;ext=1\r\n%b\r\n" % (len(p), p) for p in (body[i : i + 97] for i in range(0, len(body), 97)))
    data = f"POST {V0}/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n".encode() + END + chunks + b"0\r\n\r\n"
    with broker.connect() as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(0, len(data), step):
            sock.sendall(data[at : at + step])
        assert read_all(sock).startswith(b"HTTP/1.1 200 ")
    record = only(plugin)
    assert (record["body"], of(record, "Transfer-Encoding")) == (body, ["chunked"])


def test_a_trailer_is_never_a_header(broker: Process, plugin: Simulated) -> None:
    broker.raw(
        f"POST {V0}/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n".encode()
        + END
        + b"3\r\nabc\r\n0\r\nX-Trailer: 1\r\n\r\n"
    )
    record = only(plugin)
    assert (record["body"], of(record, "X-Trailer")) == (b"abc", [])


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_content_length_of_zero_stays(broker: Process, plugin: Simulated, method: str) -> None:
    """VF-C sends it with GET and DELETE."""
    broker.raw(f"{method} {V0}/x HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n".encode() + END)
    assert of(only(plugin), "Content-Length") == ["0"]


def test_no_body_is_made_up(broker: Process, plugin: Simulated) -> None:
    broker.ask("GET", V0 + "/x")
    record = only(plugin)
    assert of(record, "Content-Length") + of(record, "Transfer-Encoding") == []


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b'{"a": \xff broken'),
        ("application/json", b"form=text&labelled=json"),
        ("application/x-www-form-urlencoded", b"a=1&b=%zz"),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data; name=f\r\n\r\n\x00\xff\r\n--x--\r\n"),
        ("application/json; charset=utf-16", '{"a": 1}'.encode("utf-16")),
        ("no type at all", gzip.compress(b"x" * 1000, mtime=0)),
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", [V0 + "/registry", V1 + "/infra_workload", V0 + "/t/servers"])
def test_a_body_is_never_parsed(broker: Process, plugin: Simulated, content_type: str, body: bytes, path: str) -> None:
    broker.ask("POST", path, body, {"Content-Type": content_type})
    record = only(plugin)
    assert (record["body"], of(record, "Content-Type")) == (body, [content_type])


def test_expect_100_continue_is_answered_here(broker: Process, plugin: Simulated) -> None:
    with broker.connect() as sock:
        sock.sendall(f"POST {V0}/x HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n".encode() + END)
        assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(b"abc")
        assert read_all(sock).startswith(b"HTTP/1.1 200 ")
    record = only(plugin)
    assert (record["body"], of(record, "Expect")) == (b"abc", [])


def test_a_request_that_is_refused_asks_for_no_body(broker: Process) -> None:
    with broker.connect() as sock:
        sock.sendall(
            f"POST {BASE}/v0/nounderscore HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"
            "Expect: 100-continue\r\nConnection: close\r\n\r\n".encode()
        )
        assert read_all(sock).startswith(b"HTTP/1.1 400 ")


def test_http_1_0_and_its_lack_of_a_host(broker: Process, plugin: Simulated) -> None:
    answer = broker.raw(f"GET {V0}/x HTTP/1.0\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert only(plugin)["target"].endswith("/x")


def test_pipelined_requests_are_answered_in_order(broker: Process, plugin: Simulated) -> None:
    slow = f"GET {V0}/slow HTTP/1.1\r\nHost: x\r\nX-Fault: delay=0.3\r\n\r\n"
    types = f"GET {BASE}/v0/vim_types HTTP/1.1\r\nHost: x\r\n\r\n"
    last = f"GET {V0}/last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answer = broker.raw((slow + types + last).encode())
    assert answer.index(b"v0/vmware_fake/slow") < answer.index(b"vim_type") < answer.index(b"v0/vmware_fake/last")


def test_the_request_id_and_the_invocation_ids(broker: Process, plugin: Simulated) -> None:
    sent = {"X-ONAP-RequestID": "id-of-so", "X-InvocationID": "inv-1", "X-ONAP-InvocationID": "inv-2"}
    _, headers, _ = broker.ask("GET", V0 + "/x", headers=sent)
    record = only(plugin)
    assert headers.get_all("X-ONAP-RequestID") == of(record, "X-ONAP-RequestID") == ["id-of-so"]
    (invocation,) = of(record, "X-InvocationID")
    assert of(record, "X-ONAP-InvocationID") == [invocation]
    assert invocation not in sent.values()


@pytest.mark.parametrize("name", ["X-RequestID", "X-TransactionID", "X-ECOMP-RequestID"])
def test_an_id_under_another_name_is_the_requests(broker: Process, plugin: Simulated, name: str) -> None:
    _, headers, _ = broker.ask("GET", V0 + "/x", headers={name: "mine"})
    assert (of(only(plugin), name), headers["X-ONAP-RequestID"]) == (["mine"], "mine")


def test_a_request_without_an_id_gets_one(broker: Process, plugin: Simulated) -> None:
    _, headers, _ = broker.ask("GET", V0 + "/x")
    assert of(only(plugin), "X-ONAP-RequestID") == [headers["X-ONAP-RequestID"]]
    assert len(headers["X-ONAP-RequestID"]) == 36


def test_connections_to_the_plugin_are_kept(broker: Process, plugin: Simulated) -> None:
    """One client on one connection reaches one worker, whose pool has its connection."""
    request = f"GET {V0}/x HTTP/1.1\r\nHost: x\r\n".encode()
    answer = broker.raw((request + b"\r\n") * 20 + request + END)
    assert answer.count(b"HTTP/1.1 200 OK") == 21
    assert len(plugin.asked()) == 21


@pytest.mark.parametrize("sent", [["x" * 200], ["first", "second"], [""]])
def test_there_is_one_request_id_whatever_was_sent(broker: Process, plugin: Simulated, sent: list[str]) -> None:
    lines = "".join(f"X-ONAP-RequestID: {value}\r\n" for value in sent).encode()
    answer = broker.raw(f"GET {V0}/x HTTP/1.1\r\nHost: x\r\n".encode() + lines + END)
    (passed_on,) = of(only(plugin), "X-ONAP-RequestID")
    assert f"X-ONAP-RequestID: {passed_on}\r\n".encode() in answer
    assert passed_on in ("second", passed_on if len(passed_on) == 36 else "second")
