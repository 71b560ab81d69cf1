"""What the supervisor knows of a run: its processes' last words, merged into one account."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from liverestore.service.disk import DiskWatch, seconds_left
from liverestore.service.plan import RunPlan
from liverestore.service.result import RunResult
from liverestore.status import (
    CaptureReport,
    EngineReport,
    Failed,
    Notice,
    RecordingReport,
    RestoredReport,
    RunState,
    RunStatus,
    SaveRestored,
    ViewReport,
    Word,
)
from liverestore.status_camera import absence_now
from liverestore.trust.verdict import GRAVITY, Level
from liverestore.zstack import parse_zstack

__all__ = ["RunBook"]

_LAST_NOTICES = 5
_KEPT_NOTICES = 1000


class RunBook:
    """The account of a run; no sockets, no processes."""

    def __init__(
        self,
        plan: RunPlan,
        *,
        disk: DiskWatch | None = None,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.plan = plan
        """What a process that is started again is told: with the engines that were in use."""
        self._disk = disk or DiskWatch()
        self._now_s = now_s
        self.capture = CaptureReport(
            phase="ready", recording=str(plan.raw_path) if plan.raw_path else None
        )
        self.capture_ready = False
        self.capture_heard_s = 0.0
        self.engine: EngineReport | None = None
        self.saving = SaveRestored(path=str(plan.restored_path) if plan.restored_path else None)
        """Where restored frames belong at this moment."""
        self.last_words: dict[str, Failed] = {}
        self.failure: tuple[str, int] | None = None
        """The line and the exit code that the run ends with."""
        self._view = ViewReport()
        self._notices: list[str] = []
        self._events: list[str] = []
        self._recordings: dict[int, RecordingReport] = {}
        self._restored: dict[str, RestoredReport] = {}

    def hear(self, name: str, word: Word) -> None:
        """Note a report, a notice or the last word of process `name`."""
        if isinstance(word, CaptureReport):
            self.capture, self.capture_ready = word, True
            self.capture_heard_s = self._now_s()
        elif isinstance(word, EngineReport):
            self.engine = word
            self.plan = dataclasses.replace(
                self.plan,
                engine=word.engine,
                engines=word.engines,
                rival=word.rival,
                dpm=word.dpm_asked,
                zstack=word.zstack_asked,
            )
        elif isinstance(word, RecordingReport):
            self._recordings[word.index] = word
            self._follow_recording(word)
        elif isinstance(word, RestoredReport):
            self._restored[word.path] = word
        elif isinstance(word, ViewReport):
            self._view = word
        elif isinstance(word, Notice):
            self.note(word.text, ordinary=word.ordinary)
        elif isinstance(word, Failed):
            self.last_words[name] = word

    def _follow_recording(self, report: RecordingReport) -> None:
        """Results belong where the raw frames of the newest recording do."""
        if report.index != max(self._recordings) or report.restored is None or report.last is None:
            return
        here = report.restored if report.state == "open" else None
        if here is not None or self.saving.path is not None:
            self.saving = SaveRestored(path=here, first=report.first or 0, last=report.last)

    @property
    def trust_level(self) -> Level:
        """Of the channel that is worst; untested without any."""
        verdicts = self.engine.trust.values() if self.engine is not None else ()
        return max((one.level for one in verdicts), key=GRAVITY.index, default="untested")

    def note(self, text: str, *, ordinary: bool = False) -> None:
        """One line for the person; the same one twice in a row is told once.

        What is `ordinary` went as it should.
        """
        lines = self._events if ordinary else self._notices
        if text not in lines[-_LAST_NOTICES:]:
            lines.append(text)
            del lines[:-_KEPT_NOTICES]

    def capture_died(self, code: int | None) -> None:
        """Why the run ends, and what that means for the sample."""
        self.failure = (
            f"the capture process died (exit code {code}); what it had written is kept",
            1,
        )
        if self.plan.rig.source.kind not in ("replay", "bridge"):
            self.note("nothing has closed the shutter: see that the light is off")

    def status(self, state: RunState) -> RunStatus:
        """The run at this moment, merged from its processes."""
        capture, engine = self.capture, self.engine
        return RunStatus(
            state=state,
            rig=self.plan.rig.name,
            engine=self.plan.engine,
            runtime=engine.runtime if engine else None,
            runtime_reason=engine.runtime_reason if engine else None,
            engines=self.plan.engines,
            rival=self.plan.rival,
            loading=engine.loading if engine else None,
            dpm=engine.dpm if engine else None,
            reach_um=engine.reach_um if engine else None,
            zstack=engine.zstack if engine else None,
            trust=engine.trust if engine else {},
            trust_map=engine.trust_map if engine else None,
            reference=engine.reference if engine else None,
            captured=capture.captured,
            lost=capture.lost,
            unseen=capture.unseen,
            written=self._written(),
            restored=capture.restored,
            dropped=capture.dropped,
            capture_fps=capture.fps,
            restore_fps=engine.fps if engine and capture.live else None,
            age_ms=engine.recent_age_ms if engine else None,
            recording=self._recording(state),
            live=capture.live,
            absence=absence_now(capture.absences),
            light=capture.light,
            exposure=capture.exposure,
            disk_queue=capture.disk_queue,
            disk_left_s=self._disk_left_s(),
            notices=tuple(self._notices[-_LAST_NOTICES:]),
            events=tuple(self._events[-_LAST_NOTICES:]),
        )

    def _recording(self, state: RunState) -> str | None:
        """After the run, the last file that was made."""
        if state in ("starting", "running") or self.capture.recording is not None:
            return self.capture.recording
        made = [report.raw for report in self._recordings.values() if report.first is not None]
        return made[-1] if made else None

    def _written(self) -> int:
        """Of the present recording, else of the run."""
        newest = self._recordings[max(self._recordings)] if self._recordings else None
        if self.capture.recording is None or newest is None:
            return self.capture.written
        # A recording that was asked for and has not been reported yet has no frames.
        return newest.frames if newest.raw == self.capture.recording else 0

    def _disk_left_s(self) -> float | None:
        capture, engine = self.capture, self.engine
        if capture.recording is None or capture.shape is None or not capture.live:
            return None
        frame_bytes = int(np.prod(capture.shape)) * np.dtype(capture.dtype).itemsize
        restored_fps = engine.fps if engine is not None and self.saving.path else None
        if restored_fps is not None and engine is not None and engine.zstack is not None:
            restored_fps *= parse_zstack(engine.zstack).count
        free = self._disk.free_bytes(Path(capture.recording).parent)
        return seconds_left(free, frame_bytes, (capture.fps, restored_fps))

    def result(self, *, interrupted: bool) -> RunResult:
        """How the run went, once it is over."""
        failure, code = self.failure or (None, 0)
        capture, last = self.capture, self.last_words.get("capture")
        if failure is None and last is not None:
            failure, code = last.text, last.exit_code
        given_up = capture.recorded - capture.written
        if failure is None and capture.phase == "running" and given_up > 0:
            failure, code = (
                f"up to {given_up} captured frames were given up: they are not in the file",
                1,
            )
        if failure is None and capture.write_error is not None:
            failure, code = f"recording stopped: {capture.write_error}", 1
        return RunResult(
            capture=capture,
            engine=self.engine,
            view_fps=self._view.fps,
            recordings=tuple(
                report for _, report in sorted(self._recordings.items()) if report.first is not None
            ),
            restored_files=tuple(self._restored.values()),
            notices=tuple(self._notices),
            failure=failure,
            exit_code=code,
            interrupted=interrupted,
        )
