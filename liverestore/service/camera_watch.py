"""Says when a live camera delivers nothing, and which frames it lost."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["LossWatch", "StallWatch"]

_LEAST_S = 2.0
_FRAMES = 5
"""Of the frames that should have come since the last one, before it is said."""
_LOSS_TOLD_EVERY_S = 10.0


class StallWatch:
    """One line when no frame has come for long, one when frames come again.

    Long is 2 s, or five times what lies between two frames where that is more. Time is handed
    in, in seconds of any clock that runs evenly.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._since_s: float | None = None
        self._usual_s = 0.0
        self._stalled = False

    def expect(self, *times_ms: float | None) -> None:
        """A frame takes so long: its exposure, or the interval; None where unknown."""
        for time_ms in times_ms:
            self._usual_s = max(self._usual_s, (time_ms or 0.0) / 1e3)

    def took(self, exposure_ms: float | None, now_s: float) -> None:
        """A frame came."""
        if self._stalled and self._since_s is not None:
            self._tell(f"frames come again, after {now_s - self._since_s:.1f} s without one")
        self._stalled = False
        self.expect(exposure_ms)
        self._since_s = now_s

    def waited(self, now_s: float) -> None:
        """The camera is live and no frame came."""
        if self._since_s is None:
            self._since_s = now_s
        silent_s = now_s - self._since_s
        if not self._stalled and silent_s > max(_LEAST_S, _FRAMES * self._usual_s):
            self._stalled = True
            self._tell(
                f"no frame from the camera for {silent_s:.1f} s; Live and the recording wait for "
                "it; if none comes, check its cable and power, and its trigger"
            )

    def pause(self) -> None:
        """No frame is to come now."""
        self._since_s, self._stalled = None, False


class LossWatch:
    """A line when frames were lost at the camera, at most every ten seconds with all that came."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._told = 0
        self._told_s: float | None = None

    def took(self, number: int, lost_before: int, now_s: float) -> None:
        """A frame came, before which so many of the run were lost."""
        new = lost_before - self._told
        if new <= 0 or (self._told_s is not None and now_s - self._told_s < _LOSS_TOLD_EVERY_S):
            return
        self._told, self._told_s = lost_before, now_s
        frames = "1 frame was" if new == 1 else f"{new} frames were"
        self._tell(
            f"{frames} lost at the camera before frame {number}, as its buffer was full; close "
            "other programs, or write a larger source.buffer_size_mb into the rig file"
        )
