from __future__ import annotations

import pytest

from app.core.address import route
from app.core.origin import Origin
from app.core.plugins import Plugin
from app.errors import NotFound, PluginUnknown

MSB = Origin("https", "msb", 443)
OWN = Origin("http", "own", 8080)
TARGET = b"/api/multicloud/v1/a/b/infra_workload?name=x"


@pytest.mark.parametrize(
    ("name", "port"),
    [
        ("multicloud-vio", 9004),
        ("multicloud-titaniumcloud", 9005),
        ("multicloud-pike", 9007),
        ("multicloud-starlingx", 9009),
        ("multicloud-fcaps", 9011),
    ],
)
def test_without_msb_a_plugin_is_reached_by_its_service(name: str, port: int) -> None:
    destination = route(Plugin(name), TARGET, None)
    assert destination == (Origin("http", name, port), b"/api/%b/v1/a/b/infra_workload?name=x" % name.encode(), name)


def test_the_service_of_k8s_is_without_what_msb_would_have_taken_off() -> None:
    destination = route(Plugin("multicloud-k8s"), TARGET, None)
    assert destination == (Origin("http", "multicloud-k8s", 9015), b"/a/b/infra_workload?name=x", "multicloud-k8s")


def test_msb_gets_the_plugins_whole_path() -> None:
    plugin = Plugin("multicloud-k8s", strip_prefix="/api")
    assert route(plugin, TARGET, MSB) == (MSB, b"/api/multicloud-k8s/v1/a/b/infra_workload?name=x", "multicloud-k8s")


def test_a_plugins_own_endpoint_wins_over_msb() -> None:
    destination = route(Plugin("p", (OWN, "/base")), TARGET, MSB)
    assert destination == (OWN, b"/base/api/p/v1/a/b/infra_workload?name=x", "p")


@pytest.mark.parametrize(
    ("prefix", "base", "target", "sent"),
    [
        ("/api/p/v1", "", b"v1/a/b", b"/a/b"),
        ("/api/p/v1", "/base", b"v1/a/b?c", b"/base/a/b?c"),
        ("/api/p/v1", "", b"v1", b"/"),
        ("/api/p/v1", "", b"v1?x=/y", b"/?x=/y"),
        ("/api/p/v1", "", b"v1//a%2Fb//", b"//a%2Fb//"),
        ("/api/p", "", b"v1/api/p", b"/v1/api/p"),
    ],
)
def test_the_prefix_is_taken_off_once(prefix: str, base: str, target: bytes, sent: bytes) -> None:
    assert route(Plugin("p", (OWN, base), prefix), b"/api/multicloud/" + target, MSB).target == sent


@pytest.mark.parametrize("target", [b"v0/a_b", b"v11/a/b", b"v1%2Fa", b"", b"?/api/p/v1/"])
def test_a_target_without_the_prefix_is_not_found(target: bytes) -> None:
    with pytest.raises(NotFound):
        route(Plugin("p", (OWN, ""), "/api/p/v1"), b"/api/multicloud/" + target, None)


def test_k8s_has_no_v0_at_its_service() -> None:
    with pytest.raises(NotFound):
        route(Plugin("multicloud-k8s"), b"/api/multicloud/v0/a_b", None)


def test_a_service_is_stripped_of_what_the_map_says() -> None:
    assert route(Plugin("multicloud-k8s", strip_prefix="/api/multicloud-k8s"), TARGET, None).target == TARGET[15:]
    assert route(Plugin("multicloud-vio", strip_prefix="/api"), TARGET, None).target.startswith(b"/multicloud-vio/v1/")


def test_a_plugin_without_any_address_is_named() -> None:
    with pytest.raises(PluginUnknown, match="multicloud-new has no address"):
        route(Plugin("multicloud-new"), TARGET, None)


def test_the_k8s_plugins_endpoint_is_stripped_of_what_msb_would_take_off() -> None:
    endpoint = (Origin("http", "k8s", 9015), "")
    asked = b"/api/multicloud/v1/o/r/infra_workload"
    assert route(Plugin("multicloud-k8s", endpoint), asked, None).target == b"/o/r/infra_workload"
    assert (
        route(Plugin("multicloud-k8s", endpoint, ""), asked, None).target
        == b"/api/multicloud-k8s/v1/o/r/infra_workload"
    )
