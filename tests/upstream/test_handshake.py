"""TLS towards upstreams, with a real chain of authorities: whom the client trusts, what it presents, how it ends."""

from __future__ import annotations

import os
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Event

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from app.errors import UpstreamRefused, UpstreamTimeout
from app.net import tls
from app.net.tls import Tls
from app.upstream.pool import Pool
from tests.authorities import Authority, Issued, self_signed
from tests.upstream.conftest import (
    CHUNKED,
    REQUEST,
    SOON,
    UNTIL_CLOSE,
    Asker,
    Certificates,
    Conversation,
    MakeAsker,
    Serve,
    Step,
    Upload,
    answer,
    close,
    reads,
    reset,
    resolves,
    until,
    whole,
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("root"), "root")


@pytest.fixture(scope="module")
def intermediate(root: Authority, tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("intermediate"), "intermediate", root)


def trusting(authority: Authority, presented: Issued | None = None) -> Tls:
    pair = (presented.certificate, presented.key) if presented else (None, None)
    return tls.client("upstream", authority.file, True, *pair)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_chain_up_to_a_trusted_root(
    host: str, serve: Serve, make_asker: MakeAsker, root: Authority, intermediate: Authority
) -> None:
    leaf = intermediate.issue()
    upstream = serve([REQUEST, answer(b"a" * 100_000), REQUEST, answer(b"b")], tls=leaf.context())
    ask = make_asker(tls=trusting(root))
    origin = upstream.origin._replace(host=host)
    assert ask(origin).body == b"a" * 100_000
    assert ask(origin).body == b"b"
    assert upstream.count == 1


def test_an_intermediate_may_be_all_that_is_trusted(
    serve: Serve, make_asker: MakeAsker, intermediate: Authority
) -> None:
    upstream = serve([REQUEST, answer(b"hi")], tls=intermediate.issue(chain=False).context())
    assert make_asker(tls=trusting(intermediate))(upstream.origin).body == b"hi"


