"""Standard output, which may take no more: a full disk, a reader that is gone or does not read. Requests go on."""

from __future__ import annotations

import logging
import os
import select
import stat

LOG = logging.getLogger(__name__)

PATIENCE = 0.1
"""Seconds that a pipe which is full is waited for, everything else with it: whoever reads it may be slow for a moment.
Once it has been full for as long, lines are lost without a wait until it takes one again."""


class Output:
    """Of one process, to a descriptor: a line is written as a whole, or is lost. How many were is said, on it, by the
    log, as soon as it takes lines again."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lost = 0

    def __call__(self, line: bytes) -> None:
        lost = self._lost
        if not self._put(line):
            self._lost += 1
        elif lost:
            self._lost = 0
            LOG.warning("%d lines of this process's log were lost, since its output took no more", lost)
            if self._lost:  # the one that says so with them
                self._lost += lost

    def unblock(self) -> None:
        """Where it is a pipe, take a description of our own of it (open(2)), which does not block: those with whom we
        share the other notice nothing. A pipe that may not be opened, as one of another user's, blocks as it did; where
        there is no output at all, all lines are lost."""
        try:
            if not stat.S_ISFIFO(os.fstat(self._descriptor).st_mode):
                return
            own = os.open(f"/proc/self/fd/{self._descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return
        os.dup2(own, self._descriptor)
        os.close(own)

    def _put(self, line: bytes) -> bool:
        """Whether all of it was written. Of a pipe's, what is longer than PIPE_BUF may be in part (pipe(7))."""
        try:
            while line:
                try:
                    written = os.write(self._descriptor, line)
                    line = line[written:]
                except BlockingIOError:
                    if self._lost or not self._room():
                        return False
        except OSError:
            return False
        return True

    def _room(self) -> bool:
        poll = select.poll()
        poll.register(self._descriptor, select.POLLOUT)
        return bool(poll.poll(PATIENCE * 1000))


stdout = Output(1)
