"""Whether a number of the microscope is shown as asked for or as frames report it; no Qt."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from liverestore.frame import FrameHeader

__all__ = ["FrameFollower"]


class FrameFollower:
    """Like `widgets.Follower`, for numbers that nothing reports but frames.

    A request shows at once, and until a frame tells otherwise: while the camera is paused, or
    exposes for many seconds, no time that passes says anything about it. While the camera
    runs, frames get `patience_s` to follow, because the request has to travel.
    """

    def __init__(self, patience_s: float = 2.0) -> None:
        self._patience_s = patience_s
        self._asked: float | None = None
        self._asked_at_s = 0.0

    def ask(self, value: float, now_s: float) -> None:
        """`value` was requested at `now_s`, on the clock of the frames' `captured_ns`."""
        self._asked = value
        self._asked_at_s = now_s

    def value(
        self, reported: float | None, header: FrameHeader | None, paused_since_s: float | None
    ) -> float | None:
        """What to show; None when nothing is known.

        `reported` is what the newest frame, of `header`, says. `paused_since_s` is the time
        from which on the camera delivers only what is asked for; None: it runs.
        """
        if self._asked is None:
            return reported
        if reported == self._asked or (header is not None and self._told(header, paused_since_s)):
            self._asked = None
            return reported
        return self._asked

    def _told(self, header: FrameHeader, paused_since_s: float | None) -> bool:
        """Whether the frame of `header` was begun when the request must have been there."""
        begun_s = header.captured_ns / 1e9 - (header.exposure_ms or 0.0) / 1e3
        if paused_since_s is None:
            return begun_s > self._asked_at_s + self._patience_s
        # Words are obeyed in turn then: a snap after the request is taken with it.
        return begun_s > max(self._asked_at_s, paused_since_s)
