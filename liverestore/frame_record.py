"""What a file of this program keeps of each frame besides its pixels."""

from __future__ import annotations

import math
import zlib
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from liverestore.frame import Frame, FrameHeader, Provenance, Restored

__all__ = ["RECORD_TAG", "RECORD_VERSION", "FrameRecord", "crc32", "record_of"]

RECORD_TAG = 65000
"""TIFF tag (ASCII, JSON) of every page that this program writes."""
RECORD_VERSION = 1


class FrameRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The header of one stored frame, the checksum of its pixels and what made them.

    Stored as one line of JSON: in TIFF tag 65000 of the frame's own page, in OME-Zarr as
    one line of `frames.jsonl` beside the chunks. Unknown keys of a newer version are
    skipped, so that old programs read new files.
    """

    version: int
    index: int
    """Position in the file, from 0."""
    crc32: int
    """CRC-32 (zlib) of the pixels as little-endian bytes in (Y, X) order."""
    header: FrameHeader
    """Of the camera frame; a restored frame keeps the header of its raw frame."""
    provenance: Provenance | None = None
    """What restored the pixels; None for raw frames."""


def crc32(pixels: NDArray[Any]) -> int:
    """CRC-32 (zlib, as in PNG and zip) of `pixels` (Y, X) as little-endian bytes."""
    little = pixels.astype(pixels.dtype.newbyteorder("<"), copy=False)
    return zlib.crc32(np.ascontiguousarray(little).data)


def record_of(item: Frame | Restored, index: int) -> FrameRecord:
    """The record of `item`, stored at `index` of its file."""
    if isinstance(item, Restored):
        header, provenance = item.source.header, _storable(item.provenance)
    else:
        header, provenance = item.header, None
    return FrameRecord(
        version=RECORD_VERSION,
        index=index,
        crc32=crc32(item.pixels),
        header=header,
        provenance=provenance,
    )


def _storable(provenance: Provenance) -> Provenance:
    """JSON has no NaN and no infinity; as text ("nan", "inf") they survive."""
    parameters = {
        key: str(value) if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in provenance.parameters.items()
    }
    return msgspec.structs.replace(provenance, parameters=parameters)