UNKNOWN = r"set upstream\.ca_file to the authority that signed it, and have the intermediate"
BAD: dict[str, tuple[Callable[[Authority, Path], Issued], str]] = {
    "unknown authority": (lambda _, folder: Authority(folder, "other").issue(), UNKNOWN),
    "self-signed": (lambda _, folder: self_signed(folder), r"self-signed certificate\); " + UNKNOWN),
    "without its intermediate": (lambda signer, _: signer.issue(chain=False), r"local issuer certificate\); " + UNKNOWN),
    "expired": (lambda signer, _: signer.issue(days=(-9, -1)), r"has expired\); renew it\."),
    "not yet valid": (lambda signer, _: signer.issue(days=(1, 9)), r"not yet valid\); wait until it is valid, or set the"),
    "another address": (lambda signer, _: signer.issue(names=["127.0.0.2"]), r"mismatch.*use an address that it is made"),
    "for clients": (lambda signer, _: signer.issue(client=True), r"purpose\); have one issued for servers"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_certificate_is_refused_and_the_error_says_what_to_do(
    name: str, serve: Serve, make_asker: MakeAsker, root: Authority, intermediate: Authority, tmp_path: Path
) -> None:
    made, expected = BAD[name]
    upstream = serve([], tls=made(intermediate, tmp_path).context())
    with pytest.raises(UpstreamRefused, match=rf"certificate of 127.0.0.1 is not trusted \(.*{expected}") as caught:
        make_asker(tls=trusting(root))(upstream.origin)
    assert caught.value.status == 502
    assert upstream.received() == b""


def test_a_certificate_for_a_weak_key(serve: Serve, make_asker: MakeAsker, root: Authority) -> None:
    weak = root.issue("weak", key=rsa.generate_private_key(65537, 1024))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.load_cert_chain(weak.certificate, weak.key)
    upstream = serve([], tls=context)
    with pytest.raises(UpstreamRefused, match=r"key too weak\); have one issued for a longer key"):
        make_asker(tls=trusting(root))(upstream.origin)


def test_a_certificate_for_another_name(serve: Serve, make_asker: MakeAsker, authority: Certificates) -> None:
    upstream = serve([], tls=authority.other)
    with pytest.raises(
        UpstreamRefused, match=r"localhost is not trusted .*mismatch.*use a name that it is made out to"
    ):
        make_asker(tls=authority.trusted)(upstream.origin._replace(host="localhost"))
    assert upstream.received() == b""


@pytest.mark.parametrize("host", ["other.example", "other.example."])
def test_the_name_that_was_asked_for_is_checked_and_sent(
    host: str, serve: Serve, make_asker: MakeAsker, authority: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    named: list[str | None] = []
    context = authority.authority.issue("sni", ["other.example"]).context()
    context.sni_callback = lambda _sock, name, _context: named.append(name)
    upstream = serve([REQUEST, answer(b"hi")], tls=context)
    resolves(monkeypatch, (socket.AF_INET, ("127.0.0.1", upstream.origin.port)))
    assert make_asker(tls=authority.trusted)(upstream.origin._replace(host=host)).body == b"hi"
    assert named == ["other.example"]


def test_unverified_anybody_is_taken(serve: Serve, make_asker: MakeAsker, tmp_path: Path) -> None:
    upstream = serve([REQUEST, answer(b"hi")], tls=self_signed(tmp_path, names=["other.example"]).context())
    assert make_asker(tls=tls.client("upstream", None, False, None, None))(upstream.origin).body == b"hi"


@pytest.mark.parametrize(
    "script", [[b"HTTP/1.1 400 Bad Request\r\n\r\n"], [close], [reset]], ids=["http", "closed", "reset"]
)
def test_no_tls_at_all(script: list[Step], ask: Asker, serve: Serve) -> None:
    upstream = serve(script)
    with pytest.raises(
        UpstreamRefused, match=r"is it served by https|took no connection"
    ):  # the reset may be there first
        ask(upstream.origin._replace(scheme="https"))


def test_tls_that_is_too_old(serve: Serve, make_asker: MakeAsker, authority: Certificates) -> None:
    context = authority.authority.issue("old").context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    upstream = serve([], tls=context)
    with pytest.raises(UpstreamRefused, match=r"PROTOCOL.*it has to speak TLS 1\.2 or newer"):
        make_asker(tls=authority.trusted)(upstream.origin)


# Time.


def test_a_handshake_that_does_not_come(ask: Asker, serve: Serve) -> None:
    upstream = serve([])
    with pytest.raises(UpstreamTimeout, match="TLS handshake in time"):
        ask(upstream.origin._replace(scheme="https"), connect=SOON)
    until(upstream.over)


def test_a_handshake_that_drips_is_bounded_as_a_whole(ask: Asker, serve: Serve) -> None:
    def drip(conversation: Conversation) -> None:
        for byte in b"\x16\x03\x03\x3f\xff" + bytes(400):
            conversation.sock.sendall(bytes([byte]))
            time.sleep(0.02)

    upstream = serve([drip])
    started = time.monotonic()
    with pytest.raises(UpstreamTimeout, match="TLS handshake in time"):
        ask(upstream.origin._replace(scheme="https"), connect=0.3)
    assert time.monotonic() - started < 3


# Client certificates.


VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)


def demanding(leaf: Issued, authority: Authority, version: ssl.TLSVersion) -> ssl.SSLContext:
    context = leaf.context()
    context.maximum_version = version
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.file)
    return context


def subject(conversation: Conversation) -> str:
    assert isinstance(conversation.sock, ssl.SSLSocket)
    presented = conversation.sock.getpeercert() or {}
    return str(dict(pair for part in presented["subject"] for pair in part)["commonName"])


@pytest.mark.parametrize("version", VERSIONS)
def test_a_client_certificate_is_presented_with_its_chain(
    version: ssl.TLSVersion, serve: Serve, make_asker: MakeAsker, root: Authority, intermediate: Authority
) -> None:
    presented: list[str] = []
    upstream = serve(
        [REQUEST, lambda conversation: presented.append(subject(conversation)), answer(b"hi")],
        tls=demanding(intermediate.issue(), root, version),
    )
    assert make_asker(tls=trusting(root, intermediate.issue("broker", client=True)))(upstream.origin).body == b"hi"
    assert presented == ["broker"]


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("version", VERSIONS)
def test_a_client_certificate_is_demanded_and_none_is_set(
    version: ssl.TLSVersion, method: str, serve: Serve, make_asker: MakeAsker, root: Authority, intermediate: Authority
) -> None:
    upstream = serve([], tls=demanding(intermediate.issue(), root, version))
    expected = r"ask for a client certificate .*set upstream\.client_certificate and upstream\.client_key\."
    with pytest.raises(UpstreamRefused, match=expected):
        make_asker(tls=trusting(root))(upstream.origin, method, body=b"x" if method == "POST" else b"")
    assert upstream.received() == b""


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("days", [(-1, 9), (-9, -1)], ids=["unknown authority", "expired"])
def test_a_client_certificate_that_is_not_taken(
    days: tuple[int, int],
    version: ssl.TLSVersion,
    serve: Serve,
    make_asker: MakeAsker,
    root: Authority,
    intermediate: Authority,
    tmp_path: Path,
) -> None:
    signer = intermediate if days[1] < 0 else Authority(tmp_path, "other")
    bad = signer.issue("broker", days=days, client=True)
    upstream = serve([], tls=demanding(intermediate.issue(), root, version))
    expected = r"does not take upstream\.client_certificate \(\w+\); have it renewed or issued anew\."
    with pytest.raises(UpstreamRefused, match=expected):
        make_asker(tls=trusting(root, bad))(upstream.origin)
    assert upstream.received() == b""


def test_an_upload_that_is_refused_for_want_of_a_certificate(
    serve: Serve, make_asker: MakeAsker, root: Authority, intermediate: Authority
) -> None:
    """TLS 1.3: the alert comes while the body is being sent."""
    upstream = serve([], tls=demanding(intermediate.issue(), root, ssl.TLSVersion.TLSv1_3))
    body = Upload(*[b"x" * 65536] * 200, length=200 * 65536)
    with pytest.raises(UpstreamRefused, match=r"set upstream\.client_certificate"):
        make_asker(tls=trusting(root))(upstream.origin, "POST", body=body)


# A renewed context.


def test_a_new_context_is_for_the_next_request(
    serve: Serve, make_asker: MakeAsker, root: Authority, intermediate: Authority
) -> None:
    presented: list[str] = []

    def look(conversation: Conversation) -> None:
        presented.append(subject(conversation))

    script = [REQUEST, look, answer(b"hi")]
    context = demanding(intermediate.issue(), root, ssl.TLSVersion.TLSv1_3)
    upstream = serve([*script, *script], script, tls=context)
    ask = make_asker(tls=trusting(root, intermediate.issue("first", client=True)))
    ask(upstream.origin)
    ask(upstream.origin)
    ask.tls = trusting(root, intermediate.issue("second", client=True))
    ask(upstream.origin)
    assert presented == ["first", "first", "second"]
    until(upstream.over)


# How it ends.


def test_a_pooled_connection_ends_in_order_and_a_cancelled_one_does_not(
    serve: Serve, make_asker: MakeAsker, authority: Certificates
) -> None:
    upstream = serve([REQUEST, answer(b"whole")], [REQUEST, CHUNKED + b"4\r\nhalf\r\n"], tls=authority.local)
    ask = make_asker(Pool(0, 60), tls=authority.trusted)
    assert ask(upstream.origin).body == b"whole"
    ask.open(upstream.origin).close()
    until(lambda: upstream.over(0) and upstream.over(1))
    assert [conversation.cut for conversation in upstream.conversations] == [False, True]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_pooled_connection_that_was_closed_costs_nothing(
    method: str, serve: Serve, make_asker: MakeAsker, authority: Certificates
) -> None:
    """Before the loop has heard of it: what is readable may also be a session ticket."""
    upstream = serve([REQUEST, answer(b"first"), close], [REQUEST, answer(b"second")], tls=authority.local)
    ask = make_asker(tls=authority.trusted)

    def both() -> bytes:
        assert whole(ask.send(upstream.origin)).body == b"first"
        upstream.wait()
        return whole(ask.send(upstream.origin, method)).body

    assert ask.run(both) == b"second"
    assert not ask.retries


# Bodies: TLS takes and gives records of 16 KiB, and may hold what `poll` does not see.


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("framing", ["length", "chunked", "until close"])
def test_a_large_body_arrives_unchanged(
    framing: str, version: ssl.TLSVersion, serve: Serve, make_asker: MakeAsker, authority: Certificates
) -> None:
    body = os.urandom(5_000_000)
    script: dict[str, list[Step]] = {
        "length": [answer(body)],
        "chunked": [CHUNKED, b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)],
        "until close": [UNTIL_CLOSE + body, lambda conversation: _end(conversation)],
    }
    context = authority.authority.issue("large").context()
    context.maximum_version = version
    upstream = serve([REQUEST, *script[framing]], tls=context)
    assert make_asker(tls=authority.trusted)(upstream.origin).body == body


