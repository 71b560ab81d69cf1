"""A simulated microscope as a frame source, without a Micro-Manager core.

Its clock is handed in, and it can misbehave on request, so that a test can bring about
what a real camera does once a month.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liverestore.camera.clock import Clock, RealClock
from liverestore.camera.instrument import SimulatedMicroscope
from liverestore.camera.roi import Roi, check_roi
from liverestore.camera.source import SourceInfo
from liverestore.camera.stamp import capture_moment, new_run_id
from liverestore.errors import Failure, UserError
from liverestore.frame import Frame, FrameHeader
from liverestore.rig import RigConfig
from liverestore.rig_channels import ChannelConfig
from liverestore.specimen import pixel_dtype

__all__ = ["Faults", "SimulatedSource"]


@dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong, and at which frame numbers."""

    lost: frozenset[int] = frozenset()
    """Frames that the camera takes and never delivers."""
    stalls_at: int | None = None
    """From this frame on nothing comes any more, without an error."""
    fails_at: int | None = None
    """Here the camera reports an error instead of a frame."""
    resizes_at: int | None = None
    """From this frame on the frames have another size: one row and column less."""


class SimulatedSource:
    """The specimen of a rig, a frame per exposure.

    A frame is rendered ahead of the time when it is due; a consumer that comes late finds
    the specimen as old as the frames that were taken, none is skipped.
    """

    def __init__(
        self, rig: RigConfig, *, clock: Clock | None = None, faults: Faults | None = None
    ) -> None:
        self._rig = rig
        self._clock = clock or RealClock()
        self._faults = faults or Faults()
        self._lock = threading.Lock()
        self._microscope: SimulatedMicroscope | None = None
        self._running = False
        self._run_id = ""
        self._number = 0
        self._lost = 0
        self._due_s = 0.0
        self._live = False
        self._channel: ChannelConfig | None = None
        self._roi: Roi = (0, 0, 0, 0)
        self.exposures = 0
        """Exposures of this run: light that the specimen got, delivered or not."""
        self._ready: NDArray[np.uint8] | NDArray[np.uint16] | None = None

    @property
    def microscope(self) -> SimulatedMicroscope:
        """What the frames are taken of, with `truth(number)`. Raises `Failure` before `start`."""
        if self._microscope is None:
            raise Failure("simulated camera: is not started; call start first")
        return self._microscope

    def start(self) -> SourceInfo:
        """Build the specimen (the first time) and begin with frame 0 of a new run."""
        self._microscope = SimulatedMicroscope(self._rig)
        self._run_id = new_run_id()
        self._number = self._lost = 0
        self.exposures = 0
        self._ready = None
        self._live = False
        self._running = True
        self._channel = self._rig.channels[0] if self._rig.channels else None
        height, width = self._microscope.shape
        self._roi = (0, 0, width, height)
        return SourceInfo(
            name="simulated camera",
            shape=self._microscope.shape,
            dtype=pixel_dtype(self._rig.camera),
            exposure_ms=self._microscope.exposure_ms,
            pixel_size_um=self._rig.optics.pixel_size_um,
            frame_count=None,
            interval_ms=self._microscope.exposure_ms,
        )

    def next_frame(self, timeout_s: float) -> Frame | None:
        """The next frame when its exposure has ended, or None after `timeout_s`."""
        self._require_running()
        deadline = self._clock.now() + timeout_s
        if not self._live:
            self._live = True
            exposure_ms = self.microscope.exposure(self._number).exposure_ms
            self._due_s = self._clock.now() + exposure_ms / 1e3
        while self._number in self._faults.lost:
            self._pass_over()
        if self._faults.stalls_at is not None and self._number >= self._faults.stalls_at:
            self._clock.sleep(timeout_s)
            return None
        self._fail_where_asked()
        pixels = self._ready
        if pixels is None:
            pixels = self._ready = self.microscope.counts(self._number)
            self.exposures += 1
        now = self._clock.now()
        if self._due_s > deadline:
            self._clock.sleep(deadline - now)
            return None
        self._clock.sleep(self._due_s - now)
        return self._deliver(pixels)

    def _fail_where_asked(self) -> None:
        if self._faults.fails_at is not None and self._number >= self._faults.fails_at:
            self._running = False
            raise Failure(
                f"simulated camera: failed at frame {self._number}, as it was asked to; start again"
            )

    def _pass_over(self) -> None:
        with self._lock:
            self._due_s += self.microscope.exposure(self._number).exposure_ms / 1e3
            self._number += 1
            self._lost += 1
            self.exposures += 1
            self._ready = None

    def _deliver(self, pixels: NDArray[np.generic]) -> Frame:
        captured_ns, captured_utc = capture_moment()
        with self._lock:
            number = self._number
            taken = self.microscope.exposure(number)
            self._number, self._ready = number + 1, None
            # A late consumer finds one frame that was taken meanwhile, but no burst.
            following = self.microscope.exposure(number + 1).exposure_ms / 1e3
            self._due_s = max(self._due_s, self._clock.now() - following) + following
            x, y, width, height = self._roi
        pixels = np.ascontiguousarray(pixels[y : y + height, x : x + width])
        if self._faults.resizes_at is not None and number >= self._faults.resizes_at:
            pixels = np.ascontiguousarray(pixels[:-1, :-1])
        height, width = pixels.shape
        header = FrameHeader(
            run_id=self._run_id,
            number=number,
            shape=(height, width),
            dtype=pixel_dtype(self._rig.camera),
            captured_ns=captured_ns,
            captured_utc=captured_utc,
            camera="simulated camera",
            exposure_ms=taken.exposure_ms,
            z_um=taken.z_um,
            pixel_size_um=self._rig.optics.pixel_size_um,
            binning=1,
            roi=(x, y, width, height),
            bit_depth=self._rig.camera.bit_depth,
            channel=self._channel.name if self._channel else None,
            lost_before=self._lost,
            metadata={"SpecimenAge-s": f"{taken.time_s:.6f}"},
        )
        return Frame(pixels, header)

    def configure(self, *, exposure_ms: float | None = None, z_um: float | None = None) -> None:
        """Change exposure and stage from the frame after the one being exposed, if one is.

        Raises `UserError` out of range.
        """
        with self._lock:
            self.microscope.set(self._number + self._live, exposure_ms=exposure_ms, z_um=z_um)

    def pause(self) -> list[Frame]:
        """No exposures until `next_frame`; the one that was under way is given up."""
        self._require_running()
        with self._lock:
            self._live, self._ready = False, None
        return []

    def snap(self) -> Frame:
        """One exposure while paused, waited for. Raises `UserError` while live."""
        self._require_running()
        if self._live:
            raise UserError("simulated camera: is live; pause it before you snap")
        while self._number in self._faults.lost:
            self._pass_over()
        self._fail_where_asked()
        self.exposures += 1
        pixels = self.microscope.counts(self._number)
        self._clock.sleep(self.microscope.exposure(self._number).exposure_ms / 1e3)
        return self._deliver(pixels)

    def select(self, channel: ChannelConfig) -> None:
        """Light and name the frames as `channel` says, from the next snap on.

        Raises `UserError` while live, for an unknown preset and an exposure out of range.
        """
        self._require_running()
        if self._live:
            raise UserError("simulated camera: is live; pause it to change the channel")
        with self._lock:
            self.microscope.set(self._number, exposure_ms=channel.exposure_ms, stain=channel.preset)
            self._channel = channel

    def set_roi(self, roi: Roi | None) -> None:
        """Read out another part from the next delivered frame on; see `FrameSource`."""
        self._require_running()
        height, width = self.microscope.shape
        if roi is not None:
            check_roi(roi, (width, height), "simulated camera")
        with self._lock:
            self._roi = roi or (0, 0, width, height)

    def _require_running(self) -> None:
        if not self._running:
            raise Failure("simulated camera: is not running; call start first")

    def stop(self) -> None:
        """End the run; safe to call twice."""
        self._running = False
        self._ready = None
