"""The channels of the window: their row, their presenters, and what was chosen among them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from liverestore.view.channel_bar import ChannelBar
from liverestore.view.channel_presenter import ChannelPresenter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from PySide6.QtWidgets import QWidget

    from liverestore.status import RunStatus
    from liverestore.view.channels import ChannelLook
    from liverestore.view.display import DisplayState
    from liverestore.view.engine_controls import EngineControls
    from liverestore.view.feed import ShownPair
    from liverestore.view.presenter import Presenter

__all__ = ["ChannelDesk"]


class ChannelDesk(QObject):
    """Brings the row of channels and their presenters together; of one channel none is seen."""

    changed = Signal()
    """Other channels are to be seen, or the controls speak of another one."""

    def __init__(
        self,
        looks: Sequence[ChannelLook],
        engines: Sequence[str],
        controls: EngineControls,
        make: Callable[[], Presenter],
        parent: QWidget,
    ) -> None:
        super().__init__(parent)
        self._presenters = ChannelPresenter(looks, make)
        self._engines = controls
        self.bar = ChannelBar(engines, parent)
        self.bar.engine_chosen.connect(controls.choose)
        self.bar.chosen.connect(self.show_channel)
        self.bar.composite_set.connect(self.show_composite)
        self.bar.ticked.connect(self._tick)

    @property
    def chosen(self) -> Presenter:
        """The presenter of the channel that the controls speak of."""
        return self._presenters.chosen

    @property
    def several(self) -> bool:
        """Whether there is a channel to choose."""
        return self._presenters.book.several

    @property
    def addressee(self) -> str | None:
        """Name of that channel; None where there is but one."""
        return self._presenters.book.chosen if self.several else None

    @property
    def all(self) -> tuple[Presenter, ...]:
        """The presenters of all channels."""
        return self._presenters.all

    @property
    def seen(self) -> tuple[Presenter, ...]:
        """Those that autostretch is meant for: in the composite no channel is preferred."""
        return self.all if self._presenters.book.composite else (self.chosen,)

    def step(
        self,
        pair: ShownPair | None,
        status: RunStatus | None,
        now_ns: int,
        notices: tuple[str, ...],
    ) -> DisplayState:
        """What to paint at `now_ns`, after `pair` arrived (None: nothing did)."""
        state = self._presenters.step(pair, status, now_ns, notices)
        self.bar.follow(self._presenters.book, self._engines)
        return state

    def shown_fps(self, now_ns: int) -> float | None:
        """New frames shown per second, of all channels that are seen; None with none."""
        return self._presenters.shown_fps(now_ns)

    def show_channel(self, name: str | None) -> None:
        """See one channel alone; the controls speak of it."""
        self._presenters.book.choose(name)
        self.changed.emit()

    def show_composite(self, on: bool) -> None:
        """See the ticked channels together, each in its colour, or one alone again."""
        self._presenters.book.show_composite(on)
        self.changed.emit()

    def _tick(self, name: str | None, on: bool) -> None:
        self._presenters.book.tick(name, on)
        self.changed.emit()
