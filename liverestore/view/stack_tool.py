"""The tool "Stack" of the drawer: which planes an engine computes of each frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QGridLayout, QLabel, QVBoxLayout, QWidget

from liverestore.view.key_tips import set_key_tip
from liverestore.view.number_box import NumberBox
from liverestore.view.stack_plan import StackPlan, plan_words
from liverestore.view.widgets import TickBox, WrappedLabel, set_tone

if TYPE_CHECKING:
    from liverestore.view.sign_words import SignWords

__all__ = ["StackTool", "show_sign_words"]

_HINT = (
    "The planes are computed from one frame, not recorded. Distances are from the plane in "
    "focus; + is deeper into the sample."
)


class StackTool(QWidget):
    """Shows what it is told and says what the user wants; decides nothing."""

    toggled = Signal(bool)
    plan_chosen = Signal(object)
    """A `StackPlan`."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.on = TickBox("Compute a stack of each frame", self)
        set_key_tip(self.on, "Virtual planes above and below the one in focus ({stack_on})")
        self.start = self._box("stackStart", "The shallowest plane")
        self.stop = self._box("stackStop", "The deepest plane")
        self.step = self._box("stackStep", "From one plane to the next")
        self.words = WrappedLabel("", self)
        self.trouble = WrappedLabel("", self)
        self.sign = WrappedLabel("", self)
        self.hint = WrappedLabel(_HINT, self)
        self.hint.setProperty("role", "name")
        set_tone(self.trouble, "warn")
        for label in (self.trouble, self.sign):
            label.setVisible(False)
        self._plan = StackPlan()
        self._grid = QGridLayout()
        for column, (text, box) in enumerate(
            (("from", self.start), ("to", self.stop), ("step", self.step))
        ):
            name = QLabel(text, self)
            name.setProperty("role", "name")
            self._grid.addWidget(name, 0, column)
            self._grid.addWidget(box, 1, column)
            box.valueChanged.connect(self._chosen)
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.addWidget(self.on)
        self._column.addLayout(self._grid)
        for label in (self.words, self.trouble, self.sign, self.hint):
            self._column.addWidget(label)
        self.step.setRange(0.01, 100.0)
        self.on.toggled.connect(self.toggled)

    def show_plan(
        self, plan: StackPlan, *, on: bool, plane_ms: float | None, fps: float | None
    ) -> None:
        """Show which planes are wanted, and what a stack of them takes of a camera at `fps`."""
        self._plan = plan
        blocked = self.on.blockSignals(True)
        self.on.setChecked(on)
        self.on.blockSignals(blocked)
        for box, um in (
            (self.start, plan.start_um), (self.stop, plan.stop_um), (self.step, plan.step_um)
        ):  # fmt: skip
            box.show_value(um)
        self.words.setText(plan_words(plan, plane_ms, fps))
        set_tone(self.words, "warn" if plan.trouble else "")

    def show_reach(self, reach_um: float) -> None:
        """Let the planes lie between -`reach_um` and `reach_um`."""
        for box in (self.start, self.stop):
            blocked = box.blockSignals(True)
            box.setRange(-reach_um, reach_um)
            box.blockSignals(blocked)

    def show_trouble(self, text: str) -> None:
        """Say why there can be no stack now, with the remedy; empty: there can be one."""
        self.on.setEnabled(not text or self.on.isChecked())
        self.trouble.setText(text)
        self.trouble.setVisible(bool(text))

    def rescale(self, scale: float) -> None:
        """Fit to a text that is `scale` times the normal size."""
        self._column.setSpacing(round(6 * scale))
        self._grid.setHorizontalSpacing(round(6 * scale))
        self._grid.setVerticalSpacing(round(2 * scale))

    def _chosen(self) -> None:
        wanted = StackPlan(self.start.value(), self.stop.value(), self.step.value())
        self.plan_chosen.emit(wanted)

    def _box(self, name: str, tip: str) -> NumberBox:
        return NumberBox(
            name, low=-50.0, high=50.0, decimals=2, suffix=" µm",
            tip=f"{tip}, from the plane in focus" if name != "stackStep" else tip, parent=self,
        )  # fmt: skip


def show_sign_words(label: WrappedLabel, words: SignWords | None) -> None:
    """Let `label` say `words`: amber where the two sides of the focus are not told apart."""
    label.setText("" if words is None else words.text)
    label.setVisible(words is not None)
    set_tone(label, "warn" if words is not None and words.doubtful else "")
