from __future__ import annotations

import eventlet
import pytest
from eventlet.event import Event

from app.errors import ClientGone
from app.net.background import Background
from app.net.loop import Loop


class Story:
    def __init__(self) -> None:
        self.calls = 0
        self.gate = Event()
        self.error: Exception | None = None
        self.background = Background(Loop(), self.work)

    def work(self) -> None:
        self.calls += 1
        self.gate.wait()
        if self.error is not None:
            raise self.error

    def waits(self, count: int) -> list[eventlet.greenthread.GreenThread]:
        threads = [eventlet.spawn(self.background.wait, 10, LookupError()) for _ in range(count)]
        eventlet.sleep(0)
        return threads


@pytest.fixture
def story() -> Story:
    return Story()


def test_it_runs_once_whoever_begins_it(story: Story) -> None:
    for _ in range(3):
        story.background.begin()
    waiting = story.waits(3)
    eventlet.sleep(0.01)
    assert (story.calls, story.background.running, story.background.waiting) == (1, True, 3)
    story.gate.send()
    for thread in waiting:
        thread.wait()
    assert (story.calls, story.background.running, story.background.waiting) == (1, False, 0)
    story.background.begin()
    eventlet.sleep(0.01)
    assert (story.calls, story.background.running) == (2, False)


def test_it_goes_on_when_all_who_wait_have_left(story: Story) -> None:
    story.background.begin()
    for thread in story.waits(5):
        thread.kill(ClientGone())
        with pytest.raises(ClientGone):
            thread.wait()
    assert (story.calls, story.background.running, story.background.waiting) == (1, True, 0)
    story.gate.send()
    eventlet.sleep(0.01)
    assert (story.calls, story.background.running) == (1, False)


def test_a_wait_is_bounded(story: Story) -> None:
    story.background.begin()
    with pytest.raises(LookupError):
        story.background.wait(0.01, LookupError())
    assert story.background.running
    story.gate.send()


def test_an_error_of_its_own_holds_nobody(story: Story, caplog: pytest.LogCaptureFixture) -> None:
    story.error = ValueError("its own")
    story.background.begin()
    (waiting,) = story.waits(1)
    story.gate.send()
    waiting.wait()
    assert not story.background.running
    assert "its own" in caplog.text
