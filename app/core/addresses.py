"""In which order the addresses of a name are tried: good ones at random, families by turns, bad ones last."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import NamedTuple

FIRST = 1.0
"""Seconds for which an address is left out once it has failed; each failure after that doubles them."""

LONGEST = 10.0
"""At most so many: an address that is back is used again within seconds, and one that is not costs one connection
the delay until the next address is tried."""

PROBE = 1.0
"""Seconds for which others leave an address out that is tried again."""

REMEMBERED = 256
"""Bad addresses, above which those whose time is over are forgotten: pods come and go."""


class Address(NamedTuple):
    """Where to connect: a socket family and the address as `socket.connect` takes it, for a Unix socket its path."""

    family: int
    sockaddr: tuple[str, int] | tuple[str, int, int, int] | str


@dataclass(slots=True)
class _Bad:
    failures: int
    until: float
    probed: bool = False


class AddressBook:
    """Which addresses failed lately. Times are in seconds, of any clock that only goes forward."""

    def __init__(self, chance: Callable[[], float] = random.random) -> None:
        """`chance` gives numbers from 0 up to, not including, 1."""
        self._chance = chance
        self._bad: dict[Address, _Bad] = {}

    def order(self, addresses: Sequence[Address], now: float) -> list[Address]:
        """All of them, none left out for good: if every one is bad, every one is tried.

        The first one's time begins anew if it is tried again, so that one connection finds out whether it is back.
        """
        if len(addresses) == 1:
            return list(addresses)
        out = [address for address in addresses if self._until(address) > now]
        good = [address for address in addresses if address not in out]
        ordered = interleaved(good, self._chance()) + sorted(out, key=self._until)
        again = self._bad.get(ordered[0]) if good else None
        if again is not None:
            again.until, again.probed = now + PROBE, True
        return ordered

    def failed(self, address: Address, now: float) -> None:
        """It refused, or took no connection in time. Many that fail together count once."""
        bad = self._bad.get(address)
        if bad is None:
            self._prune(now)
            bad = self._bad[address] = _Bad(0, 0.0)
        elif now < bad.until and not bad.probed:
            return
        pause = min(FIRST * 2**bad.failures, LONGEST)
        bad.failures = min(bad.failures + 1, 10)
        bad.until, bad.probed = now + pause * (0.75 + self._chance() / 2), False

    def succeeded(self, address: Address) -> None:
        self._bad.pop(address, None)

    def _until(self, address: Address) -> float:
        bad = self._bad.get(address)
        return bad.until if bad is not None else 0.0

    def _prune(self, now: float) -> None:
        if len(self._bad) >= REMEMBERED:
            self._bad = {address: bad for address, bad in self._bad.items() if bad.until > now}


def interleaved(addresses: Iterable[Address], chance: float) -> list[Address]:
    """The families by turns, that of the first address first (RFC 8305, 4); within each all begin alike often:
    getaddrinfo sorts (RFC 6724), so that without this all connections would lead to the same pod."""
    families: dict[int, list[Address]] = {}
    for address in addresses:
        families.setdefault(address.family, []).append(address)
    turned = []
    for family in families.values():
        first = int(chance * len(family))
        turned.append(family[first:] + family[:first])
    return [address for turn in zip_longest(*turned) for address in turn if address is not None]
