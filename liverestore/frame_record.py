"""What a file of this program keeps of each frame besides its pixels."""

from __future__ import annotations

import contextlib
import math
import zlib
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from liverestore.errors import UserError
from liverestore.frame import Frame, FrameHeader, Provenance, Restored

__all__ = [
    "RECORDS_NAME",
    "RECORD_TAG",
    "RECORD_VERSION",
    "FrameRecord",
    "crc32",
    "decode_record",
    "record_of",
    "storable",
]

RECORD_TAG = 65000
"""TIFF tag (ASCII, JSON) of every page that this program writes."""
RECORDS_NAME = "frames.jsonl"
"""File in the folder of a Zarr array: one `FrameRecord` a line, in the order of the frames."""
RECORD_VERSION = 1


class FrameRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The header of one stored frame, the checksum of its pixels and what made them.

    Stored as one line of JSON: in TIFF tag 65000 of the frame's own page, in OME-Zarr as
    one line of `frames.jsonl` beside the chunks (docs/files.md). `version` goes up when an
    older program could no longer read it.
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
        header, provenance = item.source.header, storable(item.provenance)
    else:
        header, provenance = item.header, None
    return FrameRecord(
        version=RECORD_VERSION,
        index=index,
        crc32=crc32(item.pixels),
        header=header,
        provenance=provenance,
    )


class _Version(msgspec.Struct):
    version: int


def decode_record(data: bytes | str, place: str) -> FrameRecord:
    """The record stored as `data`. Raises `UserError` naming `place` where it is damaged
    or was written by a newer version of this program.
    """
    # The last for brackets within brackets without end.
    unreadable = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
    try:
        return msgspec.json.decode(data, type=FrameRecord)
    except unreadable as error:
        with contextlib.suppress(*unreadable):
            version = msgspec.json.decode(data, type=_Version).version
            if version > RECORD_VERSION:
                raise UserError(
                    f"{place}: got a record of version {version}, known here are versions up to "
                    f"{RECORD_VERSION}; update with: pip install --upgrade liverestore"
                ) from error
        raise UserError(
            f"{place}: the record is damaged ({error}); copy the file again from where it was "
            "recorded"
        ) from error


def storable(provenance: Provenance) -> Provenance:
    """`provenance` as JSON can hold it, which has no NaN and no infinity: text instead ("nan")."""
    if all(not isinstance(v, float) or math.isfinite(v) for v in provenance.parameters.values()):
        return provenance
    parameters = {
        key: str(value) if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in provenance.parameters.items()
    }
    return msgspec.structs.replace(provenance, parameters=parameters)
