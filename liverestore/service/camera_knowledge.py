"""The camera's numbers during a run: the rig's, or estimated from the first frames."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from liverestore.camera_model import CameraModel, estimate_from_frame, estimate_from_movie
from liverestore.frame import Frame
from liverestore.rig import CameraConfig
from liverestore.rig_camera import camera_of

__all__ = ["CameraKnowledge"]

_FRAMES_FOR_ESTIMATE = 16
_ESTIMATE_PX = 512


class CameraKnowledge:
    """The camera model: the rig's where it is complete, else estimated from the frames.

    The first frame alone gives a first estimate, the first sixteen of a channel together the
    one that stays, so that intensities do not change with each frame afterwards. It serves all
    channels: offset and gain are the camera's.
    """

    def __init__(
        self, config: CameraConfig, tell: Callable[[str], None] = lambda _line: None
    ) -> None:
        """`tell` gets one line for the person when the numbers had to be estimated."""
        self._tell = tell
        self._frames: dict[str | None, list[Frame]] = {}
        self._known = camera_of(config)
        self.estimated = self._known is None
        self._first: CameraModel | None = None

    def settle(self, camera: CameraModel) -> None:
        """Take `camera` for all frames from now on; nothing is estimated any more."""
        self._known = camera
        self._frames.clear()

    def model_for(self, frame: Frame) -> CameraModel:
        """The model to restore `frame` with."""
        if self._known is not None:
            return self._known
        # By channel: the noise is read from what changes between frames of the same picture.
        frames = self._frames.setdefault(frame.header.channel, [])
        if frames and frames[0].pixels.shape != frame.pixels.shape:
            frames.clear()
        frames.append(frame)
        if len(frames) == _FRAMES_FOR_ESTIMATE:
            stack = np.stack([_centre(kept.pixels) for kept in frames])
            known = self._known = estimate_from_movie(stack)
            self._frames.clear()
            self._tell(
                "the rig has no camera numbers; estimated from "
                f"{_FRAMES_FOR_ESTIMATE} frames: offset {known.offset_counts:.1f} counts, "
                f"gain {known.gain_e_per_count:.3f} e/count, "
                f"read noise {known.read_noise_e:.2f} e"
            )
            return known
        if self._first is None:
            self._first = estimate_from_frame(_centre(frame.pixels))
        return self._first


def _centre(pixels: NDArray[np.generic]) -> NDArray[np.generic]:
    """The middle of a large frame: enough for an estimate, and no pause in the live view."""
    rows, columns = (
        slice(max(0, (size - _ESTIMATE_PX) // 2), (size + _ESTIMATE_PX) // 2)
        for size in pixels.shape
    )
    return pixels[rows, columns]
