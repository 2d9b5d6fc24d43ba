"""The VoLTE use case as data: what is sent, in which order, and what each answer is checked for. Pure.

In paths and bodies `{NAME}` stands for what the step NAME gave (an id), or for a value given to the run:
`{run}`, its random suffix, and `{tenant_name}`. What a step needs follows from these, so it is said once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from string import Formatter
from typing import Literal
from urllib.parse import quote

GIVEN = frozenset({"run", "tenant_name"})
"""The values that no step gives."""

Check = Literal["answered", "tenant", "made", "listed", "state", "deleted", "gone"]
"""What is looked for in a step's answer; `app.volte.player` has a function for each."""

REGISTERED = frozenset({202})
READ = frozenset({200})
CREATED = frozenset({200, 201, 202})
DONE = frozenset({200, 202, 204})

IMAGE = "https://download.cirros-cloud.net/0.6.2/cirros-0.6.2-x86_64-disk.img"
"""A small image (21 MB) that clouds commonly test with; a real plugin fetches it."""


@dataclass(frozen=True)
class Kind:
    """A kind of resource, and the body that creates one (contract, section 1)."""

    name: str
    body: Mapping[str, object] = field(hash=False)

    @property
    def plural(self) -> str:
        return f"{self.name}s"

    @property
    def collection(self) -> str:
        return f"/{{tenants}}/{self.plural}"

    @property
    def item(self) -> str:
        return f"{self.collection}/{{{self.name}}}"


KINDS = (
    Kind("image", {"name": "volte-image-{run}", "imageType": "qcow2", "imagePath": IMAGE, "containerFormat": "bare"}),
    Kind("network", {"name": "volte-network-{run}", "networkType": "vxlan", "shared": False}),
    Kind("subnet", {"name": "volte-subnet-{run}", "networkId": "{network}", "cidr": "10.77.0.0/24", "ipVersion": 4}),
    Kind("port", {"name": "volte-port-{run}", "networkId": "{network}", "subnetId": "{subnet}"}),
    Kind("flavor", {"name": "volte-flavor-{run}", "vcpu": 1, "memory": 512, "disk": 1}),
    Kind("volume", {"name": "volte-volume-{run}", "volumeSize": 1, "imageId": "{image}"}),
    Kind("server", {"name": "volte-server-{run}", "boot": {"type": 1, "volumeId": "{volume}"}, "flavorId": "{flavor}",
                    "nicArray": [{"portId": "{port}"}]}),
)  # fmt: skip
"""In the order of creation; memory is in MB, disk and volumeSize are in GB."""

SERVER = KINDS[-1]


@dataclass(frozen=True)
class Step:
    """One row of the use case. `path` is below the region; `after` names steps needed beside the placeholders'.

    `states` are the statuses to wait for, in lower case; without any, whatever is not under way is ready.
    A `clean` step undoes what the run made, and is played also when the others are not.
    """

    name: str
    method: str
    path: str
    expect: frozenset[int]
    check: Check = "answered"
    body: Mapping[str, object] | None = None
    kind: Kind | None = None
    after: tuple[str, ...] = ()
    states: frozenset[str] = frozenset()
    clean: bool = False

    @property
    def needs(self) -> tuple[str, ...]:
        """The steps that have to have worked, in the order of the plan's naming."""
        wanted = (name for name in (*placeholders(self.path), *placeholders(self.body)) if name not in GIVEN)
        return tuple(dict.fromkeys((*self.after, *wanted)))


def plan(tenant: str = "", unregister: bool = True) -> tuple[Step, ...]:
    """The whole use case; `tenant` is the wanted one's name, empty for the first."""
    steps = [*_enter(tenant), *map(_create, KINDS), *map(_list, KINDS), *_act()]
    steps += [*map(_delete, reversed(KINDS)), *map(_gone, reversed(KINDS))]
    if unregister:
        # The last of all: a plugin may take an unregistered region out of the inventory, and then nothing
        # more can be asked about it, not even whether the resources are gone.
        steps.append(Step("unregister", "DELETE", "", DONE, after=("register",), clean=True))
    return tuple(steps)


def _enter(tenant: str) -> Iterator[Step]:
    query = f"?name={quote(tenant, safe='')}" if tenant else ""
    yield Step("register", "POST", "/registry", REGISTERED, body={"defaultTenant": "{tenant_name}"})
    yield Step("tenants", "GET", f"/tenants{query}", READ, "tenant", after=("register",))


def _create(kind: Kind) -> Step:
    return Step(kind.name, "POST", kind.collection, CREATED, "made", kind.body, kind)


def _list(kind: Kind) -> Step:
    return Step(f"list {kind.plural}", "GET", kind.collection, READ, "listed", kind=kind, after=(kind.name,))


def _act() -> Iterator[Step]:
    actions = (("stop", "os-stop", {"shutoff", "stopped"}, ()), ("start", "os-start", {"active"}, ("stop server",)))
    for name, action, states, after in actions:
        body, path = {action: None}, f"{SERVER.item}/action"
        yield Step(f"{name} server", "POST", path, DONE, "state", body, SERVER, after, frozenset(states))


def _delete(kind: Kind) -> Step:
    return Step(f"delete {kind.name}", "DELETE", kind.item, DONE, "deleted", kind=kind, clean=True)


def _gone(kind: Kind) -> Step:
    after = (f"delete {kind.name}",)
    return Step(f"{kind.name} gone", "GET", kind.collection, READ, "gone", kind=kind, after=after, clean=True)


def placeholders(template: object) -> Iterator[str]:
    """The names in a path or in a body, in their order."""
    if isinstance(template, str):
        yield from (name for _, name, _, _ in Formatter().parse(template) if name)
        return
    parts: Iterable[object] = ()
    if isinstance(template, Mapping):
        parts = template.values()
    elif isinstance(template, Sequence):
        parts = template
    for part in parts:
        yield from placeholders(part)


def fill(template: object, values: Mapping[str, str]) -> object:
    """A body with its placeholders replaced. Raises `KeyError` for a value that is not there."""
    if isinstance(template, str):
        return template.format_map(values)
    if isinstance(template, Mapping):
        return {name: fill(part, values) for name, part in template.items()}
    if isinstance(template, Sequence):
        return [fill(part, values) for part in template]
    return template


def fill_path(template: str, values: Mapping[str, str]) -> str:
    """A path with its placeholders replaced, each as one percent-encoded segment. Raises `KeyError`."""
    return template.format_map({name: quote(value, safe="") for name, value in values.items()})
