"""Holds the light of the structure during Live: measures frames, and says when to expose longer."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median

import numpy as np
from numpy.typing import NDArray

from liverestore.camera_model import CameraModel
from liverestore.dose import frames_within
from liverestore.errors import UserError
from liverestore.exposure_control import Change, ExposureController, Limits
from liverestore.frame import Frame
from liverestore.rig import RigConfig
from liverestore.rig_camera import camera_of

__all__ = ["LightHold", "open_hold", "structure_e"]

_EVERY_NS = 200_000_000
"""Bleaching is slow; a look costs about a millisecond."""
_LEARNT_FRAMES = 9
_BLOCK_PX = 8
_MOST_BLOCKS = 4096
_ENDS = 0.1
_LEAST_SHARE = 0.1
"""Of the first exposure: what a brighter sample is exposed for at least."""


def structure_e(pixels: NDArray[np.generic], camera: CameraModel) -> float:
    """Photoelectrons of the brightest tenth of (Y, X) counts above the dimmest tenth.

    Of blocks of 8 x 8 px, whose noise is small, at most 4096 of them all over the frame. What
    lies on the whole field as one brightness is not counted: it does not bleach with the sample.
    """
    rows, columns = (size // _BLOCK_PX for size in pixels.shape)
    if rows == 0 or columns == 0:
        return 0.0
    step = max(1, int(np.ceil(np.sqrt(rows * columns / _MOST_BLOCKS))))
    blocks = pixels[: rows * _BLOCK_PX, : columns * _BLOCK_PX].reshape(
        rows, _BLOCK_PX, columns, _BLOCK_PX
    )[::step, :, ::step, :]
    means = np.sort(blocks.mean(axis=(1, 3), dtype=np.float64).ravel())
    some = max(1, round(_ENDS * means.size))
    return float(means[-some:].mean() - means[:some].mean()) * camera.gain_e_per_count


@dataclass(slots=True)
class LightHold:
    """Learns the light of the structure from the first frames and holds it from then on.

    All methods belong to the camera thread, but `restart`.
    """

    camera: CameraModel
    longest_ms: float
    period_ms: float | None = None
    """Time from frame to frame that is to be kept; None: frames may become fewer."""
    control: ExposureController | None = None
    """None while it learns."""
    _learnt: list[float] = field(default_factory=list)
    _looked_ns: int | None = None
    _said: str = ""
    _ended: bool = False

    def restart(self) -> None:
        """Learn anew: a person has set another exposure, and means it."""
        self.control = None
        self._learnt = []

    def adjust(
        self,
        frame: Frame,
        left_j_cm2: float | None,
        expose: Callable[[float], None],
        notices: deque[str],
        events: deque[str],
    ) -> None:
        """Look at `frame` and call `expose` with another exposure in ms where one is due.

        `left_j_cm2`: what the budget of light still holds. What is changed goes to `events`,
        what keeps it from holding the light to `notices`; a camera that refuses ends it.
        """
        if self._ended:
            return
        light = frame.header.light
        dose = light.dose_j_cm2 if light is not None else None
        left = frames_within(left_j_cm2, dose) if left_j_cm2 is not None and dose else None
        change = self.look(frame, left)
        held_back = self.held_back()
        if held_back is not None:
            notices.append(held_back)
        if change is None:
            return
        try:
            expose(change.exposure_ms)
        except UserError as error:
            self._ended = True
            notices.append(f"the exposure is no longer changed by itself: {error}")
            return
        events.append(f"exposure {change.exposure_ms:.4g} ms: {change.why}")

    def look(self, frame: Frame, frames_left: int | None) -> Change | None:
        """Judge `frame`, now and then; what to change, if anything.

        `frames_left`: exposures that the budget of light still holds; None: any number.
        """
        header = frame.header
        now_ns, looked_ns = header.captured_ns, self._looked_ns
        if header.exposure_ms is None or (
            looked_ns is not None and 0 <= now_ns - looked_ns < _EVERY_NS
        ):
            return None
        self._looked_ns = now_ns
        light_e = structure_e(frame.pixels, self.camera)
        control = self.control
        if control is None:
            self._learn(header.exposure_ms, light_e)
            return None
        return control.frame(header.exposure_ms, light_e, frames_left=frames_left)

    def _learn(self, exposure_ms: float, light_e: float) -> None:
        learnt = self._learnt
        learnt.append(light_e)
        target_e = median(learnt)
        if len(learnt) < _LEARNT_FRAMES or not target_e > 0:
            return
        longest_ms = max(self.longest_ms, exposure_ms)
        period_ms = None if self.period_ms is None else max(self.period_ms, exposure_ms)
        limits = Limits(_LEAST_SHARE * exposure_ms, longest_ms, period_ms)
        self.control = ExposureController(target_e, limits, on=True)

    def held_back(self) -> str | None:
        """Why the light can no longer be held, in words, once for each reason; else None."""
        word = self.control.held_back if self.control is not None else ""
        if word == self._said:
            return None
        self._said = word
        reason = {
            "longest": "the exposure is as long as it may be",
            "shortest": "the exposure is as short as it may be",
            "budget": "the light budget ends",
        }.get(word)
        return reason and f"the light of the structure is no longer held: {reason}"


def open_hold(
    rig: RigConfig, longest_ms: float | None, interval_s: float | None
) -> LightHold | None:
    """What a run that may expose up to `longest_ms` holds its light with; None for None.

    The camera's numbers are those of the rig, which are there (see `light_options`).
    """
    camera = camera_of(rig.camera)
    if longest_ms is None or camera is None:
        return None
    period_ms = None if interval_s is None else 1e3 * interval_s
    return LightHold(camera.without_maps(), longest_ms, period_ms)
