"""Figures of merit, and a fixed simulated test set to take them on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from liverestore.camera_model import CameraModel
from liverestore.training.specimens import scene

__all__ = ["affine_psnr", "best_gaussian", "simulated_scores"]

_SEED = 915
"""Scenes of the test set; training seeds make other scenes, because a scene's seed is the
pair of the run's seed and its number."""
_LIGHT_E = (8.0, 30.0, 120.0)


def affine_psnr(image: NDArray[np.generic], reference: NDArray[np.generic]) -> float:
    """Peak signal-to-noise ratio in dB after the best a * image + b.

    The peak is the range of the reference. Both (Y, X), any real dtype.
    """
    x = image.astype(np.float64).ravel()
    y = reference.astype(np.float64).ravel()
    xc, yc = x - x.mean(), y - y.mean()
    power = float(xc @ xc)
    slope = float(xc @ yc) / power if power > 0 else 0.0
    error = float(np.square(slope * xc - yc).mean())
    return float(10 * np.log10(np.ptp(y) ** 2 / max(error, 1e-300)))


def best_gaussian(image: NDArray[np.generic], reference: NDArray[np.generic]) -> float:
    """PSNR in dB of the Gaussian blur that is best for this very image, chosen by looking at
    the reference: more than any user could get from a Gaussian.
    """
    x = image.astype(np.float64)
    return max(
        affine_psnr(ndimage.gaussian_filter(x, sigma), reference)
        for sigma in (0.5, 0.7, 0.85, 1.0, 1.2, 1.5, 1.8, 2.2, 2.7, 3.3)
    )


def simulated_scores(
    infer: Callable[[NDArray[np.float32]], NDArray[np.float32]], scenes: int = 12
) -> dict[str, float]:
    """Mean affine PSNR in dB over `scenes` simulated 256x256 frames at three light levels:
    raw, mean 5x5, best Gaussian, and the network `infer` ((1, 1, Y, X) stabilised).
    """
    totals = dict.fromkeys(("raw", "mean5", "gaussian", "network"), 0.0)
    for number in range(scenes):
        rng = np.random.default_rng((_SEED, number))
        light = scene((_SEED, number)) * _LIGHT_E[number % len(_LIGHT_E)] + 1.0
        camera = CameraModel(100.0, 0.5, 1.5)
        electrons = rng.poisson(light) + camera.read_noise_e * rng.standard_normal(light.shape)
        counts = np.rint(electrons / camera.gain_e_per_count + camera.offset_counts)
        frame = counts.clip(0, 65535).astype(np.uint16)
        restored = camera.unstabilise(infer(camera.stabilise(frame)[None, None])[0, 0])
        totals["raw"] += affine_psnr(frame, light)
        blurred = ndimage.uniform_filter(frame.astype(np.float32), 5)
        totals["mean5"] += affine_psnr(blurred, light)
        totals["gaussian"] += best_gaussian(frame, light)
        totals["network"] += affine_psnr(restored, light)
    return {name: round(total / scenes, 2) for name, total in totals.items()}