def _end(conversation: Conversation) -> None:
    assert isinstance(conversation.sock, ssl.SSLSocket)
    with suppress(OSError):
        conversation.sock.unwrap()


@pytest.mark.parametrize("length", [5_000_000, None], ids=["length", "chunked"])
def test_a_large_upload_to_a_slow_reader_arrives_unchanged(
    length: int | None, serve: Serve, make_asker: MakeAsker, authority: Certificates
) -> None:
    body = os.urandom(5_000_000)
    go = Event()

    def small(conversation: Conversation) -> None:
        conversation.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)

    upstream = serve([small, REQUEST, go, reads(body[-64:]), answer(b"got it")], tls=authority.local)
    pieces = [body[start : start + 100_000] for start in range(0, len(body), 100_000)]
    ask = make_asker(tls=authority.trusted)
    upload = Upload(*pieces, length=length)
    task = ask.begin(upstream.origin, "POST", body=upload)
    until(lambda: upload.taken > 0)
    go.set()
    assert task.result().body == b"got it"
    sent = upstream.received().partition(b"\r\n\r\n")[2]
    assert (sent if length else _unchunked(sent)) == body


def _unchunked(sent: bytes) -> bytes:
    pieces = []
    while sent:
        size, _, sent = sent.partition(b"\r\n")
        pieces.append(sent[: int(size, 16)])
        sent = sent[int(size, 16) + 2 :]
    return b"".join(pieces)


@pytest.mark.parametrize("step", [1, 7, 16384, 16385])
def test_records_of_every_size(step: int, serve: Serve, make_asker: MakeAsker, authority: Certificates) -> None:
    body = os.urandom(3000 if step < 10 else 1_000_000)
    whole_answer = answer(body)
    records: list[Step] = [whole_answer[start : start + step] for start in range(0, len(whole_answer), step)]
    upstream = serve([REQUEST, *records], tls=authority.local)
    assert make_asker(tls=authority.trusted)(upstream.origin).body == body
