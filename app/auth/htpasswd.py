"""The file of users and their bcrypt hashes, as `htpasswd -B` writes it."""

from __future__ import annotations

import re
from pathlib import Path

from app.errors import ConfigurationError

HASH = re.compile(r"\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{53}")
COSTS = range(4, 15)
"""bcrypt's own least, and about a second of a CPU: more would be an attack on ourselves."""

LONGEST = 255
"""Characters of a user's name (Apache's own limit)."""


class Users:
    """The hash of each user, and such as nobody's password has."""

    def __init__(self, hashes: dict[str, bytes]) -> None:
        self._hashes = hashes
        self._costs = sorted(hash_[4:6] for hash_ in hashes.values())

    def known(self, user: str) -> bytes | None:
        return self._hashes.get(user)

    def nobodys(self, user: str) -> bytes:
        """A hash for a name that is not there: it costs what one of the file's costs, the same one for a name each
        time, so that the time of an answer does not tell who is."""
        return b"$2b$%b$" % self._costs[hash(user) % len(self._costs)] + b"." * 53


def load_users(path: Path) -> Users:
    """Raises `ConfigurationError` with a line's number, and never what is in it."""
    where = f"the file of users {path}"
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise ConfigurationError(f"cannot read {where}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{where} is no UTF-8 text") from None
    hashes: dict[str, bytes] = {}
    for number, line in enumerate(lines, 1):
        text = line.removesuffix("\r")
        if text and not text.startswith("#"):
            user, hash_ = _entry(text, f"{where}, line {number}")
            if user in hashes:
                raise ConfigurationError(f"{where}, line {number}: its user is in an earlier line already")
            hashes[user] = hash_
    if not hashes:
        raise ConfigurationError(f"{where} holds no user")
    return Users(hashes)


def _entry(text: str, where: str) -> tuple[str, bytes]:
    user, _, hash_ = text.partition(":")
    found = HASH.fullmatch(hash_)
    if not user or not user.isprintable() or len(user) > LONGEST:
        raise ConfigurationError(f"{where} does not begin with a user's name and a colon")
    if not found:
        raise ConfigurationError(f"{where} holds no bcrypt hash; make one by `htpasswd -B`")
    if int(found[1]) not in COSTS:
        raise ConfigurationError(
            f"{where}: its cost is {int(found[1])}; allowed is {COSTS.start} to {COSTS.stop - 1}, see `htpasswd -C`"
        )
    return user, hash_.encode()
