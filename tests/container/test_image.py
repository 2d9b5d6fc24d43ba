"""The image, in a real engine: `make image-test`. Each container is removed at its test's end."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT, until
from tests.test_compiling import MODULES

IMAGE = os.environ.get("IMAGE", "multicloud-broker:0.1.0")
HARDENED = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
TYPES = "/api/multicloud/v0/vim_types"
PUB = "/opt/multivimbroker/multivimbroker/pub"

CHART = {
    "MSB_PROTO": "http",
    "MSB_ADDR": ".onap",
    "MSB_PORT": "",
    "AAI_ADDR": "aai.onap",
    "AAI_PORT": "",
    "AAI_SCHEMA_VERSION": "v13",
    "AAI_USERNAME": "aai@aai.onap.org",
    "AAI_PASSWORD": "demo123456!",
    "AAI_PROTOCOL": "http",
    "SSL_ENABLED": "false",
}
"""The environment that OOM's chart renders."""

SERVICES = {
    "multicloud-vio": 9004,
    "multicloud-titaniumcloud": 9005,
    "multicloud-pike": 9007,
    "multicloud-starlingx": 9009,
    "multicloud-k8s": 9015,
}


def _versions(**plugins: str) -> dict[str, dict[str, str]]:
    return {
        key: {"version": key, "extra_info_hint": "", "provider_plugin": f"multicloud-{name}"}
        for key, name in plugins.items()
    }


OOMS_MAP = {
    "openstack": {
        "vim_type": "openstack",
        "versions": _versions(titanium_cloud="titaniumcloud", pike="pike", starlingx="starlingx"),
        "provider_plugin": "multicloud-pike",
    },
    "vmware": {"vim_type": "vmware", "versions": _versions(**{"4.0": "vio"}), "provider_plugin": "multicloud-vio"},
    "k8s": {"vim_type": "k8s", "versions": _versions(**{"1.0": "k8s"})},
}
"""The map that OOM's chart mounts."""

KINDS = [
    {"cloud-owner": "CloudOwner", "cloud-region-id": version, "cloud-type": kind, "cloud-region-version": version.replace("-", ".")}
    for kind, version in (("openstack", "titanium_cloud"), ("openstack", "pike"), ("openstack", "starlingx"), ("openstack", "newest"), ("vmware", "4-0"), ("k8s", "1-0"))
]  # fmt: skip
"""A region of each kind."""

pytestmark = pytest.mark.skipif(
    not os.environ.get("CI") and (shutil.which("docker") is None or subprocess.run(["docker", "info"], capture_output=True).returncode != 0),
    reason="there is no Docker engine here",
)  # fmt: skip


