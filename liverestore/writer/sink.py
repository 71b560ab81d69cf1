"""The seam between the capture loop and anything that keeps frames."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from liverestore.frame import Frame, Restored

__all__ = ["FrameSink", "SinkReport"]


@dataclass(frozen=True, slots=True)
class SinkReport:
    """What is on disk after `close`."""

    path: Path
    frames: int
    """Frames written."""


class FrameSink(Protocol):
    """Keeps every frame it is given, or says loudly which one it could not keep."""

    def prepare(self, first: Frame | Restored) -> None:
        """Create the file for frames like `first` (which is not written yet)."""
        ...

    def append(self, item: Frame | Restored) -> None:
        """Write one frame with its metadata.

        Raises `Failure`, naming the frame number and the reason (disk full, another
        size than before); frames written so far stay readable.
        """
        ...

    def close(self) -> SinkReport:
        """Flush, close and report; safe to call twice and after a failed `append`."""
        ...
