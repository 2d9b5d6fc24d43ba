from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import eventlet
import pytest
from eventlet.event import Event

from app.auth import passwords
from app.auth.credentials import Refused
from app.auth.htpasswd import Users
from app.auth.passwords import MOST, Passwords, Verified
from app.errors import Unavailable
from tests.auth.conftest import basic, hashed

TTL = 60.0
ALICE = hashed(b"secret").encode()
RIGHT = basic(b"alice", b"secret")


@dataclass
class Story:
    """Passwords with a file, a clock and threads of its own."""

    users: Users = field(default_factory=lambda: Users({"alice": ALICE, "bob": hashed(b"b").encode()}))
    ttl: float = TTL
    now: float = 1000.0
    busy: bool = False
    clients: list[str] = field(default_factory=list)
    passwords: Passwords = field(init=False)

    def __post_init__(self) -> None:
        self.passwords = Passwords("here", lambda: self.users, self.offload, self.ttl, Verified(), lambda: self.now)

    def offload(self, function: Callable[[], bool], client: str) -> bool:
        if self.busy:
            raise Unavailable("busy")
        self.clients.append(client)
        return function()

    def ask(self, token: bytes = RIGHT, client: str = "10.0.0.9") -> str:
        """The user, or why not."""
        try:
            return self.passwords.caller(token, client)
        except Refused as refused:
            return str(refused)

    @property
    def verified(self) -> int:
        return len(self.clients)


WRONG = "The user or the password is wrong."


def test_a_right_password_names_its_user() -> None:
    story = Story()
    assert [story.ask(), story.ask(basic(b"bob", b"b"))] == ["alice", "bob"]
    assert story.clients == ["10.0.0.9"] * 2


@pytest.mark.parametrize(
    ("user", "password"),
    [
        (b"alice", b"Secret"),
        (b"alice", b""),
        (b"alice", b"secret "),
        (b"bob", b"secret"),
        (b"nobody", b"secret"),
        (b"", b"secret"),
        (b"", b""),
        (b"Alice", b"secret"),
    ],
)
def test_a_wrong_one_and_an_unknown_user_cost_and_tell_the_same(user: bytes, password: bytes) -> None:
    story = Story()
    assert (story.ask(basic(user, password)), story.verified) == (WRONG, 1)


@pytest.mark.parametrize("user", [b"alice", b"nobody"])
def test_more_than_bcrypt_reads_is_wrong_for_everybody(user: bytes) -> None:
    long = b"x" * 72
    story = Story(Users({"alice": hashed(long).encode()}))
    assert story.ask(basic(b"alice", long)) == "alice"
    assert story.ask(basic(user, long + b"x")) == WRONG
    assert story.ask(basic(user, "€".encode() * 25)) == WRONG
    assert story.verified == 1


def test_nobodys_hash_lets_nobody_in(monkeypatch: pytest.MonkeyPatch) -> None:
    story = Story()
    monkeypatch.setattr(passwords.bcrypt, "checkpw", lambda *_: True)
    assert [story.ask(basic(b"nobody", b"x")), story.ask(basic(b"alice", b"x"))] == [WRONG, "alice"]


def test_equal_logins_at_once_are_verified_once() -> None:
    story = Story()
    gate = Event()
    offload = story.offload

    def held(function: Callable[[], bool], client: str) -> bool:
        gate.wait()
        return offload(function, client)

    story.passwords = Passwords("here", lambda: story.users, held, TTL, Verified(), lambda: story.now)
    threads = [eventlet.spawn(story.ask, token) for token in (RIGHT, RIGHT, RIGHT, basic(b"alice", b"x"))]
    eventlet.sleep(0)
    gate.send()
    assert [thread.wait() for thread in threads] == ["alice"] * 3 + [WRONG]
    assert story.verified == 2


def test_a_login_that_is_none_costs_nothing() -> None:
    story = Story()
    assert "colon" in story.ask(b"YWxpY2U=")
    assert story.verified == 0


def test_what_is_verified_is_remembered_for_as_long_as_it_is_used() -> None:
    story = Story()
    for _ in range(5):
        assert story.ask() == "alice"
        story.now += TTL - 1
    assert story.verified == 1
    story.now += 1
    assert (story.ask(), story.verified) == ("alice", 2)


def test_a_wrong_one_is_remembered_from_its_verification_on() -> None:
    story = Story()
    wrong = basic(b"alice", b"x")
    for _ in range(3):
        assert story.ask(wrong) == WRONG
        story.now += TTL / 2 - 1
    assert story.verified == 1
    story.now += TTL / 2
    assert (story.ask(wrong), story.verified) == (WRONG, 2)


def test_without_a_time_nothing_is_remembered() -> None:
    story = Story(ttl=0)
    assert [story.ask() for _ in range(3)] == ["alice"] * 3
    assert story.verified == 3


def test_a_new_hash_or_none_counts_at_once() -> None:
    story = Story()
    assert story.ask() == "alice"
    story.users = Users({"alice": hashed(b"new").encode()})
    assert [story.ask(), story.ask(basic(b"alice", b"new"))] == [WRONG, "alice"]
    story.users = Users({"bob": hashed(b"b").encode()})
    assert [story.ask(), story.ask(basic(b"alice", b"new"))] == [WRONG, WRONG]
    story.users = Users({"alice": ALICE})
    assert story.ask() == "alice"


def test_a_user_who_is_added_is_let_in_though_he_was_refused_before() -> None:
    story = Story(Users({"bob": hashed(b"b").encode()}))
    assert story.ask() == WRONG
    story.users = Users({"alice": ALICE})
    assert story.ask() == "alice"


def test_wrong_ones_do_not_drive_out_right_ones() -> None:
    story = Story()
    assert story.ask() == "alice"
    for number in range(MOST + 1):
        story.ask(basic(b"alice", b"%d" % number))
    before = story.verified
    assert (story.ask(), story.verified) == ("alice", before)


def test_who_is_remembered_is_let_in_though_no_thread_is_free() -> None:
    story = Story()
    story.ask()
    story.busy = True
    assert story.ask() == "alice"
    with pytest.raises(Unavailable):
        story.ask(basic(b"bob", b"b"))
    story.busy = False
    assert story.ask(basic(b"bob", b"b")) == "bob"


def test_the_challenge_asks_for_utf_8() -> None:
    assert Story().passwords.challenge("") == 'Basic realm="here", charset="UTF-8"'


def test_no_password_is_kept(tmp_path: Path) -> None:
    """Neither it nor its Base64 is reachable from what remembers it."""
    story = Story()
    story.ask(basic(b"alice", b"in-no-memory"))
    story.ask()
    kept = repr(
        [
            (table._values, story.passwords._verified.digest)
            for table in (story.passwords._verified.right, story.passwords._verified.wrong)
        ]
    )
    assert ("alice" in kept, "in-no-memory" in kept, RIGHT.decode() in kept) == (True, False, False)
