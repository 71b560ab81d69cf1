"""Takes a bright exposure of the sample now and then, between two frames of Live.

Such a shot goes into a file of its own, beside the recording: in the movie it would be one frame
of another brightness, which every program that reads the movie would take for an event in the
sample. The frames around it name it in their records (`FrameHeader.reference`).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec

from liverestore.camera.absence import CameraGone
from liverestore.camera.light import limited_source
from liverestore.camera.source import FrameSource
from liverestore.errors import Failure, LiverestoreError, UserError
from liverestore.frame import Frame
from liverestore.reference_schedule import ReferencePlan, ReferenceSchedule
from liverestore.service.light_keeper import LightKeeper
from liverestore.service.lit_snap import lit_snap
from liverestore.service.recorder import Recorder
from liverestore.status import RecordingReport
from liverestore.writer.layout import recording_of
from liverestore.writer.names import SaveFormat, free_reference
from liverestore.writer.ome import OmeSink

__all__ = ["REFERENCES", "ReferenceShots"]

REFERENCES = "references"
"""Role of the consumer that gets them, and nothing else."""


class ReferenceShots:
    """All methods belong to the camera thread."""

    def __init__(
        self,
        plan: ReferencePlan,
        *,
        save_format: SaveFormat = "ome-zarr",
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._schedule = ReferenceSchedule(plan)
        self._now_s = now_s
        self._folder = Path()
        self._recorder = Recorder(
            lambda: (free_reference(self._folder, save_format), None),
            open_file=partial(OmeSink, layout=recording_of(0)),
        )
        self._newest: int | None = None
        self._ended = False
        self._refused = ""
        self._unkept: str | None = None

    def due(self, frames: int, restored: Callable[[], int]) -> bool:
        """Whether it is time for one, after `frames` frames of the run.

        The first waits until a frame is `restored`: without a picture there is nothing to score.
        """
        return (
            not self._ended
            and self._schedule.due(self._now_s(), frames)
            and (self._newest is not None or restored() > 0)
        )

    def allowed(
        self,
        source: FrameSource,
        last: Frame,
        frames: int,
        light: LightKeeper,
        notices: deque[str],
    ) -> bool:
        """Whether the budget of `light` holds the shot that is due after the frame `last`.

        Where it does not, the shot is left out, `notices` says so once, and Live goes on with the
        frames that do fit.
        """
        frame_ms = _present_ms(source, last)
        if frame_ms is None:
            self._ended = True
            notices.append("no reference shots: the camera does not tell its exposure")
            return False
        exposure_ms = self._schedule.plan.exposure_for(frame_ms)
        if light.holds(exposure_ms):
            self._refused = ""
            return True
        self._schedule.passed(self._now_s(), frames)
        words = f"no reference shot: the light budget does not hold its {exposure_ms:.4g} ms"
        if words != self._refused:
            self._refused = words
            notices.append(words)
        return False

    def take(
        self,
        source: FrameSource,
        last: Frame,
        frames: int,
        light: LightKeeper,
        notices: deque[str],
    ) -> Frame | None:
        """One exposure of the paused `source`, charged and marked; the exposure is as before.

        `last` is a frame before the pause, whose light may have left too little in the budget.
        None, and the reason in `notices`, then and where the camera refuses the exposure. Raises
        `Failure` where it fails, or does not go back to the exposure of the frames.
        """
        if not self.allowed(source, last, frames, light, notices):
            return None
        frame_ms = _present_ms(source, last)
        assert frame_ms is not None, "it was allowed"
        self._schedule.passed(self._now_s(), frames)
        try:
            source.configure(exposure_ms=self._schedule.plan.exposure_for(frame_ms))
        except UserError as error:
            self._ended = True
            notices.append(f"no more reference shots: {error}")
            return None
        try:
            shot = light.took(lit_snap(source, light), kind="reference")
        finally:
            self._set_back(source, frame_ms)
        number = self._newest = shot.header.number
        return Frame(shot.pixels, msgspec.structs.replace(shot.header, reference=number))

    def _set_back(self, source: FrameSource, frame_ms: float) -> None:
        try:
            source.configure(exposure_ms=frame_ms)
        except CameraGone:
            raise  # it comes back with the exposure that it was to be set to
        except LiverestoreError as error:
            raise Failure(
                f"after a reference shot the exposure could not be set back to {frame_ms:g} ms: "
                f"{error}"
            ) from error

    def mark(self, frame: Frame) -> Frame:
        """`frame`, naming the newest shot before it."""
        if self._newest is None:
            return frame
        return Frame(frame.pixels, msgspec.structs.replace(frame.header, reference=self._newest))

    def keep(self, shot: Frame, beside: Path | None, notices: deque[str]) -> None:
        """Record `shot` beside the recording `beside`; not at all where nothing is recorded."""
        recorder = self._recorder
        recorder.notices = notices
        if beside is None:
            recorder.end()
            return
        self._folder = beside.parent
        recorder.begin()
        recorder.events.clear()
        # Another size, exposure or ROI is what a person has chosen for the frames.
        recorder.roi_changed()
        recorder.keep(shot)
        error = recorder.error
        if error is not None and error != self._unkept:
            self._unkept = error
            notices.append(f"a reference shot was not kept: {error}")

    def reports(self) -> tuple[RecordingReport, ...]:
        """The account of every file of shots, oldest first; from any thread."""
        return self._recorder.reports()

    def close(self) -> None:
        """Write out and close the file."""
        self._recorder.close()


def _present_ms(source: FrameSource, last: Frame) -> float | None:
    """Exposure of the next frame, which a person may have changed since the frame `last`."""
    limited = limited_source(source)
    own = limited.exposure_ms if limited is not None else None
    return last.header.exposure_ms if own is None else own
