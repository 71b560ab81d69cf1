"""Reversible pairs around a network: the size it takes, and the numbers a camera gives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Padding", "as_pixels"]

_WHOLE: dict[np.dtype[np.generic], int] = {np.dtype("uint8"): 255, np.dtype("uint16"): 65535}
"""Largest count of each integer pixel type."""


@dataclass(frozen=True, slots=True)
class Padding:
    """Grows a (Y, X) picture to `outer` by mirroring, and cuts it back to `inner`.

    The picture sits in the upper left, so that pixels keep their place.
    """

    inner: tuple[int, int]
    outer: tuple[int, int]

    @property
    def needed(self) -> bool:
        """False where the network takes the picture as it is."""
        return self.inner != self.outer

    def pad(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """(Y, X) of size `inner` to size `outer`; `image` itself when nothing is needed."""
        if not self.needed:
            return image
        for axis in (0, 1):
            extra = self.outer[axis] - self.inner[axis]
            width = [(0, 0), (0, 0)]
            width[axis] = (0, extra)
            # A single row or column has nothing to mirror.
            mode = "reflect" if self.inner[axis] > 1 else "edge"
            image = np.pad(image, width, mode=mode)  # type: ignore[call-overload]
        return image

    def crop(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """(Y, X) of size `outer` back to size `inner`, a view."""
        return image[: self.inner[0], : self.inner[1]]


def as_pixels(counts: NDArray[np.float32], dtype: np.dtype[np.generic]) -> NDArray[np.generic]:
    """Counts to pixels of `dtype`: rounded to the nearest and clipped to its range.

    Float pixels are neither rounded nor clipped. `counts` is used as working space.
    """
    if dtype not in _WHOLE:
        return counts.astype(dtype, copy=False)
    np.rint(counts, out=counts)
    np.clip(counts, 0, _WHOLE[dtype], out=counts)
    return counts.astype(dtype)
