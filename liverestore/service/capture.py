"""The capture process: camera thread, raw writer, and the outlet of raw frames."""

from __future__ import annotations

import logging
import math
import threading
import time
from typing import Literal

from liverestore.camera.open import open_source
from liverestore.camera.source import FrameSource, SourceInfo
from liverestore.errors import EndOfStream, Failure, LiverestoreError, UserError
from liverestore.frame import Frame
from liverestore.meters import RateMeter
from liverestore.service.child import orphaned, run_child
from liverestore.service.plan import RunPlan
from liverestore.status import CaptureReport, Go, Notice, SetExposure, SetZ, Stop, Word
from liverestore.transport.control import ControlLink
from liverestore.transport.outlet import Outlet
from liverestore.writer.ome import OmeSink
from liverestore.writer.queue import QueuedSink

__all__ = ["CaptureLoop", "capture_process"]

log = logging.getLogger(__name__)

_REPORT_EVERY_S = 0.2
_DRAIN_S = 5.0


class CaptureLoop:
    """Takes every frame of `source` to `sink` first and then to `outlet`.

    `run` is the camera thread: it never waits for the disk, the engine or the view.
    """

    def __init__(
        self,
        source: FrameSource,
        outlet: Outlet,
        *,
        sink: QueuedSink | None = None,
        frames: int | None = None,
        stop_on_write_error: bool = False,
    ) -> None:
        self.source = source
        self.outlet = outlet
        self._sink = sink
        self._frames = frames
        self._stop_on_write_error = stop_on_write_error
        self._stop = threading.Event()
        self._rate = RateMeter()
        self._info: SourceInfo | None = None
        self._captured = 0
        self._lost = 0
        self._written = 0
        self._write_error: str | None = None
        self.error: LiverestoreError | None = None
        """Why the camera thread ended, where it should not have."""

    def prepare(self) -> SourceInfo:
        """Open the camera. Raises `UserError` and `Failure`."""
        self._info = self.source.start()
        return self._info

    def stop(self) -> None:
        """Ask the camera thread to end after the frame it is at."""
        self._stop.set()

    def run(self) -> None:
        """Pull frames until told to stop, the last frame, or an error; then flush."""
        try:
            self._pull()
        except EndOfStream:
            pass
        except LiverestoreError as error:
            self.error = error
        except Exception as error:
            # This thread's last line of defence: a bug must end the run as a failure
            # that is told, never as a recording that just stops growing.
            log.exception("the camera thread failed")
            self.error = Failure(f"unexpected {type(error).__name__}: {error}")
        finally:
            # The file first: a camera that fails to stop must not keep it open.
            self._close_sink()
            self._stop_source()

    def _stop_source(self) -> None:
        try:
            self.source.stop()
        except Exception as error:
            # An unplugged camera answers its farewell with whatever its driver raises.
            log.warning("the camera did not stop properly: %s", error)
            self.error = self.error or Failure(f"the camera did not stop properly: {error}")

    def _pull(self) -> None:
        while not self._stop.is_set() and self._captured != self._frames:
            frame = self.source.next_frame(0.1)
            if frame is None:
                continue
            unkept = self._keep(frame)
            self.outlet.offer(frame)
            self._captured += 1
            self._lost = frame.header.lost_before
            self._rate.tick(time.monotonic())
            if unkept is not None:
                raise unkept

    def _keep(self, frame: Frame) -> LiverestoreError | None:
        """Hand `frame` to the writer; an error that is to end the run."""
        if self._sink is None or self._write_error is not None:
            return None
        try:
            self._sink.append(frame)
        except LiverestoreError as error:
            self._write_error = str(error)
            if self._stop_on_write_error or isinstance(error, UserError):
                return error
        return None

    def _close_sink(self) -> None:
        if self._sink is None:
            return
        try:
            self._written = self._sink.close().frames
        except LiverestoreError as error:
            self._write_error = self._write_error or str(error)
            self._written = self._sink.written
        except Exception as error:
            # A file that could not be closed must be told of, whatever the reason.
            log.exception("the raw file could not be closed")
            self._write_error = self._write_error or f"{type(error).__name__}: {error}"
            self._written = self._sink.written

    def report(self, phase: Literal["ready", "running", "ended"]) -> CaptureReport:
        """The counts of this moment."""
        counts = self.outlet.counts("engine")
        written = self._written
        if self._sink is not None and phase != "ended":
            written = self._sink.written
        info = self._info
        return CaptureReport(
            phase=phase,
            captured=self._captured,
            lost=self._lost,
            written=written,
            write_error=self._write_error,
            restored=counts.done,
            dropped=counts.dropped,
            fps=self._rate.mean() if phase == "ended" else self._rate.rate(time.monotonic()),
            shape=info.shape if info else None,
            dtype=info.dtype if info else None,
        )


