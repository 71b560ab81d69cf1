"""Figures of merit, and a fixed simulated test set to take them on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from liverestore.camera_model import CameraModel
from liverestore.measure.fidelity import affine_psnr
from liverestore.measure.opponents import best_gaussian
from liverestore.training.specimens import scene

__all__ = ["affine_psnr", "simulated_scores"]

_SEED = 915
"""Scenes of the test set; training seeds make other scenes, because a scene's seed is the
pair of the run's seed and its number."""
_LIGHT_E = (8.0, 30.0, 120.0)


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
        totals["gaussian"] += affine_psnr(best_gaussian(frame, light).image, light)
        totals["network"] += affine_psnr(restored, light)
    return {name: round(total / scenes, 2) for name, total in totals.items()}
