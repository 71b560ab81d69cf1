"""The live view: raw and restored compared, with everything one needs while acquiring."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import QWidget

from liverestore.view.acquisition_bar import AcquisitionBar
from liverestore.view.arrangement import ImagesBeside, arrange
from liverestore.view.channel_desk import ChannelDesk
from liverestore.view.close_question import CloseQuestion
from liverestore.view.compare import Mode
from liverestore.view.contrast import Contrast
from liverestore.view.deck import ImageDeck
from liverestore.view.display import DisplayState
from liverestore.view.display_bar import DisplayBar
from liverestore.view.drawer import ToolDrawer
from liverestore.view.exposure_desk import ExposureDesk
from liverestore.view.histogram_tool import HistogramTool
from liverestore.view.key_actions import actions_of
from liverestore.view.key_list import KeyList
from liverestore.view.key_tips import show_keys_in_tips
from liverestore.view.light_desk import LightDesk
from liverestore.view.look import Look
from liverestore.view.look_bar import LookBar
from liverestore.view.measuring import Measuring
from liverestore.view.memory import Memory
from liverestore.view.messages import Messages
from liverestore.view.presenter import Presenter
from liverestore.view.refocus_desk import RefocusDesk
from liverestore.view.remember import EngineChoice, bring_back, settings_of
from liverestore.view.shortcuts import KeyBindings
from liverestore.view.snapshot_taker import SnapshotTaker
from liverestore.view.stack_desk import StackDesk
from liverestore.view.statusbar import NoticeBar, StatusBar
from liverestore.view.toast import Toast
from liverestore.view.train_desk import TrainDesk
from liverestore.view.trust_desk import TrustDesk
from liverestore.view.undo import Change
from liverestore.view.undo_keeper import UndoKeeper

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from PySide6.QtGui import QCloseEvent, QResizeEvent

    from liverestore.rig import CameraConfig
    from liverestore.status import RunStatus
    from liverestore.view.channels import ChannelLook
    from liverestore.view.feed import ViewFeed
    from liverestore.view.level_keeper import LevelKeeper

__all__ = ["LiveWindow"]

_TICK_MS = 16
"""The feed is asked at most about sixty times a second: no screen shows more."""


class LiveWindow(QWidget):
    """Asks `feed` for the newest pair and paints it; closing it closes the feed only.

    `engines` are the names to choose from, `camera` the rig's camera (for photoelectrons),
    `channels` those of the rig (frames may bring others), `clock_ns` the monotonic clock of
    the frames' `captured_ns`. With `live=False` no timer runs and whoever made the window
    calls `tick`. `memory` brings back what the window of the same rig was before; `own_keys`
    is the file of the user's own keys, `no_optics` says why nothing can be refocused.
    """

    closed = Signal()

    def __init__(
        self,
        feed: ViewFeed,
        *,
        title: str = "liverestore",
        engines: Sequence[str] = (),
        camera: CameraConfig | None = None,
        channels: Sequence[ChannelLook] = (),
        lut: str = "grey",
        ignore_percent: float = 0.1,
        clock_ns: Callable[[], int] = time.perf_counter_ns,
        live: bool = True,
        snapshot_folder: Path | None = None,
        memory: Memory | None = None,
        own_keys: Path | None = None,
        no_optics: str = "",
    ) -> None:
        super().__init__()
        self.setWindowTitle(title)
        self.setMinimumSize(1270, 640)
        self._feed = feed
        self._clock_ns = clock_ns
        self._memory = memory or Memory(None)
        remembered = self._memory.settings
        self.engine_choice = EngineChoice(remembered.engine if remembered else None)
        self._status: RunStatus | None = None
        self.state: DisplayState | None = None
        """What was painted last."""

        self.acquisition = AcquisitionBar(engines, self)
        self.deck = ImageDeck(camera, self)
        self.drawer = ToolDrawer(self)
        self.histogram = HistogramTool(self)
        self.drawer.add_tool("Histogram", self.histogram, key_action="histogram")
        self.measuring = Measuring(self.deck, self.drawer, camera, self)
        self.refocus = RefocusDesk(self.deck, self.drawer, self)
        self.stack = StackDesk(self.deck, self.drawer, self.refocus.tool, camera, no_optics, self)
        self.training = TrainDesk(self.drawer, self.acquisition.engines, title, camera, self)
        self.trust = TrustDesk(self.deck, self.drawer, self)
        self.images = ImagesBeside(self.deck, self.stack.pane, self)
        self.exposure = ExposureDesk(self.drawer, self)
        self.light = LightDesk(self.drawer, self)
        self.display = DisplayBar(lut, ignore_percent, self.deck.comparison, self)
        self.channels = ChannelDesk(
            channels,
            engines,
            self.acquisition.engines,
            lambda: Presenter(lut=lut, ignore_percent=ignore_percent),
            self,
        )
        self.notices = NoticeBar(self)
        self.raw_pane, self.restored_pane = self.deck.raw_pane, self.deck.restored_pane
        self.status = StatusBar(self)
        self.toast = Toast(self.deck, self)
        self.messages = Messages(
            feed,
            self.toast,
            self.notices,
            clock_ns,
            lambda: (*self._memory.notices, self.bindings.notice),
        )
        self.undo = UndoKeeper(self.acquisition, lambda: self._clock_ns() / 1e9)
        self.contrast = Contrast(self.channels, self.display, self.histogram, self.undo, self.tick)
        self.snapshots = SnapshotTaker(
            self.images, folder=snapshot_folder, say=self.messages.say, warn=self.messages.warn
        )
        self.look_bar = LookBar(self)
        self.bindings = KeyBindings(self, own_keys)
        self.keys = KeyList(self.bindings, self)
        self.close_question = CloseQuestion(self)
        questions = (self.close_question, *self.light.questions, self.exposure.question)
        self._may_close = False
        self.look = Look(
            self,
            bars=(self.acquisition, self.display, self.channels.bar),
            reading=(self.deck, self.stack.pane, self.notices),
            status=self.status,
            rest=(self.drawer, self.keys, *questions, self.look_bar),
        )
        arrange(
            self,
            bars=(self.acquisition, self.display, self.channels.bar, self.notices),
            images=self.images,
            drawer=self.drawer,
            bottom=(self.status, self.look_bar),
        )
        self._connect()
        self.resize(1600, 900)
        self.look.fit()
        if remembered is not None:
            bring_back(self, remembered)
            self.undo.forget()
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
        return self.channels.shown_fps(self._clock_ns())

    @property
    def _presenter(self) -> Presenter:
        """Of the channel that the controls speak of."""
        return self.channels.chosen

    @property
    def levels(self) -> LevelKeeper:
        """The levels of both images."""
        return self._presenter.levels

    def tick(self) -> None:
        """Fetch what is new and paint what changed."""
        now_ns = self._clock_ns()
        pair, self._status = self.messages.fetch()
        status = self._status
        self._presenter.not_shown = self._feed.overwritten
        self.snapshots.step()
        self._presenter.rival = self.acquisition.follow_engines(
            status, now_ns / 1e9, self.channels.addressee
        )
        before = self.state
        self.state = self.channels.step(pair, status, now_ns, self.messages.notices)
        self._apply(before, self.state, now_ns / 1e9)
        header = self.state.header
        # In a composite without frames of the chosen channel, another one's numbers are shown.
        channel = header.channel if header and self.channels.several else self.channels.addressee
        self.acquisition.follow(header, status, now_ns / 1e9, channel)
        self.toast.step(now_ns / 1e9)
        for desk in (self.measuring, self.refocus, self.stack):
            desk.follow(self.state, status, now_ns / 1e9)
        self.training.follow(self.state, status)
        self.light.follow(status, now_ns / 1e9)
        self.exposure.follow(status, channel, now_ns / 1e9)
        self.trust.follow(status, channel, self.state)
        self.engine_choice.follow(status.engine if status is not None else None)
        self._memory.step(now_ns / 1e9, lambda: settings_of(self))
        # Last: it may close the window.
        self.close_question.follow(status, now_ns / 1e9)

    def fit(self) -> None:
        """Show the whole frame, and keep it so when the window changes."""
        self.deck.fit()

    def one_to_one(self) -> None:
        """One camera pixel on one device pixel, around the present centre."""
        self.deck.one_to_one()

    def zoom(self, factor: float) -> None:
        """Magnify by `factor` around the present centre."""
        self.deck.zoom(factor)

    def set_mode(self, mode: Mode) -> None:
        """Compare raw and restored in another way."""
        self.display.compare.choose(mode)

    def look_at_raw(self) -> None:
        """Compare with raw although a second engine is there, or with that again."""
        self._presenter.look_at_raw = not self._presenter.look_at_raw
        self.tick()

    def close_now(self) -> None:
        """Close without a question: for whoever made the window, and when it was answered."""
        self._may_close = True
        self.close()

    def take_snapshot(self) -> None:
        """Keep the images on the screen as files; see `snapshot`."""
        self.messages.calm()
        self.snapshots.take(self.state, self._status, self.stack.shown)

    def _apply(self, before: DisplayState | None, state: DisplayState, now_s: float) -> None:
        self.deck.show_state(state, now_s)
        self.display.compare.show_unit(in_counts=self.deck.compare_pane.in_counts)
        self.acquisition.show_run(state.run_text, state.run_tone)
        self.notices.show_notices(state.notices)
        numbers = before is None or state.cells is not before.cells
        if numbers:
            self.status.show_cells(state.cells)
            self.look.recheck()
        self.contrast.show_state(state, now_s, numbers=numbers)

    def _show_zoom(self) -> None:
        if (zoom := self.deck.zoom_now()) is not None:
            self.display.show_zoom(zoom)

    def _set_lut(self, name: str) -> None:
        before, self._presenter.lut = self._presenter.lut, name
        self.undo.add(Change("LUT", before, name, self.display.lut.setCurrentText))
        self.tick()

    def _set_mode(self, mode: Mode) -> None:
        before = self.deck.comparison.mode
        self.deck.set_mode(mode)
        self.undo.add(Change("mode", before, mode, self.set_mode, lambda mode: mode.value))

    def _connect(self) -> None:
        self.acquisition.command.connect(self.messages.send)
        self.acquisition.changed.connect(self.undo.add)
        self.acquisition.undo.clicked.connect(self.undo.undo)
        self.acquisition.redo.clicked.connect(self.undo.redo)
        self.acquisition.snapshot.clicked.connect(self.take_snapshot)
        self.status.asked.connect(self.messages.say)
        for asking in (self.measuring, self.close_question, self.trust, self.exposure):
            asking.command.connect(self.messages.send)
        self.exposure.exposure_chosen.connect(self.acquisition.camera.choose_exposure)
        self.close_question.confirmed.connect(self.close_now)
        for desk in (self.refocus, self.stack, self.light):
            desk.command.connect(self.messages.send)
            desk.changed.connect(self.undo.add)
        self.channels.changed.connect(self.contrast.show_another)
        self.display.lut_chosen.connect(self._set_lut)
        self.drawer.toggled.connect(self.tick)
        self.display.fit_asked.connect(self.fit)
        self.display.one_to_one_asked.connect(self.one_to_one)
        self.display.compare.mode_chosen.connect(self._set_mode)
        self.display.compare.mode_chosen.connect(lambda _: self.look.recheck())
        self.display.compare.changed.connect(self.deck.repaint_now)
        self.look_bar.theme.clicked.connect(self.look.next_theme)
        self.look_bar.large_text.toggled.connect(self.look.set_large_text)
        self.look_bar.keys.clicked.connect(self.keys.toggle)
        self.deck.view_changed.connect(self._show_zoom)
        self.bindings.renewed.connect(lambda: show_keys_in_tips(self, self.bindings))
        self.bindings.bind(actions_of(self))

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        """Keep the text readable."""
        super().resizeEvent(event)
        self.look.fit()

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802 - Qt's name
        """Remember the window, stop painting and let go of the run.

        While a recording is being written, the window asks first; see `close_now`.
        """
        if not self._may_close and self.close_question.asks():
            event.ignore()
            return
        self._timer.stop()
        for busy in (self.snapshots, self.training, self.stack):
            busy.close()
        self._memory.close(settings_of(self))
        self._feed.close()
        super().closeEvent(event)
        self.closed.emit()
