"""Restores the newest frame and hands it on, one step at a time."""

from __future__ import annotations

import dataclasses
import time

from liverestore.camera_model import CameraModel
from liverestore.errors import Failure, LiverestoreError
from liverestore.frame import Frame, Restored
from liverestore.meters import AgeMeter, RateMeter
from liverestore.model_spec import ModelSpec
from liverestore.restore import restore
from liverestore.runtime.base import RuntimeChanged, whole_of
from liverestore.service.camera_knowledge import CameraKnowledge
from liverestore.service.engine_loading import OpenRuntime
from liverestore.service.lineup import KEPT_S, Lineup, Serving
from liverestore.service.live_dpm import LiveDpm
from liverestore.service.restored_files import RestoredFiles
from liverestore.status import EngineReport
from liverestore.transport.inlet import Inlet
from liverestore.transport.outlet import Outlet
from liverestore.wire import End

__all__ = ["EngineLoop"]

_NEWER_S = 0.005
"""So long a newer frame may be on its way before the last one is restored again."""
_TOLD_EVERY = 100
"""Of frames that were not restored, the first and every so many are told."""


class EngineLoop:
    """Restores what `inlet` gives, newest first, and offers it at `outlet`.

    Which engine restores a frame is the `lineup`'s to say. With a rival each frame is restored by
    both, the rival second; the file gets what the first one made.

    After `refocus` the last frame of each channel is restored again as soon as no newer one
    waits, so that a paused or slow camera shows the new plane. Such a result has the number of
    its frame, counts nowhere and goes into no file: of each raw frame the first result is kept.
    """

    def __init__(
        self,
        inlet: Inlet,
        outlet: Outlet,
        camera: CameraKnowledge,
        open_engine: OpenRuntime,
        *,
        files: RestoredFiles | None = None,
        kept_s: float = KEPT_S,
        dpm: LiveDpm | None = None,
    ) -> None:
        """An engine that serves no longer is closed `kept_s` later.

        `dpm` says where engines that refocus look; without it none can be used.
        """
        self._inlet = inlet
        self._outlet = outlet
        self._camera = camera
        self._files = files
        self._dpm = dpm
        self._last: dict[str | None, Restored] = {}
        """The newest result of each channel."""
        self._last_camera: CameraModel | None = None
        self._stale: list[str | None] = []
        """Channels whose last frame is to be restored again."""
        self._restored = 0
        self._failed = 0
        self._rival_failed = 0
        self._rate = RateMeter()
        self._live = True
        self._waits = AgeMeter()
        self._ages = AgeMeter()
        self.notices: list[str] = []
        """Lines for the person, taken away by whoever reads them."""
        self.lineup = Lineup(open_engine, self.notices.append, kept_s=kept_s)
        """Which engines restore; told between two steps."""

    def use(self, name: str, channel: str | None = None) -> None:
        """Restore with engine `name` from the next frame on, having waited for it.

        Raises `UserError` for an unknown engine; the one in use goes on then.
        """
        self.lineup.use(name, channel)

    def follow_live(self, on: bool) -> None:
        """Whether the camera is live: time without frames, and snaps, count in no rate."""
        self._live = on
        self._rate.pause()

    def refocus(self, text: str | None) -> None:
        """Refocus the last frame and all that follow to the DPM `text` names (None: 0 um).

        What is wrong with it is told in one notice, and the one before stays.
        """
        if self._dpm is None:
            return
        try:
            changed = self._dpm.ask(text, self._refocusing())
        except LiverestoreError as error:
            self.notices.append(f"not refocused: {error}; {self._dpm.used} um stays")
            return
        if text is not None and not self._refocusing():
            self.notices.append(
                f"no engine in use refocuses; the DPM {text} is kept for one that does"
            )
        if changed:
            self._stale = [name for name in self._last if self._refocuses(name)]

    @property
    def reach_um(self) -> float | None:
        """The least reach of the engines in use that refocus; None where none does."""
        reaches = [spec.reach_um for spec in self._refocusing() if spec.reach_um is not None]
        return min(reaches, default=None)

    def step(self, timeout_s: float) -> bool:
        """Restore one frame, if one comes; False after the last one."""
        body = self._inlet.receive(min(timeout_s, _NEWER_S) if self._stale else timeout_s)
        self.lineup.settle()
        if isinstance(body, End):
            return False
        if isinstance(body, Frame):
            try:
                result = self._restore(body)
            except LiverestoreError as error:
                self._inlet.fail()
                self._failed += 1
                if self._failed % _TOLD_EVERY == 1:
                    self.notices.append(f"frame {body.header.number} not restored: {error}")
                return True
            self._hand_on(result)
        elif self._stale:
            self._restore_again(self._stale.pop(0))
        return True

    def _restore_again(self, channel: str | None) -> None:
        """The last frame of `channel`, by those of its engines that refocus."""
        last, camera = self._last[channel], self._last_camera
        assert camera is not None, "there was a frame"
        frame, made = last.source, last
        serving, second = self.lineup.serving(channel), self.lineup.rival
        try:
            if serving.runtime.spec.refocuses:
                made = self._restored_by(serving, frame, camera)
            rival = None
            if second is serving:
                rival = made
            elif second is not None and second.runtime.spec.refocuses:
                rival = self._restored_by(second, frame, camera)
            elif second is not None and last.rival is not None:
                same = last.rival.provenance.engine == second.runtime.spec.name
                rival = last.rival if same else None
        except LiverestoreError as error:
            self.notices.append(f"frame {frame.header.number} not refocused: {error}")
            return
        made = self._last[channel] = dataclasses.replace(made, rival=rival)
        self._outlet.offer(made)

    def _restore(self, frame: Frame) -> Restored:
        serving = self.lineup.serving(frame.header.channel)
        camera = self._last_camera = self._camera.model_for(frame)
        result = self._restored_by(serving, frame, camera)
        rival = self.lineup.rival
        if rival is None:
            return result
        if rival is serving:
            return dataclasses.replace(result, rival=result)
        try:
            second = self._restored_by(rival, frame, camera)
        except LiverestoreError as error:
            self._rival_failed += 1
            if self._rival_failed % _TOLD_EVERY == 1:
                self.notices.append(
                    f"frame {frame.header.number} not restored by '{rival.name}', the second "
                    f"engine: {error}"
                )
            return result
        return dataclasses.replace(result, rival=second)

    def _restored_by(self, serving: Serving, frame: Frame, camera: CameraModel) -> Restored:
        self.lineup.warm_up(serving, (frame.header.shape, frame.header.dtype))
        runtime = serving.runtime
        reason = runtime.spec.mismatch(frame.header)
        if reason is not None:
            raise Failure(reason)

        dpm, optics = None, None
        if runtime.spec.refocuses and self._dpm is not None:
            dpm, optics = self._dpm.at(frame.header)

        def once() -> Restored:
            # Asked before the description: a better runtime takes over here.
            whole = whole_of(runtime)
            description = runtime.description
            return restore(
                frame,
                runtime.spec,
                runtime.infer,
                camera,
                dpm,
                optics=optics,
                whole=whole,
                runtime=description,
            )

        try:
            return once()
        except RuntimeChanged:
            return once()  # by what took its place, and named after it

    def _hand_on(self, result: Restored) -> None:
        captured_ns = result.source.header.captured_ns
        last = result if result.rival is None else result.rival
        self._waits.add((result.provenance.started_ns - captured_ns) / 1e6)
        self._ages.add((last.provenance.finished_ns - captured_ns) / 1e6)
        self._restored += 1
        if self._live:
            self._rate.tick(time.monotonic())
        channel = result.source.header.channel
        self._last[channel] = result
        if channel in self._stale:
            self._stale.remove(channel)
        self._outlet.offer(result)
        if self._files is not None:
            # Without the rival, which is not kept and would only fill the memory.
            self._files.append(dataclasses.replace(result, rival=None))

    def _refocusing(self) -> list[ModelSpec]:
        specs = [serving.runtime.spec for serving in self.lineup.in_use]
        return [spec for spec in specs if spec.refocuses]

    def _refocuses(self, channel: str | None) -> bool:
        both = (self.lineup.serving(channel), self.lineup.rival)
        return any(serving is not None and serving.runtime.spec.refocuses for serving in both)

    def report(self, *, final: bool = False) -> EngineReport:
        """Counts and times of this moment; `use` comes first."""
        serving, rival = self.lineup.serving(), self.lineup.rival
        reach_um = self.reach_um
        return EngineReport(
            engine=serving.name,
            runtime=serving.runtime.description,
            runtime_reason=serving.words,
            engines=self.lineup.engines,
            rival=None if rival is None else rival.name,
            loading=self.lineup.loading,
            dpm=None if reach_um is None or self._dpm is None else self._dpm.used,
            dpm_asked=None if self._dpm is None else self._dpm.asked,
            reach_um=reach_um,
            ready=True,
            restored=self._restored,
            failed=self._failed,
            fps=self._rate.mean() if final else self._rate.rate(time.monotonic()),
            wait_p50_ms=self._waits.percentile(50),
            age_p50_ms=self._ages.percentile(50),
            age_p95_ms=self._ages.percentile(95),
            recent_age_ms=self._ages.recent_median(),
        )

    def close(self) -> None:
        """Close all runtimes, and what is loading; inlet, outlet and files are their owner's."""
        self.lineup.close()
