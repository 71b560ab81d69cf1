"""Good messages, for whoever makes bad ones of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np

from liverestore.frame import Frame, FrameHeader, FrameLight, Provenance, Restored
from liverestore.remote_wire import Open, Ping, encode_result, encode_word
from liverestore.rig import CameraConfig, RigConfig, SourceConfig
from liverestore.status import Notice, RunStatus, SetEngine, SetRoi
from liverestore.wire import Buffer, End, Message, Next, encode

__all__ = [
    "CONTROL",
    "DEEP",
    "INSANE",
    "LINK",
    "RESULT",
    "RESULTS",
    "SEEDS",
    "WORDS",
    "places",
    "put",
]

Parts = list[bytes]


def _result() -> Restored:
    light = FrameLight(
        on_ms=1.0, irradiance_mw_cm2=None, dose_j_cm2=None, field=1, field_dose_j_cm2=None,
        session_dose_j_cm2=None, session_began_utc="",
    )  # fmt: skip
    header = FrameHeader(
        run_id="r", number=3, shape=(4, 6), dtype="uint16", captured_ns=5, captured_utc="",
        camera="c", roi=(0, 0, 6, 4), light=light, metadata={"a": "b"},
    )  # fmt: skip
    source = Frame(np.arange(24, dtype=np.uint16).reshape(4, 6), header)
    told = Provenance(
        engine="e", version="1", sha256="", runtime="r", parameters={"a": 1, "b": 0.5, "c": "x"},
        started_ns=1, finished_ns=2, warnings=("w",),
    )  # fmt: skip
    return Restored(source.pixels, source, told)


def _bytes(parts: list[Buffer]) -> Parts:
    return [bytes(part) for part in parts]


RESULT = _result()
_both = Restored(RESULT.pixels, RESULT.source, RESULT.provenance, RESULT)
_stack = Restored(RESULT.pixels, RESULT.source, RESULT.provenance, None, (RESULT, RESULT))
_bodies = (RESULT.source, RESULT, _both, _stack, End(reason="over"))
SEEDS = [
    _bytes(encode(Next(role="view", serial=1, acknowledges=0))),
    *(_bytes(encode(Message(1, body))) for body in _bodies),
]
"""Of the frame link."""
RESULTS = [_bytes(encode_result(RESULT))]
"""Of an engine on another machine, for `RESULT`'s frame."""
_rig = RigConfig(
    name="far",
    source=SourceConfig(kind="simulated"),
    camera=CameraConfig(offset_counts=100.0, gain_e_per_count=0.5, read_noise_e=1.4),
)
WORDS = (
    Open(session="s" * 32, rig=_rig, engine="mean5", engines={"a": "b"}, dpm="2"),
    Ping(), Notice(text="t"), SetEngine(name="mean5"),
)  # fmt: skip
LINK = [_bytes(encode_word(word)) for word in WORDS]
"""Words to a server of engines."""
CONTROL = [
    [b"", msgspec.json.encode(word)]
    for word in (SetRoi(roi=(1, 2, 3, 4)), RunStatus(state="running", rig="r"))
]
"""Words of the control channel."""

DEEP = b"[" * 20_000 + b"]" * 20_000
INSANE: list[Any] = [
    None, True, -1, 0, 2**31, 2**63, -(2**63) - 1, 10**40, 1e308, -0.0, "", "x" * 5000, "\0",
    "../../etc/passwd", [], [[]], [1] * 300, {}, {"a": {}}, [2**31, 2**31], [-1, -1], [0, 6],
    "float64", "object", "<U1",
]  # fmt: skip
"""Well formed, and where they stand without any sense."""


def places(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a tree of JSON."""
    yield path
    if isinstance(tree, dict | list):
        for key, child in tree.items() if isinstance(tree, dict) else enumerate(tree):
            yield from places(child, (*path, key))


def put(tree: Any, path: tuple[Any, ...], value: Any) -> Any:
    """`tree` with `value` at the place `path`."""
    if not path:
        return value
    here = dict(tree) if isinstance(tree, dict) else list(tree)
    here[path[0]] = put(here[path[0]], path[1:], value)
    return here
