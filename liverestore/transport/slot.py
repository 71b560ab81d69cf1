"""The newest frame of each channel for one consumer, and an exact account of all others.

No socket here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["Slot", "SlotCounts"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SlotCounts:
    """offered = done + dropped + waiting, always."""

    offered: int
    done: int
    """Sent, and acknowledged as done."""
    dropped: int
    """Replaced by a newer one, sent but never acknowledged, or left over at the end."""
    waiting: int
    """One for each channel in the slot at most, and one at the consumer."""


class Slot(Generic[T]):
    """A mailbox of size one for each channel: the newest item wins, replaced ones are counted.

    The channel that waited longest is taken first, so that a consumer half as fast as the
    camera does not see one of two channels only. At most one item is at the consumer at a
    time. Not thread-safe; its owner locks.
    """

    def __init__(self) -> None:
        self._items: dict[str | None, T] = {}
        self._sent: int | None = None
        self._offered = 0
        self._done = 0
        self._dropped = 0

    def offer(self, item: T, channel: str | None = None) -> None:
        """Put `item` where the consumer will find it, in place of an older one of `channel`."""
        self._offered += 1
        if channel in self._items:
            self._dropped += 1
        # A dict keeps the place of a key that is set anew: the channel's turn stays.
        self._items[channel] = item

    def take(self, number: int) -> T | None:
        """The item, if there is one; it counts as sent under `number`."""
        if not self._items:
            return None
        self._sent = number
        return self._items.pop(next(iter(self._items)))

    @property
    def item(self) -> T | None:
        """What `take` would give, without taking it."""
        return next(iter(self._items.values()), None)

    @property
    def sent(self) -> int | None:
        """The number of the item that is at the consumer."""
        return self._sent

    def settle(self, number: int | None, *, done: bool) -> None:
        """The consumer asks again: what was sent is done, or it is dropped.

        It is done only when the consumer names its `number` and says so; a consumer
        that died and came back names none.
        """
        if self._sent is None:
            return
        if done and number == self._sent:
            self._done += 1
        else:
            self._dropped += 1
        self._sent = None

    def give_up(self) -> None:
        """Count what is still here or at the consumer as dropped."""
        self.settle(None, done=False)
        self._dropped += len(self._items)
        self._items.clear()

    @property
    def counts(self) -> SlotCounts:
        """The account."""
        waiting = len(self._items) + (self._sent is not None)
        return SlotCounts(self._offered, self._done, self._dropped, waiting)
