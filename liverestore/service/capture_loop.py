"""The camera thread: pulls frames, obeys orders between them, keeps and hands on each."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque

from liverestore.camera.absence import CameraGone
from liverestore.camera.channel_cycle import set_exposure
from liverestore.camera.source import FrameSource, SourceInfo
from liverestore.dose import Kind
from liverestore.errors import EndOfStream, Failure, LiverestoreError
from liverestore.frame import Frame
from liverestore.service.camera_absence import CameraAbsence
from liverestore.service.camera_watch import SNAP_NEEDS_PAUSE, CameraWatch, stop_source, why_ended
from liverestore.service.capture_counts import CaptureCounts, Phase
from liverestore.service.exposure_measure import Series
from liverestore.service.light_hold import LightHold
from liverestore.service.light_keeper import LightKeeper
from liverestore.service.lit_snap import check_light, lit_frame, snap_channels
from liverestore.service.orders import LightOrder, Order, obey_light
from liverestore.service.pace import Pace
from liverestore.service.recorder import Recorder
from liverestore.service.reference_shots import ReferenceShots
from liverestore.status import (
    CaptureReport,
    SetExposure,
    SetLive,
    SetRecording,
    SetRoi,
    SetZ,
    Snap,
)
from liverestore.transport.outlet import Outlet

__all__ = ["CaptureLoop"]

_PATIENCE_S = 0.1
"""Orders wait that long for a frame that is being exposed."""


class CaptureLoop:
    """Takes every frame of `source` to `recorder` first and then to `outlet`.

    `run` is the camera thread: it never waits for the disk, the engine or the view. It is
    live (frames come) or paused (it sleeps until the next order, and no light is spent).
    """

    def __init__(
        self,
        source: FrameSource,
        outlet: Outlet,
        *,
        recorder: Recorder,
        frames: int | None = None,
        light: LightKeeper | None = None,
        hold: LightHold | None = None,
        references: ReferenceShots | None = None,
        interval_s: float | None = None,
        end_at_budget: bool = False,
        camera_patience_s: float | None = None,
    ) -> None:
        """`light` accounts for what each frame costs, and allows it; None: nobody does.
        `hold` changes the exposure as the sample bleaches; None: only people do. `references`
        takes a bright exposure now and then.

        With `interval_s` Live snaps a frame so often, and no light falls in between. A run
        `end_at_budget` has nobody who could raise the budget. So long a run waits for a camera
        that is away or delivers nothing; None: for ever.
        """
        self.source = source
        self.outlet = outlet
        self.recorder = recorder
        self._frames = frames
        self.light = light
        self._hold = hold
        self._references = references
        self._pace = Pace(interval_s) if interval_s is not None else None
        self._end_at_budget = end_at_budget
        self._stop = threading.Event()
        self._orders: queue.SimpleQueue[Order | None] = queue.SimpleQueue()
        self._live = True
        self.notices: deque[str] = recorder.notices
        """Lines for the person, taken away by whoever reads them."""
        self._last: Frame | None = None
        self._series: Series | None = None
        """The one that was ordered last."""
        self._watch = CameraWatch(self.notices.append, source, camera_patience_s)
        self.absence = CameraAbsence(source, self.notices.append, patience_s=camera_patience_s)
        """Of the camera in mid-run."""
        self._counts = CaptureCounts(outlet, recorder, light, hold, self.absence, references)
        self.events: deque[str] = recorder.events
        """Lines on what went as it should, taken away likewise."""
        self.error: LiverestoreError | None = None
        """Why the camera thread ended, where it should not have."""

    def prepare(self) -> SourceInfo:
        """Open the camera. Raises `UserError` and `Failure`."""
        self._counts.info = info = self.source.start()
        self._watch.expect(info.exposure_ms, info.interval_ms)
        if self.light is not None:
            self.light.notices = self.notices
            self.light.begin(self.source, info)
        return info

    def order(self, word: Order) -> None:
        """Have `word` obeyed after the frame that the camera thread is at.

        The focus moves at once, in the caller's thread; while paused it waits for its turn,
        since a snap may be exposing for seconds, and while a series is taken, which it would spoil.
        So does the exposure where light is accounted, to be charged with what it breaks off; else
        it interrupts the sequence at once. Raises what `FrameSource.configure` does.
        """
        if isinstance(word, Series):
            self._series = word
        measuring = self._series is not None and not self._series.over
        at_once = SetZ if self.light is not None else SetExposure | SetZ
        if self._live and isinstance(word, at_once) and not (self.absence.lasts or measuring):
            self._configure(word)
        else:
            self._orders.put(word)

    def _configure(self, word: SetExposure | SetZ) -> None:
        if isinstance(word, SetExposure):
            set_exposure(self.source, word.exposure_ms, word.channel)
            if self._hold is not None:
                self._hold.restart()
        else:
            self.source.configure(z_um=word.z_um)

    def stop(self) -> None:
        """Ask the camera thread to end after the frame it is at."""
        if not self._stop.is_set():
            self._stop.set()
            self._orders.put(None)  # a paused thread waits here

    def run(self) -> None:
        """Pull frames until told to stop, the last frame, or an error; then flush."""
        try:
            self.error = why_ended(self._pull)
        finally:
            # The file first: a camera that fails to stop must not keep it open.
            self.recorder.close()
            if self._references is not None:
                self._references.close()
            if self.light is not None:
                self.light.end()
            unstopped = stop_source(self.source)
            if not self.absence.lasts:  # else why it does not answer has been told
                self.error = self.error or unstopped

    def _pull(self) -> None:
        while not self._over():
            word = self._next_order()
            if word is not None:
                self._obey(word)
            elif self._live and not self._over():
                try:
                    if self.absence.ready():
                        self._refer()
                        self._advance()
                except CameraGone as error:
                    if not self._lose(error):
                        raise

    def _advance(self) -> None:
        """Live: the next frame, if it comes soon and the light for it is allowed."""
        if self._pace is not None:
            self._snap_when_due(self._pace)
            return
        light = self.light
        if light is not None:
            wanted = None if self._frames is None else self._frames - self._counts.captured
            may = light.before_next(wanted)
            if may == "stop":
                self._stop_light(light)
                return
            if may == "renew":
                self._pause()
                return
        patience_s = _PATIENCE_S if light is None else light.patience_s(_PATIENCE_S)
        frame = lit_frame(self.source, light, patience_s)
        self._watch.heard(frame, time.monotonic())
        if frame is not None:
            self._take(frame)
            self._counts.rate.tick(time.monotonic())
            self._hold_light()

    def _refer(self) -> None:
        """Take the reference shot that is due, if one is."""
        shots, light, last = self._references, self.light, self._last
        if shots is None or light is None or last is None:
            return
        number = self._counts.captured
        if not (
            shots.due(number, lambda: self.outlet.counts("engine").done)
            and shots.allowed(self.source, last, number, light, self.notices)
        ):
            return
        self._pause()
        if not self._over():  # by a frame that the pause delivered
            shot = shots.take(self.source, last, self._counts.captured, light, self.notices)
            if shot is not None:
                shots.keep(shot, self.recorder.path, self.notices)
                self.outlet.offer(shot, aside=True)

    def _lose(self, error: CameraGone) -> bool:
        """The camera is away; False where it cannot come back."""
        begun = self.absence.begins(
            error, self._counts.last, self.recorder, self.light, live=self._live
        )
        if begun:
            self._watch.away()
            self._counts.rate.pause()
        return begun

    def _hold_light(self) -> None:
        """Expose longer where the sample has bleached."""
        if self._hold is not None and self._last is not None:
            left = self.light.meter.left_j_cm2 if self.light is not None else None
            self._hold.adjust(self._last, left, self._expose, self.notices, self.events)

    def _expose(self, exposure_ms: float) -> None:
        if self.light is not None:
            self._pause()
        self.source.configure(exposure_ms=exposure_ms)

    def _snap_when_due(self, pace: Pace) -> None:
        if not pace.due(_PATIENCE_S):
            return
        if self.light is not None and self.light.refusal() is not None:
            self._stop_light(self.light)
            return
        for frame in self._snap():
            if self._counts.captured != self._frames:
                self._take(frame, "snap")
                self._counts.rate.tick(time.monotonic())
                self._hold_light()

    def _stop_light(self, light: LightKeeper) -> None:
        """End Live for good: the budget holds not one frame more."""
        light.stopped = True
        self._pause()
        self._live = False
        self._counts.rate.pause()
        text = f"Live has stopped and the light is off: {light.spent()}"
        if self._end_at_budget:
            raise Failure(text)
        self.notices.append(text)

    def _pause(self) -> None:
        """Pause the source and take what it had; the next frame begins another sequence."""
        light = self.light
        self._watch.pause()
        for frame in self.source.pause() if light is None else light.pause():
            if self._counts.captured != self._frames:
                self._take(frame)
        if light is not None:
            light.paused()

    def _over(self) -> bool:
        return self._stop.is_set() or self._counts.captured == self._frames

    def _next_order(self) -> Order | None:
        """Waits for one while paused, or for a camera that is away; None: there is none."""
        wait_s = self.absence.wait_s() if self._live else None
        try:
            return self._orders.get(block=wait_s != 0, timeout=wait_s)
        except queue.Empty:
            return None

    def _obey(self, word: Order) -> None:
        try:
            self.absence.answer(word)
            frames = self._frames_of(word)
        except EndOfStream:
            raise
        except LiverestoreError as error:
            # What the camera or the disk does not do is no reason to end a run.
            if not (isinstance(error, CameraGone) and self._lose(error)):
                self.notices.append(str(error))
            return
        for frame in frames:
            if self._counts.captured != self._frames:
                self._take(frame, "snap")

    def _frames_of(self, word: Order) -> list[Frame]:
        """Obey `word`; the frames that were snapped for it."""
        if isinstance(word, LightOrder):
            obey_light(word, self.light, self._hold)
            return []
        match word:
            case SetRecording(on=True):
                self.recorder.begin()
            case SetRecording(on=False):
                self.recorder.end()
            case SetExposure() | SetZ():
                if isinstance(word, SetExposure) and self._live and self.light is not None:
                    self._pause()
                self._configure(word)
            case Series():
                word.take(self.source, self._pause, self._stop.is_set, self.recorder.path)
            case SetRoi(roi=roi):
                if self._live and self.light is not None:
                    self._pause()
                self.source.set_roi(roi)
                self.recorder.roi_changed()
            case Snap() if self._live:
                self.notices.append(SNAP_NEEDS_PAUSE)
            case Snap():
                check_light(self.light)
                return self._snap()
            case SetLive(on=True):
                check_light(self.light)
                self._live = True
            case SetLive(on=False) if self._live:
                self._pause()
                self._live = False
                self._counts.rate.pause()
        return []

    def _snap(self) -> list[Frame]:
        return snap_channels(self.source, self.light, self.notices)

    def _take(self, frame: Frame, kind: Kind = "frame") -> None:
        if self.light is not None:
            frame = self.light.took(frame, kind=kind)
        if self._references is not None:
            frame = self._references.mark(frame)
        unkept = self.recorder.keep(frame)
        if self.absence.lasts:
            self.absence.came(frame.header, self.recorder.path)
        self.outlet.offer(frame)
        self._last = frame
        self._counts.take(frame)
        if unkept is not None:
            raise unkept

    def report(self, phase: Phase) -> CaptureReport:
        """The counts of this moment."""
        return self._counts.report(phase, live=self._live)
