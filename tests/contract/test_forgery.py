"""Where a request goes comes from the plugin map alone: nothing that a client, A&AI or a plugin says leads elsewhere.

A listener that nobody has business with stands beside the scene, and each test ends with it having seen nobody.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from app.simulators.regions import provider_plugins
from tests.conftest import Process, a_broker
from tests.contract.conftest import BASE, V0, V1, Simulated, of, told
from tests.contract.listener import Listener, listening

REDIRECTS = (301, 302, 303, 307, 308)


@pytest.fixture
def evil() -> Iterator[Listener]:
    with listening() as listener:
        yield listener


def at(evil: Listener, text: str) -> str:
    """A text with the evil listener's address in it, as `EVIL`."""
    return text.replace("EVIL", f"127.0.0.1:{evil.port}").replace("PORT", str(evil.port))


def request(method: str, target: str, *lines: str, host: str = "broker.example") -> bytes:
    return "\r\n".join([f"{method} {target} HTTP/1.1", f"Host: {host}", "Connection: close", *lines, "", ""]).encode()


def only_plugins_were_asked(plugin: Simulated, aai: Simulated) -> None:
    """By the simulators' record: each was reached under its own name, the plugin below a plugin's prefix."""
    for asked in plugin.asked():
        assert asked["target"].startswith(("/api/multicloud-", "/k8s/cluster-1/")), asked
        assert of(asked, "Host") == [f"127.0.0.1:{plugin.port}"]
    for asked in aai.asked():
        assert asked["target"].startswith("/aai/v13/cloud-infrastructure/cloud-regions/cloud-region/"), asked
        assert of(asked, "Host") == [f"127.0.0.1:{aai.port}"]


def test_the_listener_would_see_a_request_that_the_map_sends_there(
    framework: str, evil: Listener, tmp_path: Path
) -> None:
    """Else all that follows would prove nothing."""
    with a_broker(framework, BROKER_PLUGINS_MAP_FILE=_map(tmp_path, f"http://127.0.0.1:{evil.port}")) as broker:
        assert broker.ask("GET", V0 + "/x")[0] == 200
    assert evil.connections == 1
    assert evil.heads[0].startswith(b"GET /api/multicloud-vio/v0/vmware_fake/x HTTP/1.1\r\n")


def _map(folder: Path, endpoint: str) -> str:
    file = folder / "map.json"
    file.write_text(json.dumps(provider_plugins(endpoint)))
    return str(file)


