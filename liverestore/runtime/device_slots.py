"""Frames through a device: buffers made once per frame size, several frames under way.

A slot is one pair of buffers, input and output, with the copies to and from the device and the
computation in between. While one slot computes, the next copies in and the last copies out.
What executes them is behind `SlotEngine`; here is what they all have in common.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from liverestore.camera_model import CameraModel
from liverestore.errors import Failure
from liverestore.model_spec import ModelSpec
from liverestore.normalise import Padding
from liverestore.restore import Whole
from liverestore.runtime.graph_feed import camera_inputs, map_inputs, pixels_of, put_frame
from liverestore.runtime.graph_form import GraphForm, GraphPrecision, Pixels

__all__ = ["DeviceRuntime", "OpenSlots", "SlotEngine", "SlotLayout", "Ticket"]

_SIZES_KEPT = 3
"""Frame sizes and types held ready; a change of ROI to and fro costs nothing."""
_BYTES_LAST = {"uint8": 1, "uint16": 2, "float32": 1}


@dataclass(frozen=True, slots=True)
class SlotLayout:
    """Which graph, and the sizes of its inputs and output."""

    spec: ModelSpec
    form: GraphForm
    outer: tuple[int, int]
    """Padded (Y, X)."""
    planes: int = 1

    @property
    def frame_type(self) -> np.dtype[Any]:
        """Of `raw` and `restored` as the graph sees them."""
        floats = self.form.pixels in ("float32", "stabilised")
        return np.dtype(np.float32 if floats else np.uint8)

    @property
    def raw(self) -> tuple[int, ...]:
        """Shape of the input `raw`."""
        if self.form.pixels == "stabilised":
            return (1, self.spec.channels, *self.outer)
        return (1, *self.outer, _BYTES_LAST[self.form.pixels])

    @property
    def restored(self) -> tuple[int, ...]:
        """Shape of the output `restored`."""
        if self.form.pixels == "stabilised":
            return (1, 1, *self.outer)
        return (self.planes, *self.outer, _BYTES_LAST[self.form.pixels])

    @property
    def shared(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the float32 inputs that stay from frame to frame."""
        if self.form.pixels == "stabilised":
            return {}
        shapes: dict[str, tuple[int, ...]] = {}
        if self.spec.refocuses:
            shapes["waves"] = (self.planes, 1, *self.outer)
        if self.spec.domain == "stabilised":
            shapes |= {"camera": (5,), "inverse": (32769,)}
            if self.form.maps:
                shapes |= {"offset_map": (1, 1, *self.outer), "scale_map": (1, 1, *self.outer)}
        return shapes


class SlotEngine(Protocol):
    """Executes one layout in `count` slots."""

    count: int
    note: str
    """How it runs, for people, such as "CUDA graph"; may be empty."""

    def host_input(self, slot: int) -> NDArray[np.uint8]:
        """Flat bytes of `raw` of a slot, to be written before `launch`."""
        ...

    def host_output(self, slot: int) -> NDArray[np.uint8]:
        """Flat bytes of `restored` of a slot, to be read after `wait`."""
        ...

    def share(self, name: str, values: NDArray[np.float32]) -> None:
        """Set an input that stays; frames under way are finished first."""
        ...

    def launch(self, slot: int) -> None:
        """Begin to restore what lies in the slot's input; returns at once."""
        ...

    def wait(self, slot: int) -> None:
        """Until the slot's output is there. Raises `Failure`."""
        ...

    def close(self) -> None:
        """Free the device; safe to call twice."""
        ...


OpenSlots = Callable[[SlotLayout], SlotEngine]


class _Session:
    """A slot engine, which slots are free, and what it was told last."""

    def __init__(self, layout: SlotLayout, engine: SlotEngine) -> None:
        self.layout = layout
        self.engine = engine
        self.free = list(range(engine.count))
        self.camera: CameraModel | None = None
        self.waves: tuple[NDArray[np.float32], ...] = ()


@dataclass(frozen=True, slots=True)
class Ticket:
    """A frame under way."""

    session: _Session
    slot: int
    shape: tuple[int, int]
    dtype: np.dtype[Any]