def docker(*arguments: str, check: bool = True, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(["docker", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=timeout)
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


class Container:
    """A running container of the image."""

    def __init__(self, *arguments: str, command: tuple[str, ...] = ()) -> None:
        self.name = f"broker-test-{uuid.uuid4().hex[:8]}"
        docker("run", "-d", "--name", self.name, "-p", "127.0.0.1::9001", *arguments, IMAGE, *command)

    @property
    def port(self) -> int:
        return int(docker("port", self.name, "9001").stdout.splitlines()[0].rpartition(":")[2])

    def get(self, path: str, timeout: float = 10) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        with contextlib.closing(connection):
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()

    def ready(self) -> None:
        def answers() -> bool:
            with contextlib.suppress(OSError, http.client.HTTPException):
                return self.get("/readyz")[0] == 200
            return False

        until(answers)

    def logs(self) -> str:
        done = docker("logs", self.name)
        return done.stdout + done.stderr

    def stop(self) -> int:
        """The exit status."""
        docker("stop", self.name)
        return int(docker("inspect", "-f", "{{.State.ExitCode}}", self.name).stdout)


@contextlib.contextmanager
def running(*arguments: str, command: tuple[str, ...] = ()) -> Iterator[Container]:
    container = Container(*arguments, command=command)
    try:
        container.ready()
        yield container
    finally:
        docker("rm", "-f", container.name)


def once(*arguments: str, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    return docker("run", "--rm", *options, IMAGE, *arguments, check=False)


def test_the_data_path_is_compiled() -> None:
    code = "import importlib, sys\nfor name in sys.argv[1:]: print(importlib.import_module(name).__file__)"
    names = [f"app.{name.replace('/', '.')}" for name in MODULES]
    interpreter = "/opt/multicloud/venv/bin/python3"
    told = docker("run", "--rm", "--entrypoint", interpreter, IMAGE, "-W", "ignore", "-c", code, *names).stdout
    assert [file for file in told.split() if not file.endswith(".so")] == []
    assert len(told.split()) == len(MODULES)


@pytest.mark.parametrize("framework", [None, "pecan"])
@pytest.mark.parametrize(
    "options",
    [(), HARDENED, (*HARDENED, "--user", "4711:4711"), ("--user", "0")],
    ids=["plain", "hardened", "any uid", "root"],
)
def test_it_serves_with_nothing_configured_and_ends_in_order(framework: str | None, options: tuple[str, ...]) -> None:
    environ = ("-e", f"WEB_FRAMEWORK={framework}") if framework else ()
    with running(*options, *environ) as container:
        assert json.loads(container.get(TYPES)[1])[0]["vim_type"] == "openstack"
        assert container.get("/api/multicloud/v0/swagger.json")[0] == 200
        assert b"multicloud_build_info" in container.get("/metrics")[1]
        began = time.monotonic()
        assert container.stop() == 0
        assert time.monotonic() - began < 10
        logs = container.logs()
    assert f"framework {framework or 'django'}" in logs
    assert "set AAI_ADDR" in logs
    assert "MSB_ADDR" in logs
    assert "Traceback" not in logs


def test_without_shared_memory_other_places_can_be_named(tmp_path: Path) -> None:
    mounts = (
        "--tmpfs",
        "/run/broker:mode=1777",
        "-e",
        "BROKER_RUN_DIR=/run/broker",
        "-e",
        "BROKER_METRICS_DIRECTORY=/run/broker/metrics",
    )
    with running(*HARDENED, "--ipc", "none", *mounts) as container:
        assert b"multicloud_workers" in container.get("/metrics")[1]


@pytest.mark.parametrize(("cpus", "workers"), [("0.5", 1), ("1", 1), ("1.5", 2), ("2", 2), (None, os.cpu_count())])
def test_workers_follow_the_cpus(cpus: str | None, workers: int) -> None:
    with running(*(("--cpus", cpus) if cpus else ())) as container:
        until(lambda: container.logs().count(" serves") == workers)
        assert f"{workers} worker" in container.logs()


def test_workers_follow_the_memory() -> None:
    with running("--memory", "128m", "--cpus", "2") as container:
        assert "1 worker" in container.logs()
        assert "memory" in container.logs()


def test_the_engine_finds_it_healthy() -> None:
    with running() as container:
        until(
            lambda: docker("inspect", "-f", "{{.State.Health.Status}}", container.name).stdout.strip() == "healthy", 40
        )


def test_https_with_todays_names(tmp_path: Path) -> None:
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
    ]
    subprocess.run(
        [*command, "-keyout", tmp_path / "cert.key", "-out", tmp_path / "cert.crt"], check=True, capture_output=True
    )
    (tmp_path / "cert.key").chmod(0o644)
    tmp_path.chmod(0o755)
    container = Container("-e", "SSL_ENABLED=true", "-v", f"{tmp_path}:{PUB}/ssl/cert:ro")
    try:
        url = f"https://127.0.0.1:{container.port}{TYPES}"
        until(lambda: subprocess.run(["curl", "-fsSk", "--max-time", "5", url], capture_output=True).returncode == 0)
        health = docker(
            "exec", container.name, "/usr/bin/python3", "-I", "-S", "/opt/multicloud/healthcheck.py", check=False
        )
        assert health.returncode == 0, health.stderr
    finally:
        docker("rm", "-f", container.name)


def test_a_broken_configuration_is_one_line_and_a_status_of_its_own() -> None:
    done = once(options=("-e", "WEB_FRAMEWORK=flask"))
    assert (done.returncode, (done.stdout + done.stderr).count("\n")) == (78, 1), done
    assert "flask" in done.stderr


def test_the_other_verbs() -> None:
    assert "valid" in once("check-config").stdout
    assert "web_framework" in once("show-config").stdout
    unknown = once("brew")
    assert unknown.returncode == 64
    assert "volte" in unknown.stderr


def test_the_demonstration_plays_volte_in_one_container() -> None:
    with running(*HARDENED, command=("demo",)) as container:
        played = docker("exec", container.name, "python3", "-m", "app", "volte", "http://127.0.0.1:9001", check=False)
        assert played.returncode == 0, played.stdout + played.stderr
        assert container.stop() == 0


def test_orphans_are_reaped() -> None:
    with running() as container:
        docker("exec", "-d", container.name, "sh", "-c", "(sleep 0.1 &) ; exit 0")
        until(lambda: "sleep" not in docker("top", container.name, "-eo", "pid,stat,comm").stdout)
        assert " Z" not in docker("top", container.name, "-eo", "pid,stat,comm").stdout


def test_what_is_in_the_image() -> None:
    look = docker(
        "run",
        "--rm",
        "--entrypoint",
        "sh",
        IMAGE,
        "-c",
        "id -u; id -g; ls /opt/multicloud; which pip gcc cc curl; find / -xdev -name 'test_*.py' 2>/dev/null | grep -v /usr/lib/python3; python3 --version",
    )
    lines = look.stdout.split()
    assert lines[:2] == ["100", "65533"]
    assert "sbom.cdx.json" in lines
    assert not [line for line in lines if line.endswith(("/pip", "/gcc", "/cc", "/curl")) or "test_" in line]
    sbom = json.loads(docker("run", "--rm", "--entrypoint", "cat", IMAGE, "/opt/multicloud/sbom.cdx.json").stdout)
    assert sbom["bomFormat"] == "CycloneDX"
    assert {"eventlet", "pecan", "oslo.service", "httptools"} <= {one["name"].lower() for one in sbom["components"]}
    labels = json.loads(docker("inspect", "-f", "{{json .Config.Labels}}", IMAGE).stdout)
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert {"version", "revision", "source"} <= {label.rpartition(".")[2] for label in labels}


def test_it_runs_as_todays_chart_runs_it(tmp_path: Path) -> None:
    """OOM's kubernetes/multicloud: the init container's copy, mounts over pub, log.yml, read-only root, both probes."""
    pub, log = tmp_path / "pub", tmp_path / "log"
    for folder in (pub, log):
        folder.mkdir()
        folder.chmod(0o777)
    tmp_path.chmod(0o755)
    security = (*HARDENED, "--user", "100:65533")
    docker(
        "run", "--rm", *security, "-v", f"{pub}:{PUB}_rw", "--entrypoint", "cp", IMAGE, "-R", f"{PUB}/.", f"{PUB}_rw/"
    )
    assert (pub / "config" / "provider-plugin.json").exists()
    (tmp_path / "log.yml").write_text('version: 1\nformatters: {standard: {format: "%(thread)||"}}\n')
    (tmp_path / "provider-plugin.json").write_text(json.dumps(OOMS_MAP))
    (tmp_path / "regions.yaml").write_text(json.dumps(KINDS))
    with around(tmp_path) as network:
        options = [part for key, value in CHART.items() for part in ("-e", f"{key}={value}")]
        mounts = (
            "-v",
            f"{pub}:{PUB}",
            "-v",
            f"{log}:/var/log/onap",
            "-v",
            f"{tmp_path}/log.yml:{PUB}/config/log.yml:ro",
        )
        map_mount = ("-v", f"{tmp_path}/provider-plugin.json:{PUB}/config/provider-plugin.json:ro")
        with running(*security, "--network", network, *options, *mounts, *map_mount) as container:
            for _ in range(2):
                assert container.get("/api/multicloud/v0/swagger.json", timeout=1)[0] == 200
            assert [entry["vim_type"] for entry in json.loads(container.get(TYPES)[1])] == list(OOMS_MAP)
            for kind in KINDS:
                region = f"{kind['cloud-owner']}/{kind['cloud-region-id']}"
                assert container.get(f"/api/multicloud/v1/{region}/tenants")[0] == 200, kind
            assert container.get("/api/multicloud/v0/vmware_fake/tenants")[0] == 200
            status, body = container.get("/api/multicloud/v1/CloudOwner/Nowhere/tenants")
            assert (status, b"A&AI has no region" in body) == (404, True)  # it took the login
            assert "log.yml is not applied" in container.logs()
            assert CHART["AAI_PASSWORD"] not in container.logs()


@contextlib.contextmanager
def around(folder: Path) -> Iterator[str]:
    """A&AI and each plugin's service, under the names and ports that they have in OOM; the network's name."""
    network = f"onap-test-{uuid.uuid4().hex[:8]}"
    docker("network", "create", network)
    names: list[str] = []
    try:
        for alias, port in {CHART["AAI_ADDR"]: 80, **SERVICES}.items():
            names.append(f"{network}-{port}")
            what = (
                ("aai", "--username", CHART["AAI_USERNAME"], "--regions", "/regions.yaml")
                if port == 80
                else ("plugin",)
            )
            place = (
                "--network",
                network,
                "--network-alias",
                alias,
                "--sysctl",
                "net.ipv4.ip_unprivileged_port_start=0",
            )
            data = (
                "-e",
                f"SIMULATOR_PASSWORD={CHART['AAI_PASSWORD']}",
                "-v",
                f"{folder}/regions.yaml:/regions.yaml:ro",
            )
            docker(
                "run",
                "-d",
                "--name",
                names[-1],
                *place,
                *data,
                IMAGE,
                "simulate",
                *what,
                "--host",
                "0.0.0.0",
                "--port",
                str(port),
            )
        yield network
    finally:
        docker("rm", "-f", *names, check=False)
        docker("network", "rm", network, check=False)


def test_compose_ends_healthy_and_plays_volte() -> None:
    project = f"broker-test-{uuid.uuid4().hex[:8]}"
    env = {**os.environ, "BROKER_PORT": "0", "BROKER_VERSION": IMAGE.rpartition(":")[2]}

    def compose(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["docker", "compose", "-p", project, *arguments]
        return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=110)

    try:
        up = compose("up", "--wait", "--no-build")
        assert up.returncode == 0, up.stdout + up.stderr
        port = compose("port", "broker", "9001").stdout.strip().rpartition(":")[2]
        for path in ("v0/vim_types", "v0/vmware_fake/tenants", "v1/CloudOwner/RegionOne/tenants"):
            connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=10)
            connection.request("GET", f"/api/multicloud/{path}")
            assert connection.getresponse().status == 200
            connection.close()
        played = compose("--profile", "volte", "run", "--rm", "volte")
        assert played.returncode == 0, played.stdout + played.stderr
    finally:
        compose("--profile", "volte", "down", "--timeout", "5")