TARGETS = (
    # absolute form: a proxy would go there; only its path counts here
    "http://EVIL/", "http://EVIL/x", f"http://EVIL{V0}/x", f"HTTP://EVIL{V0}/x", f"https://EVIL{V1}/x", f"http://localhost:PORT{V0}/x",
    f"http://[::ffff:127.0.0.1]:PORT{V0}/x", f"http://2130706433:PORT{V0}/x", f"http://EVIL@127.0.0.1{V0}/x",
    f"http://user:pass@EVIL{V0}/x", f"http://EVIL#@broker{V0}/x", f"ftp://EVIL{V0}/x", f"http:{V0}/x", f"http:///EVIL{V0}/x",
    f"http://EVIL\\@broker{V0}/x", f"http://EVIL?{V0}/x", "gopher://EVIL/_x", "file:///etc/passwd", "unix:/run/evil.sock",
    # authority and asterisk form
    "EVIL", "*", "@EVIL", "localhost:PORT",
    # origin form that another parser takes for a host
    "//EVIL/x", f"//EVIL{V0}/x", f"///EVIL{V0}/x", f"/\\EVIL{V0}/x", f"\\\\EVIL{V0}/x", f"/@EVIL{V0}/x", f"/.EVIL{V0}/x", f"//user@EVIL{V0}",
    f"/http://EVIL{V0}/x", "/api/multicloud@EVIL/v0/vmware_fake/x", "/api/multicloud:PORT/v0/vmware_fake/x", "/api//EVIL/v0/vmware_fake/x",
    "/api/EVIL/v0/vmware_fake/x", "/api/multicloud.EVIL/v0/vmware_fake/x", f"{BASE}/@EVIL/v0/vmware_fake/x",
    # as a region's name
    f"{BASE}/v0/http:%2f%2fEVIL_x/y", f"{BASE}/v0/http:%2F%2FEVIL_x", f"{BASE}/v0/http://EVIL_x/y", f"{BASE}/v0///EVIL_x/y",
    f"{BASE}/v0/EVIL_x/y", f"{BASE}/v0/a_EVIL/y", f"{BASE}/v0/vmware_fake@EVIL/y", f"{BASE}/v0/@EVIL_x/y", f"{BASE}/v0/%40EVIL_x/y",
    f"{BASE}/v0/vmware_fake%00@EVIL/y", f"{BASE}/v0/vmware_fake%0d%0aHost:%20EVIL/y", f"{BASE}/v0/vmware_fake%20HTTP/1.1%0d%0aHost:EVIL",
    f"{BASE}/v0/vmware_fake.EVIL/y", f"{BASE}/v0/127-0-0-1_PORT/y", f"{BASE}/v0/localhost_PORT/y", f"{BASE}/v0/..%2f..%2fEVIL_x/y",
    f"{BASE}/v1/http:/EVIL/x", f"{BASE}/v1/http:%2f%2fEVIL/x/y", f"{BASE}/v1/EVIL/RegionOne/y", f"{BASE}/v1/CloudOwner/EVIL/y",
    f"{BASE}/v1//EVIL/y", f"{BASE}/v1/@EVIL/x/y", f"{BASE}/v1/localhost/PORT/y", f"{BASE}/v1/CloudOwner/RegionOne@EVIL/y",
    f"{BASE}/v1/CloudOwner%2f..%2f..%2f..%2f..%2f/RegionOne", f"{BASE}/v1/k8s/cluster-1@EVIL/x", f"{BASE}/v1/k8s//EVIL",
    # below a region
    f"{V0}//EVIL/x", f"{V0}/@EVIL/x", f"{V0}@EVIL/x", f"{V0}/http://EVIL/x", f"{V0}/%2f%2fEVIL/x", f"{V0}\\@EVIL/x", f"{V0}/\\EVIL/x",
    f"{V0}/..//EVIL/x", f"{V0}/%2e%2e//EVIL/x", f"{V0}/../../../../EVIL/x", f"{V0}/..;@EVIL/x", f"{V0};@EVIL/x", f"{V0}?@EVIL/x",
    f"{V0}?url=http://EVIL/x", f"{V0}/x?endpoint=http://EVIL&provider_plugin=http://EVIL&host=EVIL", f"{V0}/%0d%0aHost:%20EVIL/x",
    f"{V0}/x%20HTTP/1.1%0d%0aHost:%20EVIL", f"{V0}/api/multicloud/http://EVIL/", f"{BASE}/v1/k8s/cluster-1//EVIL/x",
    f"{BASE}/v1/k8s/cluster-1/@EVIL", f"{BASE}/v0/CloudOwner_RegionOne//EVIL/x", f"{BASE}/v1/CloudOwner/RegionOne/@EVIL",
    # the broker's own
    f"{BASE}/v0/swagger.json?url=http://EVIL/x", f"{BASE}/v0/vim_types?url=http://EVIL/x", f"{BASE}/v1/swagger.json//EVIL", "/metrics?target=EVIL",
    "/livez?url=http://EVIL", "/metrics//EVIL", "/healthz@EVIL",
)  # fmt: skip


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "CONNECT"])
def test_no_target_leads_elsewhere(
    broker: Process, plugin: Simulated, aai: Simulated, evil: Listener, method: str
) -> None:
    for target in TARGETS:
        for host in ("broker.example", "EVIL"):
            answer = broker.raw(request(method, at(evil, target), host=at(evil, host)))
            assert answer.startswith(b"HTTP/1.1 "), target
            assert b" 500 " not in answer.partition(b"\r\n")[0], target
    only_plugins_were_asked(plugin, aai)
    assert evil.connections == 0


HOSTS = ("EVIL", "localhost:PORT", "[::1]:PORT", "broker@EVIL", "EVIL@broker", "http://EVIL", "EVIL/x", "broker EVIL", "EVIL#", "EVIL\\", "",
         "broker, EVIL", "%45VIL", ".", "127.0.0.1:PORT:80", "multicloud-vio", "multicloud-vio:PORT")  # fmt: skip


