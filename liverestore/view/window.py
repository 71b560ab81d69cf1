"""The live view: raw and restored side by side, with everything one needs while acquiring."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from liverestore.errors import LiverestoreError
from liverestore.view.controls import AcquisitionBar, DisplayBar
from liverestore.view.display import DisplayState, readout
from liverestore.view.luts import lut_table
from liverestore.view.panes import ImagePane
from liverestore.view.presenter import Presenter
from liverestore.view.shortcuts import bind_shortcuts
from liverestore.view.statusbar import NoticeBar, StatusBar
from liverestore.view.theme import scale_for, stylesheet

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from PySide6.QtGui import QCloseEvent, QResizeEvent

    from liverestore.rig import CameraConfig
    from liverestore.status import Command
    from liverestore.view.feed import ViewFeed

__all__ = ["LiveWindow"]

_TICK_MS = 16
"""The feed is asked at most about sixty times a second: no screen shows more."""


class LiveWindow(QWidget):
    """Asks `feed` for the newest pair and paints it; closing it closes the feed only.

    `engines` are the names to choose from, `camera` the rig's camera (for photoelectrons),
    `clock_ns` the monotonic clock of the frames' `captured_ns`. With `live=False` no timer
    runs and whoever made the window calls `tick`.
    """

    closed = Signal()

    def __init__(
        self,
        feed: ViewFeed,
        *,
        title: str = "liverestore",
        engines: Sequence[str] = (),
        camera: CameraConfig | None = None,
        lut: str = "grey",
        ignore_percent: float = 0.1,
        clock_ns: Callable[[], int] = time.perf_counter_ns,
        live: bool = True,
    ) -> None:
        super().__init__()
        self.setWindowTitle(title)
        self.setMinimumSize(1120, 640)
        self._feed = feed
        self._camera = camera
        self._clock_ns = clock_ns
        self._presenter = Presenter(lut=lut, ignore_percent=ignore_percent)
        self._shape: tuple[int, int] | None = None
        self._fitted = True
        self._cursor: tuple[float, float] | None = None
        self._feed_trouble: tuple[str, ...] = ()
        self.state: DisplayState | None = None
        """What was painted last."""

        self.acquisition = AcquisitionBar(engines, self)
        self.display = DisplayBar(lut, ignore_percent, self)
        self.notices = NoticeBar(self)
        self.raw_pane = ImagePane(self)
        self.restored_pane = ImagePane(self)
        self.status = StatusBar(self)
        self._panes_row = QHBoxLayout()
        self._arrange()
        self._connect()
        self._scale = 0.0
        self.resize(1600, 900)
        self._rescale()
        # Not the engine chooser: the first key pressed is meant for the image.
        self.raw_pane.image.setFocus()

        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self.tick)
        if live:
            self._timer.start(_TICK_MS)
        self.tick()

    @property
    def shown_fps(self) -> float | None:
        """New frames painted per second, over the last two seconds; None with none."""
        return self._presenter.shown_fps(self._clock_ns())

    def tick(self) -> None:
        """Fetch what is new and paint what changed."""
        now_ns = self._clock_ns()
        try:
            pair = self._feed.newest()
            status = self._feed.status()
            self._feed_trouble = ()
        except LiverestoreError as error:
            pair, status = None, None
            self._feed_trouble = (str(error),)
        before = self.state
        self.state = self._presenter.step(pair, status, now_ns, self._feed_trouble)
        self._apply(before, self.state)
        self.acquisition.follow(self.state.header, status, now_ns / 1e9)

    def fit(self) -> None:
        """Show the whole frame in both panes, and keep it so when the window changes."""
        self._fitted = True
        if self._shape is not None:
            height, width = self._shape
            self._set_view((0.0, 0.0, float(width), float(height)))

    def one_to_one(self) -> None:
        """One camera pixel on one device pixel, around the present centre."""
        width, height = self.raw_pane.screen_px()
        self._zoom_to(width, height)

    def zoom(self, factor: float) -> None:
        """Magnify by `factor` around the present centre."""
        x0, y0, x1, y1 = self.raw_pane.view()
        self._zoom_to((x1 - x0) / factor, (y1 - y0) / factor)

    def _zoom_to(self, width: float, height: float) -> None:
        self._fitted = False
        x0, y0, x1, y1 = self.raw_pane.view()
        x, y = (x0 + x1) / 2, (y0 + y1) / 2
        self._set_view((x - width / 2, y - height / 2, x + width / 2, y + height / 2))

    def _set_view(self, view: tuple[float, float, float, float]) -> None:
        for pane in (self.raw_pane, self.restored_pane):
            pane.set_view(view)
        self._refresh_panes()

    def _apply(self, before: DisplayState | None, state: DisplayState) -> None:
        lut = lut_table(state.lut)
        for pane, content in ((self.raw_pane, state.raw), (self.restored_pane, state.restored)):
            pane.show_state(content, state.pixel_size_um)
            pane.show_image(content.image.pixels if content.image else None, state.levels, lut)
        shape = None if state.header is None else state.header.shape
        if shape is not None and shape != self._shape:
            self._shape = shape
            self.fit()
        self._refresh_panes()
        self.acquisition.show_run(state.run_text, state.run_tone)
        self.notices.show_notices(state.notices)
        if before is None or state.cells is not before.cells:
            self.status.show_cells(state.cells)
            if state.levels is not None and state.header is not None:
                self.display.show_levels(state.levels, whole=state.header.dtype != "float32")
        if before is None or (
            state.raw.image is not before.raw.image
            or state.restored.image is not before.restored.image
        ):
            self._show_readout()

    def _refresh_panes(self) -> None:
        self.raw_pane.refresh()
        self.restored_pane.refresh()
        x0, _, x1, _ = self.raw_pane.view()
        if self._shape is not None and x1 > x0:
            self.display.show_zoom(self.raw_pane.screen_px()[0] / (x1 - x0))

    def _show_readout(self) -> None:
        state, cursor = self.state, self._cursor
        for pane, content in (
            (self.raw_pane, state.raw if state else None),
            (self.restored_pane, state.restored if state else None),
        ):
            text = ""
            if content is not None and cursor is not None:
                x, y = int(cursor[0] // 1), int(cursor[1] // 1)
                text = readout(content.image, x, y, self._camera)
            pane.show_readout(text or (content.details if content is not None else ""))

    def _hovered(self, pane: ImagePane, other: ImagePane, at: tuple[float, float] | None) -> None:
        self._cursor = at
        pane.set_marker(None)
        other.set_marker(at)
        self._show_readout()

    def _moved(self, pane: ImagePane, other: ImagePane) -> None:
        self._fitted = False
        other.set_view(pane.view())
        self._refresh_panes()

    def _set_levels(self, low: float, high: float) -> None:
        self._presenter.set_levels(low, high)
        self.tick()

    def _set_autostretch(self, on: bool, ignore_percent: float) -> None:
        self._presenter.set_autostretch(on, ignore_percent)
        self.tick()

    def _set_lut(self, name: str) -> None:
        self._presenter.lut = name
        self.tick()

    def _send(self, command: Command) -> None:
        try:
            self._feed.send(command)
        except LiverestoreError as error:
            self._feed_trouble = (str(error),)
            self.notices.show_notices(self._feed_trouble)

    def _arrange(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.acquisition)
        column.addWidget(self.display)
        column.addWidget(self.notices)
        self._panes_row.addWidget(self.raw_pane, 1)
        self._panes_row.addWidget(self.restored_pane, 1)
        column.addLayout(self._panes_row, 1)
        column.addWidget(self.status)

    def _connect(self) -> None:
        self.acquisition.command.connect(self._send)
        self.display.lut_chosen.connect(self._set_lut)
        self.display.autostretch_changed.connect(self._set_autostretch)
        self.display.levels_set.connect(self._set_levels)
        self.display.fit_asked.connect(self.fit)
        self.display.one_to_one_asked.connect(self.one_to_one)
        for pane, other in (
            (self.raw_pane, self.restored_pane),
            (self.restored_pane, self.raw_pane),
        ):
            pane.hovered.connect(lambda at, p=pane, o=other: self._hovered(p, o, at))
            pane.moved.connect(lambda p=pane, o=other: self._moved(p, o))
            pane.fit_asked.connect(self.fit)
        actions: dict[str, Callable[[], object]] = {
            "fit": self.fit,
            "one_to_one": self.one_to_one,
            "zoom_in": lambda: self.zoom(1.25),
            "zoom_out": lambda: self.zoom(0.8),
            "autostretch": self.display.auto.toggle,
            "next_lut": self.display.next_lut,
            "focus_up": lambda: self.acquisition.step_z(1),
            "focus_down": lambda: self.acquisition.step_z(-1),
            "stop": self.acquisition.stop.click,
            "close": self.close,
            "full_screen": self._toggle_full_screen,
        }
        bind_shortcuts(self, actions)

    def _toggle_full_screen(self) -> None:
        self.setWindowState(self.windowState() ^ Qt.WindowState.WindowFullScreen)

    def _rescale(self) -> None:
        scale = scale_for(self.width(), self.height())
        if scale == self._scale:
            return
        self._scale = scale
        self.setStyleSheet(stylesheet(scale))
        edge = round(8 * scale)
        self._panes_row.setContentsMargins(edge, edge, edge, edge)
        self._panes_row.setSpacing(edge)
        for part in (
            self.acquisition,
            self.display,
            self.raw_pane,
            self.restored_pane,
            self.status,
        ):
            part.rescale(scale)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        """Keep the text readable and a fitted image fitted."""
        super().resizeEvent(event)
        self._rescale()
        if self._fitted:
            # The panes get their new size only after this event.
            QTimer.singleShot(0, self, self._fit_again)

    def _fit_again(self) -> None:
        if self._fitted:
            self.fit()

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802 - Qt's name
        """Stop painting and let go of the run, which goes on."""
        self._timer.stop()
        self._feed.close()
        super().closeEvent(event)
        self.closed.emit()
