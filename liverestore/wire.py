"""Messages to bytes and back; no socket here.

A message is a list of byte parts: a four-byte prefix (magic, version, kind), a JSON
header, and for images the pixels, C-contiguous in the order of the header. Nothing is
ever unpickled. `docs/wire-format.md` describes it for other programs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from liverestore.errors import Failure
from liverestore.frame import Frame, FrameHeader, PixelDtype, Provenance, Restored
from liverestore.frame_record import storable

__all__ = [
    "MAX_HEADER_BYTES",
    "MAX_IMAGE_BYTES",
    "MAX_PLANES",
    "UNREADABLE",
    "VERSION",
    "Buffer",
    "End",
    "Message",
    "Next",
    "WireError",
    "briefly",
    "check_mark",
    "decode",
    "encode",
]

VERSION = 3
MAX_HEADER_BYTES = 1 << 20
MAX_IMAGE_BYTES = 1 << 30
"""Of one image, and of all planes of a virtual stack together."""
MAX_PLANES = 200
"""Of a virtual stack; with a record each they fit well into a header."""

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding JSON raises; the last for brackets within brackets without end."""
_BRIEF = 200

_MAGIC = b"LR"

Buffer = bytes | memoryview


class WireError(Failure):
    """Bytes that are no message of this version."""


