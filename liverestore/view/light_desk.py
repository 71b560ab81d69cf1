"""The account of light in the window: the tool, and the questions that it asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from liverestore.status_light import SetBudget
from liverestore.view.hold_panel import HoldDesk
from liverestore.view.light_question import BudgetQuestion, SampleQuestion
from liverestore.view.light_text import light_texts
from liverestore.view.light_tool import LightTool
from liverestore.view.widgets import Follower

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

    from liverestore.status import RunStatus
    from liverestore.status_light import LightReport
    from liverestore.view.drawer import ToolDrawer

__all__ = ["LightDesk"]

_NAME = "Light"


class LightDesk(QObject):
    """Owns the tool; it is offered only while light is accounted."""

    command = Signal(object)
    """A `Command` that the user asked for."""
    changed = Signal(object)
    """A `Change` that can be undone; its command has gone out."""

    def __init__(self, drawer: ToolDrawer, parent: QWidget) -> None:
        super().__init__(parent)
        self._drawer = drawer
        self.tool = LightTool(parent)
        self.hold = HoldDesk(self.tool.hold, self)
        self.hold.command.connect(self.command)
        self.hold.changed.connect(self.changed)
        self.budget_question = BudgetQuestion(parent)
        self.sample_question = SampleQuestion(parent)
        self._light: LightReport | None = None
        self._budget: Follower[float] = Follower()
        self._shown: tuple[LightReport, bool, float | None] | None = None
        self._now_s = 0.0
        self._asked = False
        """Whether it was asked since the budget stopped Live."""
        drawer.add_tool(_NAME, self.tool, key_action="light")
        drawer.offer(_NAME, False)
        self.tool.budget_chosen.connect(self._set_budget)
        self.tool.new_sample.clicked.connect(self._ask_sample)
        for question in self.questions:
            question.command.connect(self.command)

    @property
    def questions(self) -> tuple[BudgetQuestion, SampleQuestion]:
        """What may lie over the window."""
        return self.budget_question, self.sample_question

    def follow(self, status: RunStatus | None, now_s: float) -> None:
        """Show what the run reports at `now_s`, and ask where the budget is used up."""
        self._now_s = now_s
        light = status.light if status is not None else None
        self._light = light
        self._drawer.offer(_NAME, light is not None)
        if status is None or light is None:
            return
        running = status.state == "running"
        self.hold.follow(light.hold, now_s)
        if light.stopped and running and not self._asked:
            self.budget_question.ask(light)
        elif not light.stopped and not self.budget_question.isHidden():
            self.budget_question.put_away()
        self._asked = light.stopped and running
        budget = self._budget.value(light.budget_j_cm2 or 0.0, now_s)
        shown = (light, status.live and running, budget)
        if self.tool.isVisible() and shown != self._shown:
            self._shown = shown
            texts = light_texts(light, live=shown[1])
            self.tool.show_texts(texts, budget, measured=light.session_j_cm2 is not None)

    def put_away(self) -> bool:
        """Answer an open question with "no"; whether there was one."""
        for question in self.questions:
            if not question.isHidden():
                question.put_away()
                return True
        return False

    def _set_budget(self, j_cm2: float) -> None:
        light = self._light
        if light is not None:
            self._budget.ask(j_cm2, self._now_s)
            self.command.emit(
                SetBudget(field_j_cm2=j_cm2 or None, session_j_cm2=light.session_budget_j_cm2)
            )

    def _ask_sample(self) -> None:
        if self._light is not None:
            self.sample_question.ask(self._light)
