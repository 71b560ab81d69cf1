"""How far restored frames are from the truth, told by noisy references alone.

A reference is the truth plus noise of its own, so the plain error of a frame against it holds
the noise of the reference as well. The covariance of two *different* references does not: with
references a and b, and x fitted to them by a line,

    error of x = cov(a, b) - cov(x, a) cov(x, b) / var(x)

has the expectation of the mean squared error against the truth, for any x that shares no noise
with a and b. No frame is ever multiplied with itself, but x; and noise that a restored frame
shares with its own raw frame cannot help it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liverestore.errors import UserError

__all__ = ["FrameProducts"]

FloatArray = NDArray[np.float64]
Image = NDArray[Any]


@dataclass(slots=True)
class FrameProducts:
    """Covariances over the pixels of references with each other and with frames.

    References and frames are added in the order in which they were taken; all images are
    (Y, X) of one shape.
    """

    references: list[NDArray[np.float32]] = field(default_factory=list)
    """Each about its mean."""
    _among: list[FloatArray] = field(default_factory=list)
    _frames: list[tuple[Image, float]] = field(default_factory=list)
    _with: list[list[float]] = field(default_factory=list)
    _after: list[int] = field(default_factory=list)

    def add_reference(self, image: Image) -> None:
        """Add a reference. Raises `UserError` for another shape."""
        centred = self._centred(image)
        values = [_cov(centred, other) for other in self.references]
        self.references.append(centred.astype(np.float32))
        self._among.append(np.array([*values, _cov(centred, centred)]))
        for (frame, _), row in zip(self._frames, self._with, strict=True):
            row.append(_cov(frame, centred))

    def add_frame(self, image: Image) -> int:
        """Add a frame to be judged, its index. Raises `UserError` for another shape."""
        centred = self._centred(image)
        self._frames.append((image, _cov(centred, centred)))
        self._with.append([_cov(centred, other) for other in self.references])
        self._after.append(len(self.references))
        return len(self._frames) - 1

    def _centred(self, image: Image) -> FloatArray:
        if self.references and self.references[0].shape != image.shape:
            raise UserError(
                f"exposure: got a frame {image.shape} among frames {self.references[0].shape}; "
                "leave the ROI as it is while the series is taken"
            )
        values = image.astype(np.float64)
        centred: FloatArray = values - values.mean()
        return centred

    @property
    def among(self) -> FloatArray:
        """(R, R) covariances of the references."""
        count = len(self._among)
        made = np.zeros((count, count))
        for n, row in enumerate(self._among):
            made[n, : n + 1] = made[: n + 1, n] = row
        return made

    @property
    def shared_sigmas(self) -> float:
        """What one reference has in common with the next, in standard errors of it."""
        next_ = np.diagonal(self.among, 1)
        error = float(next_.std(ddof=1)) / np.sqrt(next_.size)
        return float(next_.mean()) / error if error > 0 else np.inf

    def errors(self, weights: FloatArray | None = None) -> FloatArray:
        """(N,) error of each frame against all references, in their units squared.

        Valid where nothing moves. `weights` (R,): how often each reference counts.
        """
        among, rows = self.among, np.array(self._with)
        w = np.ones(len(among)) if weights is None else weights
        pairs = w.sum() ** 2 - np.square(w).sum()
        truth = (w @ among @ w - np.square(w) @ np.diag(among)) / pairs
        shared = (np.square(rows @ w) - np.square(rows) @ np.square(w)) / pairs
        made: FloatArray = truth - shared / np.array([power for _, power in self._frames])
        return made

    def local_errors(self) -> FloatArray:
        """(N,) error of each frame against the two references on either side of it.

        The mean of the nearest two and the mean of the next two: what moves evenly is in both
        where it is in the frame. NaN for a frame without two references on each side.
        """
        among = self.among
        made = np.full(len(self._frames), np.nan)
        for n, row in enumerate(self._with):
            both = self.neighbours(n)
            if both is None:
                continue
            near, next_ = both
            truth = among[np.ix_(near, next_)].mean()
            shared = np.mean([row[j] for j in near]) * np.mean([row[j] for j in next_])
            made[n] = truth - shared / self._frames[n][1]
        return made

    def neighbours(self, frame: int) -> tuple[list[int], list[int]] | None:
        """The references right before and after frame `frame`, and those before and after them.

        None for a frame without two on each side.
        """
        after = self._after[frame]
        if after < 2 or after + 2 > len(self.references):
            return None
        return [after - 1, after], [after - 2, after + 1]

    def slope(self, frames: list[int]) -> float:
        """Mean slope of the line that fits `frames` to the references next to them.

        Below what it is for a still sample where the two show different pictures.
        """
        slopes = []
        for n in frames:
            both = self.neighbours(n)
            if both is not None:
                slopes.append(np.mean([self._with[n][j] for j in both[0]]) / self._frames[n][1])
        return float(np.mean(slopes))

    def image(self, frame: int) -> Image:
        """Frame `frame` as it was added."""
        return self._frames[frame][0]

    def residual_products(self, guess: Image, brightness: FloatArray) -> FloatArray:
        """(R, R) covariances of what the references have beside the fitted image `guess`.

        `brightness` (R,): what each reference is divided by, 1 for one that has not bleached.
        For a specimen that is still all of them are alike, but for the diagonal.
        """
        x = self._centred(guess)
        power = _cov(x, x)
        rest = []
        for reference, light in zip(self.references, brightness, strict=True):
            y = reference.astype(np.float64) / light
            rest.append((y - _cov(x, y) / power * x).astype(np.float32))
        count = len(rest)
        made = np.zeros((count, count))
        for j in range(count):
            for k in range(j + 1):
                made[j, k] = made[k, j] = _cov(rest[j], rest[k])
        return made


def _cov(first: NDArray[Any], centred: NDArray[Any]) -> float:
    # One of both about its mean is enough. Not by BLAS, whose threads wake up slowly.
    return float(np.multiply(first, centred, dtype=np.float64).sum()) / first.size
