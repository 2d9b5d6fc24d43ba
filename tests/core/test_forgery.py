"""Where a request goes comes from the map, MSB or the services' table alone: properties over all that is accepted."""

from __future__ import annotations

import posixpath
import re
from urllib.parse import unquote_to_bytes, urlsplit

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from app.core import address, target
from app.core.origin import Origin
from app.core.plugins import Plugin, PluginMap
from app.core.region import Region, from_pair, from_vim_id
from app.errors import BadRequest, NotFound, PluginUnknown

MSB = Origin("http", "msb.onap", 80)
OWN = Origin("https", "own.example", 8443)
BASE = "/base"
STRIPPED = "/api/p/v1"

PLUGINS = (
    (Plugin("multicloud-pike"), None, Origin("http", "multicloud-pike", 9007), b"/api/multicloud-pike/"),
    (Plugin("multicloud-k8s"), None, Origin("http", "multicloud-k8s", 9015), b"/"),
    (Plugin("multicloud-pike"), MSB, MSB, b"/api/multicloud-pike/"),
    (Plugin("multicloud-k8s"), MSB, MSB, b"/api/multicloud-k8s/"),
    (Plugin("p", (OWN, "")), MSB, OWN, b"/api/p/"),
    (Plugin("p", (OWN, BASE)), None, OWN, b"/base/api/p/"),
    (Plugin("p", (OWN, BASE), STRIPPED), MSB, OWN, b"/base/"),
    (Plugin("p", (OWN, ""), STRIPPED), None, OWN, b"/"),
)
"""A plugin, MSB, and with them the origin and how the outgoing target begins."""

TRICKS = (
    b"/", b"//", b"\\", b"@", b":", b"?", b";", b".", b"..", b"%2e", b"%2E%2e", b"%2f", b"%5c", b"%40", b"%00", b"%0d%0a", b"%25", b"%3f",
    b"evil", b"evil:80", b"user:pass@evil", b"http://evil", b"//evil/", b"@evil", b"http:%2f%2fevil_x", b"[::1]", b"v0", b"v1", b"a_b", b"a",
    b"api", b"/api/multicloud/", b"/api/p/", b"Host:", b"HTTP/1.1", b"127.0.0.1", b"#", b" ", b"\r\n", b"\xff", b"_", b"-",
)  # fmt: skip
DOTS = (b"..", b".", b"%2e", b"%2E%2e", b"/", b"\\", b"%2f", b"%5C", b";", b"%3b", b"a")
REST = (
    st.lists(st.sampled_from(TRICKS) | st.binary(max_size=3), max_size=12) | st.lists(st.sampled_from(DOTS), max_size=6)
).map(b"".join)


def accepted(raw: bytes) -> bool:
    try:
        target.check(raw)
    except BadRequest:
        return False
    return True


def below(prefix: bytes, sent: bytes) -> bool:
    """Whether a plugin that resolves a path as leniently as any stays below its prefix."""
    path = unquote_to_bytes(sent.partition(b"?")[0]).replace(b"\\", b"/")
    bare = b"/".join(
        segment.partition(b";")[0] if segment.startswith(b".") else segment for segment in path.split(b"/")
    )
    resolved = posixpath.normpath(re.sub(rb"/+", b"/", bare))
    return (resolved + b"/").startswith(prefix)


@settings(max_examples=500)
@given(REST, st.sampled_from(PLUGINS))
@example(b"v1/a/b/..;/..;/..;/..;/x", PLUGINS[0])
@example(b"v0/a_b//evil/x", PLUGINS[0])
@example(b"v0/a_b/x?@evil/../..", PLUGINS[5])
def test_a_target_that_is_accepted_goes_to_the_plugins_own_origin_and_stays_below_its_prefix(
    rest: bytes, case: tuple[Plugin, Origin | None, Origin, bytes]
) -> None:
    plugin, msb, origin, prefix = case
    raw = target.PREFIX + rest
    assume(accepted(raw))
    try:
        destination = address.route(plugin, raw, msb)
    except NotFound:
        assume(False)  # without what its address strips
        raise
    assert (destination.origin, destination.plugin) == (origin, plugin.name)
    assert destination.target.startswith(prefix)
    assert re.fullmatch(rb"/[!-~]*", destination.target)  # in origin-form, in one piece
    assert below(prefix, destination.target)


