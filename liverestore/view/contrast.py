"""Levels between the controls, the histogram, the presenter and undo."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from liverestore.view.channel_desk import ChannelDesk
    from liverestore.view.display import DisplayState
    from liverestore.view.display_bar import DisplayBar
    from liverestore.view.histogram_tool import HistogramTool
    from liverestore.view.level_keeper import LevelKeeper, LevelSettings, Side
    from liverestore.view.undo_keeper import UndoKeeper

__all__ = ["Contrast"]


class Contrast:
    """Hands what the user does to the levels on to the presenter of the channel that the
    controls speak of, and shows it in the controls. `tick` paints what changed.
    """

    def __init__(
        self,
        channels: ChannelDesk,
        display: DisplayBar,
        histogram: HistogramTool,
        undo: UndoKeeper,
        tick: Callable[[], None],
    ) -> None:
        self._channels = channels
        self._display = display
        self._histogram = histogram
        self._undo = undo
        self._tick = tick
        self._state: DisplayState | None = None
        display.autostretch_changed.connect(self._set_autostretch)
        display.levels_set.connect(self._set_levels)
        display.linked_changed.connect(self._set_linked)
        display.side_chosen.connect(self._choose_side)
        histogram.levels_dragged.connect(display.set_by_hand)
        histogram.autostretch_asked.connect(lambda: display.auto.setChecked(True))
        histogram.mark_toggled.connect(self._mark_saturated)

    @property
    def _levels(self) -> LevelKeeper:
        return self._channels.chosen.levels

    def show_another(self) -> None:
        """The controls speak of another channel."""
        self._tick()
        self._show_levels()

    def show_state(self, state: DisplayState, now_s: float, *, numbers: bool) -> None:
        """Show the levels and histograms of `state`; `numbers` says whether they are due."""
        self._state = state
        if numbers:
            self._show_levels()
        edited = None if self._levels.linked else self._levels.chosen
        self._histogram.show_state(state, edited, now_s)

    def _show_levels(self) -> None:
        self._display.show_autostretch(self._levels.autostretch, self._levels.ignore_percent)
        header = None if self._state is None else self._state.header
        if self._levels.levels is not None and header is not None:
            self._display.show_levels(self._levels.levels, whole=header.dtype != "float32")

    def _set_levels(self, low: float, high: float) -> None:
        levels = self._levels
        self._change((levels,), lambda: levels.set_levels(low, high), gathers=True)

    def _set_autostretch(self, on: bool, ignore_percent: float) -> None:
        seen = tuple(presenter.levels for presenter in self._channels.seen)

        def stretch() -> None:
            for levels in seen:
                levels.set_autostretch(on, ignore_percent)

        self._change(seen, stretch)

    def _set_linked(self, linked: bool) -> None:
        every = tuple(presenter.levels for presenter in self._channels.all)

        def link() -> None:
            for levels in every:
                levels.linked = linked

        self._change(every, link)

    def _choose_side(self, side: Side) -> None:
        self._levels.chosen = side
        self._tick()
        self._show_levels()

    def _mark_saturated(self, on: bool) -> None:
        self._channels.chosen.mark_saturated = on
        self._tick()

    def _change(
        self,
        changed: tuple[LevelKeeper, ...],
        act: Callable[[], object],
        *,
        gathers: bool = False,
    ) -> None:
        """Let `act` change the levels `changed`; undone, these are put back and no others."""
        place = next((i for i, levels in enumerate(changed) if levels is self._levels), 0)
        channel = self._channels.addressee

        def put(settings: tuple[LevelSettings, ...]) -> None:
            for levels, before in zip(changed, settings, strict=True):
                levels.put(before)
            self._display.show_linked(self._levels.linked, self._levels.chosen)
            self.show_another()

        self._undo.watch(
            # Of another channel it is another setting: the two are not gathered.
            "levels" if channel is None or len(changed) > 1 else f"levels of {channel}",
            lambda: tuple(levels.settings for levels in changed),
            put,
            act,
            words=lambda settings: settings[place].words,
            gathers=gathers,
        )
        self.show_another()
