"""Series of frames of one light and one exposure, through any frame source; light is counted."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from typing import Literal, Protocol

from liverestore.camera.light import limited_source
from liverestore.camera.source import FrameSource
from liverestore.errors import Failure, UserError
from liverestore.frame import Frame

__all__ = ["AT_ONCE", "SteadySeries"]

AT_ONCE = 16
"""Frames that are held in memory; reducing one takes longer than taking it."""
_PATIENCE_S = 10.0


class Metering(Protocol):
    """An account of light, as `service.light_keeper` keeps it."""

    def before_next(self, frames: int | None = None) -> Literal["go", "renew", "stop"]:
        """Whether the next frame is allowed; `frames` are wanted at most."""
        ...

    def took(self, frame: Frame) -> Frame:
        """Charge a frame."""
        ...

    def pause(self) -> list[Frame]:
        """Pause the source; `took` its frames, and then call `paused`."""
        ...

    def paused(self) -> None:
        """Charge what was broken off."""
        ...

    def spent(self) -> str:
        """That the budget does not hold another frame."""
        ...


class SteadySeries:
    """Takes frames from a started `source`, in runs of at most 16 with nothing between them.

    The first frame of every run is left out: its exposure may have begun before the light or
    the exposure was set. `keep`, where given, gets every frame of a series with its name.
    """

    def __init__(
        self,
        source: FrameSource,
        keep: Callable[[str, Frame], None] | None = None,
        light: Metering | None = None,
    ) -> None:
        """`light` is asked before each frame that is taken with light, and charged after it."""
        self._source = source
        self._keep = keep
        self._light = light
        self._lost = 0
        """At the camera, in the run so far."""
        self.lit_ms = 0.0
        """Exposure of all frames that were taken with light, those that were left out too."""
        self.lit_frames = 0

    def frames(
        self, count: int, exposure_ms: float, *, lit: bool, name: str | None = None
    ) -> Iterator[Frame]:
        """`count` frames of `exposure_ms`; `lit`: whether they are charged as light.

        Raises `UserError` for an exposure that the camera refuses and where the budget of light
        ends, `Failure` where frames stop coming.
        """
        self._source.configure(exposure_ms=exposure_ms)
        left = count
        while left > 0:
            run = self._run(min(left, AT_ONCE), exposure_ms, lit=lit)
            for frame in run:
                if self._keep is not None and name is not None:
                    self._keep(name, frame)
                yield frame
            left -= len(run)

    def _run(self, count: int, exposure_ms: float, *, lit: bool) -> list[Frame]:
        taken: list[Frame] = []
        light = self._light if lit else None
        limited = limited_source(self._source)
        if limited is not None:
            # Of a run before, whose light was counted.
            limited.limit(None)
        try:
            while len(taken) <= count:
                frame = self._next(exposure_ms, light, count + 1 - len(taken))
                taken.append(frame if light is None else light.took(frame))
        finally:
            surplus = self._source.pause() if light is None else self._paused(light)
            every = [*taken, *surplus]
            lost = self._newly_lost(every)
            if lit:
                self._charge(len(every) + lost, exposure_ms)
        return taken[1:]

    def _paused(self, light: Metering) -> list[Frame]:
        surplus = [light.took(frame) for frame in light.pause()]
        light.paused()
        return surplus

    def _newly_lost(self, frames: list[Frame]) -> int:
        """Frames that the camera lost before these and after those of the runs before."""
        before = self._lost
        self._lost = max((frame.header.lost_before for frame in frames), default=before)
        return self._lost - before

    def _charge(self, frames: int, exposure_ms: float) -> None:
        self.lit_frames += frames
        self.lit_ms = math.fsum([self.lit_ms, frames * exposure_ms])

    def _next(self, exposure_ms: float, light: Metering | None, wanted: int) -> Frame:
        patience_s = _PATIENCE_S + 3e-3 * exposure_ms
        until = time.monotonic() + patience_s
        while time.monotonic() < until:
            # Asked each time: a sequence may have ended by itself, and the next one is light anew.
            if light is not None and light.before_next(wanted) == "stop":
                raise UserError(f"no light: {light.spent()}")
            frame = self._source.next_frame(0.5)
            if frame is not None:
                return frame
        raise Failure(
            f"camera: no frame came within {patience_s:.0f} s; check its trigger mode and start "
            "again"
        )
