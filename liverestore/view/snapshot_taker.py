"""Takes snapshots of the window: the images on the screen, and the picture as seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QBuffer, QByteArray, QIODevice
from PySide6.QtGui import QImageWriter

from liverestore.errors import Failure
from liverestore.frame import Restored
from liverestore.view.snapshot import Shot, Snapshot, SnapshotWriter, snapshot_folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from PySide6.QtGui import QImage
    from PySide6.QtWidgets import QWidget

    from liverestore.frame import Frame
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

    def take(
        self, state: DisplayState | None, status: RunStatus | None, stack: Restored | None = None
    ) -> None:
        """Take what `state` shows, and the virtual stack in the panel, that of `stack`."""
        shots = () if state is None else _shots(state, stack)
        if not shots:
            self._warn("no snapshot: there is no image on the screen yet")
            return
        image = self._deck.grab().toImage()
        snapshot = Snapshot(shots, lambda: _png(image))
        folder = snapshot_folder(status) if self._folder is None else self._folder
        self._writer.take(snapshot, folder)

    def step(self) -> None:
        """Tell of the snapshots that ended."""
        for well, text in self._writer.done():
            (self._say if well else self._warn)(text)

    def close(self) -> None:
        """Wait for what is being written."""
        self._writer.close()


def _shots(state: DisplayState, stack: Restored | None) -> tuple[Shot, ...]:
    """The images that `state` shows; of a composite those of every channel in it."""
    composite = state.composite
    if composite is None:
        raw = state.raw_frame
        return () if raw is None else (_shot(state.left.image, state.restored.image, raw, stack),)
    return tuple(
        _shot(left, composite.restored_images.get(name), _raw_of(left), stack)
        for name, left in composite.left_images.items()
    )


def _raw_of(left: Frame | Restored) -> Frame:
    return left.source if isinstance(left, Restored) else left


def _shot(
    left: Frame | Restored | None,
    restored: Frame | Restored | None,
    raw: Frame,
    stack: Restored | None,
) -> Shot:
    made = restored if isinstance(restored, Restored) else None
    if made is not None and made.planes:
        stack = made
    elif stack is not None and stack.source.header.channel != raw.header.channel:
        stack = None
    return Shot(raw, made, left if isinstance(left, Restored) else None, stack)


def _png(image: QImage) -> bytes:
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    writer = QImageWriter(buffer, QByteArray(b"png"))
    # Noise does not compress: trying hard takes seconds at 4K and gains a few per cent.
    writer.setQuality(_FAST)
    if not writer.write(image):
        raise Failure("the picture as seen could not be turned into a PNG; is memory left?")
    return bytes(buffer.data().data())
