"""Frames as pages of one TIFF file, each with its own record, whole at every moment."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import tifffile
from numpy.typing import NDArray

from liverestore.frame_record import RECORD_TAG
from liverestore.writer.layout import RECORDING, Layout
from liverestore.writer.ome_xml import ome_xml
from liverestore.writer.summary import RunSummary
from liverestore.writer.tiff_patch import end_chain, set_description

__all__ = ["TiffPages"]

_UNFINISHED = "liverestore: not closed; every page is complete and has its record in tag 65000"
_BIG_FROM_BYTES = 3_500_000_000
"""Classic TIFF ends at 4 GiB; ImageJ itself opens only classic TIFF."""


class TiffPages:
    """An OME-TIFF under construction.

    Each page is written at once with its own directory and record, so that a killed
    process leaves a readable stack. The OME-XML describes all pages and can only be
    written by `close`; until then the first page's description says so.
    """

    def __init__(
        self,
        path: Path,
        layout: Layout,
        frame_shape: tuple[int, int],
        dtype: str,
        summary: RunSummary,
        software: str,
    ) -> None:
        """Create `path`; raises FileExistsError where something is there already."""
        self.path = path
        self._layout = layout
        self._frame_shape = frame_shape
        self._dtype = dtype
        self._summary = summary
        self._software = software
        frame_bytes = frame_shape[0] * frame_shape[1] * (4 if dtype == "float32" else 2)
        count = layout.frame_count
        self._big = count is None or count * (frame_bytes + 8192) > _BIG_FROM_BYTES
        # Handed to the writer opened, so that a failed write can be undone below it.
        self._file: BinaryIO = path.open("x+b")
        self._writer = tifffile.TiffWriter(self._file, bigtiff=self._big, ome=False, shaped=False)
        self._end = self._file.tell()
        self._broken = False

    def write(self, pixels: NDArray[Any], record: bytes) -> None:
        """Append one page; raises OSError, after which the pages before are whole."""
        per_cm = 1e4 / self._summary.pixel_size_um if self._summary.pixel_size_um else None
        try:
            self._writer.write(
                pixels,
                contiguous=False,
                metadata=None,
                photometric="minisblack",
                description=_UNFINISHED if self._summary.frames == 0 else None,
                resolution=None if per_cm is None else (per_cm, per_cm),
                resolutionunit=None if per_cm is None else "CENTIMETER",
                software=self._software,
                extratags=[(RECORD_TAG, 2, 0, record, True)],
            )
            self._file.flush()
        except OSError:
            self._undo()
            raise
        self._end = self._file.tell()

    def close(self) -> None:
        """Write the OME-XML and close; raises OSError where there is no room for it."""
        if not self._broken:
            self._writer.close()
            self._file.close()
        if self._summary.frames:
            layout = self._layout
            if layout.frame_count is None and self._summary.frames % layout.group:
                # The last turn is not complete: as a plain series no frame is made up.
                layout = RECORDING
            xml = ome_xml(layout, self._frame_shape, self._dtype, self._summary, self._software)
            # Not by tifffile, which points the tag at the text before it has room for it.
            with self.path.open("r+b", buffering=0) as file:
                set_description(file, self._big, xml)

    def _undo(self) -> None:
        """Cut the file after its last whole page and end the chain of pages there."""
        self._broken = True
        with suppress(OSError):
            # Its buffer may hold bytes that found no room a moment ago.
            self._file.close()
        with self.path.open("r+b") as file:
            file.truncate(self._end)
            end_chain(file, self._big, self._end)
