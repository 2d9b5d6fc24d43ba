"""What the tests of reloads share: a broker whose files change, and clients that ask all the while."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import Process, started, until
from tests.contract.callers import TYPES
from tests.contract.conftest import V0, Simulated

LOADED = "was loaded anew"
KEPT = "stays as it was loaded before"
WORKERS = 2


class Mounted:
    """A file as a ConfigMap's volume has it: a link into `..data`, itself a link that an update swaps (rename(2))."""

    def __init__(self, folder: Path, name: str, text: str) -> None:
        folder.mkdir()
        self.path = folder / name
        self._folder = folder
        self._versions = 0
        self.write(text)
        self.path.symlink_to(f"..data/{name}")

    def write(self, text: str) -> None:
        self._versions += 1
        version = self._folder / f"..{self._versions}"
        version.mkdir()
        (version / self.path.name).write_text(text)
        before = self._folder / "..data"
        former = before.readlink() if before.is_symlink() else None
        (self._folder / "..new").symlink_to(version.name)
        (self._folder / "..new").rename(before)
        if former is not None:
            shutil.rmtree(self._folder / former)


class Scene:
    """A broker of two workers, its configuration file, and the files that this names."""

    def __init__(self, folder: Path, plugin: Simulated, framework: str) -> None:
        self.folder = folder
        self.endpoint = f"http://127.0.0.1:{plugin.port}"
        self.map = Mounted(folder / "map", "provider-plugin.json", self.map_of("first"))
        self.regions = folder / "regions.yaml"
        self.regions.write_text(self.regions_of())
        self.file = folder / "broker.conf"
        self._always = {
            "server": {"web_framework": framework, "port": "0", "workers": str(WORKERS)},
            "plugins": {"map_file": str(self.map.path)},
            "inventory": {"regions_file": str(self.regions)},
        }
        self.configure()
        self.broker: Process

    def map_of(self, *names: str) -> str:
        """A map in which the first of these plugins serves vmware, and each a type of its own name."""
        plugins = {name: {"provider_plugin": name, "endpoint": self.endpoint} for name in names}
        return json.dumps({"vmware": plugins[names[0]], **plugins})

    def regions_of(self, *names: str) -> str:
        return json.dumps([{"cloud-owner": "o", "cloud-region-id": name, "cloud-type": "vmware"} for name in names])

    def configure(self, **options: str) -> None:
        """Write the file; an option is named `group__option`."""
        groups = {group: dict(own) for group, own in self._always.items()}
        for name, value in options.items():
            group, _, option = name.partition("__")
            groups.setdefault(group, {})[option] = value
        lines = [f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in own.items()) for group, own in groups.items()]
        written = self.file.with_suffix(".new")
        written.write_text("\n".join(lines))
        written.replace(self.file)  # at once: some worker may still be at the reload before this one

    def hang_up(self) -> None:
        self.broker.popen.send_signal(signal.SIGHUP)

    def everywhere(self, holds: Callable[[], bool]) -> None:
        """Until it holds in each worker: each connection is a new one, and they are spread."""
        until(lambda: all(holds() for _ in range(4 * WORKERS)))

    def ready(self) -> str:
        status, _, body = self.broker.ask("GET", "/readyz?verbose")
        assert status == 200
        return body.decode()

    def metric(self, name: str) -> float:
        text = self.broker.ask("GET", "/metrics")[2].decode()
        return float(re.findall(rf"^multicloud_config_last_reload_{name} (\S+)$", text, re.MULTILINE)[0])

    def lines(self, holding: str) -> list[str]:
        return [line for line in self.broker.lines if holding in line]

    def types(self) -> list[str]:
        return [entry["vim_type"] for entry in json.loads(self.broker.ask("GET", TYPES)[2])]


@contextmanager
def playing(scene: Scene, **env: str) -> Iterator[Scene]:
    with started("-m", "app", "serve", "--config-file", str(scene.file), env=env) as scene.broker:
        for _ in range(WORKERS):
            scene.broker.read_until("worker . serves")
        yield scene


class Load:
    """Clients that ask all along on connections that they keep, and count what is not a 200."""

    def __init__(self, scene: Scene, clients: int) -> None:
        self._port = scene.broker.port
        self.answered = 0
        self.lost: list[object] = []
        self._ends = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(clients)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, number: int) -> None:
        requests = [("GET", f"{V0}/servers", None), ("POST", f"{V0}/servers", b"{}"), ("GET", TYPES, None)]
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        while not self._ends.is_set():
            method, path, body = requests[self.answered % len(requests)]
            try:
                connection.request(method, path, body)
                answer = connection.getresponse()
                text = answer.read()
            except (OSError, http.client.HTTPException) as error:
                self.lost.append(error)
                connection.close()
                continue
            if answer.status != 200:
                self.lost.append((answer.status, text))
            self.answered += 1
        connection.close()