@given(REST, st.sampled_from(PLUGINS[:6]))
def test_what_follows_the_prefix_is_the_clients_and_nothing_else_is(
    rest: bytes, case: tuple[Plugin, Origin | None, Origin, bytes]
) -> None:
    plugin, msb, _, prefix = case
    assume(accepted(target.PREFIX + rest) and plugin.name != "multicloud-k8s")
    assert address.route(plugin, target.PREFIX + rest, msb).target == prefix + rest


SEGMENT = st.sampled_from(("own", "a-B_9", "a_b", "..", ".", "", "@evil", "evil:80", "a/b", "a%2Fb", "a b", "a\nb", "é", "a?b", "a#b", "a\\b", "A" * 300)) | st.text(max_size=8)  # fmt: skip


@given(SEGMENT, SEGMENT)
def test_a_regions_name_is_no_path_and_no_host(owner: str, region_id: str) -> None:
    """It goes into A&AI's path, and into capacity_check's."""
    for read in (lambda: from_pair(owner, region_id), lambda: from_vim_id(f"{owner}_{region_id}")):
        try:
            region = read()
        except BadRequest:
            continue
        assert re.fullmatch(r"[0-9A-Za-z_-]{1,255}", region.owner)
        assert re.fullmatch(r"[0-9A-Za-z_-]{1,255}", region.region_id)


MAP = PluginMap.parse(
    {
        "openstack": {"versions": {"pike": {"provider_plugin": "multicloud-pike"}}, "provider_plugin": "multicloud-pike"},
        "own": {"provider_plugin": "p", "endpoint": "https://own.example:8443/base"},
        "k8s": {"versions": {"v1": {"provider_plugin": "multicloud-k8s"}}},
    }
)  # fmt: skip
SAID = st.sampled_from(("openstack", "own", "k8s", "pike", "v1", "http://evil", "//evil", "@evil", "multicloud-pike", "", "vim_type", "versions",
                        "provider_plugin", "endpoint")) | st.text(max_size=8)  # fmt: skip


@given(SAID, st.none() | SAID)
def test_whatever_aai_says_a_plugin_is_one_of_the_map(cloud_type: str, version: str | None) -> None:
    try:
        plugin = MAP.find(cloud_type, version, Region("a", "b"))
    except PluginUnknown:
        assert cloud_type not in ("openstack", "own")
        return
    assert plugin in MAP.plugins()
    origin = address.route(plugin, b"/api/multicloud/v1/a/b", None).origin
    assert origin in (OWN, Origin("http", "multicloud-pike", 9007), Origin("http", "multicloud-k8s", 9015))


@pytest.mark.parametrize(
    "name", ["evil/x", "evil:80", "@evil", "evil?x", "evil#", "http://evil", "e vil", "évil", "evil\n", "[::1]", "a\\b", "%65vil"]
)  # fmt: skip
def test_a_plugins_name_in_the_map_is_no_url(name: str) -> None:
    """It becomes a part of the path, and a host where there is neither endpoint nor MSB."""
    with pytest.raises(Exception, match="provider_plugin"):
        PluginMap.parse({"a": {"provider_plugin": name}})


@given(REST)
def test_the_targets_that_are_sent_have_no_authority(rest: bytes) -> None:
    """As any other reader of URLs sees them; but where an operator's strip_prefix ends before a double slash, which no
    region's path has."""
    assume(accepted(target.PREFIX + rest))
    sent = address.route(Plugin("multicloud-pike"), target.PREFIX + rest, None).target.decode()
    parts = urlsplit(sent)
    assert (parts.scheme, parts.netloc) == ("", "")
