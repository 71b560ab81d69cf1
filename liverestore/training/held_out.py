"""Which of two engines is nearer to the truth, told from noisy frames alone.

A restored frame is held against the *next* raw frame, whose noise it cannot know. In units of that
noise

    D = mean over pixels and frames of (restored(t) - raw(t+1))^2 / variance of a raw pixel

and its expectation is 1 plus the error of the engine against the light of the next frame (Lehtinen
et al. 2018, Noise2Noise: the noise of the target adds a constant). The constant is the same for two
engines and falls out of their difference. What the difference does not see: a pattern that stays
the same in all frames counts as light; and what moves from one frame to the next counts as error
of both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from liverestore.camera_model import CameraModel
from liverestore.errors import UserError

__all__ = ["Comparison", "Restore", "compare", "distances"]

Restore = Callable[[NDArray[np.generic]], NDArray[np.generic]]
"""One frame (Y, X) in counts to its restored one, in counts."""

_SMOOTH_PX = 1.0
"""Over which the light is averaged to know the noise; the same for all engines."""
_SURE = 2.0
"""Standard errors."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two engines on the same held-out frames."""

    new: float
    """D of the new engine; 1 would be the noise of the next frame alone."""
    old: float | None
    """D of the engine in use; None where there is none to compare with."""
    raw: float
    """D of the raw frames themselves: about 2 where nothing moves."""
    nearer: float | None
    """D of the old engine minus that of the new one; above 0 the new one is nearer."""
    nearer_error: float | None
    """Standard error of `nearer`, from frame to frame."""
    frames: int

    @property
    def verdict(self) -> str:
        """For people."""
        if self.old is None or self.nearer is None or self.nearer_error is None:
            return "there is no engine in use to compare it with"
        percent = f"{100 * abs(self.nearer):.2g} ± {100 * self.nearer_error:.1g} %"
        if abs(self.nearer) < _SURE * self.nearer_error:
            return f"no difference that {self.frames} frames can tell ({percent} of the noise)"
        which = "nearer to" if self.nearer > 0 else "farther from"
        return f"the new engine is {which} the next frames, by {percent} of the noise"


def distances(
    frames: Sequence[NDArray[np.generic]],
    camera: CameraModel,
    restore: Restore | None,
    on_frame: Callable[[], None] = lambda: None,
) -> NDArray[np.float64]:
    """D of each of `frames` but the last, (T-1,); `restore` None: of the raw frames.

    `frames` (Y, X) in counts, two or more in order of time. Raises `UserError` for fewer.
    """
    if len(frames) < 2:
        raise UserError(f"score: got {len(frames)} held-out frames, at least 2 are needed")
    electrons = [camera.to_electrons(frame).astype(np.float64) for frame in frames]
    light = ndimage.gaussian_filter(np.mean(electrons, axis=0), _SMOOTH_PX)
    variance = np.maximum(light, 0.0) + camera.read_noise_e**2
    found = []
    for frame, following in zip(frames, electrons[1:], strict=False):
        made = frame if restore is None else restore(frame)
        away = camera.to_electrons(made).astype(np.float64) - following
        found.append(float(np.mean(np.square(away) / variance)))
        on_frame()
    return np.array(found)


def compare(
    new: NDArray[np.float64], old: NDArray[np.float64] | None, raw: NDArray[np.float64]
) -> Comparison:
    """Put `distances` (T,) of two engines and of the raw frames side by side."""
    nearer = error = None
    if old is not None:
        difference = old - new
        nearer = float(difference.mean())
        # Neighbours share a frame: each is target of one pair and input of the next.
        independent = max(difference.size / 2, 1.0)
        spread = float(difference.std(ddof=1)) if difference.size > 1 else math.inf
        error = spread / math.sqrt(independent)
    return Comparison(
        float(new.mean()),
        None if old is None else float(old.mean()),
        float(raw.mean()),
        nearer,
        error,
        len(new),
    )
