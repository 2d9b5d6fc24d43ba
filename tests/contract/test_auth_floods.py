"""Many who try passwords hold nobody up; and no secret of theirs is anywhere."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.auth.conftest import Issuer, basic
from tests.conftest import a_broker, until
from tests.contract.callers import RIGHT, TOKENS, TYPES, Flood, ask, cpu, users
from tests.contract.conftest import BASE, V0, V1, Simulated


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer()


def test_a_flood_of_wrong_passwords_stops_neither_who_is_known_nor_probes(
    framework: str, scene: dict[str, str], plugin: Simulated, tmp_path: Path
) -> None:
    """bcrypt at cost 11 takes about 0.14 s: 34 of the 200 are verified in about 2.4 s, the others are refused."""
    file = users(tmp_path / "users", 11, alice="pass:word")
    localhost = {**scene, "AAI_ADDR": "localhost"}  # a name, which is looked up in a thread too
    asked = ((TYPES, RIGHT), (V1 + "/x", RIGHT), ("/livez", None), ("/readyz", None))
    with a_broker(framework, **localhost, BROKER_AUTH_BASIC_FILE=file) as broker:
        assert ask(broker, RIGHT)[0] == 200
        wrong = [f"Basic {basic(b'alice' if n % 2 else b'u%d' % n, b'%d' % n).decode()}" for n in range(200)]
        with Flood(broker, len(wrong), wrong.__getitem__) as flood:
            until(lambda: 503 in flood.statuses)
            answered = 0
            while len(flood.statuses) < len(wrong):
                for path, authorization in asked:
                    started = time.monotonic()
                    assert ask(broker, authorization, path)[0] == 200
                    assert time.monotonic() - started < 2
                    answered += 1
            assert answered > 2 * len(asked)
        assert set(flood.statuses) == {401, 503}
        assert ask(broker, RIGHT)[0] == 200


def test_many_requests_with_one_password_cost_one_verification(framework: str, tmp_path: Path) -> None:
    file = users(tmp_path / "users", 12, alice="pass:word")
    with a_broker(framework, BROKER_AUTH_BASIC_FILE=file) as broker:
        before = cpu(broker)
        with Flood(broker, 60, lambda _: RIGHT) as flood:
            flood.ends()
        assert flood.statuses == [200] * 60
        assert cpu(broker) - before < 3  # one takes 0.3 s; 34 would take 10, and more would be refused


def test_who_leaves_at_once_has_no_thread_of_his_own(framework: str, tmp_path: Path) -> None:
    """200 clients that hang up: at most two of their passwords are verified at a time, and the rest never."""
    file = users(tmp_path / "users", 10, alice="pass:word")
    with a_broker(framework, BROKER_AUTH_BASIC_FILE=file) as broker:
        before = cpu(broker)
        for number in range(200):
            token = basic(b"alice", b"%d" % number).decode()
            with broker.connect() as sock:
                sock.sendall(f"GET {TYPES} HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {token}\r\n\r\n".encode())
        until(lambda: ask(broker, RIGHT)[0] == 200)  # after a tick, in which those who wait are seen to have left
        assert cpu(broker) - before < 8


# Secrets.


def test_no_secret_of_authentication_is_logged_or_shown(
    framework: str, scene: dict[str, str], plugin: Simulated, issuer: Issuer, tmp_path: Path
) -> None:
    file, jwks = tmp_path / "users", tmp_path / "jwks"
    users(file, alice="pass:word")
    jwks.write_bytes(issuer.jwks("rsa"))
    token = issuer.token()
    given = [
        RIGHT,
        "Basic " + basic(b"alice", b"a-wrong-secret").decode(),
        "Basic not-base64-secret",
        f"Bearer {token}",
        f"Bearer {issuer.token(exp=1)}",
        "Bearer opaque-secret",
        "Own other-secret",
    ]
    settings = {"BROKER_AUTH_BASIC_FILE": str(file), "BROKER_AUTH_JWKS_FILE": str(jwks), "BROKER_LOGS_LEVEL": "DEBUG"}
    shown = ""
    with a_broker(framework, **scene, **TOKENS, **settings) as broker:
        for authorization in given:
            for path in (TYPES, V0 + "/x", f"{BASE}/v0/bad", "/metrics", "/healthz?verbose"):
                answer = broker.ask(
                    "POST" if path == V0 + "/x" else "GET", path, None, {"Authorization": authorization}
                )
                shown += repr(answer[1].items()) + answer[2].decode("latin-1")
        hash_ = file.read_text().strip().partition(":")[2]
        file.write_text("broken-secret\n")
        broker.read_until("stays as it was loaded before")
        assert broker.end() == 0
    everything = shown + "".join(broker.lines)
    secrets = [
        "pass:word",
        "a-wrong-secret",
        "not-base64-secret",
        "opaque-secret",
        "other-secret",
        "broken-secret",
        hash_,
    ]
    secrets += [value.partition(" ")[2] for value in given]
    secrets += [part for value in given for part in value.partition(" ")[2].split(".") if len(part) > 12]
    secrets += [repr(issuer.keys["rsa"].private_numbers().d)]
    assert [secret for secret in secrets if secret in everything] == []
