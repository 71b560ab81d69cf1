"""What the camera and the focus do: Snap, Live, Record, Stop, exposure and z."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QWidget

from liverestore.status import RunStatus, SetExposure, SetLive, SetRecording, SetZ, Snap
from liverestore.view.frame_follower import FrameFollower
from liverestore.view.key_tips import set_key_tip
from liverestore.view.number_box import NumberBox
from liverestore.view.signs import RecordButton
from liverestore.view.status_cells import count_text
from liverestore.view.undo import Change
from liverestore.view.widgets import ChoiceBox, Follower

if TYPE_CHECKING:
    from liverestore.frame import FrameHeader

__all__ = ["CameraControls"]

_Z_STEPS_UM = ("0.1", "0.2", "0.5", "1", "2", "5", "10")
_NOT_REPORTED = "the source does not report it"
_SNAP_TIP = "Take one frame ({snap})"
_SNAP_OFF_TIP = "Snap takes one frame while Live is off: switch Live off first ({live})"
_LIVE_TIP = "Let the camera run, or pause it: paused, no light falls on the sample ({live})"
_FOLLOWED_TIP = "Micro-Manager drives the camera: set it there"
_FOLLOWED_LIVE_TIP = "Follow Micro-Manager's live image, or not; its light stays as it is ({live})"
_RECORD_TIP = "Write every raw frame to a new file, from the next frame on ({record})"
_STOP_TIP = "Close the recording and pause the camera; the window stays ({stop})"


class CameraControls(QWidget):
    """Shows what the newest frame and report say, unless a request is on its way."""

    command = Signal(object)
    """A `Command` that the user asked for."""
    changed = Signal(object)
    """A `Change` that can be undone; its command has gone out."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("group")
        self.snap = QPushButton("Snap", self)
        self.snap.setObjectName("snap")
        self.live = QPushButton("Live", self)
        self.live.setObjectName("live")
        self.live.setCheckable(True)
        set_key_tip(self.live, _LIVE_TIP)
        self.record = RecordButton(self)
        self.stop = QPushButton("Stop", self)
        self.stop.setObjectName("stop")
        set_key_tip(self.stop, _STOP_TIP)
        self.exposure = NumberBox(
            "exposure",
            low=0.001,
            high=600_000.0,
            decimals=3,
            suffix=" ms",
            tip="Exposure of the camera",
            parent=self,
        )
        self.z = NumberBox(
            "z", low=-1e5, high=1e5, decimals=2, suffix=" µm", tip="Focus drive", parent=self
        )
        self.z_down = self._step("▼", "Move the focus down by one step ({focus_down})")
        self.z_up = self._step("▲", "Move the focus up by one step ({focus_up})")
        self.z_step = ChoiceBox("zStep", _Z_STEPS_UM, "Step of the focus, in µm", self)
        self.z_step.setCurrentText("0.5")
        self._names = (QLabel("Exposure", self), QLabel("z", self))
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 0, 0)
        exposure_name, z_name = self._names
        for name, buddy in ((exposure_name, self.exposure), (z_name, self.z)):
            name.setProperty("role", "name")
            name.setBuddy(buddy)
        for button in (self.snap, self.live, self.record, self.stop):
            self._row.addWidget(button)
        self._gaps = [self._gap()]
        self._row.addWidget(exposure_name)
        self._row.addWidget(self.exposure)
        self._gaps.append(self._gap())
        for widget in (z_name, self.z, self.z_down, self.z_up, self.z_step):
            self._row.addWidget(widget)

        self._status: RunStatus | None = None
        self._now_s = 0.0
        self._recording_since_s: float | None = None
        self._live_follower: Follower[bool] = Follower()
        self._record_follower: Follower[bool] = Follower()
        self._exposure_followers: defaultdict[str | None, FrameFollower] = defaultdict(
            FrameFollower
        )
        self._z_follower = FrameFollower()
        self._paused_since_s: float | None = None
        self._channel: str | None = None
        self._exposure_shown: float | None = None
        self._z_shown: float | None = None
        self.snap.clicked.connect(lambda: self.command.emit(Snap()))
        self.live.clicked.connect(self._ask_live)
        self.record.clicked.connect(self._ask_record)
        self.stop.clicked.connect(self._ask_stop)
        self.exposure.valueChanged.connect(self._exposure_changed)
        self.z.valueChanged.connect(self._z_changed)
        self.z_down.clicked.connect(lambda: self.step_z(-1))
        self.z_up.clicked.connect(lambda: self.step_z(1))
        self.follow(None, None, 0.0)

    def rescale(self, scale: float) -> None:
        """Fit widths and gaps to a text that is `scale` times the normal size."""
        self._row.setSpacing(round(5 * scale))
        for gap in self._gaps:
            gap.setFixedWidth(round(4 * scale))
        for widget, width in (
            (self.snap, 50),
            (self.live, 48),
            (self.record, 84),
            (self.stop, 52),
            (self.exposure, 84),
            (self.z, 84),
            (self.z_step, 55),
        ):
            widget.setFixedWidth(round(width * scale))

    def follow(
        self,
        header: FrameHeader | None,
        status: RunStatus | None,
        now_s: float,
        channel: str | None = None,
    ) -> None:
        """Show the newest frame's numbers and the run's report at `now_s`.

        `channel` is the one that the frame is of and the exposure is for; None: there is one.
        """
        self._now_s = now_s
        self._channel = channel
        if status is None or status.live:
            self._paused_since_s = None
        elif self._paused_since_s is None:
            self._paused_since_s = now_s
        self._exposure_shown = self._follow_number(
            self.exposure,
            self._exposure_followers[channel],
            header.exposure_ms if header else None,
            header,
        )
        self._z_shown = self._follow_number(
            self.z, self._z_follower, header.z_um if header else None, header
        )
        if status is not None and status.unseen is not None:
            for box in (self.exposure, self.z):
                box.setEnabled(False)
                box.setToolTip(f"{box.accessibleName()}: {_FOLLOWED_TIP}")
        for button in (self.z_down, self.z_up, self.z_step):
            button.setEnabled(self.z.isEnabled())
        self._follow_run(status)

    def step_z(self, direction: int) -> None:
        """Move the focus by `direction` steps from where it was last asked to be."""
        if self.z.isEnabled() and self._z_shown is not None:
            self.z.clearFocus()
            # The box may be behind: it keeps still while one types into it.
            self.z.show_value(self._z_shown)
            self.z.setValue(self._z_shown + direction * float(self.z_step.currentText()))

    def _follow_run(self, status: RunStatus | None) -> None:
        self._watch_recording(status)
        self._status = status
        ended = status is not None and status.state in ("stopped", "failed")
        goes = status is not None and not ended
        live = self._live_follower.value(status.live if status else None, self._now_s)
        recording = self._record_follower.value(
            status.recording is not None if status else None, self._now_s
        )
        self.live.setChecked(bool(live) and not ended)
        self.live.setEnabled(goes)
        self.record.setChecked(bool(recording) and not ended)
        self.record.setEnabled(goes)
        set_key_tip(self.record, self._recording_text(status) if recording else _RECORD_TIP)
        followed = status is not None and status.unseen is not None
        self.snap.setEnabled(goes and not live and not followed)
        tip = _SNAP_OFF_TIP if goes and live else _SNAP_TIP
        set_key_tip(self.snap, _FOLLOWED_TIP if followed else tip)
        set_key_tip(self.live, _FOLLOWED_LIVE_TIP if followed else _LIVE_TIP)
        # Stop is for the moment when something is wrong: greyed only where it has been done.
        self.stop.setEnabled(status is None or (goes and bool(live or recording)))
        set_key_tip(self.stop, "The run has ended" if ended else _STOP_TIP)

    def _watch_recording(self, status: RunStatus | None) -> None:
        before, now = self._status, status
        if now is None or now.recording is None:
            self._recording_since_s = None
        elif before is not None and before.recording != now.recording:
            self._recording_since_s = self._now_s

    def _recording_text(self, status: RunStatus | None) -> str:
        if status is None or status.recording is None:
            return "Recording begins with the next frame ({record}: end it)"
        text = f"Recording: {count_text(status.written)} frames on disk"
        # A view that was opened in mid-run does not know since when.
        if self._recording_since_s is not None:
            seconds = int(self._now_s - self._recording_since_s)
            text += f", {seconds // 60}:{seconds % 60:02d} min"
        return f"{text} ({{record}}: end it)\n{status.recording}"

    def _follow_number(
        self,
        box: NumberBox,
        follower: FrameFollower,
        reported: float | None,
        header: FrameHeader | None,
    ) -> float | None:
        if reported is not None:
            # The box rounds, so the report must be rounded alike to be recognised.
            reported = round(reported, box.decimals())
        value = follower.value(reported, header, self._paused_since_s)
        if value is None:
            box.show_unknown()
        else:
            box.show_value(value)
        box.setToolTip(box.accessibleName() + ("" if value is not None else f": {_NOT_REPORTED}"))
        return value

    def _gap(self) -> QWidget:
        gap = QWidget(self)
        gap.setObjectName("group")
        self._row.addWidget(gap)
        return gap

    def _step(self, text: str, tip: str) -> QPushButton:
        button = QPushButton(text, self)
        button.setObjectName("step")
        set_key_tip(button, tip)
        button.setAutoRepeat(True)
        return button

    def _ask_live(self, on: bool) -> None:
        self._live_follower.ask(on, self._now_s)
        self.command.emit(SetLive(on=on))
        self._follow_run(self._status)

    def _ask_record(self, on: bool) -> None:
        self._record_follower.ask(on, self._now_s)
        self.command.emit(SetRecording(on=on))
        self._follow_run(self._status)

    def _ask_stop(self) -> None:
        if self.record.isChecked():
            self._ask_record(False)
        self._ask_live(False)

    def choose_exposure(self, exposure_ms: float, channel: str | None, before_ms: float) -> None:
        """Set the exposure of `channel` (None: the only one), which can be undone to `before_ms`.

        A source with one channel may name it or not.
        """
        after = round(exposure_ms, self.exposure.decimals())
        own = channel if channel is not None else self._channel
        shown = self._exposure_shown if own == self._channel else None
        self._change_exposure(before_ms if shown is None else shown, after, own)

    def _exposure_changed(self, exposure_ms: float) -> None:
        before, after = self._exposure_shown, round(exposure_ms, self.exposure.decimals())
        self._change_exposure(before, after, self._channel, gathers=True)

    def _change_exposure(
        self, before: float | None, after: float, channel: str | None, *, gathers: bool = False
    ) -> None:
        self._put_exposure(after, channel)
        if before is not None:
            self.changed.emit(
                Change(
                    "exposure" if channel is None else f"exposure of {channel}",
                    before,
                    after,
                    # Undone, it goes back in the channel that it was changed of.
                    lambda value: self._put_exposure(value, channel),
                    "{:g} ms".format,
                    gathers=gathers,
                )
            )

    def _put_exposure(self, exposure_ms: float, channel: str | None) -> None:
        self._exposure_followers[channel].ask(exposure_ms, self._now_s)
        if channel == self._channel:
            self._exposure_shown = exposure_ms
            self.exposure.show_value(exposure_ms)
        self.command.emit(SetExposure(exposure_ms=exposure_ms, channel=channel))

    def _z_changed(self, z_um: float) -> None:
        before, after = self._z_shown, round(z_um, self.z.decimals())
        self._put_z(after)
        if before is not None:
            words = "{:.2f} µm".format
            self.changed.emit(Change("focus z", before, after, self._put_z, words, gathers=True))

    def _put_z(self, z_um: float) -> None:
        self._z_follower.ask(z_um, self._now_s)
        self._z_shown = z_um
        self.z.show_value(z_um)
        self.command.emit(SetZ(z_um=z_um))
