"""Who may call: inbound authentication, by passwords and by tokens (contract, section 5; RFC 7617, 6750)."""

from __future__ import annotations

import base64
import contextlib
import http.client
import http.server
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.auth.conftest import AUDIENCE, ISSUER, Issuer, basic, compact
from tests.conftest import FRAMEWORKS, Process, a_broker, children, read_all
from tests.contract.callers import BASIC_ON, BEARER_ON, PROBES, RIGHT, TOKENS, TYPES, ask, users
from tests.contract.conftest import BASE, V0, V1, Simulated, of
from tests.contract.test_failures import error_of


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture(scope="module")
def guarded(scene: dict[str, str], issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A broker with both schemes under each framework."""
    folder = tmp_path_factory.mktemp("auth")
    jwks = folder / "jwks.json"
    jwks.write_bytes(issuer.jwks("rsa", "p256"))
    settings = {
        **scene,
        **TOKENS,
        "BROKER_AUTH_BASIC_FILE": users(folder / "users", alice="pass:word", Zoë="пароль"),
        "BROKER_AUTH_JWKS_FILE": str(jwks),
    }
    with contextlib.ExitStack() as stack:
        yield {name: stack.enter_context(a_broker(name, 2, **settings)) for name in FRAMEWORKS}


@pytest.fixture
def closed(guarded: dict[str, Process], framework: str) -> Process:
    return guarded[framework]


@pytest.mark.parametrize("user", [b"alice", "Zoë".encode()])
@pytest.mark.parametrize("scheme", ["Basic", "basic", "BASIC  "])
def test_a_right_password(closed: Process, user: bytes, scheme: str) -> None:
    password = b"pass:word" if user == b"alice" else "пароль".encode()
    for _ in range(4):  # verified by one worker, then the other, then remembered
        assert ask(closed, f"{scheme} {basic(user, password).decode()}") == (200, [])


@pytest.mark.parametrize(
    "token",
    [
        basic(b"alice", b"wrong"),
        basic(b"alice", b""),
        basic(b"nobody", b"pass:word"),
        basic(b"", b"pass:word"),
        basic(b"", b""),
        basic(b"alice", b"x" * 72),
        basic(b"alice", b"x" * 73),
        basic(b"alice", b"x" * 5000),
        basic(b"nobody", b"x" * 5000),
        basic(b"Zo\xeb", b"x"),
        basic(b"alice", b"pass:word\0"),
        base64.b64encode(b"no colon"),
        b"!",
        b"YWxpY2U6cGFzczp3b3Jk===",
        b"",
    ],
)
def test_a_wrong_password_and_what_is_none(closed: Process, token: bytes) -> None:
    headers = {"Authorization": b"Basic " + token, "X-ONAP-RequestID": "mine"}
    for _ in range(2):  # also once it is remembered
        status, answer, body = closed.ask("GET", TYPES, headers=headers)  # type: ignore[arg-type]
        error = error_of(body)
        assert (status, error["code"], error["reason"], error["request_id"]) == (401, 401, "Unauthorized", "mine")
        assert answer.get_all("WWW-Authenticate") == [BASIC_ON, BEARER_ON]
        assert answer["Content-Type"] == "application/json"


@pytest.mark.parametrize("path", [TYPES, V0 + "/x", V1 + "/x", f"{BASE}/v0/bad", "/nothing", "/metrics", f"{BASE}/v0"])
def test_without_credentials_no_path_tells_of_itself(closed: Process, plugin: Simulated, path: str) -> None:
    for method in ("GET", "POST", "DELETE", "OPTIONS", "HEAD"):
        assert ask(closed, None, path, method) == (401, [BASIC_ON, BEARER_ON])
    assert plugin.asked() == []


def test_a_scheme_that_is_none_of_ours(closed: Process) -> None:
    for value in ("", "Digest x", "Basic\tYTpi", "Negotiate YII=", "alice:pass:word", "Basic YTpi, Bearer x", "\xff"):
        assert ask(closed, value) == (401, [BASIC_ON, BEARER_ON])


def test_a_valid_token(closed: Process, issuer: Issuer) -> None:
    tokens = [
        issuer.token(),
        issuer.token("p256", "ES256"),
        issuer.token(aud=["x", AUDIENCE]),
        issuer.token(alg="PS384"),
    ]
    for token in tokens * 2:
        for scheme in ("Bearer", "bearer", "BEARER "):
            assert ask(closed, f"{scheme} {token}") == (200, [])


def forged(issuer: Issuer) -> Iterator[tuple[str, str]]:
    """What is no valid token, and how it is called."""
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "vid", "exp": now + 600}
    other = Issuer()
    expired, early = "The token has expired.", "The token is not valid yet."
    signature = "The token's signature is not right."
    unknown = "The token names no key and algorithm that are known here."
    yield issuer.token(exp=now - 60), expired
    yield issuer.token(nbf=now + 600), early
    yield issuer.token(iss="https://evil.example"), "The token is of another issuer."
    yield issuer.token(aud="other"), "The token is for another audience."
    yield issuer.token(aud=["other", "third"]), "The token is for another audience."
    yield issuer.token(exp=None), "The token lacks one of the claims exp, iss and aud."
    yield other.token(), signature
    yield issuer.token(header={"kid": "unknown"}), unknown
    yield issuer.token(header={"kid": "../../../../dev/null"}), unknown
    yield issuer.token("p256", "ES256", {"kid": "rsa"}), unknown
    yield issuer.sign("p384", "ES384", {"kid": None}, {}), unknown
    yield (
        compact({"alg": "none", "typ": "JWT"}, claims, b"").rstrip("."),
        "The token is no signed JWT of at most 16384 bytes.",
    )
    yield compact({"alg": "none", "kid": "rsa"}, claims), unknown
    yield compact({"alg": "HS256", "kid": "rsa"}, claims), unknown
    yield "a.b.c", "The token is not valid."
    yield "x" * 60_000, "The token is no signed JWT of at most 16384 bytes."


def test_a_token_that_is_not_valid_is_told_why(closed: Process, issuer: Issuer) -> None:
    for token, why in forged(issuer):
        challenge = f'{BEARER_ON}, error="invalid_token", error_description="{why}"'
        assert ask(closed, f"Bearer {token}") == (401, [BASIC_ON, challenge]), token


def test_a_token_larger_than_a_header_may_be(closed: Process) -> None:
    assert ask(closed, "Bearer " + "x" * 65536)[0] == 431


@pytest.mark.parametrize("second", [RIGHT, "", "Bearer x"])
def test_two_authorizations_are_a_bad_request(closed: Process, plugin: Simulated, second: str) -> None:
    request = f"GET {V0}/x HTTP/1.1\r\nHost: x\r\nAuthorization: {RIGHT}\r\nauthorization: {second}\r\nConnection: close\r\n\r\n"
    assert closed.raw(request.encode()).startswith(b"HTTP/1.1 400 ")
    assert plugin.asked() == []


def test_probes_and_swagger_are_for_everybody(closed: Process) -> None:
    for authorization in (None, "Basic garbage", "Bearer x"):
        for path in (
            *PROBES,
            *(f"{probe}?verbose" for probe in PROBES),
            *(f"{BASE}/{v}/swagger.json" for v in ("v0", "v1")),
        ):
            for method in ("GET", "HEAD"):
                assert ask(closed, authorization, path, method) == (200, [])
    for path in (
        f"{BASE}/v0/swagger.json/",
        f"{BASE}/v0//swagger.json",
        f"{BASE}/v0/swagger%2Ejson",
        "/livez/",
        "/livez/../metrics",
    ):
        assert ask(closed, None, path)[0] == 401
    assert ask(closed, RIGHT, "/metrics")[0] == 200


def test_what_is_exempt_is_an_option(framework: str, tmp_path: Path) -> None:
    exempt = {
        "BROKER_AUTH_EXEMPT_SWAGGER": "false",
        "BROKER_AUTH_EXEMPT_METRICS": "true",
        "BROKER_AUTH_REALM": "my own",
    }
    with a_broker(framework, BROKER_AUTH_BASIC_FILE=users(tmp_path / "u", alice="x"), **exempt) as broker:
        assert ask(broker, None, f"{BASE}/v0/swagger.json") == (401, ['Basic realm="my own", charset="UTF-8"'])
        assert [ask(broker, None, path)[0] for path in ("/metrics", *PROBES)] == [200] * 5
        assert ask(broker, "Bearer a.b.c")[0] == 401  # no set of keys, no tokens


@pytest.mark.parametrize("scheme", ["Basic", "Bearer"])
def test_a_caller_reaches_plugins_and_his_authorization_does_not(
    closed: Process, plugin: Simulated, issuer: Issuer, scheme: str
) -> None:
    authorization = RIGHT if scheme == "Basic" else f"Bearer {issuer.token()}"
    headers = {"aUthorization": authorization, "X-Auth-Token": "of-the-plugin", "Connection": "Authorization"}
    for path in (V0 + "/x", V1 + "/x"):
        assert closed.ask("PUT", path, b"body", headers)[0] == 200
    for record in plugin.asked():
        assert (of(record, "Authorization"), of(record, "X-Auth-Token")) == ([], ["of-the-plugin"])
        assert authorization not in repr(record)
    assert len(plugin.asked()) == 2


def test_by_choice_plugins_get_the_authorization(
    framework: str, scene: dict[str, str], plugin: Simulated, tmp_path: Path
) -> None:
    file = users(tmp_path / "users", alice="pass:word")
    settings = {"BROKER_AUTH_BASIC_FILE": file, "BROKER_AUTH_FORWARD_AUTHORIZATION": "true"}
    with a_broker(framework, **scene, **settings) as broker:
        assert ask(broker, RIGHT, V0 + "/x")[0] == 200
        assert ask(broker, None, V0 + "/x")[0] == 401
    assert [of(record, "Authorization") for record in plugin.asked()] == [[RIGHT]]


@pytest.mark.parametrize("value", ["Basic garbage!", "Bearer x", "Basic YTpi", "", "Own a b=c"])
def test_without_authentication_it_goes_through_and_own_endpoints_ignore_it(
    broker: Process, plugin: Simulated, value: str
) -> None:
    assert [ask(broker, value, path) for path in (TYPES, V0 + "/x", "/metrics")] == [(200, [])] * 3
    assert [of(record, "Authorization") for record in plugin.asked()] == [[value]]


def test_without_authentication_even_two_of_them_go_through(broker: Process, plugin: Simulated) -> None:
    broker.raw(
        f"GET {V0}/x HTTP/1.1\r\nHost: x\r\nAuthorization: a\r\nauthorization: b\r\nConnection: close\r\n\r\n".encode()
    )
    assert next(record["headers"] for record in plugin.asked()).count(["Authorization", "a"]) == 1
    assert of(plugin.asked()[0], "Authorization") == ["a", "b"]


def test_the_access_line_names_the_caller(framework: str, tmp_path: Path) -> None:
    with a_broker(framework, BROKER_AUTH_BASIC_FILE=users(tmp_path / "users", alice="pass:word")) as broker:
        ask(broker, RIGHT)
        ask(broker, None)
        assert broker.end() == 0
    lines = [(line.get("user"), line["status"]) for line in broker.log() if line["logger"] == "access"]
    assert lines == [("alice", 200), (None, 401)]


def test_who_does_not_authenticate_pays_for_no_library(closed: Process, broker: Process) -> None:
    """PyJWT and bcrypt are 15 MiB and 70 ms of a start."""
    for process, loaded in ((closed, True), (broker, False)):
        for pid in (process.popen.pid, *children(process.popen.pid)):
            maps = Path(f"/proc/{pid}/maps").read_text()
            assert ("/bcrypt/" in maps, "/cryptography/" in maps) == (loaded, loaded)


# Requests with a body: it is not read, and the connection ends in order.

LARGE = 100 << 20


def test_a_large_upload_is_refused_at_once(closed: Process, plugin: Simulated) -> None:
    with closed.connect() as sock:
        sock.sendall(f"PUT {V0}/x HTTP/1.1\r\nHost: x\r\nContent-Length: {LARGE}\r\n\r\n".encode())
        sent = 0
        with contextlib.suppress(ConnectionError):
            while sent < LARGE:
                sent += sock.send(b"x" * 65536)
                if sent > 1 << 20 and _answered(sock):
                    break
        answer = read_all(sock)
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b"\r\nConnection: close\r\n" in answer
    assert (sent < 16 << 20, plugin.asked()) == (True, [])


def _answered(sock: socket.socket) -> bool:
    sock.setblocking(False)
    try:
        return bool(sock.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return False
    finally:
        sock.settimeout(10)


def test_who_waits_for_a_100_gets_the_401_instead(closed: Process, plugin: Simulated) -> None:
    request = f"PUT {V0}/x HTTP/1.1\r\nHost: x\r\nContent-Length: {LARGE}\r\nExpect: 100-continue\r\n"
    answer = closed.raw(f"{request}\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b"\r\nConnection: close\r\n" in answer
    assert plugin.asked() == []
    with closed.connect() as sock:
        sock.sendall(f"{request.replace(str(LARGE), '4')}Authorization: {RIGHT}\r\nConnection: close\r\n\r\n".encode())
        assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(b"body")
        assert read_all(sock).startswith(b"HTTP/1.1 200 ")


def test_a_small_body_costs_no_connection_and_a_head_has_none(closed: Process) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", closed.port, timeout=10)
    with contextlib.closing(connection):
        for method, body in (("POST", b"small"), ("HEAD", None), ("GET", None), ("POST", b"x" * 65536)):
            connection.request(method, TYPES, body)
            answer = connection.getresponse()
            assert (answer.status, bool(answer.read())) == (401, method != "HEAD")
            assert answer.headers["Connection"] is None
            assert connection.sock is not None