class DeviceRuntime:
    """One engine on one device, by single pictures (`infer`) or by whole frames (`submit`).

    The protocol `InferenceRuntime`, and beside it the short way: raw pixels in, restored
    pixels out, all arithmetic on the device.
    """

    def __init__(
        self, spec: ModelSpec, open_slots: OpenSlots, description: str, precision: GraphPrecision
    ) -> None:
        self._spec = spec
        self._open: OpenSlots | None = open_slots
        self._name = description
        self._note = ""
        self._precision = precision
        self._sessions: OrderedDict[tuple[GraphForm, tuple[int, int], int], _Session] = (
            OrderedDict()
        )
        self._out = np.empty((0, 0, 0, 0), np.float32)

    @property
    def spec(self) -> ModelSpec:
        """What the network expects and promises."""
        return self._spec

    @property
    def description(self) -> str:
        """For people and provenance."""
        return f"{self._name}{self._note}"

    @property
    def whole(self) -> Whole:
        """All of restoring, from pixels to pixels; for `restore`."""
        return self.restore_pixels

    def warm_up(self, shape: tuple[int, int], dtype: str = "uint16") -> None:
        """Prepare for whole frames of `shape` (Y, X) and `dtype`, and run once."""
        if dtype not in _BYTES_LAST or self._spec.zoo is not None:
            # Other types are stabilised on the processor.
            outer = self._spec.window(shape)
            self.infer(np.zeros((1, self._spec.channels, *outer), np.float32))
            return
        waves = [np.zeros(shape, np.float32)] if self._spec.refocuses else None
        self.restore_pixels(np.zeros(shape, dtype), CameraModel(0.0, 1.0, 1.0), waves)

    def infer(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, C, Y, X) float32 to (N, 1, Y, X); the result lies in a buffer that is reused."""
        spec = self._spec
        if (
            batch.ndim != 4
            or batch.shape[1] != spec.channels
            or any(n % spec.divisor for n in batch.shape[2:])
        ):
            raise Failure(
                f"engine '{spec.name}' got a batch {batch.shape}; it takes (N, {spec.channels}, "
                f"Y, X) with Y and X multiples of {spec.divisor}"
            )
        outer = (batch.shape[2], batch.shape[3])
        session = self._session(GraphForm("stabilised", self._precision), outer, 1)
        engine = session.engine
        if self._out.shape != (len(batch), 1, *outer):
            self._out = np.empty((len(batch), 1, *outer), np.float32)

        def take(place: int) -> None:
            slot = place % engine.count
            engine.wait(slot)
            self._out[place] = engine.host_output(slot).view(np.float32).reshape(1, *outer)

        for place, picture in enumerate(batch):
            if place >= engine.count:
                take(place - engine.count)
            slot = place % engine.count
            engine.host_input(slot).view(np.float32).reshape(picture.shape)[...] = picture
            engine.launch(slot)
        for place in range(max(0, len(batch) - engine.count), len(batch)):
            take(place)
        return self._out

    def submit(
        self,
        pixels: NDArray[Any],
        camera: CameraModel,
        waves: Sequence[NDArray[np.float32]] | None = None,
    ) -> Ticket:
        """Begin to restore (Y, X) `pixels` of uint8, uint16 or float32; `collect` ends it.

        `camera` has its maps, if any, cut to the frame. `waves`, N times (Y, X) float32, for an
        engine that refocuses: the distances of the planes wanted. They are told from the last
        ones by identity: hand over new arrays for new distances. Raises `Failure` when all
        slots are under way, or the device fails.
        """
        spec = self._spec
        if (waves is not None) != spec.refocuses:
            raise Failure(f"engine '{spec.name}': distances are for engines that refocus, and only")
        outer = spec.padded((pixels.shape[0], pixels.shape[1]))
        form = GraphForm(cast(Pixels, pixels.dtype.name), self._precision, camera.maps is not None)
        session = self._session(form, outer, 1 if waves is None else len(waves))
        if not session.free:
            raise Failure(f"engine '{spec.name}': all of its slots are under way; collect one")
        self._tell(session, camera, waves)
        slot = session.free.pop(0)
        try:
            put_frame(pixels, session.engine.host_input(slot), outer)
            session.engine.launch(slot)
        except BaseException:
            session.free.append(slot)
            raise
        return Ticket(session, slot, (pixels.shape[0], pixels.shape[1]), pixels.dtype)

    def _tell(
        self,
        session: _Session,
        camera: CameraModel,
        waves: Sequence[NDArray[np.float32]] | None,
    ) -> None:
        """Hand on what has changed since the last frame of this session."""
        layout, engine = session.layout, session.engine
        if "camera" in layout.shared and session.camera != camera:
            given = camera_inputs(camera)
            if layout.form.maps:
                given |= map_inputs(camera, layout.outer)
            for name, values in given.items():
                engine.share(name, values)
            session.camera = camera
        known = session.waves
        if waves is not None and (
            len(known) != len(waves) or any(a is not b for a, b in zip(known, waves, strict=True))
        ):
            padding = Padding((waves[0].shape[0], waves[0].shape[1]), layout.outer)
            engine.share("waves", np.stack([padding.pad(plane) for plane in waves])[:, None])
            session.waves = tuple(waves)

    def collect(self, ticket: Ticket) -> NDArray[Any]:
        """The restored frame of `submit`, its own array: (Y, X), or (N, Y, X) of N planes."""
        session, layout = ticket.session, ticket.session.layout
        if ticket.slot in session.free:
            raise Failure(f"engine '{self._spec.name}': this frame was collected before")
        try:
            session.engine.wait(ticket.slot)
            out = session.engine.host_output(ticket.slot).reshape(layout.planes, -1)
            frames = [pixels_of(plane, ticket.shape, layout.outer, ticket.dtype) for plane in out]
            return np.stack(frames) if self._spec.refocuses else frames[0].copy()
        finally:
            session.free.append(ticket.slot)

    def restore_pixels(
        self,
        pixels: NDArray[Any],
        camera: CameraModel,
        waves: Sequence[NDArray[np.float32]] | None = None,
    ) -> NDArray[Any]:
        """`submit` and `collect` in one."""
        return self.collect(self.submit(pixels, camera, waves))

    def _session(self, form: GraphForm, outer: tuple[int, int], planes: int) -> _Session:
        if self._open is None:
            raise Failure(f"engine '{self._spec.name}' is closed")
        key = (form, outer, planes)
        session = self._sessions.get(key)
        if session is None:
            idle = [k for k, s in self._sessions.items() if len(s.free) == s.engine.count]
            while len(self._sessions) >= _SIZES_KEPT and idle:
                self._sessions.pop(idle.pop(0)).engine.close()
            layout = SlotLayout(self._spec, form, outer, planes)
            session = self._sessions[key] = _Session(layout, self._open(layout))
            self._note = f" {session.engine.note}" if session.engine.note else ""
        self._sessions.move_to_end(key)
        return session

    def free_memory(self) -> None:
        """Give back what frame sizes hold that no frame is under way in; they are made anew."""
        idle = [key for key, one in self._sessions.items() if len(one.free) == one.engine.count]
        for key in idle:
            self._sessions.pop(key).engine.close()

    def close(self) -> None:
        """Free the device; safe to call twice."""
        for session in self._sessions.values():
            session.engine.close()
        self._sessions.clear()
        self._open = None
