"""What an engine does to all structure alike, read from the frame, so that it is no spot.

Networks round off: ridges come out a little low, the ground beside them a little high, faint
structure lower than bright structure. It is the same in every frame, so that pooling does not
average it out, and it was the larger part of what hid invented spots over cells. It follows from
the restored image itself: the residual behind the spot filter is fitted, over the whole frame, by
differences of that image at several widths, as they are, weighted by how faint the structure is
(the shrinkage of a Wiener filter), and by the light. Eight numbers for a frame: one spot that is
not in the data hardly moves them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from liverestore.trust.spot_template import blurred

__all__ = ["habit"]

FloatArray = NDArray[np.float32]

_WIDTHS = (1.4, 2.0, 2.8)
"""Of the blurred copies beside those of the spot filter (1 and 4), in widths of the spot."""
_NEAR_SIGMAS = 2.0
_MOST_SAMPLES = 20_000
_EDGE_PX = 8
_ROUNDS = 3
_TRUSTED_SIGMAS = 2.0
"""Beyond it a sample counts less (Huber, Ann. Math. Statist. 35, 1964)."""
_LEAST_SAMPLES = 500
_COMMON = 0.995
"""Structure stronger than in this share of the places speaks no louder than that; where that is
below the noise there is too little structure to read a habit from, and one spot would make it."""


def habit(
    amplitude: FloatArray,
    noise: FloatArray,
    restored_e: FloatArray,
    copies: tuple[FloatArray, FloatArray],
    variance_e: FloatArray,
    sigma_px: float,
) -> FloatArray:
    """The part of `amplitude` (Y, X) that structure alone explains, in the same photoelectrons.

    `noise` is the standard error of `amplitude`; `copies` are `restored_e` blurred by one and by
    four widths `sigma_px` of the spot; `variance_e` is that of one raw pixel, in e squared. Zero
    everywhere for frames too small to fit or almost without structure.
    """
    narrow, wide = copies
    shown = narrow - wide
    levels = [blurred(restored_e, width * sigma_px) for width in _WIDTHS]
    ridge = narrow - levels[1]
    energy = blurred(shown * shown, _NEAR_SIGMAS * sigma_px)
    faint = 1 / (1 + 4 * energy / variance_e)
    light = np.log(np.maximum(levels[-1], 0) + variance_e)
    features = [
        shown,
        ridge,
        levels[0] - wide,
        levels[2] - wide,
        shown * faint,
        ridge * faint,
        shown * light,
        ridge * light,
    ]
    step = max(1, int(np.ceil(np.sqrt(amplitude.size / _MOST_SAMPLES))))
    some = (slice(_EDGE_PX, -_EDGE_PX, step),) * 2
    wanted = amplitude[some]
    if wanted.size < _LEAST_SAMPLES:
        return np.zeros_like(amplitude)
    strength = (np.abs(shown[some]) / noise[some]).ravel()
    common = float(np.quantile(strength, _COMMON))
    if common < 1:
        return np.zeros_like(amplitude)
    error = noise[some].ravel()
    target = wanted.ravel() / error
    matrix = np.stack([feature[some].ravel() / error for feature in features], axis=-1)
    scale = np.sqrt((matrix**2).mean(axis=0)) + np.float32(1e-6)
    matrix /= scale
    ridge_term = 1e-3 * np.eye(len(features))
    fair = np.minimum(1, common / np.maximum(strength, 1e-6)).astype(np.float32)
    matrix *= fair[:, None]
    target *= fair
    weight = np.ones_like(target)
    factors = np.zeros(len(features))
    for _ in range(_ROUNDS):
        weighted = matrix * weight[:, None]
        normal = (weighted.T @ matrix).astype(np.float64) / target.size
        factors = np.linalg.solve(normal + ridge_term, (weighted.T @ target) / target.size)
        left = np.abs(target - matrix @ factors.astype(np.float32))
        weight = np.minimum(1, _TRUSTED_SIGMAS / np.maximum(left, 1e-6)).astype(np.float32)
    explained = np.zeros_like(amplitude)
    for factor, feature in zip(factors / scale, features, strict=True):
        explained += np.float32(factor) * feature
    return explained
