"""Residuals of many frames added up, at rest on the camera or along with what moves.

A spot that is not in the data leaves a negative residual at the same place in frame after frame,
while noise averages out. Up to 32 frames are added evenly; from then on older ones fade so that
the noise stays that of about 32 (for a while that of up to 43). Filtering is linear, so it
waits until the sum is looked at.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["POOLED_FRAMES", "Pool"]

FloatArray = NDArray[np.float32]

POOLED_FRAMES = 32
"""Effective number of frames in a full pool: (sum of weights)^2 / sum of squared weights."""
_FADING = np.float32((POOLED_FRAMES - 1) / (POOLED_FRAMES + 1))
"""With it a geometric series has that effective number: (1 + f) / (1 - f)."""

_ALL, _FIRST, _LAST = slice(None), slice(1, None), slice(None, -1)
_NEIGHBOURS = (
    ((_ALL, _FIRST), (_ALL, _LAST)),
    ((_FIRST, _ALL), (_LAST, _ALL)),
    ((_FIRST, _FIRST), (_LAST, _LAST)),
    ((_FIRST, _LAST), (_LAST, _FIRST)),
)


class Pool:
    """Weighted sums over frames of residuals over their variance, and of restored images."""

    def __init__(self, shape: tuple[int, int]) -> None:
        """For frames of `shape` (Y, X)."""
        self._residual = np.zeros(shape, np.float32)
        self._restored = np.zeros(shape, np.float32)
        self._weight = 0.0
        self._squares = 0.0
        self.frames = 0
        """Added so far."""

    def copy(self) -> Pool:
        """Another pool with the same sums."""
        other = Pool(self._residual.shape)
        other._residual, other._restored = self._residual.copy(), self._restored.copy()
        other._weight, other._squares, other.frames = self._weight, self._squares, self.frames
        return other

    @property
    def effective_frames(self) -> float:
        """Of how many evenly added frames the noise is."""
        return self._weight**2 / self._squares if self._squares else 0.0

    def add(self, weighted_residual: FloatArray, restored_e: FloatArray) -> None:
        """One frame (Y, X): (raw - restored) / variance, and the restored photoelectrons."""
        if self.frames >= POOLED_FRAMES:
            self._residual *= _FADING
            self._restored *= _FADING
            self._weight *= float(_FADING)
            self._squares *= float(_FADING) ** 2
        self._residual += weighted_residual
        self._restored += restored_e
        self._weight += 1.0
        self._squares += 1.0
        self.frames += 1

    def follow(self, moved_px: NDArray[np.int16]) -> None:
        """Carry the sums along by `moved_px` (2, Y, X), whole px (y, x); nothing is known of
        what comes in from outside: no residual.
        """
        height, width = self._residual.shape
        y = np.arange(height, dtype=np.int32)[:, None] - moved_px[0]
        x = np.arange(width, dtype=np.int32)[None, :] - moved_px[1]
        outside = (y < 0) | (y >= height) | (x < 0) | (x >= width)
        places = np.clip(y, 0, height - 1) * width + np.clip(x, 0, width - 1)
        self._residual = self._residual.ravel().take(places)
        self._restored = self._restored.ravel().take(places)
        # Where the picture is stretched a pixel would count twice, as if it were two frames' noise.
        twice = outside
        for one, other in _NEIGHBOURS:
            twice[one] |= places[one] == places[other]
        self._residual[twice] = 0

    def mean_residual(self) -> FloatArray:
        """(Y, X) weighted mean of (raw - restored) / variance."""
        return self._residual / np.float32(max(self._weight, 1e-30))

    def mean_restored_e(self) -> FloatArray:
        """(Y, X) weighted mean of the restored images, photoelectrons."""
        return self._restored / np.float32(max(self._weight, 1e-30))