def test_no_host_leads_elsewhere(broker: Process, plugin: Simulated, aai: Simulated, evil: Listener) -> None:
    for host in HOSTS:
        for path in (V0 + "/x", f"{BASE}/v1/k8s/cluster-1/x", f"{BASE}/v0/swagger.json", "/x"):
            assert broker.raw(request("GET", path, host=at(evil, host))).startswith(b"HTTP/1.1 ")
            broker.raw(request("GET", path, at(evil, f"Host: {host}")))  # a second one
            broker.raw(at(evil, f"GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n").encode())
    only_plugins_were_asked(plugin, aai)
    assert evil.connections == 0


HEADERS = (
    "X-Forwarded-Host: EVIL", "X-Forwarded-Server: EVIL", "X-Forwarded-For: EVIL", "X-Forwarded-Prefix: //EVIL", "X-Forwarded-Port: PORT",
    "X-Forwarded-Proto: http://EVIL", "X-Forwarded-Path: //EVIL/", "Forwarded: for=EVIL;host=EVIL;by=EVIL;proto=http", "X-Host: EVIL",
    "X-Original-Host: EVIL", "X-Original-URL: http://EVIL/", "X-Rewrite-URL: //EVIL/", "X-HTTP-Host-Override: EVIL", "X-Real-IP: EVIL",
    "X-Backend: http://EVIL", "X-Proxy-URL: http://EVIL", "X-Request-URI: http://EVIL/", "Proxy: http://EVIL", "Proxy-Connection: EVIL",
    "Proxy-Authorization: Basic EVIL", "HTTP_PROXY: http://EVIL", "Destination: http://EVIL/x", "Location: http://EVIL/", "Content-Location: //EVIL/",
    "Referer: http://EVIL/", "Origin: http://EVIL", "Via: 1.1 EVIL", "Alt-Used: EVIL", "Link: <http://EVIL/>; rel=self", "X-MSB-Host: EVIL",
    "Connection: Host", "Connection: close, Host, X-Forwarded-Host", ":authority: EVIL", "Host : EVIL", "X-Endpoint: http://EVIL", "Upgrade: EVIL",
    "X-Auth-URL: http://EVIL/", "SOAPAction: http://EVIL", "From: root@EVIL", "X-FromAppId: http://EVIL", "X-ONAP-PartnerName: http://EVIL",
    "X-ONAP-RequestID: http://EVIL/", "X-InvocationID: http://EVIL/", "traceparent: http://EVIL",
)  # fmt: skip


@pytest.mark.parametrize("method", ["GET", "POST", "COPY", "DELETE"])
@pytest.mark.parametrize("trusted", [False, True])
def test_no_header_leads_elsewhere(
    broker: Process, trusting: Process, plugin: Simulated, aai: Simulated, evil: Listener, method: str, trusted: bool
) -> None:
    """Nor of a peer that is believed."""
    asked = trusting if trusted else broker
    for header in HEADERS:
        for path in (V0 + "/x", f"{BASE}/v1/CloudOwner/RegionOne/x", f"{BASE}/v0/vim_types"):
            answer = asked.raw(request(method, path, at(evil, header)))
            assert answer.startswith(b"HTTP/1.1 "), header
    only_plugins_were_asked(plugin, aai)
    assert len(plugin.asked()) >= 2 * (len(HEADERS) - 2)
    assert evil.connections == 0


@pytest.fixture(scope="module")
def _trusting(scene: dict[str, str]) -> Iterator[dict[str, Process]]:
    trusted = {**scene, "BROKER_FORWARDED_TRUSTED": "0.0.0.0/0"}
    with a_broker("django", **trusted) as django, a_broker("pecan", **trusted) as pecan:
        yield {"django": django, "pecan": pecan}


@pytest.fixture
def trusting(_trusting: dict[str, Process], framework: str) -> Process:
    return _trusting[framework]


VIMS = ("http://EVIL_x", "//EVIL_x", "a_@EVIL", "EVIL_x", "localhost_PORT", "vmware_fake@EVIL", "vmware_fake/../..//EVIL", "@EVIL_x",
        "vmware_fake\r\nHost: EVIL", "vmware_fake HTTP/1.1\r\nHost: EVIL\r\n\r\n", "CloudOwner_RegionOne?@EVIL", "vmware_fake#@EVIL")  # fmt: skip


