"""The pipeline as `live` runs it, frame by frame, with a clock at the door of every stage."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liverestore.camera_model import CameraModel
from liverestore.frame import Frame, FrameHeader, Restored
from liverestore.model_spec import ModelSpec
from liverestore.optics import Optics
from liverestore.restore import restore
from liverestore.runtime.base import InferenceRuntime, whole_of
from liverestore.runtime.device_slots import DeviceRuntime, Ticket
from liverestore.runtime.sparing import SparingRuntime
from liverestore.speed.race import Contender
from liverestore.speed.records import Timing

__all__ = ["CAMERA", "OPTICS", "Overlapped", "Pipeline", "counts", "frame_of"]

CAMERA = CameraModel(100.0, 0.5, 1.5)
OPTICS = Optics(0.8, 550.0, 1.0, 1.33, 0.325)
"""For engines that refocus; any optics take the same time."""
_FRAMES = 4
"""Different ones, so that nothing can be kept from the last."""
_UNDER_WAY = 3


def counts(shape: tuple[int, int], number: int = 0) -> NDArray[np.uint16]:
    """A (Y, X) frame of 5 to 60 photoelectrons as `CAMERA` gives it, by `number`."""
    rng = np.random.default_rng(number)
    light = 30 + 25 * np.sin(np.arange(shape[1]) / 9 + number)
    return (rng.poisson(light, shape) / CAMERA.gain_e_per_count + 100).astype(np.uint16)


def frame_of(pixels: NDArray[Any], number: int = 0, captured_ns: int = 0) -> Frame:
    """`pixels` with the header of a camera that says nothing more."""
    height, width = pixels.shape
    header = FrameHeader(
        run_id="bench",
        number=number,
        shape=(height, width),
        dtype=pixels.dtype.name,  # type: ignore[arg-type]
        captured_ns=captured_ns,
        captured_utc="",
        camera="",
    )
    return Frame(pixels, header)


class Pipeline:
    """`restore` with one runtime; its time by stages.

    The stages are those of `SpeedRow.stages`. `runtime` is closed with it.
    """

    def __init__(
        self,
        spec: ModelSpec,
        runtime: InferenceRuntime,
        shape: tuple[int, int],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.spec = spec
        self.runtime = runtime
        self.contender = Contender("pipeline", self.run, runtime.close, self._watch)
        self._clock = clock
        self._frames = [frame_of(counts(shape, k), k) for k in range(_FRAMES)]
        self._next = 0
        self._dpm = 0.0 if spec.refocuses else None
        self._optics = OPTICS if spec.refocuses else None
        inner = runtime.inner if isinstance(runtime, SparingRuntime) else runtime
        self._device = inner if isinstance(inner, DeviceRuntime) else None
        self._short = whole_of(runtime)
        self._marks: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
        self._timing = False
        self._stages: dict[str, list[float]] = {"in": [], "compute": [], "out": [], "around": []}
        runtime.warm_up(shape)
        self.run()

    def _watch(self, timed: bool) -> None:
        self._timing = timed

    def run(self) -> None:
        """One frame; the frames of a turn that are not timed leave no stages."""
        frame = self._frames[self._next % _FRAMES]
        self._next += 1
        clock = self._clock
        before = clock()
        self._restored(frame)
        after = clock()
        entered, computing, computed, left = self._marks
        if self._device is None:
            # Everything before the network is its way in, everything behind it its way out.
            spans = (computing - before, computed - computing, after - computed, 0.0)
        else:
            spans = (
                computing - entered,
                computed - computing,
                left - computed,
                (entered - before) + (after - left),
            )
        if self._timing:
            for name, span in zip(self._stages, spans, strict=True):
                self._stages[name].append(span)

    def _restored(self, frame: Frame) -> Restored:
        return restore(
            frame,
            self.spec,
            self._infer,
            CAMERA,
            self._dpm,
            optics=self._optics,
            whole=None if self._short is None else self._whole,
            runtime=self.runtime.description,
        )

    def _infer(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        before = self._clock()
        made = self.runtime.infer(batch)
        self._marks = (before, before, self._clock(), 0.0)
        return made

    def _whole(
        self,
        pixels: NDArray[Any],
        camera: CameraModel,
        waves: Sequence[NDArray[np.float32]] | None,
    ) -> NDArray[Any] | None:
        device, clock = self._device, self._clock
        entered = clock()
        if device is None:
            assert self._short is not None, "this is asked for where there is a short way"
            whole = self._short(pixels, camera, waves)
            self._marks = (entered, entered, clock(), 0.0)
            return whole
        ticket = device.submit(pixels, camera, waves)
        launched = clock()
        ticket.session.engine.wait(ticket.slot)
        computed = clock()
        made = device.collect(ticket)
        self._marks = (entered, launched, computed, clock())
        return made

    def stages(self) -> dict[str, Timing]:
        """Of the timed frames; a stage that takes no time is left out."""
        found = {name: Timing.of(spans) for name, spans in self._stages.items() if any(spans)}
        return {name: timing for name, timing in found.items() if timing is not None}


class Overlapped:
    """A device with three frames under way: one copied in, one computed, one copied out.

    `run` hands in a frame and takes out the one that was handed in two before.
    """

    def __init__(self, device: DeviceRuntime, shape: tuple[int, int]) -> None:
        self._device = device
        self._frames = [counts(shape, k) for k in range(_FRAMES)]
        self._waves = [np.zeros(shape, np.float32)] if device.spec.refocuses else None
        self._under_way: deque[Ticket] = deque()
        self._next = 0
        self.contender = Contender("overlapped", self.run, self.close)

    def run(self) -> None:
        """One frame in and, once the device is full, one out."""
        frame = self._frames[self._next % _FRAMES]
        self._next += 1
        self._under_way.append(self._device.submit(frame, CAMERA, self._waves))
        if len(self._under_way) >= min(_UNDER_WAY, self._slots()):
            self._device.collect(self._under_way.popleft())

    def _slots(self) -> int:
        return self._under_way[0].session.engine.count

    def close(self) -> None:
        """Take out what is still under way."""
        while self._under_way:
            self._device.collect(self._under_way.popleft())
