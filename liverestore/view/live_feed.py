"""The view's feed from a running acquisition."""

from __future__ import annotations

import queue
import threading
import time

from liverestore.frame import Frame, Restored
from liverestore.status import Command, Notice, RunStatus, Stop, ViewReport
from liverestore.transport.bell import Bell
from liverestore.transport.control import ControlLink
from liverestore.transport.endpoint import Endpoint
from liverestore.transport.inlet import Inlet
from liverestore.view.feed import MemoryFeed, ShownPair

__all__ = ["LiveFeed"]

_RAW_AFTER_S = 0.15
"""So long without a result, and raw frames are asked for as well: while the engine
keeps up, its results bring the raw frame along and nothing is sent twice."""
_LARGE_BYTES = 4_000_000
"""A result of so much, with its raw frame, is asked for only when the one before was fetched to be
painted: what is never painted would cost the camera and the engine more than the picture gains.
Smaller ones come as they are made, so that the newest of all is painted."""
_WAIT_S = 0.02
_REPORT_EVERY_S = 0.5


class LiveFeed:
    """A `ViewFeed` over ZeroMQ; a thread of its own receives, so painting never waits."""

    def __init__(self, raw: Endpoint, restored: Endpoint, link: ControlLink) -> None:
        self._memory = MemoryFeed()
        self._raw = raw
        self._restored = restored
        self._link = link
        self._bell = Bell()
        """Rung for each command, so that it leaves at once."""
        self._commands: queue.SimpleQueue[Command] = queue.SimpleQueue()
        self._fps: float | None = None
        self._large = False
        """Whether the newest result is one that has to be fetched before the next is asked for."""
        self._told_refusal = False
        self._closing = threading.Event()
        self.ended = threading.Event()
        """Set when the run asks the view to close."""
        self._thread = threading.Thread(target=self._pump, name="feed", daemon=True)
        self._thread.start()

    @property
    def overwritten(self) -> int:
        """See `ViewFeed.overwritten`."""
        return self._memory.overwritten

    def newest(self) -> ShownPair | None:
        """See `ViewFeed.newest`."""
        pair = self._memory.newest()
        if pair is not None and self._large:
            self._bell.ring()  # the next one may be asked for
        return pair

    def status(self) -> RunStatus | None:
        """See `ViewFeed.status`."""
        return self._memory.status()

    def send(self, command: Command) -> None:
        """See `ViewFeed.send`."""
        self._commands.put(command)
        self._bell.ring()

    def report_rate(self, fps: float | None) -> None:
        """Tell the run how many new frames a second are shown."""
        self._fps = fps

    def close(self) -> None:
        """See `ViewFeed.close`."""
        self._closing.set()
        self._bell.ring()
        self._thread.join()
        self._memory.close()

    def _pump(self) -> None:
        restored = Inlet(self._restored, "view", beside=(self._bell, self._link))
        raw = Inlet(self._raw, "view", beside=(self._bell, self._link, restored))
        answered = time.monotonic()
        reported = 0.0
        try:
            while not self._closing.is_set():
                held = self._large and self._memory.waiting
                body = restored.receive(_WAIT_S, ask=not held)
                if isinstance(body, Restored):
                    answered = time.monotonic()
                    self._large = body.source.pixels.nbytes + body.pixels.nbytes >= _LARGE_BYTES
                    self._memory.offer(ShownPair(body.source, body))
                elif held:
                    answered = time.monotonic()  # nothing was asked
                elif time.monotonic() - answered > _RAW_AFTER_S:
                    newest = raw.receive(_WAIT_S)
                    if isinstance(newest, Frame):
                        self._memory.offer(ShownPair(newest))
                if body is not None and not isinstance(body, Restored):
                    self._closing.wait(_WAIT_S)  # the run has ended; do not spin
                self._tell_refusal(restored, raw)
                self._talk()
                if time.monotonic() - reported > _REPORT_EVERY_S:
                    reported = time.monotonic()
                    self._link.send(ViewReport(fps=self._fps))
        finally:
            self._talk()
            raw.close()
            restored.close()
            self._bell.close()

    def _tell_refusal(self, *inlets: Inlet) -> None:
        """Once, that pictures come which are not understood: nothing is painted of them."""
        why = next((one.refusal for one in inlets if one.refusal is not None), None)
        if why is not None and not self._told_refusal:
            self._told_refusal = True
            line = f"view: a picture is not understood, and is not shown ({why})"
            self._link.send(Notice(text=line))

    def _talk(self) -> None:
        self._bell.clear()
        while not self._commands.empty():
            self._link.send(self._commands.get())
        for word in self._link.receive(0):
            if isinstance(word, RunStatus):
                self._memory.report(word)
            elif isinstance(word, Stop):
                self.ended.set()