@pytest.mark.parametrize("version", ["v0", "v1"])
def test_no_vim_of_check_vim_capacity_leads_elsewhere(
    broker: Process, plugin: Simulated, aai: Simulated, evil: Listener, version: str
) -> None:
    named = [at(evil, vim) for vim in VIMS]
    vims: list[object] = list(named)
    if version == "v1":
        pairs = [*((vim, vim) for vim in named), ("vmware", named[0]), (named[1], "fake"), ("vmware", "fake")]
        vims = [{"cloud-owner": owner, "cloud-region-id": region, "endpoint": named[0]} for owner, region in pairs]
    else:
        vims.append("vmware_fake")
    body = json.dumps({"VIMs": vims, "endpoint": named[0], "url": named[0]}).encode()
    status, _, answer = broker.ask("POST", f"{BASE}/{version}/check_vim_capacity", body)
    assert (status, len(json.loads(answer)["VIMs"])) == (200, 1)  # vmware_fake alone
    only_plugins_were_asked(plugin, aai)
    assert evil.connections == 0


@pytest.mark.parametrize("log_format", ["json", "plain"])
def test_no_client_writes_a_log_line_of_its_own(
    framework: str, scene: dict[str, str], plugin: Simulated, log_format: str
) -> None:
    """A VIM that drops out is logged by the name that the client gave it."""
    forged = ["x\nFORGED", "x\r\nFORGED", "x\u2028FORGED\x85FORGED", "\x1b[2KFORGED", "\ud800FORGED", "\x00FORGED"]
    with a_broker(framework, **scene, BROKER_LOGS_FORMAT=log_format) as broker:
        broker.ask("POST", f"{BASE}/v0/check_vim_capacity", json.dumps({"VIMs": forged}).encode())
        assert broker.end() == 0
    lines = [line for line in "".join(broker.lines).splitlines() if "FORGED" in line]
    assert len(lines) == len(forged), lines
    assert all("drops out" in line and line.isprintable() for line in lines), lines


# A&AI.

CLOUDS: tuple[Mapping[str, object], ...] = (
    {"cloud-type": "http://EVIL"},
    {"cloud-type": "//EVIL"},
    {"cloud-type": "@EVIL"},
    {"cloud-type": "EVIL", "cloud-region-version": "EVIL"},
    {"cloud-type": "openstack@EVIL"},
    {"cloud-type": "openstack", "cloud-region-version": "http://EVIL"},
    {"cloud-type": "openstack", "cloud-region-version": "../../@EVIL"},
    {"cloud-type": "openstack", "cloud-region-version": {"endpoint": "http://EVIL", "provider_plugin": "x"}},
    {"cloud-type": {"provider_plugin": "x", "endpoint": "http://EVIL"}},
    {"cloud-type": ["openstack", "http://EVIL"]},
    {"cloud-type": "openstack", "provider_plugin": "http://EVIL", "endpoint": "http://EVIL", "identity-url": "http://EVIL"},
    {"cloud-type": "openstack", "cloud-region-version": "pike", "esr-system-info-list": {"esr-system-info": [{"service-url": "http://EVIL"}]}},
    {"cloud-type": "openstack", "cloud-owner": "http://EVIL", "cloud-region-id": "//EVIL", "complex-name": "EVIL"},
    {"cloud-type": "vmware\r\nHost: EVIL"},
    {"cloud-type": "k8s", "cloud-region-version": "v1", "strip_prefix": "", "endpoint": "http://EVIL"},
)  # fmt: skip


def answer_of(document: object) -> bytes:
    body = json.dumps(document).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


@contextlib.contextmanager
def with_aai(framework: str, scene: Mapping[str, str], answer: bytes) -> Iterator[tuple[Process, Listener]]:
    """A broker whose A&AI answers always the same, and that remembers nothing of it."""
    with listening(answer) as aai:
        settings = {
            **scene,
            "AAI_PORT": str(aai.port),
            "BROKER_INVENTORY_CACHE_TTL": "0",
            "BROKER_INVENTORY_NEGATIVE_TTL": "0",
        }
        with a_broker(framework, **settings) as broker:
            yield broker, aai


