"""What is known of a name's addresses, and what is made of it when the name service fails: no clock, no look-up."""

from __future__ import annotations

from dataclasses import dataclass, replace

from app.core.addresses import Address

OLD = 60.0
"""Seconds up to which an answer serves at once while the name is looked up anew. A new answer is waited for, shortly,
where the last one is older: nobody has asked for as long, and the pods may all be others."""

GONE = 30.0
"""Seconds for which the last good answer serves although the name service says that there is no such name: it says so
of a headless service, too, that has no ready pod for a moment. RFC 8767, 4, would have it count at once."""

FIRST = 1.0
"""Seconds until a look-up that failed is made again; doubled by each that fails after it, up to those that an answer
is kept for."""


@dataclass(frozen=True, slots=True)
class Name:
    """The last good answer, and when it came; when it is time to look the name up; how often that has failed since,
    and why; since when there is said to be no such name. Times in seconds."""

    addresses: tuple[Address, ...] = ()
    answered: float = 0.0
    due: float = 0.0
    failures: int = 0
    why: str = ""
    absent_since: float | None = None

    def serves(self, now: float) -> bool:
        """Whether there is an answer that nobody has to wait for a better one for."""
        return bool(self.addresses) and (self.failures > 0 or now - self.answered < OLD)


def found(addresses: tuple[Address, ...], now: float, kept: float) -> Name:
    """After a good answer, which is kept for so many seconds."""
    return Name(addresses, now, now + kept)


def failed(name: Name, why: str, now: float, kept: float, *, absent: bool) -> Name:
    """After a look-up that failed; `absent`: the name service knows that there is no such name."""
    since = None
    if absent:
        since = now if name.absent_since is None else name.absent_since
    gone = since is not None and now - since >= GONE
    return replace(
        name,
        addresses=() if gone else name.addresses,
        due=now + min(FIRST * 2 ** min(name.failures, 10), kept),
        failures=name.failures + 1,
        why=why,
        absent_since=since,
    )
