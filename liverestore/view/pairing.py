"""Which raw and which restored frame belong on the screen at a moment."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from liverestore.frame import Frame, Restored
    from liverestore.view.feed import ShownPair

__all__ = ["EngineSign", "Pairing", "Shown"]


class EngineSign(Enum):
    """How the engine is doing, seen from the screen."""

    WAITING = "waiting"
    """No result yet."""
    ANSWERING = "answering"
    BEHIND = "behind"
    """Silent for longer than the patience, but not longer than it has been before."""
    SILENT = "silent"
    """No result although newer raw frames arrive."""


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """The frames for the two panes."""

    raw: Frame | None
    restored: Restored | None
    engine: EngineSign

    @property
    def matched(self) -> bool:
        """Whether both panes show the same moment."""
        return self.restored is not None and self.raw is self.restored.source


class Pairing:
    """Keeps both panes at the same moment as long as the engine answers.

    While results come, the raw pane shows the frame that the newest result was made of.
    When none came for `patience_s` although newer raw frames did, the raw pane goes on
    with the newest raw frame. An engine that always takes long is `SILENT` only after
    three times its usual interval.
    """

    def __init__(self, patience_s: float = 1.0) -> None:
        self._patience_s = patience_s
        self._newest: Frame | None = None
        self._restored: Restored | None = None
        self._answered_at_s: float | None = None
        self._unanswered_since_s: float | None = None
        self._intervals_s: deque[float] = deque(maxlen=5)

    def offer(self, pair: ShownPair, now_s: float) -> bool:
        """Take in a pair that arrived at `now_s`; True when it brought a new result."""
        if self._newest is not None and pair.raw.header.run_id != self._newest.header.run_id:
            # A result of an earlier run says nothing about this one.
            self._restored = None
            self._answered_at_s = None
            self._unanswered_since_s = None
            self._intervals_s.clear()
        self._newest = pair.raw
        answered = pair.restored is not None and (
            pair.restored.source.header.run_id == pair.raw.header.run_id
        )
        if answered:
            if self._answered_at_s is not None:
                self._intervals_s.append(now_s - self._answered_at_s)
            self._restored = pair.restored
            self._answered_at_s = now_s
            self._unanswered_since_s = None
        if self._unanswered_since_s is None and self._newest_is_unanswered():
            self._unanswered_since_s = now_s
        return answered

    def _newest_is_unanswered(self) -> bool:
        return self._newest is not None and (
            self._restored is None
            or self._newest.header.number != self._restored.source.header.number
        )

    def shown(self, now_s: float) -> Shown:
        """What belongs on the screen at `now_s`."""
        if self._restored is None:
            return Shown(self._newest, None, EngineSign.WAITING)
        since_s = self._unanswered_since_s
        if since_s is None or now_s - since_s <= self._patience_s:
            return Shown(self._restored.source, self._restored, EngineSign.ANSWERING)
        usual_s = median(self._intervals_s) if self._intervals_s else 0.0
        late = now_s - since_s > max(self._patience_s, 3.0 * usual_s)
        sign = EngineSign.SILENT if late else EngineSign.BEHIND
        return Shown(self._newest, self._restored, sign)
