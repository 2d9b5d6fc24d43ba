"""What callers are verified by: files that change, and a set of keys with a URL."""

from __future__ import annotations

import ssl
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.auth.conftest import Issuer, basic
from tests.conftest import a_broker, until
from tests.contract.callers import RIGHT, TOKENS, TYPES, Flood, KeyServer, ask, users
from tests.contract.conftest import Simulated
from tests.contract.test_failures import error_of


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Of localhost, signed by itself, and its key."""
    folder = tmp_path_factory.mktemp("issuer")
    crt, key = str(folder / "crt"), str(folder / "key")
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    names = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
    subprocess.run(
        ["openssl", "req", "-x509", *curve, *names, "-keyout", key, "-out", crt], check=True, capture_output=True
    )
    return crt, key


def test_a_changed_file_counts_and_a_bad_one_does_not(framework: str, tmp_path: Path) -> None:
    file = tmp_path / "users"
    first, second = ("Basic " + basic(b"alice", word).decode() for word in (b"pass:word", b"new"))
    with a_broker(framework, 2, BROKER_AUTH_BASIC_FILE=users(file, alice="pass:word")) as broker:

        def counts(authorization: str, status: int) -> bool:
            """On connections that are open at the same time, which both workers have some of."""
            request = f"GET {TYPES} HTTP/1.1\r\nHost: x\r\nAuthorization: {authorization}\r\n\r\n".encode()
            with ExitStack() as stack:
                for sock in [stack.enter_context(broker.connect()) for _ in range(8)]:
                    sock.sendall(request)
                    if int(sock.recv(65536).split()[1]) != status:
                        return False
            return True

        assert counts(first, 200)
        users(file, alice="new")
        until(lambda: counts(second, 200))  # each worker by itself
        assert counts(first, 401)
        file.write_text("alice:plain-text-secret\n")
        broker.read_until("stays as it was loaded before: .*line 1 holds no bcrypt hash")
        assert counts(second, 200)
        file.unlink()
        broker.read_until("stays as it was loaded before: .*No such file")
        assert counts(second, 200)
        users(file, bob="b")
        until(lambda: counts(second, 401))
        assert broker.end() == 0
    assert "plain-text-secret" not in "".join(broker.lines)


def test_a_key_that_is_renewed_in_its_file(framework: str, issuer: Issuer, tmp_path: Path) -> None:
    file = tmp_path / "jwks"
    file.write_bytes(issuer.jwks("rsa"))
    old, new = f"Bearer {issuer.token()}", f"Bearer {issuer.token('p256', 'ES256')}"
    with a_broker(framework, **TOKENS, BROKER_AUTH_JWKS_FILE=str(file)) as broker:
        assert [ask(broker, token)[0] for token in (old, new)] == [200, 401]
        file.write_bytes(issuer.jwks("rsa", "p256"))
        until(lambda: ask(broker, new)[0] == 200)
        assert ask(broker, old)[0] == 200
        file.write_bytes(b"garbage")
        broker.read_until("stays as it was loaded before: .*of no use")
        assert [ask(broker, token)[0] for token in (old, new)] == [200, 200]
        file.write_bytes(issuer.jwks("p256"))
        until(lambda: ask(broker, old)[0] == 401)
        assert ask(broker, new)[0] == 200


@pytest.mark.parametrize(
    ("environ", "text", "wrong"),
    [
        ({"BASIC_FILE": "file"}, "alice:secret", r"auth\.basic_file: .*line 1 holds no bcrypt hash; make one by"),
        ({"BASIC_FILE": "file"}, "", r"auth\.basic_file: .*holds no user"),
        ({"JWKS_FILE": "file", "JWT_ISSUER": "i", "JWT_AUDIENCE": "a"}, "secret", r"auth\.jwks_file: .*of no use"),
        ({"JWKS_FILE": "file"}, "secret", r"auth\.jwks_file is .* set it with auth\.jwt_issuer"),
        ({"JWKS_URL": "ftp://secret", "JWT_ISSUER": "i", "JWT_AUDIENCE": "a"}, "", r"auth\.jwks_url is 'ftp"),
        ({"JWT_ISSUER": "i"}, "", r"auth\.jwt_issuer is 'i' .* set it with"),
    ],
)
def test_what_is_wrong_ends_the_start(environ: dict[str, str], text: str, wrong: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text(text)
    settings = {
        f"BROKER_AUTH_{name}": str(tmp_path / value) if value == "file" else value for name, value in environ.items()
    }
    with pytest.raises(AssertionError, match=wrong) as caught, a_broker(**settings):
        pass
    assert "secret" not in str(caught.value).replace("ftp://secret", "")


@pytest.fixture
def key_server(issuer: Issuer) -> Iterator[KeyServer]:
    server = KeyServer(issuer.jwks("rsa"))
    yield server
    server.close()


def by_url(server: KeyServer, **settings: str) -> Mapping[str, str]:
    return {
        **TOKENS,
        "BROKER_AUTH_JWKS_URL": server.url,
        **{f"BROKER_AUTH_{key}": value for key, value in settings.items()},
    }


def test_keys_are_fetched_and_a_new_one_is_found_when_it_is_named(
    framework: str, issuer: Issuer, key_server: KeyServer
) -> None:
    with a_broker(framework, **by_url(key_server)) as broker:
        broker.read_until("a key set from .*: 1 keys")
        for number in range(20):
            assert ask(broker, f"Bearer {issuer.token(sub=f's{number}')}")[0] == 200
        assert key_server.asked == ["/certs?x=1"]
        key_server.text = issuer.jwks("p256")
        new = f"Bearer {issuer.token('p256', 'ES256')}"
        assert ask(broker, new)[0] == 200
        assert ask(broker, f"Bearer {issuer.token()}")[0] == 401
        for number in range(50):
            token = issuer.token(header={"kid": f"k{number}"})
            assert ask(broker, f"Bearer {token}")[0] == 401
        assert len(key_server.asked) == 2
        assert ask(broker, new)[0] == 200


@pytest.mark.parametrize("status", [302, 404, 500])
def test_an_issuer_that_fails_ends_nothing_that_works(
    framework: str, issuer: Issuer, key_server: KeyServer, status: int
) -> None:
    token = f"Bearer {issuer.token()}"
    with a_broker(framework, **by_url(key_server)) as broker:
        until(lambda: ask(broker, token)[0] == 200)
        key_server.status = status
        assert ask(broker, f"Bearer {issuer.token(header={'kid': 'other'})}")[0] == 401
        broker.read_until(f"no key set from http://localhost:.*: it answered {status}; what was known before stays")
        assert ask(broker, token)[0] == 200
        assert ask(broker, f"Bearer {issuer.token(sub='new')}")[0] == 200
    assert "/elsewhere" not in key_server.asked


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"garbage", "Expecting value"),
        (b'{"keys": []}', "no public key"),
        (b"[" * 200_000, "nested too deeply"),
        (b" " * (1 << 20), "longer than 262144 bytes"),
    ],
    ids=["garbage", "no key", "nested", "huge"],
)
def test_until_there_are_keys_tokens_are_a_503_and_all_else_works(
    framework: str, issuer: Issuer, key_server: KeyServer, tmp_path: Path, text: bytes, why: str
) -> None:
    good, key_server.text = key_server.text, text
    token = f"Bearer {issuer.token()}"
    file = users(tmp_path / "users", alice="pass:word")
    with a_broker(framework, **by_url(key_server, BASIC_FILE=file)) as broker:
        status, headers, body = broker.ask("GET", TYPES, headers={"Authorization": token})
        assert (status, headers["Retry-After"], error_of(body)["code"]) == (503, "5", 503)
        broker.read_until(f"no key set from .*{why}")
        assert [ask(broker, RIGHT)[0], ask(broker, None)[0], ask(broker, "Bearer x")[0]] == [200, 401, 401]
        key_server.text = good
        until(lambda: ask(broker, token)[0] == 200)


def test_an_issuer_that_does_not_answer_holds_no_request_for_long(
    framework: str, issuer: Issuer, key_server: KeyServer, tmp_path: Path
) -> None:
    """A flood of tokens with unknown keys meanwhile: all are answered, and others go on."""
    token = f"Bearer {issuer.token()}"
    file = users(tmp_path / "users", alice="pass:word")
    with a_broker(framework, **by_url(key_server, BASIC_FILE=file, JWKS_TIMEOUT="1.5")) as broker:
        until(lambda: ask(broker, token)[0] == 200)
        assert ask(broker, RIGHT)[0] == 200
        asked = len(key_server.asked)
        key_server.hold.clear()
        unknown = f"Bearer {issuer.token(header={'kid': 'other'})}"
        with Flood(broker, 100, lambda _: unknown) as flood:
            until(lambda: len(key_server.asked) > asked)
            for authorization, path in ((token, TYPES), (RIGHT, TYPES), (None, "/livez")) * 5:
                started = time.monotonic()
                assert ask(broker, authorization, path)[0] == 200
                assert time.monotonic() - started < 1
            flood.ends()
        assert set(flood.statuses) == {401, 503}
        assert len(key_server.asked) == asked + 1
        key_server.hold.set()


def test_an_issuer_over_tls_is_verified(
    framework: str, issuer: Issuer, certificate: tuple[str, str], plugin: Simulated
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    server = KeyServer(issuer.jwks("rsa"), context)
    token = f"Bearer {issuer.token()}"
    try:
        with a_broker(framework, **by_url(server, JWKS_CA_FILE=certificate[0])) as broker:
            until(lambda: ask(broker, token)[0] == 200)
        trusting = {"BROKER_UPSTREAM_VERIFY": "false", "BROKER_AAI_VERIFY": "false"}
        asked = len(server.asked)
        with a_broker(framework, **by_url(server), **trusting) as broker:
            assert ask(broker, token)[0] == 503
            broker.read_until("no key set from https://localhost:.*certificate")
        assert len(server.asked) == asked
    finally:
        server.close()