class Next(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A consumer asks for the newest frame, and says what became of the last one."""

    role: str
    """Name of the consumer's slot at the sender, for example "engine"."""
    serial: int
    """Counts the consumer's requests; a repeated request carries the same serial."""
    acknowledges: int | None = None
    """Number of the frame that was received before this request."""
    outcome: Literal["done", "failed"] = "done"


class End(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """No frame will follow."""

    reason: str = ""


class _FramePart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    serial: int
    frame: FrameHeader


class _RestoredPart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    serial: int
    frame: FrameHeader
    shape: tuple[int, int]
    dtype: PixelDtype
    provenance: Provenance


class _RivalPart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    shape: tuple[int, int]
    dtype: PixelDtype
    provenance: Provenance


class _BothPart(_RestoredPart, frozen=True, kw_only=True, forbid_unknown_fields=True):
    rival: _RivalPart


class _StackPart(_RestoredPart, frozen=True, kw_only=True, forbid_unknown_fields=True):
    rival: _RivalPart | None = None
    planes: Annotated[tuple[Provenance, ...], Meta(min_length=1, max_length=MAX_PLANES)]
    """One for each plane, whose pixels have the shape and dtype of the result."""


class _EndPart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    serial: int
    end: End


class Message(msgspec.Struct, frozen=True):
    """An answer to the request `serial`."""

    serial: int
    body: Frame | Restored | End


_NEXT, _FRAME, _RESTORED, _BOTH, _STACK, _END = b"N", b"F", b"R", b"B", b"S", b"E"
_PIXEL_PARTS = {
    _NEXT: (0, 0),
    _FRAME: (1, 1),
    _RESTORED: (2, 2),
    _BOTH: (3, 3),
    _STACK: (3, 3 + MAX_PLANES),
    _END: (0, 0),
}
"""The least and the most; the header of a stack says how many there are."""


def briefly(error: Exception) -> str:
    """Its text in one line of at most 200 characters: it may quote what a stranger sent."""
    text = " ".join(str(error).split())
    return text if len(text) <= _BRIEF else f"{text[:_BRIEF]}..."


def _prefix(kind: bytes) -> bytes:
    return _MAGIC + bytes([VERSION]) + kind


def _bytes_of(pixels: NDArray[np.generic]) -> memoryview:
    # The view as bytes keeps the array alive until the socket has sent it.
    return np.ascontiguousarray(pixels).reshape(-1).view(np.uint8).data


def encode(message: Next | Message) -> list[Buffer]:
    """The parts of `message`; pixels are not copied when they are C-contiguous."""
    if isinstance(message, Next):
        return [_prefix(_NEXT), msgspec.json.encode(message)]
    body = message.body
    if isinstance(body, End):
        return [_prefix(_END), msgspec.json.encode(_EndPart(serial=message.serial, end=body))]
    if isinstance(body, Frame):
        part = _FramePart(serial=message.serial, frame=body.header)
        return [_prefix(_FRAME), msgspec.json.encode(part), _bytes_of(body.pixels)]
    rival = body.rival
    images = [_bytes_of(body.source.pixels), _bytes_of(body.pixels)]
    part_of: dict[str, object] = {
        "serial": message.serial,
        "frame": body.source.header,
        "shape": body.pixels.shape,
        "dtype": body.pixels.dtype.name,
        "provenance": storable(body.provenance),
    }
    kind = _RESTORED
    if rival is not None:
        kind = _BOTH
        part_of["rival"] = {
            "shape": rival.pixels.shape,
            "dtype": rival.pixels.dtype.name,
            "provenance": storable(rival.provenance),
        }
        images.append(_bytes_of(rival.pixels))
    if body.planes:
        kind = _STACK
        part_of["planes"] = [storable(plane.provenance) for plane in body.planes]
        images += [_bytes_of(plane.pixels) for plane in body.planes]
    return [_prefix(kind), msgspec.json.encode(part_of), *images]


def check_mark(parts: Sequence[Buffer]) -> bytes:
    """The kind of the message in `parts`, whose first part may be missing.

    Raises `WireError` where another program, or another version of this one, speaks.
    """
    prefix = bytes(parts[0][:5]) if parts else b""
    if len(prefix) != 4 or prefix[:2] != _MAGIC:
        raise WireError("got a message without the mark of liverestore: another program speaks")
    if prefix[2] != VERSION:
        raise WireError(
            f"got wire format {prefix[2]}, this program speaks {VERSION}: "
            "install the same version of liverestore on both sides"
        )
    return prefix[3:4]


def decode(parts: Sequence[Buffer]) -> Next | Message:
    """The message in `parts`. Pixels alias their part and are read-only.

    Raises `WireError` for anything else than a whole message of this version; nothing
    is allocated before lengths were checked against the header.
    """
    if len(parts) < 2:
        raise WireError(f"got a message of {len(parts)} parts, a prefix and a header are the least")
    kind = check_mark(parts)
    if kind not in _PIXEL_PARTS:
        raise WireError(f"got a message of unknown kind {kind!r}")
    images = parts[2:]
    least, most = _PIXEL_PARTS[kind]
    if not least <= len(images) <= most:
        allowed = f"{least}" if least == most else f"{least} to {most}"
        raise WireError(
            f"got {len(images)} pixel parts, a message of kind {kind.decode()} has {allowed}"
        )
    header = parts[1]
    if len(header) > MAX_HEADER_BYTES:
        raise WireError(f"got a header of {len(header)} bytes, at most {MAX_HEADER_BYTES}")
    try:
        return _assemble(kind, header, images)
    except UNREADABLE as error:
        raise WireError(f"got a header that is not understood: {briefly(error)}") from None


def _assemble(kind: bytes, header: Buffer, images: Sequence[Buffer]) -> Next | Message:
    if kind == _NEXT:
        return msgspec.json.decode(header, type=Next)
    if kind == _END:
        end = msgspec.json.decode(header, type=_EndPart)
        return Message(end.serial, end.end)
    if kind == _FRAME:
        part = msgspec.json.decode(header, type=_FramePart)
        return Message(part.serial, _frame(part.frame, images[0]))
    if kind == _RESTORED:
        return _result(msgspec.json.decode(header, type=_RestoredPart), images)
    if kind == _BOTH:
        both = msgspec.json.decode(header, type=_BothPart)
        return _result(both, images, both.rival)
    stack = msgspec.json.decode(header, type=_StackPart)
    return _result(stack, images, stack.rival, stack.planes)


def _result(
    told: _RestoredPart,
    images: Sequence[Buffer],
    second: _RivalPart | None = None,
    planes: Sequence[Provenance] = (),
) -> Message:
    expected = 2 + (second is not None) + len(planes)
    if len(images) != expected:
        raise WireError(f"got {len(images)} pixel parts, the header tells of {expected}")
    source = _frame(told.frame, images[0])
    pixels = _pixels(images[1], told.shape, told.dtype)
    rival = None
    if second is not None:
        if second.shape != told.shape:
            raise WireError(
                f"got two results of one frame of {told.shape} and {second.shape} pixels, "
                "expected is the same size"
            )
        again = _pixels(images[2], second.shape, second.dtype)
        rival = Restored(again, source, second.provenance)
    parts = images[expected - len(planes) :]
    together = sum(map(len, parts))
    if together > MAX_IMAGE_BYTES:
        raise WireError(f"got virtual planes of {together} bytes, at most {MAX_IMAGE_BYTES}")
    stack = tuple(
        Restored(_pixels(part, told.shape, told.dtype), source, provenance)
        for part, provenance in zip(parts, planes, strict=True)
    )
    return Message(told.serial, Restored(pixels, source, told.provenance, rival, stack))


def _frame(header: FrameHeader, part: Buffer) -> Frame:
    return Frame(_pixels(part, header.shape, header.dtype), header)


def _pixels(part: Buffer, shape: tuple[int, int], dtype: str) -> NDArray[np.generic]:
    height, width = shape
    if height < 1 or width < 1:
        raise WireError(f"got a frame of {height} x {width} pixels, at least 1 x 1")
    expected = height * width * np.dtype(dtype).itemsize
    if expected > MAX_IMAGE_BYTES:
        raise WireError(f"got a frame of {expected} bytes, at most {MAX_IMAGE_BYTES}")
    if len(part) != expected:
        raise WireError(
            f"got {len(part)} bytes of pixels, but {height} x {width} {dtype} is {expected} bytes"
        )
    pixels = np.frombuffer(part, dtype=dtype).reshape(shape)
    pixels.setflags(write=False)
    return pixels
