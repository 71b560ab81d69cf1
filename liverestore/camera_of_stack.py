"""The camera's numbers from a whole movie, stack or single image that nobody measured a camera for.

Successive frames show the noise best, but of many a file nobody knows whether its axis is time
or z; then the estimate with less noise counts, because structure that changes from plane to
plane only adds to it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liverestore.camera_estimate import estimate_from_frame, estimate_from_movie
from liverestore.camera_stabilise import CameraModel

__all__ = ["camera_of_stack"]

_FRAMES_FOR_ESTIMATE = 32
_BYTES_FOR_ESTIMATE = 256 * 2**20


def camera_of_stack(
    read: Callable[[int], NDArray[Any]],
    successive: Sequence[int],
    middle: int,
    *,
    is_time: bool,
    offset_counts: float | None = None,
) -> tuple[CameraModel, str]:
    """The camera model, and how it was come by in words.

    `read` gives a frame (Y, X) in counts by its index; `successive` are indices of frames of one
    field of view, in time where `is_time`, and `middle` one frame to look at alone.
    `offset_counts`: the measured offset, where known. Raises `UserError` for frames below 16x16.
    """
    frame = read(middle)
    fit_in_memory = max(2, _BYTES_FOR_ESTIMATE // frame.nbytes)
    count = min(_FRAMES_FOR_ESTIMATE, fit_in_memory, len(successive))
    if count < 2:
        return estimate_from_frame(frame, offset_counts=offset_counts), "estimated from one frame"
    stack = np.stack([read(index) for index in successive[:count]])
    model = estimate_from_movie(stack, offset_counts=offset_counts)
    if not is_time:
        single = estimate_from_frame(frame, offset_counts=offset_counts)
        level = float(np.median(frame))
        if _variance(single, level) < _variance(model, level):
            return single, "estimated from one plane"
    return model, f"estimated from {count} frames"


def _variance(model: CameraModel, level_counts: float) -> float:
    """Of the noise at a mean of `level_counts`, in counts squared."""
    electrons = max(0.0, level_counts - model.offset_counts) * model.gain_e_per_count
    return (electrons + model.read_noise_e**2) / model.gain_e_per_count**2
