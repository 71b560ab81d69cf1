"""Classical filters as engines, on plain counts, so that they can be compared in one place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from liverestore.errors import Failure
from liverestore.model_spec import ModelSpec

__all__ = ["FilterRuntime", "is_incompatible"]

FloatArray = NDArray[np.float32]


def _mean5(image: FloatArray, out: FloatArray) -> None:
    ndimage.uniform_filter(image, size=5, output=out, mode="reflect")


def _median5(image: FloatArray, out: FloatArray) -> None:
    ndimage.median_filter(image, size=5, output=out, mode="reflect")


def _copy(image: FloatArray, out: FloatArray) -> None:
    np.copyto(out, image)


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
        return "numpy CPU f32" if self._spec.name == "null" else "scipy CPU f32"

    def warm_up(self, shape: tuple[int, int]) -> None:
        """Make the buffer for frames of `shape` (Y, X)."""
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

    def close(self) -> None:
        """Free the buffer; safe to call twice."""
        self._out = np.empty((0, 0, 0, 0), np.float32)