def test_no_region_that_aai_answers_leads_elsewhere(
    framework: str, scene: dict[str, str], plugin: Simulated, evil: Listener
) -> None:
    with with_aai(framework, scene, b"") as (broker, aai):
        for cloud in CLOUDS:
            aai.answer = answer_of(json.loads(at(evil, json.dumps(cloud))))
            for path in (f"{BASE}/v0/CloudOwner_Any/x", f"{BASE}/v1/CloudOwner/Any/x"):
                assert broker.ask("GET", path)[0] in (200, 404, 502), cloud
        assert len(aai.heads) == 2 * len(CLOUDS)
    for asked in plugin.asked():
        assert asked["target"].startswith(("/api/multicloud-pike/v", "/CloudOwner/Any/x")), asked
    assert len(plugin.asked()) >= 8
    assert evil.connections == 0


@pytest.mark.parametrize("status", [*REDIRECTS, 300, 304, 305, 200, 401, 404, 421, 503])
def test_no_redirect_of_aai_is_followed(
    framework: str, scene: dict[str, str], plugin: Simulated, evil: Listener, status: int
) -> None:
    head = (
        f"HTTP/1.1 103 Early Hints\r\nLink: <http://EVIL/>; rel=preconnect\r\n\r\nHTTP/1.1 {status} Elsewhere\r\n"
        f"Location: http://EVIL/aai\r\nContent-Location: http://EVIL/\r\nRefresh: 0; url=http://EVIL/\r\nAlt-Svc: http/1.1=\"EVIL\"\r\n"
        f"Link: <http://EVIL/>; rel=canonical\r\nWWW-Authenticate: Basic realm=\"http://EVIL/\"\r\nContent-Length: 0\r\n\r\n"
    )  # fmt: skip
    with with_aai(framework, scene, at(evil, head).encode()) as (broker, aai):
        assert broker.ask("GET", f"{BASE}/v0/CloudOwner_Any/x")[0] == (404 if status == 404 else 502)
        assert len(aai.heads) == 1
    assert plugin.asked() == []
    assert evil.connections == 0


# Plugins.


@pytest.mark.parametrize("status", [*REDIRECTS, 300, 305, 401, 503])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE"])
def test_a_plugins_redirect_is_passed_on_and_not_followed(
    broker: Process, plugin: Simulated, evil: Listener, status: int, method: str
) -> None:
    where = at(evil, "http://EVIL/x?y=%2F")
    answer = told(status, ("Location", where), ("Refresh", f"0; url={where}"), ("Alt-Svc", at(evil, 'http/1.1="EVIL"')))
    got, headers, _ = broker.ask(method, V0 + "/x", headers={"X-Answer": answer})
    assert (got, headers["Location"]) == (status, where)
    assert len(plugin.asked()) == 1
    assert evil.connections == 0


@pytest.mark.parametrize("status", REDIRECTS)
def test_a_plugins_redirect_of_capacity_check_is_not_followed(
    framework: str, evil: Listener, tmp_path: Path, status: int
) -> None:
    redirect = at(evil, f"HTTP/1.1 {status} Elsewhere\r\nLocation: http://EVIL/x\r\nContent-Length: 0\r\n\r\n").encode()
    with listening(redirect) as plugin:
        file = _map(tmp_path, f"http://127.0.0.1:{plugin.port}")
        with a_broker(framework, BROKER_PLUGINS_MAP_FILE=file) as broker:
            body = b'{"VIMs": ["vmware_fake"]}'
            assert broker.ask("POST", f"{BASE}/v0/check_vim_capacity", body)[2] == b'{"VIMs": []}'
        assert len(plugin.heads) == 1
    assert evil.connections == 0


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy"])
def test_no_proxy_of_the_environment_is_used(
    framework: str, scene: dict[str, str], plugin: Simulated, evil: Listener, name: str
) -> None:
    """Where requests go is set by the broker's own options, and by nothing that a pod inherits."""
    with a_broker(framework, **scene, **{name: at(evil, "http://EVIL")}) as broker:
        assert broker.ask("GET", f"{BASE}/v0/CloudOwner_RegionOne/x")[0] == 200
    assert evil.connections == 0
