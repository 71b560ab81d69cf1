"""The engine process: asks for the newest frame, restores it, hands it on."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from liverestore.camera_model import CameraModel, estimate_from_frame, estimate_from_movie
from liverestore.errors import LiverestoreError, UserError
from liverestore.frame import Frame, Restored
from liverestore.meters import AgeMeter, RateMeter
from liverestore.model_spec import find_engine
from liverestore.restore import restore
from liverestore.rig import CameraConfig
from liverestore.rig_camera import camera_of
from liverestore.runtime.base import InferenceRuntime, whole_of
from liverestore.runtime.table import open_runtime
from liverestore.service.child import orphaned, run_child
from liverestore.service.plan import RunPlan
from liverestore.status import EngineReport, Notice, SetEngine, Stop
from liverestore.transport.control import ControlLink
from liverestore.transport.inlet import Inlet
from liverestore.transport.outlet import Outlet
from liverestore.wire import End
from liverestore.writer.ome import OmeSink
from liverestore.writer.queue import QueuedSink

__all__ = ["CameraKnowledge", "EngineLoop", "engine_process", "open_live"]

log = logging.getLogger(__name__)

_REPORT_EVERY_S = 0.2
_FRAMES_FOR_ESTIMATE = 16
_ESTIMATE_PX = 512

OpenRuntime = Callable[[str], InferenceRuntime]


class CameraKnowledge:
    """The camera model: the rig's where it is complete, else estimated from the frames.

    The first frame alone gives a first estimate, the first sixteen together the one
    that stays, so that intensities do not change with each frame afterwards.
    """

    def __init__(
        self, config: CameraConfig, tell: Callable[[str], None] = lambda _line: None
    ) -> None:
        """`tell` gets one line for the person when the numbers had to be estimated."""
        self._tell = tell
        self._frames: list[Frame] = []
        self._known = camera_of(config)
        self.estimated = self._known is None
        self._first: CameraModel | None = None

    def model_for(self, frame: Frame) -> CameraModel:
        """The model to restore `frame` with."""
        if self._known is not None:
            return self._known
        if self._frames and self._frames[0].pixels.shape != frame.pixels.shape:
            self._frames.clear()
        self._frames.append(frame)
        if len(self._frames) == _FRAMES_FOR_ESTIMATE:
            stack = np.stack([_centre(kept.pixels) for kept in self._frames])
            known = self._known = estimate_from_movie(stack)
            self._frames.clear()
            self._tell(
                "the rig has no camera numbers; estimated from "
                f"{_FRAMES_FOR_ESTIMATE} frames: offset {known.offset_counts:.1f} counts, "
                f"gain {known.gain_e_per_count:.3f} e/count, "
                f"read noise {known.read_noise_e:.2f} e"
            )
            return known
        if self._first is None:
            self._first = estimate_from_frame(_centre(frame.pixels))
        return self._first


def _centre(pixels: NDArray[np.generic]) -> NDArray[np.generic]:
    """The middle of a large frame: enough for an estimate, and no pause in the live view."""
    rows, columns = (
        slice(max(0, (size - _ESTIMATE_PX) // 2), (size + _ESTIMATE_PX) // 2)
        for size in pixels.shape
    )
    return pixels[rows, columns]


class EngineLoop:
    """Restores what `inlet` gives, newest first, and offers it at `outlet`."""

    def __init__(
        self,
        inlet: Inlet,
        outlet: Outlet,
        camera: CameraKnowledge,
        open_engine: OpenRuntime,
        *,
        sink: QueuedSink | None = None,
    ) -> None:
        self._inlet = inlet
        self._outlet = outlet
        self._camera = camera
        self._open = open_engine
        self._sink = sink
        self._runtime: InferenceRuntime | None = None
        self._name = ""
        self._frames: tuple[tuple[int, int], str] | None = None
        self._restored = 0
        self._failed = 0
        self._rate = RateMeter()
        self._waits = AgeMeter()
        self._ages = AgeMeter()
        self.notices: list[str] = []
        """Lines for the person, taken away by whoever reads them."""

    def use(self, name: str) -> None:
        """Restore with engine `name` from the next frame on.

        Raises `UserError` for an unknown engine; the one in use goes on then.
        """
        runtime = self._open(name)
        if self._frames is not None:
            runtime.warm_up(*self._frames)
        old, self._runtime, self._name = self._runtime, runtime, name
        if old is not None:
            old.close()

    def step(self, timeout_s: float) -> bool:
        """Restore one frame, if one comes; False after the last one."""
        body = self._inlet.receive(timeout_s)
        if isinstance(body, End):
            return False
        if isinstance(body, Frame):
            try:
                result = self._restore(body)
            except LiverestoreError as error:
                self._inlet.fail()
                self._failed += 1
                if self._failed == 1 or self._failed % 100 == 0:
                    self.notices.append(f"frame {body.header.number} not restored: {error}")
                return True
            self._hand_on(result)
        return True

    def _restore(self, frame: Frame) -> Restored:
        runtime = self._runtime
        assert runtime is not None, "use() comes before step()"
        frames = (frame.header.shape, frame.header.dtype)
        if frames != self._frames:
            runtime.warm_up(*frames)
            self._frames = frames
        reason = runtime.spec.mismatch(frame.header)
        if reason is not None:
            raise LiverestoreError(reason)
        return restore(
            frame,
            runtime.spec,
            runtime.infer,
            self._camera.model_for(frame),
            # Asked before the description: a better runtime takes over here.
            whole=whole_of(runtime),
            runtime=runtime.description,
        )

    def _hand_on(self, result: Restored) -> None:
        captured_ns = result.source.header.captured_ns
        self._waits.add((result.provenance.started_ns - captured_ns) / 1e6)
        self._ages.add((result.provenance.finished_ns - captured_ns) / 1e6)
        self._restored += 1
        self._rate.tick(time.monotonic())
        self._outlet.offer(result)
        if self._sink is not None:
            try:
                self._sink.append(result)
            except LiverestoreError as error:
                self.notices.append(f"restored frames are no longer saved: {error}")
                self._sink = None

    def report(self, *, final: bool = False) -> EngineReport:
        """Counts and times of this moment."""
        return EngineReport(
            engine=self._name,
            runtime=self._runtime.description if self._runtime else "",
            ready=True,
            restored=self._restored,
            failed=self._failed,
            fps=self._rate.mean() if final else self._rate.rate(time.monotonic()),
            wait_p50_ms=self._waits.percentile(50),
            age_p50_ms=self._ages.percentile(50),
            age_p95_ms=self._ages.percentile(95),
            recent_age_ms=self._ages.recent_median(),
        )


def engine_process(plan: RunPlan) -> None:
    """Entry point of the process; ends with an exit code."""

    def body(link: ControlLink, stop: threading.Event) -> None:
        _serve(plan, link, stop)

    run_child("engine", plan.endpoints.control, body)


def open_live(name: str, threads: int | None) -> InferenceRuntime:
    """A runtime for a live run, on at most so many cores.

    Raises `UserError` for an engine that is not installed, that nothing here can run, or that
    cannot restore a live view.
    """
    spec = find_engine(name)
    reason = spec.why_not_live()
    if reason is not None:
        raise UserError(reason)
    return open_runtime(spec, threads=threads, precision="fast")


def _serve(plan: RunPlan, link: ControlLink, stop: threading.Event) -> None:
    inlet = Inlet(plan.endpoints.raw.for_client(), "engine")
    outlet = Outlet(plan.endpoints.restored)
    sink = None if plan.restored_path is None else QueuedSink(OmeSink(plan.restored_path))

    def open_engine(name: str) -> InferenceRuntime:
        return open_live(name, plan.engine_threads)

    def tell(line: str) -> None:
        link.send(Notice(text=line))

    camera = CameraKnowledge(plan.rig.camera, tell)
    loop = EngineLoop(inlet, outlet, camera, open_engine, sink=sink)
    try:
        loop.use(plan.engine)
        link.send(loop.report())
        next_report = 0.0
        while not stop.is_set() and not orphaned() and loop.step(0.1):
            for word in link.receive(0):
                if isinstance(word, Stop):
                    stop.set()
                elif isinstance(word, SetEngine):
                    _swap(loop, link, word.name)
            now = time.monotonic()
            if now >= next_report or loop.notices:
                next_report = now + _REPORT_EVERY_S
                link.send(loop.report())
                while loop.notices:
                    link.send(Notice(text=loop.notices.pop(0)))
        link.send(loop.report(final=True))
        outlet.finish("the run has ended", timeout_s=0.0 if stop.is_set() else 0.3)
    finally:
        if sink is not None:
            sink.close()
        inlet.close()
        outlet.close()


def _swap(loop: EngineLoop, link: ControlLink, name: str) -> None:
    try:
        loop.use(name)
    except LiverestoreError as error:
        link.send(Notice(text=str(error)))
