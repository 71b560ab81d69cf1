"""The simulated microscope as a Micro-Manager camera and focus drive behind a real core.

pymmcore-plus lets a core hold devices written in Python beside Micro-Manager's own. Such
a core is given the snake_case names of pycromanager and handed to it, so that frames of
the specimen take the way of every other camera: sequence, ring, pop with metadata.
"""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pymmcore
from mmpycorex.launcher import _PYMMCORES
from numpy.typing import DTypeLike, NDArray
from pycromanager import Core
from pymmcore_plus.experimental.unicore.devices._camera import CameraDevice
from pymmcore_plus.experimental.unicore.devices._stage import StageDevice, XYStageDevice
from pymmcore_plus.experimental.unicore.devices._state import StateDevice

from liverestore.camera.instrument import SimulatedMicroscope
from liverestore.camera.micromanager import MicroManagerSource
from liverestore.camera.mm_core import release_core
from liverestore.camera.mm_return import LoadedCamera
from liverestore.camera.python_core import QuickShutter, new_core
from liverestore.camera.roi import Roi, check_roi
from liverestore.errors import Failure, UserError
from liverestore.rig import RigConfig
from liverestore.specimen import STAINS, pixel_dtype

__all__ = ["SimulatedCoreSource"]

CAMERA, FOCUS, FILTERS = "Simulated camera", "Simulated focus", "Simulated filters"
XY_STAGE = "Simulated XY stage"
SHUTTER = "Simulated shutter"


class _Timeline:
    """Which frame of the microscope is being exposed; camera and focus drive share it."""

    def __init__(self, microscope: SimulatedMicroscope) -> None:
        self.microscope = microscope
        self.next_number = 0
        self.tags: dict[str, str] = {}
        """Of the image that the camera delivered last."""


class _Camera(CameraDevice):
    """Frames at the pace of their exposures, each rendered while the one before is due.

    A frame that begins while `shutter` is closed is dark.
    """

    def __init__(
        self, timeline: _Timeline, stopping: threading.Event, shutter: QuickShutter
    ) -> None:
        super().__init__()
        self._timeline = timeline
        self._stopping = stopping
        self._shutter = shutter
        self._dtype = np.dtype(pixel_dtype(timeline.microscope.rig.camera))
        self.clear_roi()

    def get_exposure(self) -> float:
        return self._timeline.microscope.exposure_ms

    def set_exposure(self, exposure: float) -> None:
        try:
            self._timeline.microscope.set(self._timeline.next_number, exposure_ms=exposure)
        except UserError as error:
            raise RuntimeError(str(error)) from error  # as a device adapter in C++ would

    def shape(self) -> tuple[int, int]:
        return self._roi[3], self._roi[2]

    def get_roi(self) -> Roi:
        return self._roi

    def set_roi(self, x: int, y: int, width: int, height: int) -> None:
        rows, columns = self._timeline.microscope.shape
        try:
            check_roi((x, y, width, height), (columns, rows), CAMERA)
        except UserError as error:
            raise RuntimeError(str(error)) from error
        self._roi = (x, y, width, height)

    def clear_roi(self) -> None:
        rows, columns = self._timeline.microscope.shape
        self._roi = (0, 0, columns, rows)

    def dtype(self) -> DTypeLike:
        return self._dtype

    def start_sequence(
        self,
        n: int | None,
        get_buffer: Callable[[Sequence[int], DTypeLike], NDArray[Any]],
    ) -> Iterator[Mapping[str, str]]:
        timeline = self._timeline
        due_s = time.monotonic()
        while n is None or n > 0:
            number = timeline.next_number
            timeline.next_number = number + 1
            pixels = timeline.microscope.counts(number, lit=self._shutter.get_open())
            taken = timeline.microscope.exposure(number)
            due_s = max(due_s + taken.exposure_ms / 1e3, time.monotonic())
            # Not a sleep: a long exposure must end at once when the sequence is stopped.
            if self._stopping.wait(due_s - time.monotonic()):
                return
            x, y, width, height = self._roi
            get_buffer(self.shape(), self._dtype)[:] = pixels[y : y + height, x : x + width]
            timeline.tags = {
                "SimulatedFrame": str(number),
                "SpecimenAge-s": f"{taken.time_s:.6f}",
            }
            yield timeline.tags
            n = None if n is None else n - 1


