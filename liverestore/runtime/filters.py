"""Classical filters as engines, on plain counts, so that they can be compared in one place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from liverestore.camera_model import CameraModel
from liverestore.errors import Failure
from liverestore.model_spec import ModelSpec
from liverestore.restore import Whole

__all__ = ["FilterRuntime", "is_incompatible"]

FloatArray = NDArray[np.float32]


def _mean5(image: FloatArray, out: FloatArray) -> None:
    ndimage.uniform_filter(image, size=5, output=out, mode="reflect")


_STRIP_PX = 48
"""Rows done together by the median, so that its 25 shifted views stay in the cache."""


def _exchange(values: list[FloatArray], low: int, high: int) -> None:
    """Put the smaller of two arrays, pixel by pixel, at `low` and the larger at `high`."""
    smaller = np.minimum(values[low], values[high])
    values[high] = np.maximum(values[low], values[high])
    values[low] = smaller


def _median5(image: FloatArray, out: FloatArray) -> None:
    """Median of 25 by forgetful selection, on whole strips at once.

    Of 14 values neither the smallest nor the largest can be the median of 25: drop both,
    take in the next value, and so on. Exact, and several times faster than
    `ndimage.median_filter`, which sorts at each pixel.
    """
    height, width = image.shape
    padded = np.pad(image, 2, mode="symmetric")
    for top in range(0, height, _STRIP_PX):
        rows = min(_STRIP_PX, height - top)
        waiting = [
            padded[top + dy : top + dy + rows, dx : dx + width]
            for dy in range(5)
            for dx in range(5)
        ]
        held = waiting[:14]
        rest = waiting[14:]
        while True:
            last = len(held) - 1
            # Pairs first: then only the lower half can hold the smallest value, the upper the
            # largest.
            half = len(held) // 2
            for k in range(half):
                _exchange(held, k, last - k)
            for k in range(1, len(held) - half):
                _exchange(held, 0, k)
            for k in range(half, last):
                _exchange(held, k, last)
            held = held[1:-1]
            if not rest:
                break
            held.append(rest.pop(0))
        out[top : top + rows] = held[0]


def _copy(image: FloatArray, out: FloatArray) -> None:
    np.copyto(out, image)


def _copied(
    pixels: NDArray[Any], _camera: CameraModel, _waves: Sequence[NDArray[np.float32]] | None
) -> NDArray[Any]:
    return pixels.copy()


_FILTERS: dict[str, Callable[[FloatArray, FloatArray], None]] = {
    "mean5": _mean5,
    "median5": _median5,
    "null": _copy,
}


def is_incompatible(spec: ModelSpec) -> Literal[False] | str:
    """False when this back end can run `spec` here, else the reason."""
    if spec.weights is None and spec.name in _FILTERS:
        return False
    return "it is no classical filter"


class FilterRuntime:
    """`mean5`, `median5` or `null`; borders are mirrored, edge pixel included."""

    def __init__(self, spec: ModelSpec, *, threads: int | None = None) -> None:
        reason = is_incompatible(spec)
        if reason:
            raise Failure(f"engine '{spec.name}' cannot run as a filter: {reason}")
        self._spec = spec
        self._filter = _FILTERS[spec.name]
        self._out = np.empty((0, 0, 0, 0), np.float32)

    @property
    def spec(self) -> ModelSpec:
        """What the filter expects."""
        return self._spec

    @property
    def description(self) -> str:
        """For people and provenance."""
        return "numpy CPU copy" if self._spec.name == "null" else "scipy CPU f32"

    def warm_up(self, shape: tuple[int, int], dtype: str = "uint16") -> None:
        """Make the buffer for frames of `shape` (Y, X); whatever their `dtype`."""
        self._buffer((1, 1, *shape))

    def _buffer(self, shape: tuple[int, ...]) -> FloatArray:
        if self._out.shape != shape:
            self._out = np.empty(shape, np.float32)
        return self._out

    def infer(self, batch: FloatArray) -> FloatArray:
        """(N, C, Y, X) float32 counts to the same; the result lies in a reused buffer."""
        if batch.ndim != 4:
            raise Failure(f"engine '{self._spec.name}' got {batch.shape}; it takes (N, C, Y, X)")
        out = self._buffer(batch.shape)
        for image, place in zip(batch, out, strict=True):
            for channel, channel_place in zip(image, place, strict=True):
                self._filter(channel, channel_place)
        return out

    @property
    def whole(self) -> Whole | None:
        """`null` copies pixels as they are, so that it measures everything but itself."""
        return _copied if self._spec.name == "null" else None

    def close(self) -> None:
        """Free the buffer; safe to call twice."""
        self._out = np.empty((0, 0, 0, 0), np.float32)
