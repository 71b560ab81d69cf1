"""The last raw frames that came to the view, bounded in number and bytes, to learn from."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from liverestore.writer.ome import OmeSink

if TYPE_CHECKING:
    from pathlib import Path

    from liverestore.frame import Frame

__all__ = ["FrameKeeper", "write_frames"]

_MOST_FRAMES = 64
_MOST_BYTES = 256 * 2**20


class FrameKeeper:
    """Keeps frames of one channel, size and exposure; another one begins anew.

    Frames are kept as they came, not copied.
    """

    def __init__(self, most_frames: int = _MOST_FRAMES, most_bytes: int = _MOST_BYTES) -> None:
        self._most_frames, self._most_bytes = most_frames, most_bytes
        self._kept: deque[Frame] = deque()

    def add(self, frame: Frame) -> None:
        """Keep `frame`, unless it is the newest one already, and let the oldest go."""
        if self._kept:
            last = self._kept[-1].header
            if (frame.header.run_id, frame.header.number) == (last.run_id, last.number):
                return
            if _kind(frame) != _kind(self._kept[-1]):
                self._kept.clear()
        self._kept.append(frame)
        most = max(1, min(self._most_frames, self._most_bytes // frame.pixels.nbytes))
        while len(self._kept) > most:
            self._kept.popleft()

    def __len__(self) -> int:
        return len(self._kept)

    def frames(self) -> tuple[Frame, ...]:
        """What is kept, oldest first."""
        return tuple(self._kept)

    def clear(self) -> None:
        """Let go of all."""
        self._kept.clear()


def _kind(frame: Frame) -> tuple[object, ...]:
    header = frame.header
    return (header.shape, header.dtype, header.channel, header.exposure_ms, header.roi)


def write_frames(frames: tuple[Frame, ...], path: Path) -> None:
    """Write `frames` to the .ome.tif `path`.

    Raises `UserError` for a folder that cannot be written to and `Failure` for a full disk.
    """
    sink = OmeSink(path, on_existing="refuse", expected_frames=len(frames))
    try:
        for frame in frames:
            sink.append(frame)
    finally:
        sink.close()
