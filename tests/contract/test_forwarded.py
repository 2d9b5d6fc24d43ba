"""Who is believed, and what plugins are told of where a request came from (rule 15; RFC 7239; RFC 9110, 7.6.3)."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.conftest import Process, a_broker, read_all
from tests.contract.conftest import BASE, V0, Simulated, of, told

FAMILY = ("x-forwarded", "x_forwarded", "forwarded")
SPOOFED = (
    "X-Forwarded-For: 6.6.6.6, 127.0.0.1",
    "x-forwarded-FOR: 6.6.6.7",
    "X_Forwarded_For: 6.6.6.8",
    "X-Forwarded_Host: 6.6.6.9",
    "X-Forwarded-Proto: https",
    "X-Forwarded-Host: 6.6.6.10",
    "X-Forwarded-Port: 666",
    "X-Forwarded-Prefix: /6.6.6.11",
    "X-Forwarded-Client-Cert: 6.6.6.12",
    "Forwarded: for=6.6.6.13;proto=https",
)


def request(*lines: str, target: str = V0 + "/x", version: str = "1.1", host: str = "broker.example:9001") -> bytes:
    hosts = [f"Host: {host}"] if host else []
    return "\r\n".join([f"GET {target} HTTP/{version}", *hosts, "Connection: close", *lines, "", ""]).encode("latin-1")


def told_to(plugin: Simulated) -> list[tuple[str, str]]:
    """What the plugin was told in its one request."""
    (asked,) = plugin.asked()
    plugin.control("DELETE", "/_recorded")
    return [(name, value) for name, value in asked["headers"] if name.lower().startswith(FAMILY)]


@contextmanager
def trusting(framework: str, scene: dict[str, str], networks: str = "127.0.0.1", **env: str) -> Iterator[Process]:
    with a_broker(framework, **scene, BROKER_FORWARDED_TRUSTED=networks, **env) as broker:
        yield broker


def clients(broker: Process) -> list[object]:
    """The clients of the access log, after the broker's end."""
    assert broker.end() == 0
    return [line["client"] for line in broker.log() if line["logger"] == "access"]


@pytest.mark.parametrize("spoofed", [(), SPOOFED, ("Connection: X-Forwarded-For, x-forwarded-host", *SPOOFED)])
def test_nobody_is_believed_by_default(broker: Process, plugin: Simulated, spoofed: tuple[str, ...]) -> None:
    assert broker.raw(request(*spoofed)).startswith(b"HTTP/1.1 200 ")
    assert told_to(plugin) == [
        ("X-Forwarded-For", "127.0.0.1"),
        ("X-Forwarded-Proto", "http"),
        ("X-Forwarded-Host", "broker.example:9001"),
    ]


def test_the_host_that_was_asked_for_is_told(broker: Process, plugin: Simulated) -> None:
    """Of an absolute-form target it is the target's (RFC 9112, 3.2.2); HTTP/1.0 may have none."""
    broker.raw(request(target=f"http://target.example{V0}/x"))
    assert ("X-Forwarded-Host", "target.example") in told_to(plugin)
    broker.raw(request(version="1.0", host=""))
    assert told_to(plugin) == [("X-Forwarded-For", "127.0.0.1"), ("X-Forwarded-Proto", "http")]


def test_other_headers_about_the_client_are_end_to_end(broker: Process, plugin: Simulated) -> None:
    """The contract's list of exceptions is whole."""
    broker.raw(request("X-Real-IP: 6.6.6.6", "X_Under: 1", "X-Forward: 2"))
    (asked,) = plugin.asked()
    assert (of(asked, "X-Real-IP"), of(asked, "X_Under"), of(asked, "X-Forward")) == (["6.6.6.6"], ["1"], ["2"])


def test_a_client_cannot_choose_the_address_in_the_log(
    scene: dict[str, str], framework: str, plugin: Simulated
) -> None:
    with a_broker(framework, **scene) as broker:
        broker.raw(request(*SPOOFED))
        broker.raw(request(*SPOOFED, target=f"{BASE}/v0/vim_types"))
        broker.raw(request(*SPOOFED, "Expect: the-worst"))
        assert clients(broker) == ["127.0.0.1"] * 3


