from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import bcrypt
import pytest

from app.auth.htpasswd import load_users
from app.errors import ConfigurationError
from tests.auth.conftest import hashed

Write = Callable[..., Path]
FITS = "$2y$05$" + "a" * 53


def test_users_and_their_hashes(write: Write) -> None:
    one, two, three = (hashed(b"x", version=version) for version in "aby")
    users = load_users(write(f"# a comment\nalice:{one}\r\n\nZoë Q:{two}\nlast:{three}"))
    assert [users.known(name) for name in ("alice", "Zoë Q", "last", "", "Alice", "# a comment")] == [
        one.encode(), two.encode(), three.encode(), None, None, None,
    ]  # fmt: skip
    assert bcrypt.checkpw(b"x", three.encode())


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("alice:plain-secret", "line 1 holds no bcrypt hash"),
        ("alice:$apr1$secret$XnbC7kZ8KbDk0sYw1Lq9u/", "line 1 holds no bcrypt hash"),
        ("alice:{SHA}secretsecretsecretsecret=", "line 1 holds no bcrypt hash"),
        ("alice:$6$secret$abc", "line 1 holds no bcrypt hash"),
        (f"a:{FITS}\n\nalice:secret", "line 3 holds no bcrypt hash"),
        (f"a:{FITS[:-1]}", "line 1 holds no bcrypt hash"),
        (f"a:{FITS}secret", "line 1 holds no bcrypt hash"),
        (f"a:{FITS} ", "line 1 holds no bcrypt hash"),
        (f"a:{FITS.replace('2y', '2x')}", "line 1 holds no bcrypt hash"),
        (f"a:{FITS}:secret", "line 1 holds no bcrypt hash"),
        (f":{FITS}", "line 1 does not begin with a user's name and a colon"),
        (f"a\tb:{FITS}", "line 1 does not begin with a user's name and a colon"),
        (f"{'x' * 256}:{FITS}", "line 1 does not begin with a user's name and a colon"),
        ("secret", "line 1 holds no bcrypt hash"),
        (f"a:{FITS.replace('$05', '$15')}", "line 1: its cost is 15; allowed is 4 to 14"),
        (f"a:{FITS.replace('$05', '$03')}", "line 1: its cost is 3; allowed is 4 to 14"),
        (f"a:{FITS}\nb:{FITS}\na:{FITS}", "line 3: its user is in an earlier line already"),
        ("", "holds no user"),
        ("# nobody\n", "holds no user"),
        (b"a:\xff", "is no UTF-8 text"),
    ],
)
def test_what_is_wrong_is_named_by_its_line_and_not_shown(write: Write, text: str | bytes, wrong: str) -> None:
    path = write(text)
    with pytest.raises(ConfigurationError) as caught:
        load_users(path)
    assert str(path) in caught.value.message
    assert wrong in caught.value.message
    assert "secret" not in caught.value.message.replace(str(path), "")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        load_users(tmp_path / "none")


def test_a_name_that_is_not_there_costs_what_others_cost_and_always_the_same(write: Write) -> None:
    users = load_users(write(f"a:{hashed(b'x', 4)}\nb:{hashed(b'x', 6)}"))
    names = [f"name-{number}" for number in range(64)]
    costs = {users.nobodys(name)[4:6] for name in names}
    assert costs == {b"04", b"06"}
    assert [users.nobodys(name) for name in names] == [users.nobodys(name) for name in names]
    assert not bcrypt.checkpw(b"x", users.nobodys("name-1"))
