"""Who is believed: tables of what peers and lists claim, and properties over what anybody can send."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.forwarded import FORWARDED, HOPS, LONGEST, X_FORWARDED, Forwarding, address_of
from app.core.message import Headers, Hop

TRUSTED = [ip_network(text) for text in ("10.0.0.0/8", "192.0.2.7", "2001:db8::/32", "fe80::/10")]
PEER = "10.0.0.1"
HOP = Hop(PEER, "http", "broker:9001", "1.1")


def xff(*values: bytes) -> Headers:
    return [(b"X-Forwarded-For", value) for value in values]


def fwd(*values: bytes) -> Headers:
    return [(b"Forwarded", value) for value in values]


def client_of(headers: Headers, peer: str = PEER, form: str = X_FORWARDED) -> str:
    return Forwarding(TRUSTED, form).client_of(peer, headers)


def sent(headers: Headers, hop: Hop = HOP, form: str = X_FORWARDED, trusted: list = TRUSTED) -> Headers:
    return Forwarding(trusted, form).sent_on(hop, headers)


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),  # a dual-stack listener's IPv4 peer
        ("::ffff:a00:1", "10.0.0.1"),
        ("::1", "::1"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("", ""),  # a Unix socket's
    ],
)
def test_a_peers_address(peer: str, address: str) -> None:
    assert address_of(peer) == Forwarding().client_of(peer, xff(b"1.2.3.4")) == address


@pytest.mark.parametrize(
    ("peer", "believed"),
    [
        ("10.255.255.255", True), ("11.0.0.0", False), ("192.0.2.7", True), ("192.0.2.8", False),
        ("::ffff:10.9.9.9", True), ("::ffff:11.0.0.0", False), ("2001:db8:ffff::1", True), ("2001:db9::1", False),
        ("fe80::1%eth0", True), ("127.0.0.1", False), ("::1", False), ("", False),
    ],
)  # fmt: skip
def test_only_a_trusted_peer_is_believed(peer: str, believed: bool) -> None:
    assert (client_of(xff(b"1.2.3.4"), peer) == "1.2.3.4") is believed
    assert (client_of(fwd(b"for=1.2.3.4"), peer, FORWARDED) == "1.2.3.4") is believed


def test_nobody_is_trusted_by_default() -> None:
    assert Forwarding().client_of(PEER, xff(b"1.2.3.4")) == PEER
    assert Forwarding().sent_on(HOP, xff(b"1.2.3.4"))[0] == (b"X-Forwarded-For", PEER.encode())


LISTS: list[tuple[list[bytes], str, bytes]] = [
    # what came, the client, and what stands before the peer in what goes on
    ([], PEER, b""),
    ([b""], PEER, b""),
    ([b" \t"], PEER, b""),
    ([b"1.2.3.4"], "1.2.3.4", b"1.2.3.4, "),
    ([b"6.6.6.6, 1.2.3.4"], "1.2.3.4", b"6.6.6.6, 1.2.3.4, "),  # never the leftmost blindly
    ([b"6.6.6.6, 1.2.3.4, 10.1.1.1, 192.0.2.7"], "1.2.3.4", b"6.6.6.6, 1.2.3.4, 10.1.1.1, 192.0.2.7, "),
    ([b"6.6.6.6,1.2.3.4", b"10.1.1.1"], "1.2.3.4", b"6.6.6.6, 1.2.3.4, 10.1.1.1, "),  # lines are one list
    ([b"10.1.1.1", b"1.2.3.4"], "1.2.3.4", b"10.1.1.1, 1.2.3.4, "),
    ([b"10.3.3.3, 10.2.2.2"], "10.3.3.3", b"10.3.3.3, 10.2.2.2, "),  # all trusted: the first of them asked
    ([b", ,1.2.3.4,,"], "1.2.3.4", b"1.2.3.4, "),
    ([b"1.2.3.4", b""], "1.2.3.4", b"1.2.3.4, "),
    # addresses in every form
    ([b"1.2.3.4:80"], "1.2.3.4", b"1.2.3.4:80, "),
    ([b"1.2.3.4:_obf"], "1.2.3.4", b"1.2.3.4:_obf, "),
    ([b"2001:db9::1"], "2001:db9::1", b"2001:db9::1, "),
    ([b"2001:DB9:0:0::1"], "2001:db9::1", b"2001:DB9:0:0::1, "),
    ([b"[2001:db9::1]"], "2001:db9::1", b"[2001:db9::1], "),
    ([b"[2001:db9::1]:4711"], "2001:db9::1", b"[2001:db9::1]:4711, "),
    ([b"1.2.3.4, [2001:db8::1]:4711"], "1.2.3.4", b"1.2.3.4, [2001:db8::1]:4711, "),
    ([b"::ffff:1.2.3.4"], "1.2.3.4", b"::ffff:1.2.3.4, "),
    ([b"1.2.3.4, ::ffff:10.0.0.2"], "1.2.3.4", b"1.2.3.4, ::ffff:10.0.0.2, "),  # trusted as IPv4 is
    ([b"1.2.3.4, fe80::1%eth0"], "1.2.3.4", b"1.2.3.4, fe80::1%eth0, "),
    ([b"[fe80::1%25eth0]:80"], "fe80::1", b"[fe80::1%25eth0]:80, "),
    # who hides ends the walk, and stays in the list
    ([b"1.2.3.4, unknown"], PEER, b"1.2.3.4, unknown, "),
    ([b"1.2.3.4, Unknown, 10.2.2.2"], "10.2.2.2", b"1.2.3.4, Unknown, 10.2.2.2, "),
    ([b"1.2.3.4, _hidden"], PEER, b"1.2.3.4, _hidden, "),
    ([b"1.2.3.4, _SEVKISEK"], PEER, b"1.2.3.4, _SEVKISEK, "),
    # what is no element ends both: it goes no further, nor does what stands before it
    ([b"garbage, 1.2.3.4"], "1.2.3.4", b"1.2.3.4, "),
    ([b"1.2.3.4, garbage"], PEER, b""),
    ([b"1.2.3.4, garbage, 10.2.2.2"], "10.2.2.2", b"10.2.2.2, "),
    *(([b"1.2.3.4, " + odd + b", 10.2.2.2"], "10.2.2.2", b"10.2.2.2, ") for odd in (
        b"1.2.3.256", b"1.2.3", b"1.2.3.04", b"1.2.3.4.5", b"1.2.3.4:", b"1.2.3.4:123456", b"1.2.3.4:80:80", b"0x7f.1",
        b"2130706433", b"1.2.3.4/8", b":::", b"2001:db9::1::", b"[2001:db9::1", b"2001:db9::1]", b"[]", b"[1.2.3.4]",
        b"[2001:db9::1]x", b"[2001:db9::1]:", b"[2001:db9::1]:80x", b"fe80::1%", b"fe80::1%et\xff", b'fe80::1%"', b'"1.2.3.4"',
        b"\xff", b"\xb2.2.3.4", b"1.2.3.4\t5", b"1. 2.3.4", b"<script>", b"for=1.2.3.4", b"_", b"_a b", b"unknown:80",
        b"localhost", b"a" * (LONGEST + 1), b"_" + b"a" * LONGEST,
    )),
]  # fmt: skip


@pytest.mark.parametrize(("values", "client", "before"), LISTS)
def test_a_list_is_read_from_the_right(values: list[bytes], client: str, before: bytes) -> None:
    assert client_of(xff(*values)) == client
    told = sent([(b"X-ONAP-RequestID", b"1"), *xff(*values)])
    assert [value for name, value in told if name == b"X-Forwarded-For"] == [before + PEER.encode()]


@pytest.mark.parametrize(
    ("values", "client", "before"),
    [
        ([], PEER, b""),
        ([b"for=1.2.3.4"], "1.2.3.4", b"for=1.2.3.4, "),
        ([b'FOR="1.2.3.4:80";proto=https;by=_x'], "1.2.3.4", b'FOR="1.2.3.4:80";proto=https;by=_x, '),
        ([b'for=6.6.6.6, host=a;for="[2001:db9::1]:4711" ; by=9.9.9.9'], "2001:db9::1",
         b'for=6.6.6.6, host=a;for="[2001:db9::1]:4711" ; by=9.9.9.9, '),
        ([b"for=6.6.6.6", b"for=1.2.3.4, For=10.2.2.2"], "1.2.3.4", b"for=6.6.6.6, for=1.2.3.4, For=10.2.2.2, "),
        ([rb'for="1.2.3\.4"'], "1.2.3.4", rb'for="1.2.3\.4", '),
        ([b'for=1.2.3.4;secret="for=9.9.9.9;x"'], "1.2.3.4", b'for=1.2.3.4;secret="for=9.9.9.9;x", '),
        ([b";;for=1.2.3.4;"], "1.2.3.4", b";;for=1.2.3.4;, "),
        ([b"for=1.2.3.4, for=unknown"], PEER, b"for=1.2.3.4, for=unknown, "),
        ([b"for=1.2.3.4, for=_hidden, for=10.2.2.2"], "10.2.2.2", b"for=1.2.3.4, for=_hidden, for=10.2.2.2, "),
        ([b"for=1.2.3.4, proto=http"], PEER, b"for=1.2.3.4, proto=http, "),  # an element that names nobody
        # no elements
        ([b"1.2.3.4"], PEER, b""),
        ([b"for=[2001:db9::1]"], PEER, b""),  # must be quoted
        ([b'for="2001:db9::1]"'], PEER, b""),
        ([b"for=1.2.3.4;for=5.6.7.8"], PEER, b""),
        ([b"for=1.2.3.4;FOR=1.2.3.4"], PEER, b""),
        ([b"for =1.2.3.4"], PEER, b""),
        ([b"for="], PEER, b""),
        ([b'for="1.2.3.4'], PEER, b""),
        ([b'for=1.2.3.4;x="a,b"'], PEER, b""),
        # a quotation mark that a client left open swallows nothing of what a proxy has added
        ([b'for="6.6.6.6', b"for=1.2.3.4"], "1.2.3.4", b"for=1.2.3.4, "),
        ([b'for="6.6.6.6, for=1.2.3.4;x="'], PEER, b""),
        ([b'x="', b'for=1.2.3.4;by="10.0.0.1"'], "1.2.3.4", b'for=1.2.3.4;by="10.0.0.1", '),
    ],
)  # fmt: skip
def test_forwarded_is_read_from_the_right(values: list[bytes], client: str, before: bytes) -> None:
    assert client_of(fwd(*values), form=FORWARDED) == client
    assert sent(fwd(*values), form=FORWARDED) == [
        (b"Forwarded", before + b'for=10.0.0.1;proto=http;host="broker:9001"')
    ]


def test_the_format_that_is_not_spoken_is_dropped_of_trusted_peers_too() -> None:
    """A proxy that writes the one passes the other on as a client sent it."""
    both = [*xff(b"1.2.3.4"), *fwd(b"for=6.6.6.6"), (b"X-Forwarded-Host", b"h")]
    assert client_of(both) == "1.2.3.4"
    assert b"Forwarded" not in [name for name, _ in sent(both)]
    assert client_of(both, form=FORWARDED) == "6.6.6.6"
    assert [name for name, _ in sent(both, form=FORWARDED)] == [b"Forwarded"]


def test_a_list_without_end_is_read_for_some_hops_only() -> None:
    long = b", ".join([b"1.2.3.4", *[b"10.2.2.2"] * (HOPS - 1)])
    assert client_of(xff(long)) == "1.2.3.4"
    assert client_of(xff(b"10.3.3.3, 10.4.4.4," * 600 + long)) == "1.2.3.4"
    assert client_of(xff(long + b", 10.2.2.2")) == "10.2.2.2"
    told = dict(sent(xff(b"6.6.6.6, " * 2000 + b"1.2.3.4")))
    assert told[b"X-Forwarded-For"].count(b",") == HOPS


@pytest.mark.parametrize(
    ("hop", "told"),
    [
        (Hop("1.2.3.4", "http", "a:1", "1.1"), [(b"X-Forwarded-For", b"1.2.3.4"), (b"X-Forwarded-Proto", b"http"), (b"X-Forwarded-Host", b"a:1")]),
        (Hop("::ffff:1.2.3.4", "https", "[::1]", "1.1"), [(b"X-Forwarded-For", b"1.2.3.4"), (b"X-Forwarded-Proto", b"https"), (b"X-Forwarded-Host", b"[::1]")]),
        (Hop("2001:db9::1", "http", "", "1.0"), [(b"X-Forwarded-For", b"2001:db9::1"), (b"X-Forwarded-Proto", b"http")]),
        (Hop("", "http", "a", "1.1"), [(b"X-Forwarded-Proto", b"http"), (b"X-Forwarded-Host", b"a")]),
    ],
)  # fmt: skip
def test_what_a_plugin_is_told_of_an_untrusted_peers_request(hop: Hop, told: Headers) -> None:
    claims = [*xff(b"6.6.6.6"), (b"X-Forwarded-Proto", b"gopher"), (b"x-forwarded-port", b"1"), *fwd(b"for=6.6.6.6")]
    assert sent(claims, hop) == told
    assert sent([], hop, trusted=[]) == told


@pytest.mark.parametrize(
    ("hop", "told"),
    [
        (Hop("1.2.3.4", "http", "a", "1.1"), b"for=1.2.3.4;proto=http;host=a"),
        (Hop("2001:db9::1", "https", "a:1", "1.1"), b'for="[2001:db9::1]";proto=https;host="a:1"'),
        (Hop("", "http", "", "1.0"), b"for=unknown;proto=http"),
    ],
)
def test_the_same_in_the_format_of_rfc_7239(hop: Hop, told: bytes) -> None:
    assert sent(fwd(b"for=6.6.6.6"), hop, FORWARDED) == [(b"Forwarded", told)]


@pytest.mark.parametrize(
    ("claims", "told"),
    [
        ([], {b"X-Forwarded-Proto": b"http", b"X-Forwarded-Host": b"broker:9001"}),
        ([(b"x-forwarded-proto", b"https")], {b"X-Forwarded-Proto": b"https"}),
        ([(b"X-Forwarded-Proto", b"gopher")], {b"X-Forwarded-Proto": b"http"}),
        ([(b"X-Forwarded-Proto", b"https"), (b"X-Forwarded-Proto", b"https")], {b"X-Forwarded-Proto": b"http"}),
        ([(b"X-Forwarded-Proto", b"https,http")], {b"X-Forwarded-Proto": b"http"}),
        ([(b"X-Forwarded-Host", b"api.example:443")], {b"X-Forwarded-Host": b"api.example:443"}),
        ([(b"X-Forwarded-Host", b"[2001:db8::1]:80")], {b"X-Forwarded-Host": b"[2001:db8::1]:80"}),
        ([(b"X-Forwarded-Host", b"a@b")], {b"X-Forwarded-Host": b"broker:9001"}),
        ([(b"X-Forwarded-Host", b"a/b")], {b"X-Forwarded-Host": b"broker:9001"}),
        ([(b"X-Forwarded-Host", b"")], {b"X-Forwarded-Host": b"broker:9001"}),
        ([(b"X-Forwarded-Port", b"443"), (b"x-forwarded-prefix", b"/p")], {b"X-Forwarded-Port": b"443", b"x-forwarded-prefix": b"/p"}),
    ],
)  # fmt: skip
def test_what_a_trusted_peer_says_is_kept_where_it_is_valid(claims: Headers, told: dict[bytes, bytes]) -> None:
    headers = sent(claims)
    assert len({name.lower() for name, _ in headers}) == len(headers)
    assert dict(headers).items() >= told.items()


@pytest.mark.parametrize("name", [b"X_Forwarded_For", b"X-Forwarded_Proto", b"x_forwarded-host", b"X-Forwarded_Port"])
def test_a_name_that_only_a_cgi_plugin_would_take_for_one_is_nobodys(name: bytes) -> None:
    assert [header for header in sent([(name, b"1.2.3.4")]) if b"_" in header[0]] == []
    assert client_of([(name, b"1.2.3.4")]) == PEER


@pytest.mark.parametrize("form", [X_FORWARDED, FORWARDED])
def test_nothing_is_told_where_it_is_not_wanted(form: str) -> None:
    policy = Forwarding(TRUSTED, form, headers=False, via="own")
    claims = [*xff(b"1.2.3.4"), *fwd(b"for=1.2.3.4"), (b"X-Forwarded-Port", b"1")]
    assert policy.sent_on(HOP, claims) == [(b"Via", b"1.1 own")]
    assert policy.client_of(PEER, claims) == "1.2.3.4"


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_via_is_the_version_in_which_it_came_and_our_name(version: str) -> None:
    policy = Forwarding(via="own", via_back="back")
    via = f"{version} ".encode()
    assert policy.sent_on(HOP._replace(version=version), [(b"Via", b"1.1 before")])[-1] == (b"Via", via + b"own")
    assert policy.sent_back(version) == [(b"Via", via + b"back")]
    assert b"Via" not in dict(Forwarding().sent_on(HOP, []))
    assert Forwarding().sent_back(version) == []


CLAIM = st.sampled_from(
    [b"1.2.3.4", b"10.2.2.2", b"10.3.3.3:80", b"[2001:db8::1]:1", b"2001:db9::1", b"::ffff:10.0.0.2", b"unknown", b"_x", b"",
     b"for=1.2.3.4", b'for="[2001:db8::1]:1";proto=http', b"for=10.2.2.2", b'"', b'for="', b"a=b", b";", b"\xff", b"fe80::1%x"]
) | st.binary(max_size=12)  # fmt: skip
NAME = st.sampled_from([b"X-Forwarded-For", b"x-forwarded-for", b"Forwarded", b"X_Forwarded_For", b"X-Forwarded-Host"])
CLAIMS = st.lists(st.tuples(NAME, st.lists(CLAIM, max_size=5).map(b",".join)), max_size=5)
FORMS = st.sampled_from([X_FORWARDED, FORWARDED])
PEERS = st.sampled_from([PEER, "::ffff:10.0.0.1", "2001:db8::1", "fe80::1%eth0"])


@given(CLAIMS, PEERS, FORMS)
def test_a_client_is_always_a_valid_address(headers: Headers, peer: str, form: str) -> None:
    client = client_of(headers, peer, form)
    assert str(ip_address(client)) == client
    assert "%" not in client


@given(CLAIMS, CLAIMS, PEERS, FORMS)
def test_nothing_that_a_client_sends_hides_the_address_that_a_trusted_proxy_has_seen(
    spoofed: Headers, more: Headers, peer: str, form: str
) -> None:
    """The proxy adds a line of its own, or to the last one; what came before, in whatever format, counts for nothing."""
    name, own = (b"Forwarded", b"for=198.51.100.9") if form == FORWARDED else (b"X-Forwarded-For", b"198.51.100.9")
    assert client_of([*spoofed, (name, own)], peer, form) == "198.51.100.9"
    for _, value in spoofed[-1:]:
        assert client_of([*more, (name, value + b", " + own)], peer, form) == "198.51.100.9"


@given(CLAIMS, st.sampled_from(["11.0.0.1", "::1", ""]), FORMS)
def test_of_an_untrusted_peer_nothing_is_left(headers: Headers, peer: str, form: str) -> None:
    hop = HOP._replace(peer=peer)
    assert sent(headers, hop, form) == sent([], hop, form)
    assert client_of(headers, peer, form) == peer


@given(CLAIMS, PEERS, FORMS)
def test_what_goes_on_is_read_alike_by_the_next_one(headers: Headers, peer: str, form: str) -> None:
    """A plugin that trusts the same peers, and us, finds the same client."""
    told = sent(headers, HOP._replace(peer=peer), form)
    assert client_of(told, "10.9.9.9", form) == client_of(headers, peer, form)
