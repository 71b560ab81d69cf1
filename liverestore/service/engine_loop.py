"""Restores the newest frame and hands it on, one step at a time."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Protocol

from liverestore.errors import LiverestoreError
from liverestore.frame import Frame, Restored
from liverestore.meters import AgeMeter, RateMeter
from liverestore.model_spec import SHARPENING, ModelSpec
from liverestore.service.camera_knowledge import CameraKnowledge
from liverestore.service.engine_loading import OpenRuntime
from liverestore.service.frame_work import FrameWork, GivenUp, Made
from liverestore.service.lineup import KEPT_S, Lineup
from liverestore.service.live_dpm import LiveDpm
from liverestore.service.live_zstack import LiveZStack
from liverestore.service.reference_keeper import ReferenceKeeper
from liverestore.service.restored_files import RestoredFiles
from liverestore.service.trust_keeper import TrustKeeper
from liverestore.status import EngineReport
from liverestore.trust.verdict import Verdict
from liverestore.wire import End

__all__ = ["EngineLoop", "Frames", "Results"]

_NEWER_S = 0.005
"""So long a newer frame may be on its way before the last one is restored again."""
_TOLD_EVERY = 100
"""Of frames that were not restored, the first and every so many are told."""


class Frames(Protocol):
    """Where frames come from, one at a time: `transport.inlet`, or another machine."""

    def receive(self, timeout_s: float) -> Frame | Restored | End | None:
        """The newest frame; what was received before is done with."""
        ...

    def fail(self) -> None:
        """The frame received last could not be used."""
        ...


class Results(Protocol):
    """Where results go: `transport.outlet`, or another machine."""

    def offer(self, item: Frame | Restored) -> None:
        """Take `item`; never blocks."""
        ...


class EngineLoop:
    """Restores what `inlet` gives, newest first, and offers it at `outlet`.

    Which engine restores a frame is the `lineup`'s to say. With a rival each frame is restored by
    both, the rival second; the file gets what the first one made, with its virtual stack.

    A picture does not wait for a virtual stack that takes long: it is shown and counts as the
    result of its frame, which comes again, with its planes and into the file, when they are ready.

    After `refocus` and `stack`, and after a change of engines while the camera is paused, the last
    frame of each channel is restored again as soon as no newer one waits, and the frame at hand
    in the middle of its stack. Such a result has the number of its frame, counts nowhere and goes
    into no file: of each raw frame the first result is kept.
    """

    def __init__(
        self,
        inlet: Frames,
        outlet: Results,
        camera: CameraKnowledge,
        open_engine: OpenRuntime,
        *,
        files: RestoredFiles | None = None,
        kept_s: float = KEPT_S,
        dpm: LiveDpm | None = None,
        ends: Callable[[], bool] = lambda: False,
        other_stack: Callable[[], bool] = lambda: False,
        refocused: Callable[[], bool] = lambda: False,
        show: Callable[[Restored], None] | None = None,
        trust: TrustKeeper | None = None,
        references: ReferenceKeeper | None = None,
    ) -> None:
        """An engine that serves no longer is closed `kept_s` later.

        `dpm` says where engines that refocus look; without it none can be used. `ends` is asked
        while a virtual stack is made whether to give it up, its frame counting as dropped unless
        its picture was shown; `other_stack` then, whether to leave it because the next word asks
        for another one: the picture comes without; and `refocused`, which calls `refocus` where
        that was asked for, whether it did. `show` gets pictures whose stack is to follow, if not
        `outlet`. `trust` judges the results, and `references` scores them; their owner closes both.
        """
        self._inlet = inlet
        self._outlet = outlet
        self._camera = camera
        self._show = show or outlet.offer
        self._files = files
        self._dpm = dpm
        self._trust = trust
        self._references = references
        self._last: dict[str | None, Made] = {}
        """The newest result of each channel."""
        self._urged = False
        """Somebody turned the wheel or asked for a stack, and looks at the last frame."""
        self._restored = 0
        self._failed = 0
        self._rate = RateMeter()
        self._live = True
        self._waits = AgeMeter()
        self._ages = AgeMeter()
        self.notices: list[str] = []
        """Lines for the person, taken away by whoever reads them."""
        self.lineup = Lineup(open_engine, self.notices.append, kept_s=kept_s)
        """Which engines restore; told between two steps."""
        self._zstack = LiveZStack(self.notices.append)
        self._work = FrameWork(
            self.lineup, dpm, self._zstack, self.notices.append, ends, other_stack, refocused
        )

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
            self._urged |= self._dpm.ask(text, self._refocusing())
        except LiverestoreError as error:
            self.notices.append(f"not refocused: {error}; {self._dpm.used} um stays")
            return
        if text is not None and not self._refocusing():
            self.notices.append(
                f"no engine in use refocuses; the DPM {text} is kept for one that does"
            )

    def stack(self, text: str | None) -> None:
        """Make the virtual stack START:STOP:STEP (um) of the last frame and all that follow.

        None: none. What is wrong with it is told in one notice, and the one before stays.
        """
        if self._dpm is None:
            return
        engines = [serving.runtime.spec for serving in self.lineup.first]
        refocusing = [spec for spec in engines if spec.refocuses]
        before = self._zstack.asked
        try:
            if text is not None:
                self._dpm.optics()
            self._zstack.ask(text, refocusing)
        except LiverestoreError as error:
            stays = "" if before is None else f"; {before} um stays"
            self.notices.append(f"no such virtual stack: {error}{stays}")
            return
        if text is not None and not refocusing:
            self.notices.append(
                f"no engine in use refocuses; the virtual stack {text} is kept for one that does"
            )
        self._urged = True

    def makes_stack(self, channel: str | None) -> bool:
        """Whether frames of `channel` get a virtual stack."""
        return bool(self._work.planes_um(self.lineup.serving(channel)))

    @property
    def reach_um(self) -> float | None:
        """The least reach of the engines in use that refocus; None where none does."""
        reaches = [spec.reach_um for spec in self._refocusing() if spec.reach_um is not None]
        return min(reaches, default=None)

    def step(self, timeout_s: float) -> bool:
        """Restore one frame, if one comes; False after the last one."""
        body = self._inlet.receive(min(timeout_s, _NEWER_S) if self._stale() else timeout_s)
        self.lineup.settle()
        if isinstance(body, End):
            return False
        if isinstance(body, Frame):
            return self._restore(body)
        if stale := self._stale():
            self._again(stale[0])
        else:
            self._urged = False
        return True

    def _restore(self, frame: Frame) -> bool:
        """What is wanted of `frame`; False where that was given up, because the run ends."""
        first: list[Restored] = []
        """What counts as its result, once there is one."""

        def show(made: Made) -> None:
            if first:
                self._show(made.result)
            else:
                first.append(self._count(made))
                self._show(first[0])

        try:
            made = self._work.make(frame, self._camera.model_for(frame), show)
        except GivenUp:
            if not first:
                self._inlet.fail()
            return False
        except LiverestoreError as error:
            self._inlet.fail()
            self._failed += 1
            if self._failed % _TOLD_EVERY == 1:
                self.notices.append(f"frame {frame.header.number} not restored: {error}")
            return True
        self._hand_on(made, first[0] if first else self._count(made))
        return True

    def _again(self, channel: str | None) -> None:
        """The last frame of `channel`, with the engines, the DPM and the stack of now."""
        before = self._last[channel]
        try:
            made = self._work.again(before, lambda pictured: self._show(pictured.result))
        except GivenUp:
            return
        except LiverestoreError as error:
            # Not tried again before something else is wanted.
            wanted = self._work.wanted(channel)
            self._last[channel] = dataclasses.replace(before, wanted=wanted)
            number = before.result.source.header.number
            self.notices.append(f"frame {number} not restored again: {error}")
            return
        self._last[channel] = made
        self._outlet.offer(made.result)

    def _stale(self) -> list[str | None]:
        """Channels whose last frame was made with something else than is wanted now.

        An engine that took over matters only while no frame is to come; it would make the
        next one wait.
        """
        if self._live and not self._urged:
            return []
        return [name for name, made in self._last.items() if made.wanted != self._work.wanted(name)]

    def _count(self, made: Made) -> Restored:
        """Count the first result of a frame; it comes back with its verdict."""
        result = made.result
        spec = self.lineup.serving(result.source.header.channel).runtime.spec
        if self._trust is not None and spec.counts_out:
            sharpened = spec.task in SHARPENING
            self._trust.see(result, made.camera, sharpened=sharpened)
            result = self._trust.mark(result)
        if self._references is not None:
            plain = spec.task == "denoise"
            result = self._references.see(result, made.camera, denoises=plain)
        captured_ns = result.source.header.captured_ns
        last = result if result.rival is None else result.rival
        self._waits.add((result.provenance.started_ns - captured_ns) / 1e6)
        self._ages.add((last.provenance.finished_ns - captured_ns) / 1e6)
        self._restored += 1
        if self._live:
            self._rate.tick(time.monotonic())
        return result

    def _hand_on(self, made: Made, first: Restored) -> None:
        """Show the frame with all that was made of it; its `first` result is kept, with planes."""
        result = made.result
        if result.pixels is first.pixels:
            result = dataclasses.replace(first, rival=result.rival, planes=result.planes)
        self._last[result.source.header.channel] = made
        self._urged = bool(self._stale())
        self._outlet.offer(result)
        if self._files is not None:
            # Without the rival, which is not kept and would only fill the memory.
            self._files.append(dataclasses.replace(first, rival=None, planes=result.planes))

    def _refocusing(self) -> list[ModelSpec]:
        specs = [serving.runtime.spec for serving in self.lineup.in_use]
        return [spec for spec in specs if spec.refocuses]

    def _verdicts(self) -> dict[str, Verdict]:
        verdicts = {} if self._trust is None else self._trust.verdicts
        return verdicts if self._references is None else self._references.judged(verdicts)

    def report(self, *, final: bool = False) -> EngineReport:
        """Counts and times of this moment; `use` comes first."""
        serving, rival = self.lineup.serving(), self.lineup.rival
        reach_um = self.reach_um
        stacks = any(map(self._work.planes_um, self.lineup.first))
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
            zstack=self._zstack.asked if stacks else None,
            zstack_asked=self._zstack.asked,
            trust=self._verdicts(),
            reference=None if self._references is None else self._references.report,
            trust_map=None if self._trust is None else self._trust.map,
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
