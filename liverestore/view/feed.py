"""Where the view gets what it paints, and where its commands go."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from liverestore.frame import Frame, Restored
    from liverestore.status import Command, RunStatus

__all__ = ["MemoryFeed", "ShownPair", "ViewFeed"]


@dataclass(frozen=True, slots=True, eq=False)
class ShownPair:
    """What arrived for the screen: the newest raw frame, and a restored one if there is one.

    `restored` is the newest result since the last pair and may be of an earlier frame than
    `raw`; it is None when only raw frames came.
    """

    raw: Frame
    restored: Restored | None = None


class ViewFeed(Protocol):
    """Newest-wins source of pairs for one view; all methods return at once.

    Called from the view's main thread only. Any method may raise `Failure`; the view
    shows its text and goes on asking.
    """

    @property
    def overwritten(self) -> int:
        """Pairs that a newer one replaced before the view asked."""
        ...

    def newest(self) -> ShownPair | None:
        """The newest pair not handed out yet, or None when there is nothing new.

        Of several channels, the newest of the one that waited longest. Raw frames that are
        newer than the newest result come as pairs without a result, so that the view sees
        that the camera runs while the engine is silent.
        """
        ...

    def status(self) -> RunStatus | None:
        """The newest report of the run; None before the first."""
        ...

    def send(self, command: Command) -> None:
        """Hand a command to the run; its effect shows in later frames and reports."""
        ...

    def close(self) -> None:
        """Let go of the run without ending it; safe to call twice."""
        ...


class MemoryFeed:
    """A `ViewFeed` inside one process: the producer may be another thread.

    Holds one pair of each channel: `offer` replaces what was not fetched yet and counts it
    in `overwritten`, but a result in it is kept until it was seen or a newer one came. The
    channel that waited longest is fetched first.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pairs: dict[str | None, ShownPair] = {}
        self._status: RunStatus | None = None
        self._commands: list[Command] = []
        self._overwritten = 0
        self._closed = False

    @property
    def overwritten(self) -> int:
        """Pairs that a newer one replaced before the view asked."""
        with self._lock:
            return self._overwritten

    @property
    def closed(self) -> bool:
        """Whether the view has let go."""
        with self._lock:
            return self._closed

    def offer(self, pair: ShownPair) -> None:
        """Make `pair` the newest one of its channel."""
        channel = pair.raw.header.channel
        with self._lock:
            waiting = self._pairs.get(channel)
            if waiting is not None:
                self._overwritten += 1
                if pair.restored is None:
                    pair = ShownPair(pair.raw, waiting.restored)
            self._pairs[channel] = pair

    @property
    def waiting(self) -> bool:
        """Whether there is a pair that the view has not asked for yet."""
        with self._lock:
            return bool(self._pairs)

    def report(self, status: RunStatus) -> None:
        """Make `status` the newest report."""
        with self._lock:
            self._status = status

    def commands(self) -> list[Command]:
        """Commands sent since the last call, oldest first."""
        with self._lock:
            sent, self._commands = self._commands, []
        return sent

    def newest(self) -> ShownPair | None:
        """See `ViewFeed.newest`."""
        with self._lock:
            if not self._pairs:
                return None
            return self._pairs.pop(next(iter(self._pairs)))

    def status(self) -> RunStatus | None:
        """See `ViewFeed.status`."""
        with self._lock:
            return self._status

    def send(self, command: Command) -> None:
        """See `ViewFeed.send`."""
        with self._lock:
            self._commands.append(command)

    def close(self) -> None:
        """See `ViewFeed.close`."""
        with self._lock:
            self._closed = True
            self._pairs.clear()
