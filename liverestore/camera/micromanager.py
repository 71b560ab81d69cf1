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

from liverestore.camera.light import LightPath
from liverestore.camera.mm_channels import check_presets, set_preset
from liverestore.camera.mm_core import (
    answers,
    begin_sequence,
    bit_depth,
    camera_and_focus,
    grey_bytes,
    load_core,
    move_focus,
    pixel_size_um,
    reason_of,
    release_core,
    sequence_over,
    set_exposure,
)
from liverestore.camera.mm_image import RunOfImages, has_its_size, pop_image, snap_image, snap_tags
from liverestore.camera.mm_light import CoreLight, end_light
from liverestore.camera.mm_objective import ObjectiveTags
from liverestore.camera.mm_return import LoadedCamera, WayBack, gone, stopped
from liverestore.camera.mm_stages import CoreStages
from liverestore.camera.roi import Roi, set_core_roi
from liverestore.camera.source import SourceInfo
from liverestore.errors import Failure, UserError
from liverestore.frame import Frame
from liverestore.rig import RigConfig
from liverestore.rig_channels import ChannelConfig

__all__ = ["MicroManagerSource"]

_POLL_S = 0.0003
"""Pause between looks into the ring: well below the exposure of any camera."""
_ALIVE_EVERY_S = 0.05