def capture_process(plan: RunPlan) -> None:
    """Entry point of the process; ends with an exit code."""

    def body(link: ControlLink, stop: threading.Event) -> None:
        _capture(plan, link, stop)

    run_child("capture", plan.endpoints.control, body)


def _capture(plan: RunPlan, link: ControlLink, stop: threading.Event) -> None:
    sink = None
    if plan.raw_path is not None:
        sink = QueuedSink(OmeSink(plan.raw_path))
    source = open_source(plan.rig)
    outlet = Outlet(plan.endpoints.raw, roles=("engine",))
    loop = CaptureLoop(
        source,
        outlet,
        sink=sink,
        frames=plan.frames,
        stop_on_write_error=plan.stop_on_write_error,
    )
    try:
        loop.prepare()
        link.send(loop.report("ready"))
        if _wait_for_go(link, stop):
            _attend(loop, link, stop, plan.seconds)
        else:
            source.stop()
        # What the engine has in hand may still be finished and counted.
        outlet.finish("the run has ended", timeout_s=0.0 if stop.is_set() else _DRAIN_S)
        link.send(loop.report("ended"))
    finally:
        outlet.close()
    if loop.error is not None:
        raise loop.error


def _wait_for_go(link: ControlLink, stop: threading.Event) -> bool:
    while not stop.is_set() and not orphaned():
        for word in link.receive(0.1):
            if isinstance(word, Go):
                return True
            if isinstance(word, Stop):
                return False
    return False


def _attend(
    loop: CaptureLoop, link: ControlLink, stop: threading.Event, seconds: float | None
) -> None:
    camera = threading.Thread(target=loop.run, name="camera")
    camera.start()
    try:
        told_write_error = False
        next_report = 0.0
        ends_at = math.inf if seconds is None else time.monotonic() + seconds
        while camera.is_alive():
            if time.monotonic() > ends_at:
                loop.stop()
            if stop.is_set() or orphaned():
                loop.stop()
            for word in link.receive(0.02):
                _obey(loop, link, word, stop)
            now = time.monotonic()
            if now >= next_report:
                next_report = now + _REPORT_EVERY_S
                report = loop.report("running")
                link.send(report)
                if report.write_error and not told_write_error:
                    told_write_error = True
                    link.send(Notice(text=f"recording stopped: {report.write_error}"))
    finally:
        # Whatever happens here, frames in the writer's queue go to the disk first.
        loop.stop()
        camera.join()


def _obey(loop: CaptureLoop, link: ControlLink, word: Word, stop: threading.Event) -> None:
    try:
        if isinstance(word, Stop):
            stop.set()
        elif isinstance(word, SetExposure):
            loop.source.configure(exposure_ms=word.exposure_ms)
        elif isinstance(word, SetZ):
            loop.source.configure(z_um=word.z_um)
    except LiverestoreError as error:
        # A knob that the source does not have is no reason to end a run.
        link.send(Notice(text=str(error)))
