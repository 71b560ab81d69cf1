"""The seam between anything that delivers frames and the capture loop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from liverestore.frame import Frame, PixelDtype

__all__ = ["FrameSource", "SourceInfo"]


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What a started source will deliver."""

    name: str
    """For people: the camera's label, or the movie's file name."""
    shape: tuple[int, int]
    """(Y, X) in pixels."""
    dtype: PixelDtype
    exposure_ms: float | None
    pixel_size_um: float | None
    frame_count: int | None
    """Number of frames of a finite source; None for a camera that runs until stopped."""
    interval_ms: float | None
    """Expected time between frames; None where unknown."""


class FrameSource(Protocol):
    """Delivers frames one by one, in order, each one once.

    All methods are called from one thread, except `configure`, which may be called
    from another thread while a sequence runs.
    """

    def start(self) -> SourceInfo:
        """Open and check everything; frames are taken from the first `next_frame` on, so
        that no light is spent before someone waits for them.

        Raises `UserError` for a request that cannot be met (missing file, RGB camera) and
        `Failure` for a device that fails.
        """
        ...

    def next_frame(self, timeout_s: float) -> Frame | None:
        """The next frame, or None when none came within `timeout_s`.

        Raises `EndOfStream` after the last frame of a finite source and `Failure`
        when the camera stopped or broke. `header.lost_before` counts gaps.
        """
        ...

    def configure(self, *, exposure_ms: float | None = None, z_um: float | None = None) -> None:
        """Set what is not None. Raises `UserError` where the source has no such knob."""
        ...

    def stop(self) -> None:
        """End the sequence and let go of the device; safe to call twice."""
        ...
