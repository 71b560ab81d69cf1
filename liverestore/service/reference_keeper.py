"""Scores the engine with the reference shots of a run, beside the engine that restores.

Shots come by a way of their own, so that none is replaced by a newer frame, and are scored in a
thread of low priority, which restoring does not wait for.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec

from liverestore.camera_model import CameraModel
from liverestore.errors import LiverestoreError
from liverestore.frame import Frame, Restored
from liverestore.service.low_priority import lower_priority
from liverestore.service.reference_shots import REFERENCES
from liverestore.transport.endpoint import Endpoint
from liverestore.transport.inlet import Inlet
from liverestore.trust.reference_check import check_reference
from liverestore.trust.reference_report import ReferenceReport, numbers_of, with_reference
from liverestore.trust.verdict import Verdict
from liverestore.wire import End

__all__ = ["ReferenceKeeper"]

log = logging.getLogger(__name__)

_WAIT_S = 0.2
_NICE = 10
_KEPT = 2
"""Pairs of pictures, and shots, that wait for one another."""


@dataclass(frozen=True, slots=True)
class _Pair:
    before: Restored
    after: Restored
    camera: CameraModel
    denoises: bool


class ReferenceKeeper:
    """Keeps the pictures before and after each shot, and the newest score."""

    def __init__(self, tell: Callable[[str], None] = lambda _line: None) -> None:
        """`tell` gets a line for the person; from the thread of `attend`."""
        self._tell = tell
        self._lock = threading.Lock()
        self._last: Restored | None = None
        self._pairs: dict[int, _Pair] = {}
        self._shots: dict[int, Frame] = {}
        self._report: ReferenceReport | None = None
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def attend(self, endpoint: Endpoint) -> None:
        """Take shots from the outlet at `endpoint` from now on."""
        self._thread = threading.Thread(
            target=self._run, args=(endpoint,), name="references", daemon=True
        )
        self._thread.start()

    @property
    def report(self) -> ReferenceReport | None:
        """Of the newest shot that was looked at."""
        with self._lock:
            return self._report

    def see(self, result: Restored, camera: CameraModel, *, denoises: bool) -> Restored:
        """Take note of a result; it comes back with the newest score of its engine."""
        number = result.source.header.reference
        plain = dataclasses.replace(result, rival=None, planes=())
        with self._lock:
            last, self._last = self._last, plain
            report = self._of_engine(result)
            first = last is not None and last.source.header.reference != number
            if number is not None and last is not None and first:
                self._pairs[number] = _Pair(last, plain, camera, denoises)
                _keep_newest(self._pairs)
        if report is None:
            return result
        made = result.provenance
        parameters = {**made.parameters, **numbers_of(report)}
        level, reason = parameters.get("trust"), parameters.get("trust_reason")
        if level in ("unjudged", "untested", "green", "amber", "red"):
            verdict = msgspec.convert({"level": level, "reason": reason}, Verdict)
            judged = with_reference(verdict, report)
            parameters.update(trust=judged.level, trust_reason=judged.reason)
        return dataclasses.replace(
            result, provenance=msgspec.structs.replace(made, parameters=parameters)
        )

    def judged(self, verdicts: Mapping[str, Verdict]) -> dict[str, Verdict]:
        """`verdicts`, with what the newest shot says of the engine in use."""
        with self._lock:
            report = self._of_engine(self._last)
        return {name: with_reference(one, report) for name, one in verdicts.items()}

    def _of_engine(self, result: Restored | None) -> ReferenceReport | None:
        report = self._report
        if report is None or result is None:
            return None
        made = result.provenance
        same = (report.engine, report.sha256) == (made.engine, made.sha256)
        return report if same else None

    def take(self, shot: Frame) -> None:
        """A shot that came; it is scored once the picture after it is there."""
        with self._lock:
            self._shots[shot.header.number] = shot
            _keep_newest(self._shots)

    def work(self) -> bool:
        """Score one shot whose pictures are there; False where none is."""
        with self._lock:
            number = next((n for n in self._shots if n in self._pairs), None)
            if number is None:
                return False
            shot, pair = self._shots.pop(number), self._pairs.pop(number)
        report = check_reference(pair.before, pair.after, shot, pair.camera, denoises=pair.denoises)
        with self._lock:
            before, self._report = self._report, report
        if report.not_scored and (before is None or before.not_scored != report.not_scored):
            self._tell(f"reference shot {number}: {report.not_scored}")
        return True

    def work_off(self) -> None:
        """Score all shots whose pictures are there; one that cannot be is told and left out."""
        try:
            while self.work():
                pass
        except LiverestoreError as error:
            self._tell(f"a reference shot could not be scored: {error}")
        except Exception as error:
            # This thread's last line of defence: shots cost light, and must not go on being
            # taken for nothing without a word.
            log.exception("a reference shot could not be scored")
            self._tell(
                f"a reference shot could not be scored: unexpected {type(error).__name__}: "
                f"{' '.join(str(error).split())[:300]}"
            )

    def close(self) -> None:
        """End the thread; what waits is not scored."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self, endpoint: Endpoint) -> None:
        lower_priority(_NICE)
        inlet = Inlet(endpoint, REFERENCES)
        try:
            while not self._closing.is_set():
                body = inlet.receive(_WAIT_S)
                if isinstance(body, Frame):
                    self.take(body)
                self.work_off()
                if isinstance(body, End):
                    return
        finally:
            inlet.close()


def _keep_newest(kept: dict[int, _Pair] | dict[int, Frame]) -> None:
    while len(kept) > _KEPT:
        del kept[next(iter(kept))]