@pytest.mark.parametrize(
    ("lines", "told", "client"),
    [
        (["X-Forwarded-For: 203.0.113.9"], "203.0.113.9, 127.0.0.1", "203.0.113.9"),
        (["X-Forwarded-For: 6.6.6.6, 203.0.113.9"], "6.6.6.6, 203.0.113.9, 127.0.0.1", "203.0.113.9"),
        (["X-Forwarded-For: 6.6.6.6", "X-Forwarded-For: 203.0.113.9,10.9.9.9"], "6.6.6.6, 203.0.113.9, 10.9.9.9, 127.0.0.1", "203.0.113.9"),
        (["X-Forwarded-For: [2001:db8::1]:4711"], "[2001:db8::1]:4711, 127.0.0.1", "2001:db8::1"),
        (["X-Forwarded-For: \"\\u0000<script>, 203.0.113.9"], "203.0.113.9, 127.0.0.1", "203.0.113.9"),
        (["X-Forwarded-For: 203.0.113.9, \xff"], "127.0.0.1", "127.0.0.1"),
        (["X-Forwarded-For: 203.0.113.9, unknown"], "203.0.113.9, unknown, 127.0.0.1", "127.0.0.1"),
        (["Forwarded: for=6.6.6.6"], "127.0.0.1", "127.0.0.1"),
        (["X_Forwarded_For: 6.6.6.6"], "127.0.0.1", "127.0.0.1"),
        ([f"X-Forwarded-For: {'6.6.6.6, ' * 1100}203.0.113.9"], "6.6.6.6, " * 31 + "203.0.113.9, 127.0.0.1", "203.0.113.9"),
    ],
)  # fmt: skip
def test_a_trusted_peers_list_goes_on_and_its_client_is_logged(
    trusting_brokers: dict[str, Process], framework: str, plugin: Simulated, lines: list[str], told: str, client: str
) -> None:
    broker = trusting_brokers[framework]
    assert broker.raw(request(*lines)).startswith(b"HTTP/1.1 200 ")
    assert [value for name, value in told_to(plugin) if name == "X-Forwarded-For"] == [told]
    assert broker.read_until(r'"logger": "access".*"client": "([^"]*)"', 5)[1] == client


@pytest.fixture(scope="module")
def trusting_brokers(scene: dict[str, str]) -> Iterator[dict[str, Process]]:
    with (
        trusting("django", scene, "10.0.0.0/8, 127.0.0.1") as django,
        trusting("pecan", scene, "10.0.0.0/8, 127.0.0.1") as pecan,
    ):
        yield {"django": django, "pecan": pecan}


