"""Who has to go when there are too many, and what is refused."""

from __future__ import annotations

import pytest

from app.errors import Unavailable
from app.server.crowd import BEYOND, HEADS, HEADS_BYTES, Crowd, Place
from app.server.limits import Limits

LIMITS = Limits(requests=4, uploads=2, downloads=2)


class Member:
    """A connection that leaves when it is asked to, unless it has just sent a request."""

    def __init__(self, crowd: Crowd, place: Place | None, idle: float = 0.0, *, stays: bool = False) -> None:
        self.crowd, self.place, self.idle, self.stays = crowd, place, idle, stays
        self.asked = False
        self.held = 0
        crowd.connected += 1
        if place is not None:
            place[self] = None

    def give_way(self) -> None:
        self.asked = True
        if self.place is not None:
            del self.place[self]
        if not self.stays:
            self.crowd.connected -= 1

    def idle_for(self, now: float) -> float:
        return self.idle


def test_there_is_room_below_the_limit() -> None:
    crowd = Crowd(LIMITS, 2)
    member = Member(crowd, crowd.idle)
    assert crowd.make_room()
    assert not member.asked


def test_the_oldest_idle_one_goes_first() -> None:
    crowd = Crowd(LIMITS, 3)
    head, old, new = Member(crowd, crowd.heads), Member(crowd, crowd.idle), Member(crowd, crowd.idle)
    assert crowd.make_room()
    assert [one.asked for one in (head, old, new)] == [False, True, False]


def test_then_the_oldest_without_a_whole_head() -> None:
    crowd = Crowd(LIMITS, 2)
    old, new = Member(crowd, crowd.heads), Member(crowd, crowd.heads)
    assert crowd.make_room()
    assert [one.asked for one in (old, new)] == [True, False]


def test_one_that_is_left_by_our_side_goes_before_all_others() -> None:
    crowd = Crowd(LIMITS, 2)
    idle, leaving = Member(crowd, crowd.idle), Member(crowd, crowd.leaving)
    assert crowd.make_room()
    assert [one.asked for one in (idle, leaving)] == [False, True]


def test_one_that_has_just_sent_a_request_stays_and_the_next_one_goes() -> None:
    crowd = Crowd(LIMITS, 2)
    busy, idle = Member(crowd, crowd.idle, stays=True), Member(crowd, crowd.idle)
    assert crowd.make_room()
    assert (busy.asked, idle.asked, crowd.connected) == (True, True, 1)


def test_where_all_are_served_a_few_more_are_taken_and_refused() -> None:
    crowd = Crowd(LIMITS, 2)
    members = [Member(crowd, crowd.uploads), Member(crowd, crowd.downloads)]
    assert crowd.make_room()
    crowd.connected = 3
    error = crowd.refusal(uploading=False)
    assert isinstance(error, Unavailable)
    assert ("Retry-After", "1") in error.headers
    crowd.connected = 2 + BEYOND
    assert not crowd.make_room()
    assert not any(member.asked for member in members)


@pytest.mark.parametrize(
    ("serving", "uploads", "downloads", "uploading", "refused"),
    [
        (3, 0, 0, False, False),
        (4, 0, 0, False, True),
        (4, 0, 0, True, True),  # it will be a request like others once it has arrived
        (4, 1, 0, True, False),  # but those that arrive do not count as such
        (4, 1, 0, False, False),
        (6, 2, 0, False, True),
        (2, 2, 0, True, True),
        (6, 0, 2, False, True),
        (5, 0, 2, False, False),
        (7, 0, 4, False, True),  # downloads beyond their bound count as requests
        (7, 2, 2, False, False),
    ],
)
def test_each_kind_counts_against_its_own_bound(
    serving: int, uploads: int, downloads: int, uploading: bool, refused: bool
) -> None:
    crowd = Crowd(LIMITS, 100)
    crowd.serving = serving
    for place, count in ((crowd.uploads, uploads), (crowd.downloads, downloads)):
        for _ in range(count):
            Member(crowd, place)
    assert (crowd.refusal(uploading=uploading) is not None) is refused


def test_where_a_bound_is_reached_those_that_stand_still_give_way() -> None:
    crowd = Crowd(LIMITS, 100)
    members = [Member(crowd, crowd.uploads, idle) for idle in (0.5, 1.0, 3.0)]
    crowd.relieve(0.0)
    assert [member.asked for member in members] == [False, True, True]


def test_below_the_bound_nobody_is_hurried() -> None:
    crowd = Crowd(LIMITS, 100)
    member = Member(crowd, crowd.downloads, 50.0)
    crowd.relieve(0.0)
    assert not member.asked


def test_without_descriptors_one_that_is_not_missed_is_closed() -> None:
    crowd = Crowd(LIMITS, 100)
    assert not crowd.free_one()
    member = Member(crowd, crowd.idle)
    assert crowd.free_one()
    assert member.asked


def test_of_unfinished_heads_that_hold_too_much_the_oldest_go() -> None:
    crowd = Crowd(LIMITS, 10 * HEADS)
    members = [Member(crowd, crowd.heads) for _ in range(HEADS)]
    for member in members:
        member.held = 2 * HEADS_BYTES // HEADS
    crowd.relieve(0.0)
    assert not any(member.asked for member in members)  # so few are always there
    members.append(Member(crowd, crowd.heads))
    crowd.relieve(0.0)
    assert [member.asked for member in members] == [True] * (HEADS // 2) + [False] * (HEADS // 2 + 1)


def test_any_number_of_small_heads_stays() -> None:
    crowd = Crowd(LIMITS, 10 * HEADS)
    members = [Member(crowd, crowd.heads) for _ in range(5 * HEADS)]
    for member in members:
        member.held = 1000
    crowd.relieve(0.0)
    assert not any(member.asked for member in members)


def test_other_bounds_count_at_once_and_idle_ones_beyond_them_are_closed() -> None:
    crowd = Crowd(LIMITS, 9)
    served, old, new = Member(crowd, None), Member(crowd, crowd.idle), Member(crowd, crowd.idle)
    crowd.serving = 1
    crowd.bound(Limits(requests=1), 2)
    crowd.shrink()
    assert [one.asked for one in (served, old, new)] == [False, True, False]
    assert isinstance(crowd.refusal(uploading=False), Unavailable)
    crowd.bound(LIMITS, 9)
    assert crowd.refusal(uploading=False) is None
