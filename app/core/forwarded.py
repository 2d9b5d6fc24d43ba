"""Who is believed: the address a request counts for, and what plugins are told of where it came from (rule 15).

Anybody can write X-Forwarded-For. So a list is believed only of a trusted peer, and is read from the right: each
trusted proxy has added the address that it saw, and the first address that is no trusted proxy's is the client's.
What stands left of it the client may have made up. Of `X-Forwarded-*` and RFC 7239's `Forwarded` one is believed,
never both: a proxy that writes the one may pass the other on as a client sent it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from app.core.message import Headers, Hop

Network = IPv4Network | IPv6Network

X_FORWARDED = "x-forwarded"
FORWARDED = "forwarded"
"""The two formats; each is also how its headers' names begin, in lower case."""

CLAIMS = frozenset((b"x-forwarded", b"x_forwarded"))
"""How names of the family begin, underscores included: a plugin under CGI or WSGI cannot tell `X_Forwarded_For` from
`X-Forwarded-For` (RFC 3875, 4.1.18)."""

CLAIM = 11
"""Bytes of either."""

HOPS = 32
"""Elements of a list that are looked at, from the right; no chain of proxies is longer."""

LONGEST = 256
"""Bytes of an element."""

_PORT = rb"(?::(?:[0-9]{1,5}|_[0-9A-Za-z._-]+))?"
_ZONE = rb"(?:%[0-9A-Za-z._~-]+)?"
_SIX = rb"([0-9A-Fa-f:.]+)" + _ZONE
NODE = re.compile(
    rb"([0-9.]+)" + _PORT + rb"|\[" + _SIX + rb"\]" + _PORT + b"|" + _SIX + rb"|(?i:unknown)|_[0-9A-Za-z._-]+"
)
"""RFC 7239, 6, and what is usual in X-Forwarded-For: an IPv6 address without brackets, or with a zone (RFC 6874)."""

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_VALUE = _TOKEN + rb'|"(?:[^"\\]|\\.)*"'
_PAIR = rb"(?:%b=(?:%b))?" % (_TOKEN, _VALUE)
TOKEN = re.compile(_TOKEN)
PAIR = re.compile(rb"(%b)=(%b)" % (_TOKEN, _VALUE))
ELEMENT = re.compile(rb"%b(?:[ \t]*;[ \t]*%b)*" % (_PAIR, _PAIR))
"""RFC 7239, 4. A comma within quotes is not taken: lists are split at commas, from the right, where a quotation mark
that a client has left open must not swallow what a proxy has added."""

