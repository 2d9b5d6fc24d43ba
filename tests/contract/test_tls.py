"""TLS on every side, with real chains of authorities: towards clients, plugins and A&AI (contract, section 4)."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from app.simulators.http import Simulator
from app.simulators.plugin import Plugin
from app.simulators.processes import SimulatorProcess
from app.simulators.regions import provider_plugins
from app.simulators.resources import Cloud
from tests.authorities import Authority, Issued, self_signed
from tests.conftest import Process, a_broker, children, read_all, until
from tests.contract.conftest import BASE, PASSWORD, V0

SWAGGER = f"{BASE}/v0/swagger.json"
PROBES = ("/livez", "/readyz", "/startupz", "/healthz")


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("root"), "root")


@pytest.fixture(scope="session")
def intermediate(root: Authority, tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("intermediate"), "intermediate", root)


@pytest.fixture(scope="session")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority that nobody trusts."""
    return Authority(tmp_path_factory.mktemp("stranger"), "stranger")


def serving(leaf: Issued) -> dict[str, str]:
    return {"SSL_ENABLED": "true", "BROKER_TLS_CERTIFICATE": leaf.certificate, "BROKER_TLS_KEY": leaf.key}


@contextmanager
def connected(broker: Process, context: ssl.SSLContext) -> Iterator[http.client.HTTPSConnection]:
    with closing(http.client.HTTPSConnection("localhost", broker.port, context=context, timeout=20)) as connection:
        yield connection


def got(connection: http.client.HTTPSConnection, path: str = SWAGGER) -> tuple[int, bytes]:
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer.status, answer.read()


def shown(broker: Process, authority: Authority) -> int:
    """The serial number of the certificate that a new connection gets."""
    context = authority.trusted
    with broker.connect() as sock, context.wrap_socket(sock, server_hostname="localhost") as secured:
        return int(str((secured.getpeercert() or {})["serialNumber"]), 16)


def serial(issued: Issued) -> int:
    return int(str(ssl._ssl._test_decode_cert(issued.certificate)["serialNumber"]), 16)  # type: ignore[attr-defined]


def put(issued: Issued, into: Issued) -> None:
    """Renew: the certificate first, the key after it."""
    shutil.copyfile(issued.certificate, into.certificate)
    shutil.copyfile(issued.key, into.key)


# Towards clients.


