"""The seam between anything that delivers frames and the capture loop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from liverestore.camera.roi import Roi
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

    def pause(self) -> list[Frame]:
        """End the sequence and keep the device open: no light is spent until the next
        `next_frame`, which starts it again. Numbers and counts of lost frames go on.

        Returns the frames that were taken before and not delivered yet, oldest first.
        Pausing twice, or before the first frame, does nothing.
        """
        ...

    def snap(self) -> Frame:
        """Take one frame while paused (or not begun); its number is the next of the run.

        Waits for the exposure. Raises `UserError` while a sequence runs, `Failure` where the
        camera fails and `EndOfStream` after the last frame of a finite source.
        """
        ...

    def set_roi(self, roi: Roi | None) -> None:
        """Read out a part of the chip from the next exposure on; None: all of it.

        `roi` is (x, y, width, height) in binned pixels of the whole chip, whatever was set
        before. A camera may round it to its own steps; `header.roi` says what it reads. A
        running sequence goes on; frames taken before are still delivered, in their size.
        Raises `UserError`, with nothing changed, where the camera does not take it or the
        source has no chip.
        """
        ...

    def stop(self) -> None:
        """End the sequence and let go of the device; safe to call twice."""
        ...
