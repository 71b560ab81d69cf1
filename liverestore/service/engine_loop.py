"""Restores the newest frame and hands it on, one step at a time."""

from __future__ import annotations

import dataclasses
import time

from liverestore.camera_model import CameraModel
from liverestore.errors import Failure, LiverestoreError
from liverestore.frame import Frame, Restored
from liverestore.meters import AgeMeter, RateMeter
from liverestore.restore import restore
from liverestore.runtime.base import RuntimeChanged, whole_of
from liverestore.service.camera_knowledge import CameraKnowledge
from liverestore.service.engine_loading import OpenRuntime
from liverestore.service.lineup import KEPT_S, Lineup, Serving
from liverestore.service.restored_files import RestoredFiles
from liverestore.status import EngineReport
from liverestore.transport.inlet import Inlet
from liverestore.transport.outlet import Outlet
from liverestore.wire import End

__all__ = ["EngineLoop"]

_TOLD_EVERY = 100
"""Of frames that were not restored, the first and every so many are told."""


class EngineLoop:
    """Restores what `inlet` gives, newest first, and offers it at `outlet`.

    Which engine restores a frame is the `lineup`'s to say. With a rival each frame is restored by
    both, the rival second; the file gets what the first one made.
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
    ) -> None:
        """An engine that serves no longer is closed `kept_s` later."""
        self._inlet = inlet
        self._outlet = outlet
        self._camera = camera
        self._files = files
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

    def step(self, timeout_s: float) -> bool:
        """Restore one frame, if one comes; False after the last one."""
        body = self._inlet.receive(timeout_s)
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
        return True

    def _restore(self, frame: Frame) -> Restored:
        serving = self.lineup.serving(frame.header.channel)
        camera = self._camera.model_for(frame)
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

        def once() -> Restored:
            # Asked before the description: a better runtime takes over here.
            whole = whole_of(runtime)
            description = runtime.description
            return restore(
                frame, runtime.spec, runtime.infer, camera, whole=whole, runtime=description
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
        self._outlet.offer(result)
        if self._files is not None:
            # Without the rival, which is not kept and would only fill the memory.
            self._files.append(dataclasses.replace(result, rival=None))

    def report(self, *, final: bool = False) -> EngineReport:
        """Counts and times of this moment; `use` comes first."""
        serving, rival = self.lineup.serving(), self.lineup.rival
        return EngineReport(
            engine=serving.name,
            runtime=serving.runtime.description,
            runtime_reason=serving.words,
            engines=self.lineup.engines,
            rival=None if rival is None else rival.name,
            loading=self.lineup.loading,
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