def test_the_broker_serves_https(framework: str, root: Authority, intermediate: Authority) -> None:
    """The chain is sent whole: who trusts the root alone verifies it."""
    with a_broker(framework, **serving(intermediate.issue())) as broker:
        with connected(broker, root.trusted) as connection:
            for _ in range(3):
                status, body = got(connection)
                assert (status, json.loads(body)["swagger"]) == (200, "2.0")
        with (
            broker.connect() as plain,
            root.trusted.wrap_socket(plain, server_hostname="localhost", suppress_ragged_eofs=False) as sock,
        ):
            sock.sendall(f"GET {BASE}/v0/vim_types HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            assert read_all(sock).startswith(b"HTTP/1.1 200 ")  # the end is TLS's own, or this raises
        old = root.trusted
        old.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        with broker.connect() as sock, pytest.raises(OSError, match=r"(?i)version|protocol|reset|eof"):
            old.wrap_socket(sock, server_hostname="localhost")
        assert b"HTTP" not in broker.raw(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")  # no plain HTTP there
        with connected(broker, root.trusted) as connection:
            connection.request("POST", f"{BASE}/v0/check_vim_capacity", b" " * 300_000 + b'{"VIMs": []}')
            assert connection.getresponse().read() == b'{"VIMs": []}'


def test_a_missing_certificate_ends_the_start_with_one_line(framework: str) -> None:
    with pytest.raises(AssertionError, match=r"tls\.certificate"), a_broker(framework, SSL_ENABLED="true"):
        pass


@pytest.mark.parametrize(
    ("days", "expected"),
    [((-1, 40), ("INFO", r"in 40 days$")), ((-1, 5), ("WARNING", r"in 5 days; renew it$")), ((-9, -1), ("ERROR", r"has expired"))],
    ids=["long", "soon", "expired"],
)  # fmt: skip
def test_log_and_metrics_tell_of_the_certificates_end(
    framework: str, root: Authority, tmp_path: Path, days: tuple[int, int], expected: tuple[str, str]
) -> None:
    leaf = root.issue("told", days=days, folder=tmp_path)
    with a_broker(framework, **serving(leaf)) as broker:
        assert measured_end(broker, ssl._create_unverified_context()) == leaf.not_after
        assert broker.end() == 0
    (line,) = (line for line in broker.log() if "certificate of server" in str(line.get("message")))
    assert "CN=told" in str(line["message"])
    assert line["level"] == expected[0]
    assert re.search(expected[1], str(line["message"]))


def measured_end(broker: Process, context: ssl.SSLContext) -> float:
    """Of the server's certificate, the earliest of all workers."""
    with connected(broker, context) as connection:
        text = got(connection, "/metrics")[1].decode()
    found = re.search(r'^multicloud_tls_certificate_not_after_timestamp_seconds\{role="server"\} (\S+)$', text, re.M)
    assert found
    return float(found[1])


class Steady:
    """A client that asks on one connection all the time, and one that opens a new one each time."""

    def __init__(self, broker: Process, context: ssl.SSLContext) -> None:
        self.asked = 0
        self.failures: list[str] = []
        self.connections = 0
        self._broker, self._context = broker, context
        self._over = threading.Event()
        self._threads = [threading.Thread(target=work) for work in (self._kept, self._fresh)]

    def __enter__(self) -> Steady:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(20)

    def _kept(self) -> None:
        with connected(self._broker, self._context) as connection:
            connection.auto_open = 0  # a connection that the broker closed is a failure
            connection.connect()
            while not self._over.is_set():
                self._ask(connection)

    def _fresh(self) -> None:
        while not self._over.is_set():
            with connected(self._broker, self._context) as connection:
                self._ask(connection)
                self.connections += 1

    def _ask(self, connection: http.client.HTTPSConnection) -> None:
        try:
            status = got(connection)[0]
            self.asked += 1
            if status != 200:
                self.failures.append(str(status))
        except (OSError, http.client.HTTPException) as error:
            self.failures.append(repr(error))
            self._over.set()


def test_a_renewal_needs_no_restart_and_costs_no_request(
    framework: str, root: Authority, intermediate: Authority, tmp_path: Path
) -> None:
    """In each worker: two of them, and one that comes later, which its parent's old one must not reach."""
    leaf = intermediate.issue("live", folder=tmp_path)
    with a_broker(framework, 2, **serving(leaf)) as broker, Steady(broker, root.trusted) as steady:
        for days in (21, 22):
            renewed = intermediate.issue("renewed", days=(-1, days), folder=tmp_path)
            put(renewed, leaf)
            until(lambda: {shown(broker, root) for _ in range(20)} == {serial(renewed)})  # noqa: B023
        until(lambda: measured_end(broker, root.trusted) == renewed.not_after)
        before = steady.asked
        until(lambda: steady.asked > before)
    assert steady.failures == []
    assert steady.connections > 10
    with a_broker(framework, 1, **serving(leaf)) as broker:
        broker.read_until("worker 0 serves")
        put(intermediate.issue("last", days=(-1, 23), folder=tmp_path), leaf)
        until(lambda: shown(broker, root) == serial(leaf))
        (worker,) = (pid for pid in children(broker.popen.pid) if _is_worker(broker, pid))
        os.kill(worker, signal.SIGKILL)
        broker.read_until("worker 0 serves")
        assert shown(broker, root) == serial(leaf)


def _is_worker(broker: Process, pid: int) -> bool:
    return any(f'"pid": {pid},' in line and "serves" in line for line in broker.lines)


def test_a_bad_renewal_leaves_the_former_until_it_is_mended(
    framework: str, intermediate: Authority, root: Authority, tmp_path: Path
) -> None:
    leaf = intermediate.issue("live", folder=tmp_path)
    before = serial(leaf)
    renewed = intermediate.issue("renewed", folder=tmp_path)
    with a_broker(framework, **serving(leaf)) as broker:
        for text in (b"garbage", Path(renewed.certificate).read_bytes()[:200], b""):
            Path(leaf.certificate).write_bytes(text)
            broker.read_until(rf"TLS of server stays as it was loaded before: {leaf.certificate} is no PEM file")
            assert shown(broker, root) == before
        shutil.copyfile(renewed.certificate, leaf.certificate)  # whose key comes later
        broker.read_until(rf"{leaf.key} is no PEM file of the key of the certificate .*KEY_VALUES_MISMATCH")
        assert shown(broker, root) == before
        Path(leaf.key).unlink()
        broker.read_until(rf"{leaf.key} is no PEM file of the key .*No such file")
        assert shown(broker, root) == before
        shutil.copyfile(renewed.key, leaf.key)
        broker.read_until("the certificate of server, CN=renewed, ends")
        until(lambda: shown(broker, root) == serial(renewed))
        assert broker.end() == 0
    assert "PRIVATE" not in "".join(broker.lines)
    assert len([line for line in broker.lines if "stays as it was" in line]) == 5


def test_a_mounted_secrets_swap_is_a_renewal(framework: str, root: Authority, tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        issued = root.issue("tls", folder=tmp_path / name)
    mount = tmp_path / "mount"
    mount.mkdir()
    (mount / "..data").symlink_to("../first")
    for name in ("tls.crt", "tls.key"):
        (mount / name).symlink_to(f"..data/{name}")
    mounted = Issued(str(mount / "tls.crt"), str(mount / "tls.key"), 0)
    with a_broker(framework, **serving(mounted)) as broker:
        assert shown(broker, root) != serial(issued)
        (mount / "..data_tmp").symlink_to("../second")
        (mount / "..data_tmp").rename(mount / "..data")
        until(lambda: shown(broker, root) == serial(issued))


# Clients' certificates.


def presenting(authority: Authority, issued: Issued | None, version: ssl.TLSVersion) -> ssl.SSLContext:
    context = authority.trusted
    context.maximum_version = version
    if issued is not None:
        context.load_cert_chain(issued.certificate, issued.key)
    return context


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_clients_must_present_a_certificate_but_probes(
    framework: str, version: ssl.TLSVersion, root: Authority, intermediate: Authority, stranger: Authority
) -> None:
    environ = {**serving(intermediate.issue()), "BROKER_TLS_CLIENT_CA_FILE": root.file}
    with a_broker(framework, **environ) as broker:
        good = presenting(root, intermediate.issue("client", client=True), version)
        for _ in range(2):  # the second one resumes nothing that was not verified
            with connected(broker, good) as connection:
                for path in (SWAGGER, "/metrics", "/livez", SWAGGER):
                    assert got(connection, path)[0] == 200
        none = presenting(root, None, version)
        for path in (SWAGGER, "/metrics", f"{BASE}/v0/vim_types", "/livez/", "/livez%2f", "//livez", "/x?/livez"):
            with connected(broker, none) as connection:
                status, body = got(connection, path)
            assert (status, json.loads(body)["error"]["reason"]) == (403, "Forbidden")
            assert "Present a client certificate" in json.loads(body)["error"]["message"]
        for probe in PROBES:
            with connected(broker, none) as connection:
                assert got(connection, probe + "?verbose")[0] == 200
        for bad in (
            stranger.issue("client", client=True),
            intermediate.issue("late", days=(-9, -1), client=True),
            intermediate.issue("server"),
        ):
            with (
                pytest.raises(OSError, match=r"(?i)alert|reset|eof|closed"),
                connected(broker, presenting(root, bad, version)) as connection,
            ):
                got(connection, "/livez")
        assert broker.end() == 0
    log = broker.log()
    assert [line["status"] for line in log if line["logger"] == "access"].count(403) == 7
    assert len([line for line in log if "TLS with 127.0.0.1 failed" in str(line.get("message"))]) == 3


def test_the_authorities_of_clients_are_renewed_too(
    framework: str, root: Authority, stranger: Authority, tmp_path: Path
) -> None:
    """Nor does a session that was begun under the former ones go on."""
    trusted = tmp_path / "clients.crt"
    shutil.copyfile(root.file, trusted)
    client = presenting(root, stranger.issue("client", client=True), ssl.TLSVersion.TLSv1_2)
    with a_broker(framework, **serving(root.issue()), BROKER_TLS_CLIENT_CA_FILE=str(trusted)) as broker:
        with pytest.raises(OSError, match=REFUSED):
            _resumed(broker, client, None)
        trusted.write_bytes(Path(root.file).read_bytes() + Path(stranger.file).read_bytes())
        until(lambda: not _refused(broker, client, None))
        session, _ = _resumed(broker, client, None)
        assert _resumed(broker, client, session)[1]
        shutil.copyfile(root.file, trusted)
        until(lambda: _refused(broker, client, session))
        with pytest.raises(OSError, match=REFUSED):
            _resumed(broker, client, session)


REFUSED = r"(?i)alert|reset|eof|closed"


def _refused(broker: Process, context: ssl.SSLContext, session: ssl.SSLSession | None) -> bool:
    try:
        _resumed(broker, context, session)
    except OSError as error:
        return re.search(REFUSED, str(error)) is not None
    return False


def _resumed(
    broker: Process, context: ssl.SSLContext, session: ssl.SSLSession | None
) -> tuple[ssl.SSLSession | None, bool]:
    """The session of a request that was answered, and whether it was resumed."""
    with (
        broker.connect() as plain,
        context.wrap_socket(plain, server_hostname="localhost", session=session) as sock,
    ):
        sock.sendall(f"GET {SWAGGER} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        assert read_all(sock).startswith(b"HTTP/1.1 200 ")
        return sock.session, bool(sock.session_reused)


# Towards plugins.


@contextmanager
def behind(leaf: Issued, tmp_path: Path, *options: str, host: str = "127.0.0.1") -> Iterator[dict[str, str]]:
    """A plugin over https, and the environment that leads a broker to it by this host."""
    with SimulatorProcess(
        "plugin", "--settle", "0", "--certificate", leaf.certificate, "--key", leaf.key, *options
    ) as plugin:
        map_file = tmp_path / f"{plugin.port}.json"
        map_file.write_text(json.dumps(provider_plugins(f"https://{host}:{plugin.port}")))
        yield {"BROKER_PLUGINS_MAP_FILE": str(map_file)}


UNKNOWN = "set upstream.ca_file to the authority that signed it, and have the intermediate certificates sent with it"
BAD: Mapping[str, tuple[Callable[[Authority, Path], Issued], str]] = {
    "unknown authority": (lambda _, folder: Authority(folder, "other").issue(), UNKNOWN),
    "self-signed": (lambda _, folder: self_signed(folder), UNKNOWN),
    "without its intermediate": (lambda signer, folder: signer.issue(chain=False, folder=folder), UNKNOWN),
    "expired": (lambda signer, folder: signer.issue(days=(-9, -1), folder=folder), "renew it"),
    "not yet valid": (lambda signer, folder: signer.issue(days=(1, 9), folder=folder), "wait until it is valid"),
    "another name": (lambda signer, folder: signer.issue(names=["x.example"], folder=folder), "use a name that it is made"),
    "another address": (lambda signer, folder: signer.issue(names=["127.0.0.2"], folder=folder), "use an address"),
}  # fmt: skip


@contextmanager
def threaded(leaf: Issued) -> Iterator[int]:
    """The port of a plugin in this process: seven more would take their time."""
    with Simulator("127.0.0.1", 0, Plugin(Cloud()), leaf.context()) as plugin:
        thread = threading.Thread(target=plugin.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield plugin.server_address[1]
        plugin.shutdown()
        thread.join(10)


def test_each_bad_certificate_of_a_plugin_is_a_502_that_says_what_to_do(
    framework: str, root: Authority, intermediate: Authority, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        plugins: dict[str, dict[str, object]] = {}
        for number, (name, (made, _)) in enumerate(BAD.items()):
            folder = tmp_path / str(number)
            folder.mkdir()
            leaf = made(intermediate, folder)
            port = stack.enter_context(threaded(leaf))
            host = "localhost" if name == "another name" else "127.0.0.1"
            endpoint = {"provider_plugin": "p", "endpoint": f"https://{host}:{port}"}
            plugins[f"type-{number}"] = {"vim_type": f"type-{number}", "versions": {}, **endpoint}
        map_file, regions = tmp_path / "map.json", tmp_path / "regions.json"
        map_file.write_text(json.dumps(plugins))
        entry = {"cloud-owner": "o", "cloud-region-version": "1"}
        regions.write_text(json.dumps([{**entry, "cloud-region-id": name, "cloud-type": name} for name in plugins]))
        environ = {"BROKER_PLUGINS_MAP_FILE": str(map_file), "BROKER_INVENTORY_REGIONS_FILE": str(regions)}
        with a_broker(framework, **environ, BROKER_UPSTREAM_CA_FILE=root.file) as broker:
            answers = [broker.ask("GET", f"{BASE}/v0/o_{name}/x") for name in plugins]
        told = {name: json.loads(body)["error"] for name, (_, _, body) in zip(BAD, answers, strict=True)}
        assert [status for status, _, _ in answers] == [502] * len(BAD)
        for name, (_, cure) in BAD.items():
            assert told[name]["reason"] == "Upstream-Refused"
            assert cure in told[name]["message"], name
        with a_broker(framework, **environ, BROKER_UPSTREAM_VERIFY="false") as broker:
            assert [broker.ask("GET", f"{BASE}/v0/o_{name}/x")[0] for name in plugins] == [200] * len(BAD)
            assert broker.end() == 0
        assert [line for line in broker.lines if "upstream.verify is false" in line]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_plugin_over_https(
    framework: str, host: str, root: Authority, intermediate: Authority, tmp_path: Path
) -> None:
    body = os.urandom(5_000_000)
    with (
        behind(intermediate.issue(), tmp_path, host=host) as environ,
        a_broker(framework, **environ, BROKER_UPSTREAM_CA_FILE=root.file) as broker,
    ):
        status, _, answer = broker.ask("PUT", V0 + "/x", body)
        assert (status, json.loads(answer)["length"]) == (200, len(body))
        status, headers, answer = broker.ask("GET", V0 + "/x", headers={"X-Fault": "huge=5000000"})
        assert (status, headers["Content-Length"], len(answer)) == (200, "5000000", 5_000_000)
        with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
            broker.ask("GET", V0 + "/x", headers={"X-Fault": "cut"})


def test_a_plugin_that_asks_for_a_certificate_gets_it_and_its_renewal(
    framework: str, root: Authority, intermediate: Authority, stranger: Authority, tmp_path: Path
) -> None:
    mine = intermediate.issue("mine", client=True, folder=tmp_path)
    with behind(intermediate.issue(), tmp_path, "--client-ca", root.file) as environ:
        environ |= {"BROKER_UPSTREAM_CA_FILE": root.file}
        pair = {"BROKER_UPSTREAM_CLIENT_CERTIFICATE": mine.certificate, "BROKER_UPSTREAM_CLIENT_KEY": mine.key}
        with a_broker(framework, **environ) as broker:
            for method in ("GET", "POST"):
                status, _, body = broker.ask(method, V0 + "/x")
                assert status == 502
                assert b"set upstream.client_certificate and upstream.client_key" in body
        with a_broker(framework, **environ, **pair) as broker:
            assert _presented(broker) == "mine"
            put(intermediate.issue("renewed", client=True), mine)
            until(lambda: _presented(broker) == "renewed")
            assert b'role="upstream"' in broker.ask("GET", "/metrics")[2]
            put(stranger.issue("mine", client=True), mine)
            until(lambda: broker.ask("GET", V0 + "/x")[0] == 502)
            assert b"does not take upstream.client_certificate" in broker.ask("GET", V0 + "/x")[2]


def _presented(broker: Process) -> str:
    return str(json.loads(broker.ask("GET", V0 + "/x")[2])["certificate"])


def test_a_renewed_ca_file_is_for_the_next_request(
    framework: str, root: Authority, stranger: Authority, tmp_path: Path
) -> None:
    """Both ways: what is trusted anew, and what is no longer, though a connection to it is in the pool."""
    trusted = tmp_path / "ca.crt"
    shutil.copyfile(stranger.file, trusted)
    with (
        behind(root.issue(), tmp_path) as environ,
        a_broker(framework, **environ, BROKER_UPSTREAM_CA_FILE=str(trusted)) as broker,
    ):
        assert broker.ask("GET", V0 + "/x")[0] == 502
        shutil.copyfile(root.file, trusted)
        until(lambda: broker.ask("GET", V0 + "/x")[0] == 200, 5)
        shutil.copyfile(stranger.file, trusted)
        until(lambda: broker.ask("GET", V0 + "/x")[0] == 502, 5)


# Towards A&AI.


@pytest.mark.parametrize(
    ("environ", "status", "named"),
    [
        ({"BROKER_AAI_CA_FILE": "ca"}, 200, ""),
        ({"BROKER_AAI_VERIFY": "false"}, 200, ""),
        ({}, 502, "set aai.ca_file to the authority that signed it"),
    ],
    ids=["with its CA file", "verification off", "unknown authority"],
)
def test_aai_over_https(
    framework: str,
    root: Authority,
    intermediate: Authority,
    plugin: object,
    scene: dict[str, str],
    environ: dict[str, str],
    status: int,
    named: str,
) -> None:
    leaf = intermediate.issue()
    environ = {name: root.file if value == "ca" else value for name, value in environ.items()}
    with SimulatorProcess("aai", "--certificate", leaf.certificate, "--key", leaf.key) as aai:
        settings = {**scene, "AAI_PROTOCOL": "https", "AAI_PORT": str(aai.port), **environ}
        with a_broker(framework, **settings) as broker:
            got, _, body = broker.ask("GET", f"{BASE}/v0/CloudOwner_RegionOne/x")
    assert got == status, body
    assert named in body.decode()


def test_aai_that_asks_for_a_certificate(
    framework: str, root: Authority, intermediate: Authority, plugin: object, scene: dict[str, str]
) -> None:
    leaf, mine = intermediate.issue(), intermediate.issue("mine", client=True)
    options = ("--certificate", leaf.certificate, "--key", leaf.key, "--client-ca", root.file)
    login = ("--username", "multicloud")
    with SimulatorProcess("aai", *options, *login, password=PASSWORD) as aai:
        settings = {**scene, "AAI_PROTOCOL": "https", "AAI_PORT": str(aai.port), "BROKER_AAI_CA_FILE": root.file}
        with a_broker(framework, **settings) as broker:
            status, _, body = broker.ask("GET", f"{BASE}/v0/CloudOwner_RegionOne/x")
        assert status == 502
        assert b"set aai.client_certificate and aai.client_key" in body
        pair = {"BROKER_AAI_CLIENT_CERTIFICATE": mine.certificate, "BROKER_AAI_CLIENT_KEY": mine.key}
        with a_broker(framework, **settings, **pair) as broker:
            assert broker.ask("GET", f"{BASE}/v0/CloudOwner_RegionOne/x")[0] == 200
            assert b'role="aai"' in broker.ask("GET", "/metrics")[2]
