"""Virtual stacks from the window: which planes are wanted, when they are asked for, the panel."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from liverestore.frame import Restored
from liverestore.status import SetZStack
from liverestore.view.background import Background
from liverestore.view.sign_watch import SignWatch
from liverestore.view.stack_pane import StackPane
from liverestore.view.stack_plan import StackPlan, ms_per_plane
from liverestore.view.stack_show import StackShow
from liverestore.view.stack_tool import StackTool, show_sign_words
from liverestore.view.undo import Change
from liverestore.view.widgets import Follower

if TYPE_CHECKING:
    from collections.abc import Callable

    from PySide6.QtWidgets import QWidget

    from liverestore.rig import CameraConfig
    from liverestore.status import RunStatus
    from liverestore.view.deck import ImageDeck
    from liverestore.view.display import DisplayState
    from liverestore.view.drawer import ToolDrawer
    from liverestore.view.refocus_tool import RefocusTool
    from liverestore.view.stack_projections import StackView

__all__ = ["StackDesk"]

_NAME = "Stack"
_NO_ENGINE = (
    "The engine in use does not refocus: choose one that does under Engine, such as "
    "refocus-deepz; liverestore engines lists them."
)


class StackDesk(QObject):
    """Owns the tool and the panel, which is there while a stack is asked for or made.

    `no_optics` says why the rig's frames cannot be refocused at all, empty where they can.
    """

    command = Signal(object)
    """A `Command` that the user asked for."""
    changed = Signal(object)
    """A `Change` that can be undone."""

    def __init__(
        self,
        deck: ImageDeck,
        drawer: ToolDrawer,
        refocus: RefocusTool,
        camera: CameraConfig | None,
        no_optics: str,
        parent: QWidget,
    ) -> None:
        super().__init__(parent)
        self._refocus, self._no_optics = refocus, no_optics
        self.background = Background()
        self.tool = StackTool(parent)
        self.pane = StackPane(parent)
        self.pane.setVisible(False)
        self.show = StackShow(self.pane, deck, camera, self.background)
        self.plan = StackPlan()
        """What the controls show."""
        self.on = False
        """Whether a stack is made, or was asked for a moment ago."""
        self._sign = SignWatch(self.background)
        self._follower: Follower[str] = Follower()
        self._reported = ""
        self._reach_um: float | None = None
        self._plane_ms: float | None = None
        self._fps: float | None = None
        self._stack_s = 0.0
        """How long the last result took, with its planes."""
        self._asked_at_s = -math.inf
        self._made: Restored | None = None
        self._now_s = 0.0
        drawer.add_tool(_NAME, self.tool, key_action="stack")
        self.tool.toggled.connect(self.switch)
        self.tool.plan_chosen.connect(self.choose)

    @property
    def actions(self) -> dict[str, Callable[[], None]]:
        """Actions of `shortcuts.SHORTCUTS` to what they start."""
        return {
            "stack_on": lambda: self.switch(not self.on),
            "stack_view": self.show.next_view,
            "stack_deeper": lambda: self.show.step(1),
            "stack_shallower": lambda: self.show.step(-1),
        }

    @property
    def shown(self) -> Restored | None:
        """The result whose stack the panel shows."""
        return self.show.made if self.on else None

    def follow(self, state: DisplayState, status: RunStatus | None, now_s: float) -> None:
        """Show what the run reports, unless a request is on its way, and the newest stack."""
        self._now_s = now_s
        self._reach_um = status.reach_um if status is not None else None
        reported = (status.zstack or "") if status is not None else None
        self._fps = status.capture_fps if status is not None and status.live else None
        # An order waits until the engine is done with the planes that it has at work.
        working = now_s - self._asked_at_s < 2 * self._stack_s
        text = self._follower.value(reported, now_s, working=working)
        if text is not None and text != self._reported:
            self._reported = text
            self.plan = StackPlan.of(text) or self.plan
        self.on = bool(self._reported) and self._reach_um is not None
        made = state.restored.image
        made = made if isinstance(made, Restored) else None
        if made is not None and made is not self._made:
            self._made = made
            # A picture whose stack is still at work says nothing of its time.
            if made.planes or not self.on or not _refocused(made):
                self._plane_ms = ms_per_plane(made) if _refocused(made) else None
                self._stack_s = (self._plane_ms or 0.0) * (1 + len(made.planes)) / 1000
        if self._reach_um is not None:
            self.tool.show_reach(self._reach_um)
        self.tool.show_trouble(self._trouble(status))
        self._show_sign(made)
        self._show()
        if self.on:
            self.show.show_state(state, now_s)

    def switch(self, on: bool) -> None:
        """Have a stack made of each frame, or none."""
        if on is not self.on and (self._reach_um is not None or not on):
            self._want(on, self.plan)
        self._show()

    def choose(self, plan: StackPlan) -> None:
        """Want other planes."""
        self._want(self.on, plan)

    def bring_back(self, plan: StackPlan, view: StackView) -> None:
        """Begin with what a window before had."""
        self.plan = plan
        self.show.choose_view(view)
        self._show()

    def close(self) -> None:
        """Wait for what is being computed."""
        self.background.close()

    def _want(self, on: bool, plan: StackPlan) -> None:
        if self._reach_um is not None:
            plan = plan.within(self._reach_um)
        before, after = (self.on, self.plan), (on, plan)
        if before == after:
            return
        self._put(after)
        # A number that is turned is one change; on and off are two.
        gathers = before[0] is on
        self.changed.emit(
            Change("virtual stack", before, after, self._put, _words, gathers=gathers)
        )

    def _put(self, wanted: tuple[bool, StackPlan]) -> None:
        on, self.plan = wanted
        if not on or not self.plan.trouble:
            text = self.plan.text if on else ""
            if text != self._reported:
                self._reported = text
                self._follower.ask(text, self._now_s)
                self._asked_at_s = self._now_s
                self.command.emit(SetZStack(text=text or None))
            self.on = on
        self._show()

    def _show(self) -> None:
        self.tool.show_plan(self.plan, on=self.on, plane_ms=self._plane_ms, fps=self._fps)
        if self.on == self.pane.isHidden():
            if not self.on:
                self.show.forget()
            self.pane.setVisible(self.on)

    def _trouble(self, status: RunStatus | None) -> str:
        if status is None or self._reach_um is not None:
            return ""
        if self._no_optics:
            return f"Nothing can be refocused: {self._no_optics}"
        if status.loading is not None:
            return f"{status.loading} is being made ready"
        return _NO_ENGINE

    def _show_sign(self, made: Restored | None) -> None:
        words = self._sign.words(made, self._reach_um)
        show_sign_words(self.tool.sign, words)
        show_sign_words(self._refocus.sign, words)
        self.pane.show_sign("" if words is None else words.short)


def _refocused(made: Restored) -> bool:
    return "dpm" in made.provenance.parameters


def _words(wanted: tuple[bool, StackPlan]) -> str:
    on, plan = wanted
    return f"{plan.start_um:g} to {plan.stop_um:g} µm, step {plan.step_um:g}" if on else "off"
