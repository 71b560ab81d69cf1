"""The counts of a capture loop, as its process reports them."""

from __future__ import annotations

import time
from typing import Literal

import msgspec

from liverestore.camera.source import SourceInfo
from liverestore.frame import Frame, FrameHeader
from liverestore.meters import RateMeter
from liverestore.service.camera_absence import CameraAbsence
from liverestore.service.light_hold import LightHold
from liverestore.service.light_keeper import LightKeeper
from liverestore.service.recorder import Recorder
from liverestore.service.reference_shots import ReferenceShots
from liverestore.status import CaptureReport, LightReport
from liverestore.transport.outlet import Outlet

__all__ = ["CaptureCounts", "Phase", "light_told"]

Phase = Literal["ready", "running", "ended"]


class CaptureCounts:
    """Frames that a camera thread took, and with what others count the report of its process.

    `take` belongs to the camera thread; `report` may be asked from any.
    """

    def __init__(
        self,
        outlet: Outlet,
        recorder: Recorder,
        light: LightKeeper | None,
        hold: LightHold | None,
        absence: CameraAbsence,
        references: ReferenceShots | None = None,
    ) -> None:
        self._outlet, self._recorder = outlet, recorder
        self._light, self._hold = light, hold
        self._absence, self._references = absence, references
        self.rate = RateMeter()
        """Of live frames."""
        self.info: SourceInfo | None = None
        """What the camera promised."""
        self.last: FrameHeader | None = None
        """Of the newest frame."""
        self.captured = 0
        self._lost = 0

    def take(self, frame: Frame) -> None:
        """One more."""
        self.last = frame.header
        self.captured += 1
        self._lost = frame.header.lost_before

    def report(self, phase: Phase, *, live: bool) -> CaptureReport:
        """The counts of this moment."""
        counts, recorder = self._outlet.counts("engine"), self._recorder
        like = self.last or self.info
        rate = self.rate.mean() if phase == "ended" else self.rate.rate(time.monotonic())
        return CaptureReport(
            phase=phase,
            captured=self.captured,
            lost=self._lost,
            recorded=recorder.recorded,
            written=recorder.written,
            unseen=None if recorder.followed is None else recorder.followed.unseen,
            write_error=recorder.error,
            disk_queue=recorder.queue_share,
            live=live,
            recording=str(recorder.path) if recorder.path is not None else None,
            restored=counts.done,
            dropped=counts.dropped,
            fps=rate,
            shape=like.shape if like is not None else None,
            dtype=like.dtype if like is not None else None,
            light=light_told(self._light, self._hold, live=live),
            absences=self._absence.report(),
            references=() if self._references is None else self._references.reports(),
        )


def light_told(
    light: LightKeeper | None, hold: LightHold | None, *, live: bool
) -> LightReport | None:
    """The account of light, with what is held; None where none is kept."""
    if light is None:
        return None
    told = light.report(live=live)
    return told if hold is None else msgspec.structs.replace(told, hold=hold.report())
