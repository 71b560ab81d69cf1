"""Takes snapshots of the window: the images on the screen, and the picture as seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QBuffer, QByteArray, QIODevice
from PySide6.QtGui import QImageWriter

from liverestore.errors import Failure
from liverestore.frame import Restored
from liverestore.view.snapshot import Snapshot, SnapshotWriter, snapshot_folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from PySide6.QtGui import QImage
    from PySide6.QtWidgets import QWidget

    from liverestore.status import RunStatus
    from liverestore.view.display import DisplayState

__all__ = ["SnapshotTaker"]

_FAST = 85
"""0..100 as Qt has it: 100 does not compress at all. The pixels are the same."""


class SnapshotTaker:
    """Grabs `deck` with its overlays at once; the files are written in the background.

    `folder` (default: see `snapshot_folder`) is where they go, `say` is told of every
    snapshot that ended well, `warn` of one that did not: both one line, in `step`.
    """

    def __init__(
        self,
        deck: QWidget,
        *,
        folder: Path | None,
        say: Callable[[str], object],
        warn: Callable[[str], object],
    ) -> None:
        self._deck = deck
        self._folder = folder
        self._say = say
        self._warn = warn
        self._writer = SnapshotWriter()

    def take(self, state: DisplayState | None, status: RunStatus | None) -> None:
        """Take what `state` shows."""
        raw = None if state is None else state.raw_frame
        if state is None or raw is None:
            self._warn("no snapshot: there is no image on the screen yet")
            return
        restored, left = state.restored.image, state.left.image
        image = self._deck.grab().toImage()
        snapshot = Snapshot(
            raw,
            restored if isinstance(restored, Restored) else None,
            left if isinstance(left, Restored) else None,
            lambda: _png(image),
        )
        folder = snapshot_folder(status) if self._folder is None else self._folder
        self._writer.take(snapshot, folder)

    def step(self) -> None:
        """Tell of the snapshots that ended."""
        for well, text in self._writer.done():
            (self._say if well else self._warn)(text)

    def close(self) -> None:
        """Wait for what is being written."""
        self._writer.close()


def _png(image: QImage) -> bytes:
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    writer = QImageWriter(buffer, QByteArray(b"png"))
    # Noise does not compress: trying hard takes seconds at 4K and gains a few per cent.
    writer.setQuality(_FAST)
    if not writer.write(image):
        raise Failure("the picture as seen could not be turned into a PNG; is memory left?")
    return bytes(buffer.data().data())
