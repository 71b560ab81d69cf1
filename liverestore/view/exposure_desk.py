"""The search for the exposure in the window: what it costs, how it goes, and setting it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from liverestore.status_exposure import MeasureExposure, StopMeasuring
from liverestore.view.exposure_question import ExposureQuestion
from liverestore.view.exposure_text import cost_text, failed_text, progress_text, sentence
from liverestore.view.exposure_tool import ExposureTool

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

    from liverestore.exposure_quality import Quality
    from liverestore.status import RunStatus
    from liverestore.status_exposure import ExposureOffer, ExposureReport, ExposureResult
    from liverestore.view.drawer import ToolDrawer

__all__ = ["ExposureDesk"]

_NAME = "Exposure"
_PATIENCE_S = 2.0
"""So long a measure that was asked for is shown as one before the run tells of it."""


class ExposureDesk(QObject):
    """Owns the tool; it is offered only where light is accounted."""

    command = Signal(object)
    """A `Command` that the user asked for."""
    exposure_chosen = Signal(float, object, float)
    """Exposure in ms to set, its channel (None: the only one), and the one that it replaces."""

    def __init__(self, drawer: ToolDrawer, parent: QWidget) -> None:
        super().__init__(parent)
        self._drawer = drawer
        self.tool = ExposureTool(parent)
        self.question = ExposureQuestion(parent)
        self._report: ExposureReport | None = None
        self._channel: str | None = None
        self._engine: str | None = None
        self._result: ExposureResult | None = None
        self._asked_s: float | None = None
        self._now_s = 0.0
        drawer.add_tool(_NAME, self.tool)
        drawer.offer(_NAME, False)
        self.tool.measure_asked.connect(self._ask)
        self.tool.stop_asked.connect(lambda: self.command.emit(StopMeasuring()))
        self.tool.set_asked.connect(self._set)
        self.question.command.connect(self._measure)

    def follow(self, status: RunStatus | None, channel: str | None, now_s: float) -> None:
        """Show what the run reports at `now_s`; `channel` is the one that the controls speak of."""
        self._now_s = now_s
        report = self._report = status.exposure if status is not None else None
        self._drawer.offer(_NAME, report is not None)
        if status is None or report is None:
            return
        self._channel = channel
        self._engine = status.engines.get(channel or "", status.engine)
        if report.state != "idle" or (
            self._asked_s is not None and now_s - self._asked_s > _PATIENCE_S
        ):
            self._asked_s = None
        if not self.tool.isVisible():
            return
        refused = self._refusal(status)
        if report.state == "idle" and self._asked_s is None:
            offer = self._offer()
            cost = cost_text(offer) if offer is not None else ""
            self.tool.show_idle(cost, refused, failed_text(report))
        elif report.state == "measuring":
            self.tool.show_progress(report.done, report.total, progress_text(report))
        else:
            self.tool.show_progress(0, 0, "Making the engine ready; Live goes on meanwhile")
        if refused and not self.question.isHidden():
            self.question.put_away()
        if report.result != self._result:
            self._result = report.result
            self.tool.show_result(report.result)
        busy = report.state != "idle" or status.state != "running"
        self.tool.allow_set(
            "A measure is under way, or the run has ended" if busy else "", self._outdated(status)
        )

    def put_away(self) -> bool:
        """Answer an open question with "no"; whether there was one."""
        if self.question.isHidden():
            return False
        self.question.put_away()
        return True

    def _outdated(self, status: RunStatus) -> str:
        """That the advice was found with another engine than restores now; empty: it was not."""
        found = self._result
        if found is None or found.exposure_ms is None:
            return ""
        now = self._engine
        if found.channel is not None:
            now = status.engines.get(found.channel, status.engine)
        if now is None or now == found.engine:
            return ""
        return (
            f"This advice is for the engine {found.engine}, and {now} is in use: measure again, or "
            "switch back to set it."
        )

    def _offer(self) -> ExposureOffer | None:
        offers = self._report.offers if self._report is not None else ()
        if len(offers) == 1:
            return offers[0]
        return next((one for one in offers if one.channel == self._channel), None)

    def _refusal(self, status: RunStatus) -> str:
        """Why nothing can be measured now, in words; empty where it can."""
        if status.state != "running":
            return "The run has ended."
        if status.recording is not None:
            return "A recording is being written and would have a gap: end it first."
        offer = self._offer()
        if offer is None:
            return "Choose one channel: each has its own exposure."
        return sentence(offer.refusal or "")

    def _ask(self) -> None:
        offer, engine = self._offer(), self._engine
        if offer is None or offer.present_ms is None or engine is None:
            return
        word = MeasureExposure(
            engine=engine,
            quality=_written(self.tool.quality),
            channel=offer.channel,
            present_ms=offer.present_ms,
            rounds=offer.rounds,
        )
        self.question.ask(offer, word)

    def _measure(self, word: MeasureExposure) -> None:
        self._asked_s = self._now_s
        self.tool.show_progress(0, 0, "Making the engine ready; Live goes on meanwhile")
        self.command.emit(word)

    def _set(self) -> None:
        found = self._result
        if found is not None and found.exposure_ms is not None:
            self.exposure_chosen.emit(found.exposure_ms, found.channel, found.present_ms)


def _written(quality: Quality) -> str:
    """`quality` as `parse_quality` reads it."""
    if quality.kind == "raw":
        return "raw"
    return f"{100 * quality.value:g}%" if quality.kind == "share" else f"{quality.value:g}dB"
