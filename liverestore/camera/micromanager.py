"""A camera behind a Micro-Manager core in this process (pycromanager, Python backend).

A continuous sequence is started and each image is popped with its metadata. A core that
runs out of buffer throws its whole ring away without a word, so the only sign of a lost
frame is a gap in the `ImageNumber` tag; those gaps are counted.
"""

from __future__ import annotations

import atexit
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
import pymmcore
from numpy.typing import NDArray

from liverestore.camera.mm_core import load_core, release_core
from liverestore.camera.source import SourceInfo
from liverestore.camera.stamp import capture_moment, new_run_id, waited_s
from liverestore.errors import Failure, UserError
from liverestore.frame import Frame, FrameHeader, PixelDtype
from liverestore.rig import RigConfig

__all__ = ["MicroManagerSource"]

_DTYPES: dict[str, PixelDtype] = {"uint8": "uint8", "uint16": "uint16", "float32": "float32"}
_POLL_S = 0.0003
"""Pause between looks into the ring: well below the exposure of any camera."""
_ALIVE_EVERY_S = 0.05


class MicroManagerSource:
    """The camera that a Micro-Manager configuration makes the core's Camera device.

    `load` makes a configured core from a rig and `release` ends it; the defaults load the
    configuration file of the rig. Frame numbers go on when a change of the exposure
    restarts the camera's sequence. The z of a frame is the position that the focus drive
    had reached when the frame came out of the core.
    """

    def __init__(
        self,
        rig: RigConfig,
        *,
        load: Callable[[RigConfig], Any] = load_core,
        release: Callable[[Any], None] = release_core,
    ) -> None:
        self._rig = rig
        self._load = load
        self._release = release
        self._core: Any = None
        self._lock = threading.Lock()
        """Held for every step of the sequence, so that `configure` can interrupt it."""
        self._waiting: deque[Frame] = deque()
        """Frames taken out of the ring before the sequence was interrupted."""
        self._camera = self._focus = ""
        self._run_id = ""
        self._first_number = self._next_number = self._delivered = 0
        self._exposure_ms: float | None = None
        self._z_um: float | None = None
        self._bit_depth: int | None = None
        self._last_alive_s = 0.0
        self._begun = False
        self._pixel_um: float | None = None

    def start(self) -> SourceInfo:
        """Load the configuration; the camera's sequence starts with `next_frame`.

        Raises `UserError` for a configuration, property or camera that cannot be used
        (no camera, RGB) and `Failure` where the core or a device fails.
        """
        if self._core is not None:
            raise Failure(f"camera {self._camera}: is running already; stop it first")
        core = self._load(self._rig)
        # A core whose threads still run when the interpreter goes aborts the process.
        atexit.register(self.stop)
        try:
            self._core = core
            self._begun = False
            info = self._prepare(core)
        except BaseException:
            self.stop()
            raise
        return info

    def _prepare(self, core: Any) -> SourceInfo:
        self._camera = str(core.get_camera_device())
        if not self._camera:
            raise UserError(
                f"configuration {self._rig.source.config_file}: sets no camera; set the core's "
                "Camera device in it (Property,Core,Camera,<label>)"
            )
        self._focus = self._rig.source.focus_device or str(core.get_focus_device())
        if self._focus and self._focus not in core.get_loaded_devices():
            raise UserError(
                f"rig {self._rig.name}: source.focus_device: got {self._focus!r}, which the "
                f"configuration does not load; loaded are {', '.join(core.get_loaded_devices())}"
            )
        components = int(core.get_number_of_components())
        depth = int(core.get_bytes_per_pixel())
        if components != 1:
            raise UserError(
                f"camera {self._camera}: delivers colour (RGB, {components} components); allowed "
                "are grey images of 8 or 16 bit; set its PixelType property to 8bit or 16bit"
            )
        if depth not in (1, 2):
            raise UserError(
                f"camera {self._camera}: delivers {depth * 8} bit per pixel; allowed are grey "
                "images of 8 or 16 bit; set its PixelType property to 8bit or 16bit"
            )
        if self._rig.camera.exposure_ms is not None:
            self._set_exposure(self._rig.camera.exposure_ms)
        self._exposure_ms = float(core.get_exposure())
        self._z_um = float(core.get_position(self._focus)) if self._focus else None
        # Asked once: on a real turret each question goes to the hardware.
        self._pixel_um = self._pixel_size_um()
        self._run_id = new_run_id()
        self._first_number = self._next_number = self._delivered = 0
        self._waiting.clear()
        return SourceInfo(
            name=self._camera,
            shape=(int(core.get_image_height()), int(core.get_image_width())),
            dtype="uint8" if depth == 1 else "uint16",
            exposure_ms=self._exposure_ms,
            pixel_size_um=self._pixel_um,
            frame_count=None,
            # An exposure is the least a frame takes; what readout adds only the camera knows.
            interval_ms=None,
        )

    def _pixel_size_um(self) -> float | None:
        stated = self._rig.optics.pixel_size_um
        if stated is not None:
            return stated
        # The core says 0 where no pixel size is configured for the present objective.
        return float(self._core.get_pixel_size_um()) or None

    def _set_exposure(self, exposure_ms: float) -> None:
        try:
            self._core.set_exposure(exposure_ms)
            taken = float(self._core.get_exposure())
        except RuntimeError as error:
            raise UserError(
                f"camera {self._camera}: refuses an exposure of {exposure_ms:g} ms "
                f"({_reason(error)}); choose one that the camera allows"
            ) from None
        # Rounding to line times is usual; a camera that keeps its own value out of range
        # does not say so.
        if abs(taken - exposure_ms) > 0.1 * exposure_ms:
            raise UserError(
                f"camera {self._camera}: got an exposure of {exposure_ms:g} ms and stays at "
                f"{taken:g} ms; choose one that the camera allows"
            )

    def _begin_sequence(self) -> None:
        core = self._core
        self._bit_depth = self._rig.camera.bit_depth or int(core.get_image_bit_depth())
        self._first_number = self._next_number
        try:
            core.start_continuous_sequence_acquisition(0)
        except RuntimeError as error:
            raise Failure(
                f"camera {self._camera}: did not start ({_reason(error)}); check that no other "
                "program uses it"
            ) from None
        self._begun = True
        self._last_alive_s = time.monotonic()

    def next_frame(self, timeout_s: float) -> Frame | None:
        """The next image of the sequence, or None after `timeout_s`.

        Raises `Failure` when the camera stopped by itself, as it does without an error
        when its binning is changed.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            with self._lock:
                if self._core is None:
                    raise Failure("camera: is not running; start it first")
                if not self._begun:
                    self._begin_sequence()
                if not self._waiting:
                    self._take()
                if self._waiting:
                    return self._waiting.popleft()
                self._check_alive()
            now = time.monotonic()
            if now >= deadline:
                return None
            time.sleep(min(_POLL_S, deadline - now))

    def _check_alive(self) -> None:
        now = time.monotonic()
        if now - self._last_alive_s < _ALIVE_EVERY_S:
            return
        self._last_alive_s = now
        try:
            running = self._core.is_sequence_running()
            waiting = self._core.get_remaining_image_count()
        except RuntimeError as error:
            raise Failure(
                f"camera {self._camera}: cannot be asked any more ({_reason(error)}); check its "
                "cable and power and start again"
            ) from None
        if not running and not waiting:
            raise Failure(
                f"camera {self._camera}: stopped by itself after frame {self._next_number - 1}; "
                "a change of ROI, binning or another property does that; start again"
            )

    def _take(self) -> bool:
        """Move one image from the ring to `_waiting`; False where there is none."""
        core = self._core
        if core.get_remaining_image_count() <= 0:
            return False
        metadata = pymmcore.Metadata()
        try:
            pixels = core.pop_next_image_md(metadata)
        except (IndexError, RuntimeError):
            # The ring was emptied between the two calls (overflow, a change of the ROI).
            return False
        tags = {str(key): str(metadata.GetSingleTag(key).GetValue()) for key in metadata.GetKeys()}
        # An image may have waited in the core's ring; that belongs to its age.
        captured_ns, captured_utc = capture_moment(waited_s(tags.get("TimeReceivedByCore")))
        self._waiting.append(self._frame(pixels, tags, captured_ns, captured_utc))
        return True

    def _frame(
        self, pixels: NDArray[Any], tags: dict[str, str], captured_ns: int, captured_utc: str
    ) -> Frame:
        dtype = _DTYPES.get(pixels.dtype.name)
        if pixels.ndim != 2 or dtype is None:
            raise Failure(
                f"camera {self._camera}: delivered an image of shape {pixels.shape} {pixels.dtype} "
                "mid-stream; allowed are grey images of 8 or 16 bit; set its PixelType back"
            )
        number = self._number(tags.get("ImageNumber"))
        lost = number - self._delivered
        self._delivered += 1
        self._next_number = number + 1
        height, width = int(pixels.shape[0]), int(pixels.shape[1])
        header = FrameHeader(
            run_id=self._run_id,
            number=number,
            shape=(height, width),
            dtype=dtype,
            captured_ns=captured_ns,
            captured_utc=captured_utc,
            camera=tags.get("Camera", self._camera),
            exposure_ms=self._exposure_ms,
            z_um=self._z_um,
            pixel_size_um=self._pixel_um,
            binning=_binning(tags.get("Binning")),
            roi=_roi(tags, width, height),
            bit_depth=self._bit_depth,
            channel=tags.get("Channel"),
            lost_before=lost,
            metadata=tags,
        )
        return Frame(np.ascontiguousarray(pixels), header)

    def _number(self, image_number: str | None) -> int:
        """Position in the run of an image that is number `image_number` of its sequence."""
        if image_number is None or not image_number.isdigit():
            return self._next_number
        number = self._first_number + int(image_number)
        if number < self._next_number:
            # The core began to count anew; what was lost meanwhile cannot be known.
            self._first_number += self._next_number - number
            number = self._next_number
        return number

    def configure(self, *, exposure_ms: float | None = None, z_um: float | None = None) -> None:
        """Change the exposure (the sequence is stopped and started again) and move the focus.

        Images that were taken before are still delivered, with what held for them. Raises
        `UserError` where there is no focus drive or the device refuses the value.
        """
        if self._core is None:
            raise Failure("camera: is not running; start it first")
        if z_um is not None and not self._focus:
            raise UserError(
                f"rig {self._rig.name}: has no focus drive; set source.focus_device or the core's "
                "Focus device"
            )
        if exposure_ms is not None:
            with self._lock:
                if self._core is None:
                    raise Failure("camera: is not running; start it first")
                self._restart_with(exposure_ms)
        if z_um is not None:
            self._move_to(z_um)

    def _restart_with(self, exposure_ms: float) -> None:
        core = self._core
        try:
            core.stop_sequence_acquisition()
        except RuntimeError as error:
            raise UserError(
                f"camera {self._camera}: does not stop for a new exposure ({_reason(error)}); "
                "the exposure is left as it was"
            ) from None
        while self._take():
            pass
        try:
            self._set_exposure(exposure_ms)
            self._exposure_ms = float(core.get_exposure())
        finally:
            if self._begun:
                self._begin_sequence()

    def _move_to(self, z_um: float) -> None:
        core = self._core
        if core is None:
            raise Failure("camera: is not running; start it first")
        try:
            core.set_position(self._focus, z_um)
            core.wait_for_device(self._focus)
            reached = float(core.get_position(self._focus))
        except RuntimeError as error:
            raise UserError(
                f"focus drive {self._focus}: does not go to {z_um:g} um ({_reason(error)}); choose "
                "a position in its range"
            ) from None
        with self._lock:
            while self._core is not None and self._take():
                pass
            self._z_um = reached

    def stop(self) -> None:
        """Stop the sequence and unload all devices; safe to call twice."""
        with self._lock:
            core, self._core = self._core, None
            self._waiting.clear()
        if core is not None:
            atexit.unregister(self.stop)
            self._release(core)


def _reason(error: RuntimeError) -> str:
    """The core's own words, on one line."""
    return " ".join(str(error).split()) or "no reason given"


def _binning(text: str | None) -> int | None:
    """For "2" and "2x2" 2; an uneven binning has no single number."""
    parts = {part for part in (text or "").lower().split("x") if part.isdigit()}
    return int(parts.pop()) if len(parts) == 1 else None


def _roi(tags: dict[str, str], width: int, height: int) -> tuple[int, int, int, int] | None:
    x, y = tags.get("ROI-X-start", ""), tags.get("ROI-Y-start", "")
    return (int(x), int(y), width, height) if x.isdigit() and y.isdigit() else None