PROTO = re.compile(rb"https?")
HOST = re.compile(rb"(?:[0-9A-Za-z._~-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
"""What is passed on of a trusted peer's X-Forwarded-Proto and -Host."""


class Forwarding:
    """The policy of one configuration; it holds nothing of a request."""

    def __init__(
        self,
        trusted: Sequence[Network] = (),
        form: str = X_FORWARDED,
        *,
        headers: bool = True,
        via: str = "",
        via_back: str = "",
    ) -> None:
        """`trusted`: the peers that are believed. `form`: the format that is read and sent; `headers`: whether it is
        sent. `via` and `via_back`: the pseudonym that requests, and answers, get in `Via`; empty for none."""
        self._trusted = trusted
        self._form = form
        self._headers = headers
        self._via = _via(via)
        self._via_back = _via(via_back)
        self._name = b"forwarded" if form == FORWARDED else b"x-forwarded-for"
        self._node: Callable[[bytes], str | None] = _element if form == FORWARDED else _node
        self._is_trusted = lru_cache(maxsize=1024)(self._look_up)

    def client_of(self, peer: str, headers: Headers) -> str:
        """The address of the client: for logs and for limits; a valid one without zone, or "" where none is known."""
        client = address_of(peer)
        if not self._trusted or not self._is_trusted(client):
            return client
        for _, address in self._believed(headers):
            if not address:
                break
            client = address
            if not self._is_trusted(address):
                break
        return client

    def sent_on(self, hop: Hop, headers: Headers) -> Headers:
        """What a plugin is told of where a request came from; nothing else of the family goes on."""
        added: Headers = []
        if self._headers:
            peer = address_of(hop.peer)
            trusted = headers if self._trusted and self._is_trusted(peer) else ()
            told = self._forwarded if self._form == FORWARDED else self._x_forwarded
            told(added, peer.encode(), hop, trusted)
        if self._via:
            added.append(self._via[hop.version])
        return added

    def sent_back(self, version: str) -> Headers:
        """What an answer gets that came in this version of HTTP (RFC 9110, 7.6.3: a gateway may)."""
        return [self._via_back[version]] if self._via_back else []

    def _look_up(self, address: str) -> bool:
        if not address:
            return False
        parsed = ip_address(address)
        return any(parsed in network for network in self._trusted)

    def _believed(self, headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, str]]:
        """The elements of the list with their addresses, from the right; the first that is no element ends it."""
        lines = [value for name, value in headers if name.lower() == self._name]
        found = []
        for piece in reversed(b",".join(lines).rsplit(b",", HOPS)[-HOPS:]):
            if not (claim := piece.strip(b" \t")):
                continue  # RFC 9110, 5.6.1.2: an empty element does not count
            address = self._node(claim) if len(claim) <= LONGEST else None
            if address is None:
                break
            found.append((claim, address))
        return found

    def _x_forwarded(self, added: Headers, peer: bytes, hop: Hop, trusted: Iterable[tuple[bytes, bytes]]) -> None:
        """With our own knowledge; a trusted peer's goes before it, or stands in its place."""
        chain, proto, host = peer, hop.scheme.encode(), hop.host.encode("latin-1")
        if trusted:
            chain = self._chain(trusted, peer)
            proto = _one(trusted, b"x-forwarded-proto", PROTO) or proto
            host = _one(trusted, b"x-forwarded-host", HOST) or host
            added += [header for header in trusted if _other(header[0].lower())]
        if chain:
            added.append((b"X-Forwarded-For", chain))
        added.append((b"X-Forwarded-Proto", proto))
        if host:
            added.append((b"X-Forwarded-Host", host))

    def _forwarded(self, added: Headers, peer: bytes, hop: Hop, trusted: Iterable[tuple[bytes, bytes]]) -> None:
        node = b"[%b]" % peer if b":" in peer else peer or b"unknown"
        own = b"for=%b;proto=%b" % (_quoted(node), hop.scheme.encode())
        if hop.host:
            own += b";host=" + _quoted(hop.host.encode("latin-1"))
        added.append((b"Forwarded", self._chain(trusted, own)))

    def _chain(self, trusted: Iterable[tuple[bytes, bytes]], own: bytes) -> bytes:
        """In one line, since many read the first one only."""
        claims = [claim for claim, _ in reversed(self._believed(trusted))]
        return b", ".join([*claims, own] if own else claims)


def address_of(peer: str) -> str:
    """A socket peer's address as it counts: of a dual-stack listener's IPv4 peers as IPv4, and without its zone, which
    means nothing elsewhere (RFC 4007, 6)."""
    return _plain(peer) if ":" in peer else peer


@lru_cache(maxsize=1024)
def _plain(peer: str) -> str:
    return _text(IPv6Address(peer.partition("%")[0]))


def _text(address: IPv6Address) -> str:
    return str(address.ipv4_mapped or address)


@lru_cache(maxsize=1024)
def _node(claim: bytes) -> str | None:
    """The address of a node; "" of one that hides it, None for what is no node."""
    match = NODE.fullmatch(claim)
    if match is None:
        return None
    four, six = match[1], match[2] or match[3]
    try:
        if four is not None:
            return str(IPv4Address(four.decode()))
        return _text(IPv6Address(six.decode())) if six is not None else ""
    except ValueError:
        return None


@lru_cache(maxsize=1024)
def _element(claim: bytes) -> str | None:
    """The address in an element of `Forwarded`, like `_node`."""
    if not ELEMENT.fullmatch(claim):
        return None
    nodes = [match[2] for match in PAIR.finditer(claim) if match[1].lower() == b"for"]
    if len(nodes) != 1:
        return None if nodes else ""
    (node,) = nodes
    return _node(re.sub(rb"\\(.)", rb"\1", node[1:-1]) if node.startswith(b'"') else node)


def _one(headers: Iterable[tuple[bytes, bytes]], wanted: bytes, valid: re.Pattern[bytes]) -> bytes:
    """The value of the one header of a name; empty where it is not valid, or not the only one."""
    found = [value for name, value in headers if name.lower() == wanted]
    return found[0] if len(found) == 1 and valid.fullmatch(found[0]) else b""


OWN = frozenset((b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host"))


def _other(key: bytes) -> bool:
    """Whether a header is one of the family that we do not write ourselves (X-Forwarded-Port, -Prefix, ...)."""
    return key.startswith(b"x-forwarded") and key not in OWN and b"_" not in key


def _quoted(value: bytes) -> bytes:
    return value if TOKEN.fullmatch(value) else b'"%b"' % value


def _via(pseudonym: str) -> dict[str, tuple[bytes, bytes]]:
    """The header by the version of HTTP in which a message came."""
    return {version: (b"Via", f"{version} {pseudonym}".encode()) for version in ("1.0", "1.1") if pseudonym}