class MicroManagerSource:
    """The camera that a Micro-Manager configuration makes the core's Camera device.

    `load` makes a configured core from a rig and `release` ends it; the defaults load the
    configuration file of the rig. Frame numbers go on when the exposure, the ROI or a pause
    restarts the camera's sequence, and over snaps. The z of a frame is the position that the
    focus drive had reached when the frame came out of the core.
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
        self._images = RunOfImages("", None)
        self._way_back = WayBack(None)
        self._last_alive_s = 0.0
        self._begun = False
        self.light: LightPath | None = None
        """Shutter and stage, while the core is there."""
        self._limit: int | None = None
        self._ends_with: int | None = None
        """Exposures after which the next sequence ends by itself, and its last number."""
        self._asked_ms: float | None = None
        """The exposure that the camera took last, as it was asked for."""

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
        self._camera, self._focus = camera_and_focus(core, self._rig)
        depth = grey_bytes(core, self._camera)
        check_presets(core, self._rig)
        self.light = CoreLight(core, self._rig)
        self.light.shut()
        if self._rig.camera.exposure_ms is not None:
            self._set_exposure(self._rig.camera.exposure_ms)
        # Asked once: on a real turret each question goes to the hardware.
        pixel_um = pixel_size_um(core, self._rig)
        images = self._images = RunOfImages(self._camera, pixel_um, ObjectiveTags(core))
        images.exposure_ms = float(core.get_exposure())
        images.z_um = float(core.get_position(self._focus)) if self._focus else None
        self._waiting.clear()
        if self._rig.channels:
            self._select(core, self._rig.channels[0])
        self._way_back = WayBack(self._device(core))
        return SourceInfo(
            name=self._camera,
            shape=(int(core.get_image_height()), int(core.get_image_width())),
            dtype="uint8" if depth == 1 else "uint16",
            exposure_ms=images.exposure_ms,
            pixel_size_um=pixel_um,
            frame_count=None,
            # An exposure is the least a frame takes; what readout adds only the camera knows.
            interval_ms=None,
        )

    def _set_exposure(self, exposure_ms: float) -> None:
        self._asked_ms = None
        self._images.exposure_ms = set_exposure(self._core, self._camera, exposure_ms)
        self._asked_ms = exposure_ms

    def _device(self, core: Any) -> LoadedCamera | None:
        """To initialise it again."""
        return LoadedCamera.of(core, self._camera)

    def come_back(self) -> None:
        """See `ReturningSource.come_back`; the shutter is closed and stages stay where they are."""
        with self._lock:
            core = self._require_core()
            self._begun, self._asked_ms = False, None
            self._way_back.make_ready(core, self._images)

    def _begin_sequence(self) -> None:
        core = self._core
        self._images.bit_depth = bit_depth(core, self._rig)
        self._images.begin_sequence()
        limit = self._limit
        self._ends_with = limit and self._images.last_number + limit
        begin_sequence(core, self._camera, limit)
        self._begun = True
        self._last_alive_s = time.monotonic()

    def next_frame(self, timeout_s: float) -> Frame | None:
        """The next image of the sequence, or None after `timeout_s` and at its `limit`.

        Raises `CameraGone` when the camera stopped by itself, as it does without an error
        when its binning is changed, and when it does not answer.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            with self._lock:
                self._require_core()
                if not self._begun:
                    self._begin_sequence()
                if not self._waiting:
                    self._take()
                if self._waiting:
                    return self._waiting.popleft()
                self._check_alive()
                if not self._begun:
                    return None
            now = time.monotonic()
            if now >= deadline:
                return None
            time.sleep(min(_POLL_S, deadline - now))

    def _check_alive(self) -> None:
        now = time.monotonic()
        if now - self._last_alive_s < _ALIVE_EVERY_S:
            return
        self._last_alive_s = now
        if sequence_over(self._core, self._camera):
            self._begun = False
            last = self._images.last_number
            if self._ends_with is None or last < self._ends_with:
                raise stopped(self._camera, last)

    def _take(self) -> bool:
        """Move one image from the ring to `_waiting`; False where there is none."""
        image = pop_image(self._core)
        if image is not None and has_its_size(*image):
            self._waiting.append(self._images.frame(*image))
        elif image is not None:
            self._images.skip(image[1])
        return image is not None

    def configure(self, *, exposure_ms: float | None = None, z_um: float | None = None) -> None:
        """Change the exposure (the sequence is stopped and started again) and move the focus.

        Images that were taken before are still delivered, with what held for them. Raises
        `UserError` where there is no focus drive or the device refuses the value.
        """
        self._require_core()
        if z_um is not None and not self._focus:
            raise UserError(
                f"rig {self._rig.name}: has no focus drive; set source.focus_device or the core's "
                "Focus device"
            )
        if exposure_ms is not None:
            with self._lock, self._way_back.owing(exposure_ms):
                self._require_core()
                self._restart_with(exposure_ms)
        if z_um is not None:
            self._move_to(z_um)

    def _restart_with(self, exposure_ms: float) -> None:
        self._interrupt("the exposure is left as it was")
        try:
            self._set_exposure(exposure_ms)
        finally:
            if self._begun:
                self._begin_sequence()

    def _interrupt(self, remains: str) -> None:
        """End the sequence; what it took waits for `next_frame`."""
        try:
            self._core.stop_sequence_acquisition()
        except RuntimeError as error:
            if not answers(self._core):
                self._begun = False
                raise gone(self._camera, error) from None
            raise UserError(
                f"camera {self._camera}: does not stop its sequence ({reason_of(error)}); {remains}"
            ) from None
        while self._take():
            pass

    def pause(self) -> list[Frame]:
        """End the sequence; the core's autoshutter closes with it. See `FrameSource.pause`."""
        with self._lock:
            self._require_core()
            if self._begun:
                self._interrupt("it goes on")
                self._begun = False
            taken = list(self._waiting)
            self._waiting.clear()
        return taken

    def snap(self) -> Frame:
        """One image by the core's `snapImage`, which works the autoshutter too.

        Raises `UserError` while a sequence runs and `CameraGone` where the camera fails.
        """
        with self._lock:
            core = self._require_core()
            if self._begun:
                raise UserError(f"camera {self._camera}: is live; pause it before you snap")
            pixels, tags = snap_image(core, self._camera, self._snap_tags)
            self._images.bit_depth = bit_depth(core, self._rig)
            return self._images.frame(pixels, tags)

    def _snap_tags(self, core: Any) -> dict[str, str]:
        return snap_tags(core, self._camera)

    def select(self, channel: ChannelConfig) -> None:
        """Set the light path and the exposure of `channel`, and wait for them.

        Raises `UserError` while a sequence runs and for an exposure that the camera refuses,
        `Failure` where a device does not obey.
        """
        with self._lock:
            core = self._require_core()
            if self._begun:
                raise UserError(f"camera {self._camera}: is live; pause it to change the channel")
            self._select(core, channel)

    def _select(self, core: Any, channel: ChannelConfig) -> None:
        set_preset(core, channel)
        # Setting what is set already costs a round trip to the camera for every frame.
        if channel.exposure_ms is not None and channel.exposure_ms != self._asked_ms:
            self._set_exposure(channel.exposure_ms)
        self._images.channel = channel

    def set_roi(self, roi: Roi | None) -> None:
        """Read out another part of the chip; see `FrameSource.set_roi` and `set_core_roi`."""
        with self._lock:
            core = self._require_core()
            if self._begun:
                self._interrupt("the ROI is left as it was")
            try:
                set_core_roi(core, self._camera, roi)
                self._way_back.roi = roi
            finally:
                if self._begun:
                    self._begin_sequence()

    def stages(self) -> CoreStages:
        """The stages of the running core. To be used between two snaps."""
        return CoreStages(self._require_core(), self._focus)

    def _require_core(self) -> Any:
        if self._core is None:
            raise Failure("camera: is not running; start it first")
        return self._core

    def _move_to(self, z_um: float) -> None:
        reached = move_focus(self._require_core(), self._focus, z_um)
        with self._lock:
            while self._core is not None and self._take():
                pass
            self._images.z_um = reached

    @property
    def exposure_ms(self) -> float | None:
        """See `LimitedSource.exposure_ms`."""
        return self._images.exposure_ms

    @property
    def running(self) -> bool:
        """See `LimitedSource.running`."""
        return self._begun

    def limit(self, exposures: int | None) -> None:
        """See `LimitedSource.limit`."""
        self._limit = exposures

    def stop(self) -> None:
        """Stop the sequence, close the shutter and unload all devices; safe to call twice."""
        with self._lock:
            core, self._core = self._core, None
            light, self.light = self.light, None
            self._waiting.clear()
        if core is not None:
            atexit.unregister(self.stop)
            try:
                left_open = end_light(core, light)
            finally:
                self._release(core)
            if left_open is not None:
                raise Failure(left_open)
