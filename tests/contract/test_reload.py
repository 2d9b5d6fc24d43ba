"""A reload: by SIGHUP, and when a file changes; in every worker, and at once."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from pathlib import Path

import pytest

from tests.auth.conftest import basic
from tests.conftest import children, read_all, started, until
from tests.contract.callers import TYPES, users
from tests.contract.conftest import BASE, V0, Simulated, told
from tests.contract.reloading import KEPT, LOADED, WORKERS, Scene, playing

MANY = {f"X-{number}": "1" for number in range(20)}


@pytest.fixture
def scene(framework: str, plugin: Simulated, tmp_path: Path) -> Scene:
    return Scene(tmp_path, plugin, framework)


@pytest.mark.parametrize("how", ["sighup", "by itself"])
def test_another_map_counts_at_once_in_every_worker(scene: Scene, plugin: Simulated, how: str) -> None:
    with playing(scene):
        assert scene.types() == ["vmware", "first"]
        scene.map.write(scene.map_of("second", "third"))
        if how == "sighup":
            scene.hang_up()
        scene.everywhere(lambda: scene.types() == ["vmware", "second", "third"])
        plugin.clear()
        for _ in range(8):
            assert scene.broker.ask("GET", f"{V0}/x")[0] == 200
        assert {one["target"].split("/")[2] for one in plugin.asked("/x")} == {"second"}
        assert len(scene.lines(LOADED)) == 1 + (how == "sighup")  # of the map, and of the configuration
        assert scene.broker.end() == 0
    assert not scene.lines("ERROR")


def test_a_bad_map_is_not_taken_and_said_until_it_is_good_again(scene: Scene) -> None:
    with playing(scene):
        assert (scene.ready(), scene.metric("successful")) == ("[+] configuration: ok\n[+] draining: ok\nok", 1)
        before = scene.metric("success_timestamp_seconds")
        scene.map.write(scene.map_of("second")[:-9])
        scene.everywhere(lambda: KEPT in scene.ready())
        assert scene.ready().startswith(f"[!] configuration: plugins.map_file {KEPT}: the provider-plugin map ")
        assert "no JSON" in scene.ready()
        assert scene.broker.ask("GET", "/readyz")[2] == b"ok"
        until(lambda: scene.metric("successful") == 0)
        assert scene.metric("success_timestamp_seconds") == before
        document = json.loads(scene.broker.ask("GET", "/readyz?verbose", headers={"Accept": "application/json"})[2])
        assert (document["status"], document["checks"]["draining"]) == ("ok", "ok")
        assert document["checks"]["configuration"].startswith("warning: plugins.map_file stays")
        assert scene.types() == ["vmware", "first"]
        assert len(scene.lines(KEPT)) == 1
        scene.hang_up()
        until(lambda: len(scene.lines(KEPT)) == 2)  # who asks is told
        scene.map.write(scene.map_of("third"))
        scene.everywhere(lambda: scene.types() == ["vmware", "third"] and KEPT not in scene.ready())
        until(lambda: scene.metric("successful") == 1 and scene.metric("success_timestamp_seconds") > before)
        assert len(scene.lines(KEPT)) == 2


def test_a_map_that_is_gone_is_kept(scene: Scene) -> None:
    with playing(scene):
        shutil.rmtree(scene.map.path.parent)
        scene.everywhere(lambda: "No such file" in scene.ready())
        assert scene.types() == ["vmware", "first"]
        assert len(scene.lines(KEPT)) == 1


def test_another_regions_file_counts(scene: Scene) -> None:
    with playing(scene):
        assert scene.broker.ask("GET", f"{BASE}/v0/o_new/x")[0] == 404
        scene.regions.write_text(scene.regions_of("new"))
        scene.everywhere(lambda: scene.broker.ask("GET", f"{BASE}/v0/o_new/x")[0] == 200)
        other = scene.folder / "other.yaml"
        other.write_text(scene.regions_of("other"))
        scene.configure(inventory__regions_file=str(other))
        scene.hang_up()
        scene.everywhere(lambda: scene.broker.ask("GET", f"{BASE}/v0/o_new/x")[0] == 404)
        assert scene.broker.ask("GET", f"{BASE}/v0/o_other/x")[0] == 200


def test_options_count_on_open_connections_too(scene: Scene) -> None:
    with playing(scene) as scene, scene.broker.connect() as open_before:
        request = f"GET {TYPES} HTTP/1.1\r\nHost: x\r\n".encode() + b"X-A: 1\r\n" * 20 + b"\r\n"
        open_before.sendall(request)
        assert open_before.recv(65536).startswith(b"HTTP/1.1 200")
        scene.configure(server__header_count="10", logs__access="false")
        scene.everywhere(lambda: scene.broker.ask("GET", TYPES, headers=MANY)[0] == 431)
        assert "server.header_count, logs.access changed" in scene.lines("the configuration was loaded anew")[0]
        open_before.sendall(request)
        assert read_all(open_before).startswith(b"HTTP/1.1 431")
        lines = len(scene.lines('"access"'))
        scene.broker.ask("GET", TYPES)
        scene.configure()
        scene.everywhere(lambda: scene.broker.ask("GET", TYPES, headers=MANY)[0] == 200)
        assert len(scene.lines("the configuration was loaded anew")) == 2
        assert lines < len(scene.lines('"access"')) < lines + 200


def test_a_level_and_a_format_count(scene: Scene) -> None:
    with playing(scene):
        scene.configure(logs__level="DEBUG", logs__format="plain")
        scene.hang_up()
        until(
            lambda: len([line for line in scene.lines("the configuration was loaded") if " DEBUG " in line]) == WORKERS
        )
        scene.configure(logs__level="ERROR", server__request_line_limit="300")
        scene.hang_up()
        scene.everywhere(lambda: scene.broker.ask("GET", TYPES + "?" + "x" * 400)[0] == 414)
        until(lambda: scene.metric("successful") == 1)
        scene.configure(server__idle_timeout="x")
        scene.hang_up()
        scene.broker.read_until('^{.*"level": "ERROR".*server.idle_timeout is \'x\'')


def test_what_one_client_may_take_up_is_counted_over_all_workers_from_then_on(scene: Scene) -> None:
    with playing(scene):
        assert {scene.broker.ask("GET", TYPES)[0] for _ in range(20)} == {200}
        scene.configure(clients__rate="1", clients__rate_window="3600")
        scene.hang_up()
        scene.everywhere(lambda: "ok" in scene.ready())
        scene.configure(clients__rate="0.01", clients__rate_window="100")
        scene.hang_up()
        scene.everywhere(lambda: scene.broker.ask("GET", TYPES)[0] == 429)
        scene.configure()
        scene.hang_up()
        scene.everywhere(lambda: scene.broker.ask("GET", TYPES)[0] == 200)


def test_an_option_that_needs_a_restart_says_so(scene: Scene) -> None:
    with playing(scene):
        scene.configure(server__workers="3", server__backlog="7", capacity__timeout="9")
        scene.hang_up()
        line = json.loads(scene.broker.read_until("needs a restart")[0] and scene.lines("needs a restart")[0])
        assert line["level"] == "WARNING"
        assert line["message"].startswith("server.backlog, server.workers changed in the configuration, which needs")
        scene.everywhere(lambda: "[!] configuration: server.backlog, server.workers changed" in scene.ready())
        assert "capacity.timeout changed" in scene.lines("the configuration was loaded anew")[0]
        assert scene.metric("successful") == 1
        assert len(children(scene.broker.popen.pid)) == WORKERS + 1
        scene.configure()
        scene.everywhere(lambda: "[+] configuration: ok" in scene.ready())


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"server__idle_timeout": "x"}, r"server\.idle_timeout is 'x' \(.*broker\.conf\): allowed is a number from"),
        ({"server__request_line_limit": "99999"}, r"server\.request_line_limit is 99999 .*allowed is at most"),
        ({"inventory__regions_file": "/none"}, r"inventory\.regions_file is '/none' .*allowed is a file"),
        ({"aai__passwrod": "hidden"}, r"the option 'aai\.passwrod' .* is unknown"),
    ],
)
def test_a_bad_configuration_is_refused_as_a_whole(scene: Scene, options: dict[str, str], why: str) -> None:
    with playing(scene):
        scene.configure(clients__requests_max="1", server__header_count="1", **options)
        scene.hang_up()
        scene.broker.read_until(f"the configuration {KEPT}: {why}")
        scene.everywhere(lambda: f"the configuration {KEPT}" in scene.ready())
        assert re.search(why, scene.ready())
        assert scene.broker.ask("GET", TYPES)[0] == 200
        assert len(scene.lines(KEPT)) == 1
        assert "hidden" not in "".join(scene.broker.lines)
        scene.configure()
        scene.everywhere(lambda: "[+] configuration: ok" in scene.ready())


def test_a_worker_that_is_replaced_begins_with_what_counts(scene: Scene) -> None:
    """Not with what there was at the start, nor with the bad file of now."""
    with playing(scene):
        scene.map.write(scene.map_of("second"))
        scene.configure(server__header_count="10")
        scene.hang_up()
        scene.everywhere(lambda: scene.types() == ["vmware", "second"])
        scene.map.write("{")
        scene.configure(server__header_count="x")
        scene.hang_up()
        scene.everywhere(lambda: scene.ready().count(KEPT) == 2)
        for worker in sorted(children(scene.broker.popen.pid))[:WORKERS]:
            os.kill(worker, signal.SIGKILL)
        for _ in range(WORKERS):
            scene.broker.read_until("worker . serves")
        scene.everywhere(lambda: scene.types() == ["vmware", "second"])
        scene.everywhere(lambda: scene.broker.ask("GET", TYPES, headers=MANY)[0] == 431)
        scene.everywhere(lambda: scene.ready().count(KEPT) == 2)
        assert scene.metric("successful") == 0


def test_authentication_is_turned_on_and_off(scene: Scene) -> None:
    right = {"Authorization": "Basic " + basic(b"alice", b"pass:word").decode()}
    file = users(scene.folder / "users", alice="pass:word")
    with playing(scene):
        scene.configure(auth__basic_file=file)
        scene.hang_up()
        scene.everywhere(lambda: scene.broker.ask("GET", TYPES)[0] == 401)
        assert scene.broker.ask("GET", TYPES, headers=right)[0] == 200
        assert scene.broker.ask("GET", "/metrics")[0] == 401
        scene.configure(auth__basic_file=file, auth__realm="other", auth__exempt_metrics="true")
        scene.hang_up()
        scene.everywhere(lambda: 'realm="other"' in str(scene.broker.ask("GET", TYPES)[1]["WWW-Authenticate"]))
        assert scene.broker.ask("GET", "/metrics")[0] == 200
        scene.configure()
        scene.hang_up()
        scene.everywhere(lambda: scene.broker.ask("GET", TYPES)[0] == 200)


def test_another_login_at_the_inventory_counts(scene: Scene, aai: Simulated, tmp_path: Path) -> None:
    """By the password's file for the next request, and by the configuration with a reload."""
    password = tmp_path / "password"
    password.write_text("wrong")
    where = {"aai__protocol": "http", "aai__address": "127.0.0.1", "aai__port": str(aai.port)}
    short = {"inventory__negative_ttl": "0", "inventory__cache_ttl": "0", "inventory__stale_ttl": "0"}
    region = f"{BASE}/v0/CloudOwner_RegionOne/x"
    scene.map.write(json.dumps({"openstack": {"provider_plugin": "p", "endpoint": scene.endpoint}}))
    scene.configure(**where, **short, aai__username="multicloud")
    with playing(scene, AAI_PASSWORD_FILE=str(password)):
        assert scene.broker.ask("GET", region)[0] == 502
        password.write_text("s3cret-of-a&ai\n")
        assert {scene.broker.ask("GET", region)[0] for _ in range(8)} == {200}
        scene.configure(**where, **short, aai__username="nobody")
        scene.hang_up()
        scene.everywhere(lambda: scene.broker.ask("GET", region)[0] == 502)
        scene.configure(inventory__cache_ttl="0")
        scene.hang_up()
        scene.everywhere(lambda: scene.broker.ask("GET", region)[0] == 404)
    assert "s3cret" not in "".join(scene.broker.lines)


