"""A runtime that runs out of memory goes on in smaller tiles, and says so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liverestore.camera_model import CameraModel
from liverestore.errors import Failure
from liverestore.model_spec import ModelSpec
from liverestore.restore import Whole
from liverestore.runtime.base import InferenceRuntime, whole_of
from liverestore.runtime.memory import out_of_memory
from liverestore.tiling import infer_tiled

__all__ = ["SparingRuntime"]

_TILES_PX = (1024, 512, 256)
"""Tried one after the other, without their halo; smaller ones would be mostly halo."""
_NO_MEMORY = (Failure, RuntimeError, MemoryError)


class SparingRuntime:
    """Runs `inner`, by whole frames until its device has no memory for one, then by tiles.

    Tiles have the halo of the engine, so that the result is the same as in one piece. What fits
    no more does not fit again in this run; each change is told once by `tell`. Where the
    smallest tiles do not fit either, a `Failure` is raised: `UpgradingRuntime` then goes on with
    the next best runtime.
    """

    def __init__(
        self, inner: InferenceRuntime, tell: Callable[[str], None] = lambda _line: None
    ) -> None:
        self.inner = inner
        self._tell = tell
        self._tile_px: int | None = None

    @property
    def spec(self) -> ModelSpec:
        """What the network expects and promises."""
        return self.inner.spec

    @property
    def description(self) -> str:
        """For people and provenance; with the tiles, where there are any."""
        tiles = "" if self._tile_px is None else f" in tiles of {self._tile_px} px"
        return f"{self.inner.description}{tiles}"

    def warm_up(self, shape: tuple[int, int], dtype: str = "uint16") -> None:
        """Prepare for frames of `shape` (Y, X) and `dtype`, in tiles where they do not fit."""
        if self._tile_px is None:
            try:
                self.inner.warm_up(shape, dtype)
            except _NO_MEMORY as error:
                self._smaller(error, shape)
            else:
                return
        self.infer(np.zeros((1, self.spec.channels, *self.spec.padded(shape)), np.float32))

    def infer(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, C, Y, X) float32 in, (N, C', Y, X) float32 out; smaller tiles until they fit.

        Raises what the runtime inside does with the smallest ones.
        """
        while True:
            try:
                return self._infer(batch)
            except _NO_MEMORY as error:
                # A batch that is none has no such axes.
                if not out_of_memory(error):
                    raise
                self._smaller(error, (batch.shape[2], batch.shape[3]))

    def _infer(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        tile_px = self._tile_px
        if tile_px is None:
            return self.inner.infer(batch)
        spec, infer = self.spec, self.inner.infer
        # One picture at a time: a batch of planes is as large as the frame that did not fit.
        made = [
            infer_tiled(infer, batch[place : place + 1], tile_px, spec.halo_px, spec.divisor)
            for place in range(len(batch))
        ]
        return made[0] if len(made) == 1 else np.concatenate(made)

    @property
    def whole(self) -> Whole | None:
        """The short way of the runtime inside, while whole frames fit; it gives None for the
        first that does not, which `infer` then restores in tiles.
        """
        whole = whole_of(self.inner) if self._tile_px is None else None
        if whole is None:
            return None

        def guarded(
            pixels: NDArray[Any],
            camera: CameraModel,
            waves: Sequence[NDArray[np.float32]] | None,
        ) -> NDArray[Any] | None:
            try:
                return whole(pixels, camera, waves)
            except _NO_MEMORY as error:
                self._smaller(error, (pixels.shape[0], pixels.shape[1]))
                return None

        return guarded

    def _smaller(self, error: Exception, shape: tuple[int, int]) -> None:
        """Take smaller tiles than `shape` and than before, and say so.

        Raises `error` where it is about something else, and a `Failure` where none are left.
        """
        least = max(shape) if self._tile_px is None else self._tile_px
        smaller = [size for size in _TILES_PX if size < least]
        if self.spec.zoo is not None:
            smaller = []  # its card says which sizes its network takes; these are none of them
        if not out_of_memory(error):
            raise error
        if not smaller:
            why = " ".join(str(error).split()) or type(error).__name__
            raise Failure(
                f"engine '{self.spec.name}': {self.description} has no memory for the smallest "
                f"tiles ({why})"
            ) from error
        self._tile_px = smaller[0]
        # What other frame sizes hold ready is the first thing to give back.
        free = getattr(self.inner, "free_memory", None)
        if free is not None:
            free()
        self._tell(
            f"engine '{self.spec.name}': {self.inner.description} has no memory for "
            f"{shape[1]} x {shape[0]} pixels; it goes on in tiles of {self._tile_px}, more slowly: "
            "close other programs on that device, or use a smaller ROI or larger binning"
        )

    def close(self) -> None:
        """Free the device; safe to call twice."""
        self.inner.close()
