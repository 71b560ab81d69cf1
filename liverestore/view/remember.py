"""From a window to the settings that bring it back, and the other way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast

from PySide6.QtCore import QRect, Qt
from PySide6.QtWidgets import QApplication

from liverestore.view.compare import Mode
from liverestore.view.level_keeper import Side
from liverestore.view.settings import Place, ViewSettings, on_a_screen
from liverestore.view.stack_plan import StackPlan
from liverestore.view.stack_projections import StackView

if TYPE_CHECKING:
    from liverestore.view.window import LiveWindow

__all__ = ["EngineChoice", "bring_back", "settings_of"]


class EngineChoice:
    """Tells the engine that was chosen in the window from one that the run began with."""

    def __init__(self, remembered: str | None) -> None:
        self._began_with: str | None = None
        self._chosen = False
        self.engine = remembered
        """Chosen last, in this window or in one before it; None: none ever was."""

    def follow(self, reported: str | None) -> None:
        """The run reports that this engine restores."""
        if reported is None:
            return
        if self._began_with is None:
            self._began_with = reported
        if self._chosen or reported != self._began_with:
            self._chosen = True
            self.engine = reported


def settings_of(window: LiveWindow) -> ViewSettings:
    """What `window` is to start with the next time."""
    comparison = window.deck.comparison
    levels = window.levels
    # Of several channels each has its own levels: one's would be wrong for another.
    one = not window.channels.several
    filling = Qt.WindowState.WindowMaximized | Qt.WindowState.WindowFullScreen
    normal = window.normalGeometry() if window.windowState() & filling else None
    return ViewSettings(
        place=_place(normal) or (window.x(), window.y(), window.width(), window.height()),
        maximised=window.isMaximized(),
        compare=comparison.mode.value,
        blink_hz=comparison.blink.rate_hz,
        difference_limit_sd=comparison.limit_sd,
        curtain_edge=comparison.edge,
        lut=window.display.lut.currentText(),
        ignore_percent=window.display.ignore.value(),
        levels=levels.by_hand(Side.RESTORED) if one else None,
        raw_levels=levels.by_hand(Side.RAW) if one and not levels.linked else None,
        levels_linked=levels.linked,
        mark_saturated=window.histogram.mark.isChecked(),
        histogram_log=window.histogram.log.isChecked(),
        histogram_whole_range=window.histogram.whole_range.isChecked(),
        theme=cast("Literal['dark', 'light']", window.look.theme),
        large_text=window.look.large_text,
        tools=tuple(name for name in window.drawer.names if window.drawer.shown(name)),
        engine=window.engine_choice.engine,
        z_step_um=float(window.acquisition.z_step.currentText()),
        stack_um=window.stack.plan.numbers,
        stack_view=window.stack.show.view.value,
        stack_share=round(window.images.share, 4),
    )


def bring_back(window: LiveWindow, settings: ViewSettings) -> None:
    """Make `window` what it was when `settings` were taken, as far as it still can be."""
    if settings.place is not None:
        x, y, width, height = settings.place
        least = window.minimumSize()
        place = (x, y, max(width, least.width()), max(height, least.height()))
        x, y, width, height = on_a_screen(place, _screens())
        window.resize(width, height)
        window.move(x, y)
    if settings.maximised:
        window.setWindowState(window.windowState() | Qt.WindowState.WindowMaximized)
    window.look.set_theme(settings.theme)
    window.look_bar.large_text.setChecked(settings.large_text)
    compare, display = window.display.compare, window.display
    compare.rate.setValue(settings.blink_hz)
    compare.limit.setValue(settings.difference_limit_sd)
    window.deck.move_edge(settings.curtain_edge)
    compare.choose(Mode(settings.compare))
    display.lut.setCurrentText(settings.lut)
    display.link.setChecked(settings.levels_linked)
    sides = [(Side.RESTORED, settings.levels)]
    if not settings.levels_linked:
        sides.insert(0, (Side.RAW, settings.raw_levels))
    for side, levels in sides:
        display.side.setCurrentText(side.value)
        display.ignore.setValue(settings.ignore_percent)
        if levels is not None:
            display.levels_set.emit(*levels)
    window.histogram.mark.setChecked(settings.mark_saturated)
    window.histogram.log.setChecked(settings.histogram_log)
    window.histogram.whole_range.setChecked(settings.histogram_whole_range)
    for name in settings.tools:
        if name in window.drawer.names and not window.drawer.shown(name):
            window.drawer.toggle(name)
    window.stack.bring_back(StackPlan(*settings.stack_um), StackView(settings.stack_view))
    window.images.set_share(settings.stack_share)
    step = window.acquisition.z_step.findText(f"{settings.z_step_um:g}")
    if step >= 0:
        window.acquisition.z_step.setCurrentIndex(step)


def _place(area: QRect | None) -> Place | None:
    if area is None or not area.isValid():
        return None
    return (area.x(), area.y(), area.width(), area.height())


def _screens() -> list[Place]:
    areas = [screen.availableGeometry() for screen in QApplication.screens()]
    return [(area.x(), area.y(), area.width(), area.height()) for area in areas]