def test_what_is_in_flight_ends_as_it_began(scene: Scene) -> None:
    """An upload, a download and an answer that takes its time; the plugin of the request is another one by then."""
    slow = f"GET {V0}/slow HTTP/1.1\r\nHost: x\r\nX-Fault: delay=3\r\nX-Answer: {told(200, body=b'late')}\r\n"
    trickle = (
        f"GET {V0}/trickle HTTP/1.1\r\nHost: x\r\nX-Fault: trickle=0.3\r\nX-Answer: {told(200, body=b'0123456789')}\r\n"
    )
    with playing(scene), scene.broker.connect() as one, scene.broker.connect() as two, scene.broker.connect() as three:
        one.sendall(slow.encode() + b"Connection: close\r\n\r\n")
        two.sendall(trickle.encode() + b"Connection: close\r\n\r\n")
        three.sendall(f"POST {V0}/up HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 6\r\n\r\nabc".encode())
        scene.map.write(json.dumps({"vmware": {"provider_plugin": "p", "endpoint": "http://127.0.0.1:1"}}))
        scene.configure(upstream__response_timeout="0.2", upstream__idle_timeout="0.1", server__body_timeout="0.1")
        scene.hang_up()
        scene.everywhere(
            lambda: scene.broker.ask("GET", f"{V0}/x")[0] in (502, 503)
        )  # refused, then its circuit is open
        three.sendall(b"def")
        assert read_all(three).startswith(b"HTTP/1.1 200")
        assert read_all(one).endswith(b"late")
        assert read_all(two).endswith(b"0123456789")


def test_sighup_while_it_ends_is_harmless(scene: Scene) -> None:
    scene.configure(server__drain_pause="1")
    with playing(scene), scene.broker.connect() as sock:
        sock.sendall(f"GET {V0}/slow HTTP/1.1\r\nHost: x\r\nX-Fault: delay=1.5\r\n\r\n".encode())
        until(lambda: scene.broker.ask("GET", "/metrics")[2].count(b"http_requests_in_flight 1.0"))
        scene.broker.popen.send_signal(signal.SIGTERM)
        scene.map.write(scene.map_of("second"))
        for pid in (scene.broker.popen.pid, *children(scene.broker.popen.pid)):
            os.kill(pid, signal.SIGHUP)
        assert read_all(sock).startswith(b"HTTP/1.1 200")
        assert scene.broker.end() == 0


def test_sighup_while_it_starts_is_harmless(scene: Scene) -> None:
    with started("-m", "app", "serve", "--config-file", str(scene.file)) as scene.broker:
        for _ in range(5):
            scene.hang_up()
        scene.everywhere(lambda: scene.types() == ["vmware", "first"])
        assert scene.broker.end() == 0