def test_what_a_trusted_peer_says_of_scheme_and_host_is_kept_where_it_is_valid(
    trusting_brokers: dict[str, Process], framework: str, plugin: Simulated
) -> None:
    broker = trusting_brokers[framework]
    broker.raw(request("X-Forwarded-Proto: https", "X-Forwarded-Host: api.example", "X-Forwarded-Port: 443"))
    assert dict(told_to(plugin)).items() >= {
        ("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "api.example"), ("X-Forwarded-Port", "443"),
    }  # fmt: skip
    broker.raw(request("X-Forwarded-Proto: javascript", "X-Forwarded-Host: a, b"))
    assert dict(told_to(plugin)).items() >= {
        ("X-Forwarded-Proto", "http"), ("X-Forwarded-Host", "broker.example:9001"),
    }  # fmt: skip


def test_a_peer_that_is_not_among_the_trusted_is_not_believed(
    scene: dict[str, str], framework: str, plugin: Simulated
) -> None:
    with trusting(framework, scene, "127.0.0.2, ::1") as broker:
        broker.raw(request(*SPOOFED))
        assert ("X-Forwarded-For", "127.0.0.1") in told_to(plugin)
        with socket.create_connection(("127.0.0.1", broker.port), 10, source_address=("127.0.0.2", 0)) as sock:
            sock.sendall(request("X-Forwarded-For: 203.0.113.9"))
            read_all(sock)
        assert ("X-Forwarded-For", "203.0.113.9, 127.0.0.2") in told_to(plugin)
        assert clients(broker) == ["127.0.0.1", "203.0.113.9"]


@pytest.mark.parametrize(("trusted", "client"), [("127.0.0.0/8", "203.0.113.9"), ("::/0", "127.0.0.1")])
def test_a_dual_stack_listeners_ipv4_peers_are_ipv4(
    scene: dict[str, str], framework: str, plugin: Simulated, trusted: str, client: str
) -> None:
    with trusting(framework, scene, trusted, BROKER_SERVER_HOST="::") as broker:
        broker.raw(request("X-Forwarded-For: 203.0.113.9"))
        told = "127.0.0.1" if client == "127.0.0.1" else f"{client}, 127.0.0.1"
        assert ("X-Forwarded-For", told) in told_to(plugin)
        with socket.create_connection(("::1", broker.port), 10) as sock:
            sock.sendall(request())
            read_all(sock)
        assert ("X-Forwarded-For", "::1") in told_to(plugin)
        assert clients(broker) == [client, "::1"]


def test_what_the_server_itself_refuses_is_logged_with_its_client(scene: dict[str, str], framework: str) -> None:
    with trusting(framework, scene) as broker:
        assert broker.raw(request("X-Forwarded-For: 203.0.113.9", target="no-path")).startswith(b"HTTP/1.1 400 ")
        assert clients(broker) == ["127.0.0.1"]  # without a valid head there is nothing to believe


def test_the_format_of_rfc_7239(scene: dict[str, str], framework: str, plugin: Simulated) -> None:
    with trusting(framework, scene, BROKER_FORWARDED_FORMAT="forwarded") as broker:
        broker.raw(request('Forwarded: for=6.6.6.6, for="[2001:db8::1]:4711";proto=https', "X-Forwarded-For: 6.6.6.6"))
        own = 'for=127.0.0.1;proto=http;host="broker.example:9001"'
        assert told_to(plugin) == [("Forwarded", f'for=6.6.6.6, for="[2001:db8::1]:4711";proto=https, {own}')]
        assert clients(broker) == ["2001:db8::1"]


def test_plugins_may_be_told_nothing(scene: dict[str, str], framework: str, plugin: Simulated) -> None:
    with trusting(framework, scene, BROKER_FORWARDED_HEADERS="false", BROKER_FORWARDED_VIA="none") as broker:
        broker.raw(request("X-Forwarded-For: 203.0.113.9", "X-Forwarded-Port: 1", "Via: 1.1 before"))
        (asked,) = plugin.asked()
        assert (told_to(plugin), of(asked, "Via")) == ([], ["1.1 before"])
        assert clients(broker) == ["203.0.113.9"]


def test_over_tls_the_scheme_is_https(
    scene: dict[str, str], framework: str, plugin: Simulated, certificate: tuple[str, str]
) -> None:
    crt, key = certificate
    tls = {"SSL_ENABLED": "true", "BROKER_TLS_CERTIFICATE": crt, "BROKER_TLS_KEY": key}
    context = ssl.create_default_context(cafile=crt)
    with (
        a_broker(framework, **scene, **tls) as broker,
        broker.connect() as plain,
        context.wrap_socket(plain, server_hostname="localhost") as sock,
    ):
        sock.sendall(request())
        read_all(sock)
    assert ("X-Forwarded-Proto", "https") in told_to(plugin)


@pytest.mark.parametrize(
    ("before", "version", "after"),
    [
        ([], "1.1", ["1.1 multicloud"]),
        ([], "1.0", ["1.0 multicloud"]),
        (["1.0 fred, 1.1 p.example:80 (a comment)"], "1.1", ["1.0 fred, 1.1 p.example:80 (a comment)", "1.1 multicloud"]),
        (["1.0 a", "HTTP/2 b ,"], "1.1", ["1.0 a", "HTTP/2 b ,", "1.1 multicloud"]),  # what came stays as it came
    ],
)  # fmt: skip
def test_via_of_a_request(
    broker: Process, plugin: Simulated, before: list[str], version: str, after: list[str]
) -> None:
    broker.raw(request(*(f"Via: {value}" for value in before), version=version))
    (asked,) = plugin.asked()
    assert of(asked, "Via") == after


def test_an_answer_gets_a_via_by_choice(
    scene: dict[str, str], framework: str, broker: Process, plugin: Simulated
) -> None:
    asking = {"X-Answer": told(200, ("Via", "1.1 before"))}
    assert broker.ask("GET", V0 + "/x", headers=asking)[1].get_all("Via") == ["1.1 before"]
    with a_broker(framework, **scene, BROKER_FORWARDED_VIA="both", BROKER_FORWARDED_PSEUDONYM="mc") as other:
        assert other.ask("GET", V0 + "/x", headers=asking)[1].get_all("Via") == ["1.1 before", "1.1 mc"]
        assert other.ask("GET", f"{BASE}/v0/vim_types")[1].get_all("Via") is None  # an answer of our own
        assert other.ask("GET", V0 + "/x", headers={"X-Fault": "close"})[1].get_all("Via") is None
    assert of(plugin.asked()[-1], "Via") == ["1.1 mc"]


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("TRUSTED", "10.0.0.1/8", "addresses and networks"),
        ("TRUSTED", "proxy.example", "addresses and networks"),
        ("FORMAT", "both", "x-forwarded or forwarded"),
        ("VIA", "maybe", "requests or both or none"),
        ("PSEUDONYM", "two words", "a token"),
    ],
)
def test_a_bad_value_ends_the_start_with_one_line(name: str, value: str, wanted: str) -> None:
    with (
        pytest.raises(AssertionError, match=rf"forwarded\.{name.lower()} is '{value}' .*{wanted}"),
        a_broker(**{f"BROKER_FORWARDED_{name}": value}),
    ):
        pass