class _Focus(StageDevice):
    """A focus drive that arrives at once."""

    def __init__(self, timeline: _Timeline) -> None:
        super().__init__()
        self._timeline = timeline

    def set_position_um(self, val: float) -> None:
        try:
            self._timeline.microscope.set(self._timeline.next_number, z_um=val)
        except UserError as error:
            raise RuntimeError(str(error)) from error

    def get_position_um(self) -> float:
        return self._timeline.microscope.z_um

    def home(self) -> None:
        self.set_position_um(0.0)

    def stop(self) -> None:
        """Never under way."""

    def set_origin(self) -> None:
        raise RuntimeError("the simulated focus drive keeps its origin in the plane in focus")


class _XYStage(XYStageDevice):
    """A stage that arrives at once."""

    def __init__(self, timeline: _Timeline) -> None:
        super().__init__()
        self._timeline = timeline

    def set_position_um(self, x: float, y: float) -> None:
        try:
            self._timeline.microscope.set(self._timeline.next_number, xy_um=(x, y))
        except UserError as error:
            raise RuntimeError(str(error)) from error

    def get_position_um(self) -> tuple[float, float]:
        return self._timeline.microscope.xy_um

    def home(self) -> None:
        self.set_position_um(0.0, 0.0)

    def stop(self) -> None:
        """Never under way."""

    def set_origin_x(self) -> None:
        raise RuntimeError("the simulated XY stage keeps its origin")

    def set_origin_y(self) -> None:
        self.set_origin_x()


class _Filters(StateDevice):
    """A filter wheel and light source in one: what gives light; arrives at once."""

    def __init__(self, timeline: _Timeline) -> None:
        self._timeline = timeline
        self._stains = tuple(STAINS)
        super().__init__(dict(enumerate(self._stains)))

    def get_state(self) -> int:
        return self._stains.index(self._timeline.microscope.stain)

    def set_state(self, position: int) -> None:
        try:
            self._timeline.microscope.set(self._timeline.next_number, stain=self._stains[position])
        except UserError as error:
            raise RuntimeError(str(error)) from error


class SimulatedCoreSource(MicroManagerSource):
    """The specimen of a rig, delivered by a Micro-Manager core in this process.

    Each frame's tag `SimulatedFrame` is its number on the timeline of `microscope`, whose
    `truth` gives the light of that frame without noise.
    """

    def __init__(self, rig: RigConfig) -> None:
        super().__init__(rig, load=self._load_simulation, release=_release)
        self._microscope: SimulatedMicroscope | None = None
        self._timeline: _Timeline | None = None

    @property
    def exposures(self) -> int:
        """Exposures begun in this run: light that the specimen got, delivered or not."""
        return self._timeline.next_number if self._timeline is not None else 0

    @property
    def microscope(self) -> SimulatedMicroscope:
        """What the frames are taken of. Raises `Failure` before the first `start`."""
        if self._microscope is None:
            raise Failure("simulated camera: is not started; call start first")
        return self._microscope

    def _load_simulation(self, rig: RigConfig) -> Any:
        if _PYMMCORES:
            raise Failure(
                "Micro-Manager core: one is loaded in this process already; stop it first"
            )
        # A core that ended lies in cycles, with a specimen of a hundred megabytes.
        self._microscope = self._timeline = None
        gc.collect()
        self._microscope = SimulatedMicroscope(rig)
        timeline = self._timeline = _Timeline(self._microscope)
        core = new_core()
        shutter = QuickShutter()
        core.loadPyDevice(CAMERA, _Camera(timeline, core.stopping, shutter))
        core.loadPyDevice(FOCUS, _Focus(timeline))
        core.loadPyDevice(FILTERS, _Filters(timeline))
        core.loadPyDevice(XY_STAGE, _XYStage(timeline))
        core.loadPyDevice(SHUTTER, shutter)
        core.initializeAllDevices()
        for stain in STAINS:
            core.defineConfig("Channel", stain, FILTERS, "Label", stain)
        core.setCameraDevice(CAMERA)
        core.setFocusDevice(FOCUS)
        core.setXYStageDevice(XY_STAGE)
        core.setShutterDevice(SHUTTER)
        core.setAutoShutter(True)
        core.setCircularBufferMemoryFootprint(rig.source.buffer_size_mb)
        _PYMMCORES.append(core)
        return Core()

    def _device(self, core: Any) -> LoadedCamera | None:
        return None  # written in Python: there is nothing that could be loaded again

    def _snap_tags(self, core: Any) -> dict[str, str]:
        # UniMMCore keeps the pixels of a snap alone; the tags are the camera's own.
        own = self._timeline.tags if self._timeline is not None else {}
        return super()._snap_tags(core) | own


def _release(core: Any) -> None:
    release_core(core)
    # Ends the core's own thread that calls back into Python; left alone it outlives the
    # interpreter and aborts the process.
    pymmcore.CMMCore.registerCallback(core, None)
