"""What travels between a run and an engine on another machine: bytes, no socket.

Images are those of `wire`; a result leaves the pixels of its raw frame out, because the side that
asked still has them. Words are JSON under a prefix of the same kind.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from liverestore.frame import Frame, Restored
from liverestore.rig import RigConfig
from liverestore.status import (
    EngineReport,
    Failed,
    Notice,
    SetDpm,
    SetEngine,
    SetLive,
    SetRival,
    SetTrustMap,
    SetZStack,
)
from liverestore.wire import (
    MAX_HEADER_BYTES,
    UNREADABLE,
    VERSION,
    Buffer,
    Message,
    WireError,
    briefly,
    check_mark,
    decode,
    encode,
)

__all__ = [
    "MAX_MAPS_BYTES",
    "Bye",
    "LinkWord",
    "NotRestored",
    "Open",
    "Opened",
    "Ping",
    "Refused",
    "decode_result",
    "decode_word",
    "encode_result",
    "encode_word",
    "is_word",
    "stack_follows",
]

MAX_MAPS_BYTES = 256 << 20
"""Of the file with the camera's maps."""

_FOLLOWS = b"+"
_WORD = b"LR" + bytes([VERSION]) + b"W"
_Name = Annotated[str, Meta(min_length=1, max_length=255)]


class _LinkWord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag=True):
    pass


class Open(_LinkWord, frozen=True, kw_only=True):
    """A run asks for an engine; a part of its own follows with the camera's maps, if any."""

    session: Annotated[str, Meta(min_length=16, max_length=64)]
    """Chosen at random; the same when the run comes back after its connection was lost."""
    rig: RigConfig
    """Without any path: no file of the engine's machine is opened because a run names it."""
    engine: _Name
    engines: dict[str, _Name] = {}
    rival: str | None = None
    dpm: str | None = None
    zstack: str | None = None


class Opened(_LinkWord, frozen=True, kw_only=True):
    """The engines are loaded; frames may come."""


class Refused(_LinkWord, frozen=True, kw_only=True):
    """Not now; ask again."""

    reason: str


class NotRestored(_LinkWord, frozen=True, kw_only=True):
    """There will be no result of this frame."""

    number: int


class Ping(_LinkWord, frozen=True, kw_only=True):
    """The run is still there."""


class Bye(_LinkWord, frozen=True, kw_only=True):
    """The run, or the server, ends."""


LinkWord = (
    Open
    | Opened
    | Refused
    | NotRestored
    | Ping
    | Bye
    | EngineReport
    | Notice
    | Failed
    | SetEngine
    | SetRival
    | SetDpm
    | SetZStack
    | SetTrustMap
    | SetLive
)
_DECODER: msgspec.json.Decoder[LinkWord] = msgspec.json.Decoder(LinkWord)


class _Number(msgspec.Struct, frozen=True):
    number: int


class _Head(msgspec.Struct, frozen=True):
    frame: _Number


def encode_word(word: LinkWord, *more: Buffer) -> list[Buffer]:
    """The parts of `word`."""
    return [_WORD, msgspec.json.encode(word), *more]


def is_word(parts: Sequence[Buffer]) -> bool:
    """Whether `parts` are a word, not an image."""
    return bool(parts) and bytes(parts[0][:5]) == _WORD


def decode_word(parts: Sequence[Buffer]) -> LinkWord:
    """The word in `parts`, without what follows it. Raises `WireError`."""
    check_mark(parts)
    if not is_word(parts) or not 2 <= len(parts) <= 3:
        raise WireError(f"got {len(parts)} parts that are no word of this version")
    if len(parts[1]) > MAX_HEADER_BYTES:
        raise WireError(f"got a word of {len(parts[1])} bytes, at most {MAX_HEADER_BYTES}")
    try:
        word = _DECODER.decode(parts[1])
    except UNREADABLE as error:
        raise WireError(
            f"got a word that is not understood ({briefly(error)}): "
            "install the same version of liverestore on both sides"
        ) from None
    if len(parts) == 3 and not isinstance(word, Open):
        raise WireError("got a word with a part too many")
    if len(parts) == 3 and len(parts[2]) > MAX_MAPS_BYTES:
        raise WireError(f"got camera maps of {len(parts[2])} bytes, at most {MAX_MAPS_BYTES}")
    return word


def encode_result(result: Restored, *, follows: bool = False) -> list[Buffer]:
    """The parts of `result`, that of its raw frame empty, or a "+" where its stack `follows`."""
    parts = encode(Message(0, result))
    parts[2] = _FOLLOWS if follows else b""
    return parts


def stack_follows(parts: Sequence[Buffer]) -> bool:
    """Whether the result in `parts` will come again, with its virtual stack."""
    return len(parts) > 2 and bytes(parts[2][:2]) == _FOLLOWS


def decode_result(
    parts: Sequence[Buffer], find: Callable[[int], Frame | None], received_ns: int
) -> Restored | None:
    """The result in `parts` of a frame that `find` has, on the clock of this machine.

    The two machines' clocks have nothing to do with each other. So the last moment of restoring
    is set to `received_ns`, and all others keep their distance from it: the way to the engine and
    back counts as time that the frame waited. None where `find` no longer has the frame. Raises
    `WireError`.
    """
    check_mark(parts)
    no_pixels = len(parts) >= 4 and (not len(parts[2]) or stack_follows(parts))
    if not no_pixels or len(parts[1]) > MAX_HEADER_BYTES:
        raise WireError(f"got {len(parts)} parts that are no result of an engine")
    try:
        number = msgspec.json.decode(parts[1], type=_Head).frame.number
    except UNREADABLE as error:
        raise WireError(f"got a header that is not understood: {briefly(error)}") from None
    frame = find(number)
    if frame is None:
        return None
    raw = encode(Message(0, frame))[2]
    message = decode([parts[0], parts[1], raw, *parts[3:]])
    made = message.body if isinstance(message, Message) else None
    if not isinstance(made, Restored):
        raise WireError("got an image that is no result of an engine")
    if made.pixels.shape != frame.pixels.shape or made.pixels.dtype != frame.pixels.dtype:
        raise WireError(
            f"got a result of {made.pixels.shape} {made.pixels.dtype} pixels for a frame of "
            f"{frame.pixels.shape} {frame.pixels.dtype}"
        )
    every = [made, *made.planes, *([] if made.rival is None else [made.rival])]
    shift_ns = received_ns - max(one.provenance.finished_ns for one in every)
    return _moved(made, frame, shift_ns)


def _moved(made: Restored, source: Frame, shift_ns: int) -> Restored:
    provenance = msgspec.structs.replace(
        made.provenance,
        started_ns=made.provenance.started_ns + shift_ns,
        finished_ns=made.provenance.finished_ns + shift_ns,
    )
    return dataclasses.replace(
        made,
        source=source,
        provenance=provenance,
        rival=None if made.rival is None else _moved(made.rival, source, shift_ns),
        planes=tuple(_moved(plane, source, shift_ns) for plane in made.planes),
    )
