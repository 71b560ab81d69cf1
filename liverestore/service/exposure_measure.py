"""The search for the exposure during a live run: the engine, the series, what came of it.

The engine is made ready in a thread of its own, while Live goes on. The series is the camera
thread's: Live pauses, every exposure is a snap of a plan that was stated before, and its frames go
neither to the screen nor into a file; their light goes to the account.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import msgspec

from liverestore.camera.channel_cycle import ChannelCycle
from liverestore.camera.source import FrameSource
from liverestore.dose import dose_j_cm2, nanoseconds
from liverestore.errors import Failure, LiverestoreError, UserError
from liverestore.exposure_quality import parse_quality
from liverestore.exposure_series import LEAST_ROUNDS
from liverestore.exposure_words import Spent, advice_result
from liverestore.frame import Frame
from liverestore.model_spec import find_engine
from liverestore.restore import restore
from liverestore.rig import RigConfig
from liverestore.rig_camera import camera_of
from liverestore.runtime.base import InferenceRuntime, whole_of
from liverestore.runtime.table import open_runtime
from liverestore.service.engine_loading import Loader, OpenRuntime, let_go
from liverestore.service.exposure_offer import lamp_at, offers, plan_of
from liverestore.service.exposure_run import ExposureRun, SnapSource
from liverestore.service.light_keeper import LightKeeper
from liverestore.status_exposure import ExposureReport, MeasureExposure
from liverestore.status_light import LightReport

__all__ = ["ExposureMeasure", "Series"]

log = logging.getLogger(__name__)


class _Stopped(Failure):
    """Somebody broke the series off."""


class ExposureMeasure:
    """One search at a time. `take` belongs to the camera thread, the rest to the one that reports.

    `paced`: frames are snapped at intervals, with the light off in between.
    """

    def __init__(
        self,
        rig: RigConfig,
        light: LightKeeper,
        *,
        threads: int | None = None,
        paced: bool = False,
        open_engine: OpenRuntime | None = None,
    ) -> None:
        self._rig, self._light, self._paced = rig, light, paced
        self._open = open_engine or (lambda name: open_runtime(find_engine(name), threads=threads))
        self._lock = threading.Lock()
        self._report = ExposureReport()
        self._stop = threading.Event()
        self._loading: threading.Thread | None = None
        self._waiting: Series | None = None
        self._finished = 0

    def ask(self, word: MeasureExposure, order: Callable[[Series], None]) -> None:
        """Make the engine ready, and then `order` the series of the camera thread.

        What is wrong with `word`, and what fails later, is in the report.
        """
        with self._lock:
            if self._report.state != "idle":
                return
            self._report = ExposureReport(
                state="loading", channel=word.channel, result=self._report.result
            )
        try:
            parse_quality(word.quality)
            spec = find_engine(word.engine)
            if spec.task != "denoise":
                raise UserError(
                    f"engine '{spec.name}' is for {spec.task}: its pictures differ from any "
                    "exposure by design, so that none tells how good they are; choose one that "
                    "denoises"
                )
        except LiverestoreError as error:
            self._fail(error)
            return
        self._stop.clear()
        self._loading = threading.Thread(
            target=self._load, args=(word, order), name="exposure engine"
        )
        self._loading.start()

    def stop(self) -> None:
        """Break off what is under way, after the exposure it is at."""
        self._stop.set()

    def _load(self, word: MeasureExposure, order: Callable[[Series], None]) -> None:
        try:
            runtime = Loader(self._open).load(word.engine, None).runtime
        except LiverestoreError as error:
            self._fail(error)
            return
        assert runtime is not None
        self._waiting = Series(self, word, runtime)
        order(self._waiting)

    def begin(self, pause: Callable[[], None]) -> bool:
        """`pause` Live for a series; False, with Live as it is, where it has been broken off.

        What keeps it from pausing is told as its end.
        """
        if self._stop.is_set():
            self._fail(_Stopped("broken off before any light was spent"))
            return False
        try:
            pause()
        except LiverestoreError as error:
            self._fail(error)
            raise
        return True

    def refuse(self, reason: str) -> NoReturn:
        """Measure nothing, for `reason`. Raises the `UserError` that says so."""
        error = UserError(f"exposure: {reason}")
        self._fail(error)
        raise error

    def _fail(self, error: LiverestoreError) -> None:
        self._put(state="idle", failed=str(error).removeprefix("exposure: "))

    def _put(self, **changes: object) -> None:
        with self._lock:
            self._report = msgspec.structs.replace(self._report, **changes)

    def report(self, source: FrameSource, light: LightReport | None) -> ExposureReport:
        """The search at this moment. While one runs, nothing else is offered."""
        with self._lock:
            report = self._report
        if report.state == "measuring":
            return report
        return msgspec.structs.replace(report, offers=offers(self._rig, source, light))

    def close(self) -> None:
        """Let go of an engine that is not needed any more, having waited for it."""
        self.stop()
        if self._loading is not None:
            self._loading.join()
        if self._waiting is not None:
            self._waiting.close()

    # -- of the camera thread ------------------------------------------------------------

    def take(
        self,
        word: MeasureExposure,
        runtime: InferenceRuntime,
        source: FrameSource,
        ends: Callable[[], bool],
    ) -> None:
        """Take the series from `source`, which is paused; see `Series.take`."""
        try:
            self._take(word, runtime, source, ends)
        except LiverestoreError as error:
            self._fail(error)
            if not isinstance(error, _Stopped):
                raise
        except Exception as error:
            # The camera thread's line of defence: a series is an extra, and whatever a library
            # raises in it, memory that is at its end included, the camera goes on.
            log.exception("the series for the exposure failed")
            failure = _unexpected(word.engine, error)
            self._fail(failure)
            raise failure from error
        finally:
            # Whatever ended it, another one can be asked for.
            self._put(state="idle")

    def _take(
        self,
        word: MeasureExposure,
        runtime: InferenceRuntime,
        source: FrameSource,
        ends: Callable[[], bool],
    ) -> None:
        run = self._run(word, runtime, source, ends)
        try:
            self._put(state="measuring", total=run.plan.shots(LEAST_ROUNDS))
            advice, scores = run.run(parse_quality(word.quality))
        finally:
            self._count(run, word.channel)
        self._finished += 1
        stays_on = self._rig.illumination.light_on == "live" and not (
            self._paced or isinstance(source, ChannelCycle)
        )
        lamp = lamp_at(self._rig, word.channel)
        spent = Spent(lamp, run.light_ms, run.shots, run.rounds, stays_on)
        result = advice_result(
            advice,
            spent,
            scores,
            engine=word.engine,
            channel=word.channel,
            number=self._finished,
        )
        self._put(state="idle", result=result)

    def _run(
        self,
        word: MeasureExposure,
        runtime: InferenceRuntime,
        source: FrameSource,
        ends: Callable[[], bool],
    ) -> ExposureRun:
        camera = camera_of(self._rig.camera)
        found = offers(self._rig, source, self._light.report(live=False))
        offer = next((one for one in found if one.channel == word.channel), None)
        if offer is None:
            raise UserError(f"exposure: got the channel {word.channel!r}, which is not there")
        plan = plan_of(offer, word.rounds)
        if abs(plan.reference_ms / word.present_ms - 1) > 1e-3:
            raise UserError(
                f"exposure: the light was stated for {word.present_ms:g} ms and the exposure is "
                f"{plan.reference_ms:g} ms now; look at what it costs, and ask again"
            )
        assert camera is not None, "a camera without numbers is refused with the offer"
        whole = whole_of(runtime)
        run = ExposureRun(
            _snaps(source, word.channel),
            plan,
            lambda frame: restore(frame, runtime.spec, runtime.infer, camera, whole=whole),
            runtime.spec,
            lambda _frame: camera,
            light=self._light,
            channel=word.channel,
        )

        def on_shot(done: int) -> None:
            rounds = min(run.plan.rounds, max(LEAST_ROUNDS, run.rounds + 1))
            self._count(run, word.channel)
            self._put(done=done, total=run.plan.shots(rounds))
            if self._stop.is_set() or ends():
                raise _Stopped(f"broken off after {done} exposures; the exposure is as before")

        run.on_shot = on_shot
        return run

    def _count(self, run: ExposureRun, channel: str | None) -> None:
        irradiance = lamp_at(self._rig, channel).irradiance_mw_cm2
        dose = None if irradiance is None else dose_j_cm2(irradiance, nanoseconds(run.light_ms))
        self._put(spent_ms=run.light_ms, spent_j_cm2=dose)


class Series:
    """An order for the camera thread: one series, with the engine that judges it."""

    def __init__(
        self, measure: ExposureMeasure, word: MeasureExposure, runtime: InferenceRuntime
    ) -> None:
        self._measure, self._word = measure, word
        self._runtime: InferenceRuntime | None = runtime

    def take(
        self,
        source: FrameSource,
        pause: Callable[[], None],
        ends: Callable[[], bool],
        recording: Path | None,
    ) -> None:
        """`pause` the frames of `source` and take the series from it, until `ends` says so.

        None of its frames is kept or shown. Raises `UserError` while there is a `recording`, which
        would get a gap, and what else ends it, save where it was broken off on purpose.
        """
        runtime = self._runtime
        if runtime is None:
            return
        try:
            if recording is not None:
                self._measure.refuse("a recording is being written, and would have a gap; end it")
            if self._measure.begin(pause):
                self._measure.take(self._word, runtime, source, ends)
        finally:
            self.close()

    @property
    def over(self) -> bool:
        """Whether it has been taken, or will never be; before, nothing may move the sample."""
        return self._runtime is None

    def close(self) -> None:
        """Let go of the engine."""
        runtime, self._runtime = self._runtime, None
        if runtime is not None:
            let_go(runtime)


class _OneChannel:
    """Snaps of one channel of a cycle, at exposures of their own; the cycle keeps its."""

    def __init__(self, cycle: ChannelCycle, channel: str) -> None:
        self._cycle, self._channel = cycle, channel
        self._exposure_ms = cycle.exposures_ms[channel] or 0.0

    def configure(self, *, exposure_ms: float) -> None:
        self._exposure_ms = exposure_ms

    def snap(self) -> Frame:
        return self._cycle.snap_aside(self._channel, self._exposure_ms)


def _snaps(source: FrameSource, channel: str | None) -> SnapSource:
    if isinstance(source, ChannelCycle) and channel is not None:
        return _OneChannel(source, channel)
    return source


def _unexpected(engine: str, error: Exception) -> Failure:
    """`error` of no kind that anybody raises on purpose, in one line."""
    if isinstance(error, MemoryError):
        said = "the memory of this computer is at its end; close other programs, or set a ROI"
    else:
        said = f"unexpected {type(error).__name__}: {' '.join(str(error).split())[:300]}"
    return Failure(f"exposure: the series with engine '{engine}' failed: {said}")
