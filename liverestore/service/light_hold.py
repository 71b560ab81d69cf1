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
from liverestore.frame import Frame, FrameHeader
from liverestore.rig import RigConfig
from liverestore.rig_camera import camera_of
from liverestore.rig_channels import takes_turns
from liverestore.status_light import HoldReport, SetHold, TrustSeen

__all__ = ["LightHold", "open_hold", "structure_e"]

_EVERY_NS = 200_000_000
"""Bleaching is slow; a look costs about a millisecond."""
_LEARNT_FRAMES = 9
_BLOCK_PX = 8
_MOST_BLOCKS = 4096
_ENDS = 0.1
_USUAL_LONGEST = 2.0
"""Times the exposure at which it begins."""
_LEAST_SHARE = 0.1
"""Of the first exposure: what a brighter sample is exposed for at least."""

_REASONS = {
    "longest": "the exposure is as long as it may be",
    "shortest": "the exposure is as short as it may be",
    "budget": "the light budget ends",
    "trust": "the picture is refuted, and gets no less light",
}


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
    longest_ms: float | None
    """None: twice the exposure of when it begins."""
    period_ms: float | None = None
    """Time from frame to frame that is to be kept; None: frames may become fewer."""
    on: bool = True
    control: ExposureController | None = None
    """None while it learns."""
    trusted: bool = True
    """False while the pictures are refuted: then the light is not lowered."""
    _target_e: float | None = None
    """That a person asked for."""
    _began_ms: float | None = None
    _exposure_ms: float | None = None
    _light_e: float | None = None
    """Photoelectrons of the structure in the frame that was looked at last."""
    _learnt: list[float] = field(default_factory=list)
    _looked_ns: int | None = None
    _place: tuple[object, ...] | None = None
    """What the frames are of."""
    _said: str = ""
    _ended: bool = False

    def restart(self) -> None:
        """Learn anew: a person has set another exposure, and means it."""
        self._target_e = self._began_ms = None
        self._forget()

    def _forget(self) -> None:
        self.control = None
        self._learnt = []

    def obey(self, word: SetHold | TrustSeen) -> None:
        """Switch on or off, with another target or limit; or take note of the trust."""
        if isinstance(word, TrustSeen):
            self.trusted = word.level != "red"
            return
        began_ms = self._began_ms if self.on else None
        self.restart()
        self.on, self._ended = word.on, False
        self._target_e, self._began_ms = word.target_e, began_ms
        self.longest_ms = word.longest_ms or self.longest_ms

    def report(self) -> HoldReport:
        """What it is doing. Of any thread."""
        control = self.control
        reason = _REASONS.get(control.held_back, "") if control is not None else ""
        return HoldReport(
            on=self.on and not self._ended,
            target_e=control.target_e if control is not None else self._target_e,
            light_e=self._light_e,
            exposure_ms=self._exposure_ms,
            began_ms=self._began_ms,
            shortest_ms=control.limits.shortest_ms if control is not None else None,
            longest_ms=control.limits.top_ms if control is not None else self.longest_ms,
            held_back=reason,
        )

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
        self._exposure_ms = frame.header.exposure_ms
        if self._ended or not self.on:
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
        place = _place_of(header)
        if place != self._place:
            # Another sample, or another part of it, is no bleached one. Limits and a target that
            # somebody typed stay.
            self._place = place
            self._forget()
        light_e = structure_e(frame.pixels, self.camera)
        self._light_e = light_e
        if self._began_ms is None:
            self._began_ms = header.exposure_ms
        control = self.control
        if control is None:
            self._learn(header.exposure_ms, light_e)
            return None
        return control.frame(
            header.exposure_ms, light_e, frames_left=frames_left, may_lower=self.trusted
        )

    def _learn(self, exposure_ms: float, light_e: float) -> None:
        learnt = self._learnt
        learnt.append(light_e)
        target_e = self._target_e or median(learnt)
        if (len(learnt) < _LEARNT_FRAMES and self._target_e is None) or not target_e > 0:
            return
        began_ms = self._began_ms or exposure_ms
        longest_ms = max(self.longest_ms or _USUAL_LONGEST * began_ms, exposure_ms)
        period_ms = None if self.period_ms is None else max(self.period_ms, exposure_ms)
        shortest_ms = _LEAST_SHARE * began_ms
        limits = Limits(min(shortest_ms, exposure_ms), longest_ms, period_ms)
        self.control = ExposureController(target_e, limits, on=True)

    def held_back(self) -> str | None:
        """Why the light can no longer be held, in words, once for each reason; else None."""
        word = self.control.held_back if self.control is not None else ""
        if word == self._said:
            return None
        self._said = word
        reason = _REASONS.get(word)
        return reason and f"the light of the structure is no longer held: {reason}"


def _place_of(header: FrameHeader) -> tuple[object, ...]:
    """What must be the same for two frames to show the same structure."""
    field = header.light.field if header.light is not None else None
    return header.shape, header.roi, header.binning, field


def open_hold(
    rig: RigConfig, longest_ms: float | None, interval_s: float | None
) -> LightHold | None:
    """What holds the light of a run, on where it may expose up to `longest_ms`.

    None where no light can be held: the rig does not know its camera, or takes its channels in
    turn, each with its own exposure.
    """
    camera = camera_of(rig.camera)
    if camera is None or takes_turns(rig.channels) or rig.source.kind in ("replay", "bridge"):
        return None
    period_ms = None if interval_s is None else 1e3 * interval_s
    return LightHold(camera.without_maps(), longest_ms, period_ms, on=longest_ms is not None)
