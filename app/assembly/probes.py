"""What a worker answers of itself."""

from __future__ import annotations

from collections.abc import Callable

from app.core.origin import Origin
from app.server.exporter import relay
from app.server.slots import Slots
from app.upstream.client import Client
from app.web.edge import Authenticate, Probe
from app.web.guard import guarded
from app.web.health import Health


class Probes:
    """Of one worker, by path: those of health, which are for everybody, and `/metrics`."""

    def __init__(self, slots: Slots, client: Client, exporter: Origin | None, configuration: Callable[[], str]) -> None:
        """`exporter`: where metrics are had; None: nowhere. `configuration` tells what is not as its files have it."""
        self._slots = slots
        live = Health({"workers": self._workers})
        ready = Health({"draining": self._ending}, {"configuration": configuration})
        self.health: dict[str, Probe] = {"/livez": live, "/healthz": live, "/readyz": ready, "/startupz": ready}
        self._metrics = {"/metrics": relay(client, exporter)} if exporter is not None else {}

    def all(self, guard: Authenticate | None) -> dict[str, Probe]:
        """With `/metrics` for who passes `guard`."""
        metrics = {path: guarded(probe, guard) if guard is not None else probe for path, probe in self._metrics.items()}
        return {**self.health, **metrics}

    def _ending(self) -> str:
        return "draining" if self._slots.draining else ""

    def _workers(self) -> str:
        stalled = self._slots.stalled()
        return f"workers in slots {', '.join(map(str, stalled))} are missing or silent" if stalled else ""
