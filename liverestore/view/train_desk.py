"""Training from the window: frames are gathered, a process learns, the user decides."""

from __future__ import annotations

import importlib.util
import os
import shutil
from datetime import datetime
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject

from liverestore.paths import file_name, user_cache, user_data
from liverestore.view.frame_keeper import FrameKeeper
from liverestore.view.train_tool import TrainTool
from liverestore.view.trainer_child import TrainerChild

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

    from liverestore.rig import CameraConfig
    from liverestore.status import RunStatus
    from liverestore.view.display import DisplayState
    from liverestore.view.drawer import ToolDrawer
    from liverestore.view.engine_controls import EngineControls

__all__ = ["TrainDesk"]

_NAME = "Train"
_LEAST_FRAMES = 16
_MOST_SHORT_NAME = 24
_NEEDED = ("torch", "onnx", "bioimageio.spec")


def _why_not() -> str:
    """Why no training can start here, with the remedy; empty where it can."""
    for name in _NEEDED:
        try:
            there = importlib.util.find_spec(name) is not None
        except ModuleNotFoundError:
            there = False
        if not there:
            return f"{name} is not installed: pip install 'liverestore[train]'"
    return ""


class TrainDesk(QObject):
    """Owns the tool. Frames are kept only while it is shown and nothing is being learned."""

    def __init__(
        self,
        drawer: ToolDrawer,
        engines: EngineControls,
        title: str,
        camera: CameraConfig | None,
        parent: QWidget,
    ) -> None:
        super().__init__(parent)
        self.tool = TrainTool(parent)
        self._engines, self._camera = engines, camera
        # "liverestore - the rig"
        self._rig = title.split(" - ", 1)[-1]
        self._keeper = FrameKeeper()
        self._child: TrainerChild | None = None
        self._made: str | None = None
        self._in_use: str | None = None
        self._minutes = 0.0
        self._share, self._word, self._trouble = 0.0, "", ""
        self._asking = False
        self._why_not: str | None = None
        drawer.add_tool(_NAME, self.tool)
        self.tool.start.connect(self._start)
        self.tool.cancel.connect(self._cancel)
        self.tool.use.connect(self._use)
        self.tool.compare.connect(self._compare)
        self.tool.discard.connect(self._discard)

    def follow(self, state: DisplayState, status: RunStatus | None) -> None:
        """Keep the newest frame, and show how the training goes."""
        self._listen()
        if not self.tool.isVisible() or self._child is not None or self._asking:
            self._keeper.clear()
        elif state.raw_frame is not None:
            self._keeper.add(state.raw_frame)
        if self._child is None and not self._asking and self.tool.isVisible():
            self._show_idle(status)

    def close(self) -> None:
        """End a training that goes on."""
        if self._child is not None:
            self._child.close()
            self._child = None

    def _show_idle(self, status: RunStatus | None) -> None:
        if self._why_not is None:
            self._why_not = _why_not()
        reason = self._why_not
        if not reason and len(self._keeper) < _LEAST_FRAMES:
            reason = "gathering frames" if status is None or status.live else "paused: go live"
        self.tool.show_idle(len(self._keeper), _LEAST_FRAMES, reason)
        if self._trouble:
            self.tool.show_trouble(self._trouble)

    def _start(self) -> None:
        frames = self._keeper.frames()
        if self._child is not None or len(frames) < _LEAST_FRAMES:
            return
        self._in_use = self._engines.engine_of(self._engines.channel)
        self._minutes = float(self.tool.minutes.currentText())
        now = datetime.now().astimezone()
        name = "".join(c if c.isalnum() else "-" for c in self._rig[:_MOST_SHORT_NAME])
        name = "-".join(part for part in (*name.split("-"), f"{now:%m%d-%H%M%S}") if part)
        name = _free_name(name)
        # The card calls the frames by the name of this file.
        rig = file_name(self._rig).replace("%20", " ").replace("%2C", ",").replace("%3A", "")
        told = f"{len(frames)} frames of {rig}, {now:%Y-%m-%d}.ome.tif"
        scratch = user_cache() / "training" / f"{name}-{os.getpid()}-frames"
        call = ["train", "beside-live", str(scratch / told)]
        call += ["--name", name, "--seconds", f"{60 * self._minutes:g}", "--child"]
        if self._in_use is not None:
            call += ["--against", self._in_use]
        self._share, self._word, self._trouble = 0.0, "starting", ""
        numbers = self._camera_numbers()
        if numbers:
            call += ["--camera", numbers]
        self._child = TrainerChild(frames, scratch / told, call)
        self._show_progress()

    def _camera_numbers(self) -> str:
        """Offset, gain and read noise as the command takes them; empty where one is missing."""
        camera = self._camera
        if camera is None:
            return ""
        known = (camera.offset_counts, camera.gain_e_per_count, camera.read_noise_e)
        return "" if None in known else ",".join(f"{number:g}" for number in known)

    def _listen(self) -> None:
        if self._child is None:
            return
        for word in self._child.said():
            self._share = float(word.get("progress", self._share))
            self._word = str(word.get("say", self._word))
            if "engine" in word:
                self._child = None
                self._offer(word)
                return
            if "failed" in word or "cancelled" in word:
                self._trouble = str(word.get("failed", ""))
                self._child = None
                return
        self._show_progress()

    def _show_progress(self) -> None:
        left = (1 - self._share) * self._minutes
        rest = f"{left:.1f} min left" if self._share > 0 else "preparing"
        self.tool.show_progress(self._share, f"{rest} \u00b7 {self._word}")

    def _offer(self, word: dict[str, Any]) -> None:
        """Ask what to do with the engine that was made."""
        self._made, self._asking = str(word["engine"]), True
        self._engines.offer(self._made)
        old, nearer, error = word["old"], word["nearer"], word["nearer_error"]
        better = nearer is not None and error is not None and nearer > 2 * error
        lines = [f"new {word['new']:.3f}"]
        if old is not None:
            lines.append(f"{self._in_use} {old:.3f}")
        lines.append(f"raw {word['raw']:.3f}")
        scores = (
            " \u00b7 ".join(lines),
            f"Squared distance to the next raw frame, over its noise, in {word['frames']} frames "
            "that were not learned from: 1 is the least. Blind to a pattern that stays.",
        )
        self.tool.show_result(_capital(str(word["verdict"])), scores, better=better)

    def _use(self) -> None:
        if self._made is not None:
            self._engines.choose(self._made, self._engines.channel)
        self._done()

    def _compare(self) -> None:
        if self._made is not None:
            self._engines.compare_with(self._made)

    def _discard(self) -> None:
        channel = self._engines.channel
        if self._made is not None:
            if self._in_use is not None and self._engines.engine_of(channel) == self._made:
                self._engines.choose(self._in_use, channel)
            self._engines.withdraw(self._made)
            shutil.rmtree(user_data() / "engines" / self._made, ignore_errors=True)
        self._done()

    def _done(self) -> None:
        self._made, self._asking = None, False
        self.tool.show_idle(0, _LEAST_FRAMES, "gathering frames")

    def _cancel(self) -> None:
        if self._child is not None:
            self._child.cancel()
            self._word = "ending"


def _free_name(name: str) -> str:
    """`name`, numbered where an engine made within the same second has it."""
    engines, tries = user_data() / "engines", 1
    free = name
    while (engines / free).exists():
        tries += 1
        free = f"{name}-{tries}"
    return free


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
