"""How the parts of a picture moved from one moment to another, block by block.

Phase correlation of 64 px blocks of the restored images (Kuglin & Hines, Proc. IEEE Cybern. Soc.
163, 1975), with the square root of the power kept so that frequencies without structure have no
say, and a parabola through the peak for fractions of a pixel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

__all__ = ["BlockGrid", "Follower"]

FloatArray = NDArray[np.float32]

_BLOCK_PX = 64
_BIN = 2
_FARTHEST_BINNED_PX = 6
_PEAK_OVER_SPREAD = 6.0
"""A peak this many standard deviations above the correlation elsewhere is one."""
_LEAST_CONTRAST_E = 1.0
"""Standard deviation of a block, in photoelectrons, below which nothing can be followed."""


class BlockGrid:
    """The blocks of frames of one shape (Y, X) of 64 px or more a side."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self.shape = shape
        self.count = tuple(max(1, side // _BLOCK_PX) for side in shape)
        side = _BLOCK_PX // _BIN
        ramp = np.hanning(side + 2)[1:-1]
        self._window = np.outer(ramp, ramp).astype(np.float32)
        self._side = side
        self._spread = [
            self._matrix(n, length) for n, length in zip(self.count, shape, strict=True)
        ]

    @staticmethod
    def _matrix(blocks: int, length: int) -> FloatArray:
        """(length, blocks): straight lines between the middles of the blocks."""
        place = (np.arange(length) + 0.5) / _BLOCK_PX - 0.5
        place = np.clip(place, 0, blocks - 1)
        near = 1 - np.abs(place[:, None] - np.arange(blocks)[None, :])
        weights: FloatArray = np.maximum(near, 0).astype(np.float32)
        return weights

    def spectra(self, image: FloatArray) -> NDArray[np.complex64]:
        """(blocks down, blocks across, ...) of `image` (Y, X); zeros where there is no contrast."""
        rows, columns = (n * self._side for n in self.count)
        binned = sum(
            image[dy : dy + rows * _BIN : _BIN, dx : dx + columns * _BIN : _BIN]
            for dy in range(_BIN)
            for dx in range(_BIN)
        )
        assert isinstance(binned, np.ndarray)
        blocks = binned.reshape(self.count[0], self._side, self.count[1], self._side)
        blocks = blocks.transpose(0, 2, 1, 3) / np.float32(_BIN**2)
        blocks = blocks - blocks.mean(axis=(2, 3), keepdims=True)
        flat = blocks.std(axis=(2, 3)) < _LEAST_CONTRAST_E
        found: NDArray[np.complex64] = fft.rfft2(blocks * self._window)
        found[flat] = 0
        return found

    def shifts(
        self, before: NDArray[np.complex64], after: NDArray[np.complex64]
    ) -> tuple[FloatArray, NDArray[np.bool_]]:
        """(blocks down, blocks across, 2) px (y, x) that each block moved, and where it is known.

        Blocks without a clear peak within 12 px have moved by 0 as far as anybody knows.
        """
        side, reach = self._side, _FARTHEST_BINNED_PX
        cross = after * before.conj()
        cross /= np.sqrt(np.abs(cross)) + np.float32(1e-12)
        surface = fft.irfft2(cross, s=(side, side))
        spread = surface.std(axis=(2, 3))
        surface = np.roll(surface, (reach, reach), axis=(2, 3))[
            ..., : 2 * reach + 1, : 2 * reach + 1
        ]
        flat = surface.reshape(*self.count, -1)
        best = flat.argmax(-1)
        peak = np.take_along_axis(flat, best[..., None], -1)[..., 0]
        y, x = np.divmod(best, 2 * reach + 1)
        inner = (np.abs(y - reach) < reach) & (np.abs(x - reach) < reach)
        known = inner & (peak > _PEAK_OVER_SPREAD * spread) & (spread > 0)
        moved = np.zeros((*self.count, 2), np.float32)
        for i, j in np.argwhere(known):
            here, (cy, cx) = surface[i, j], (y[i, j], x[i, j])
            dy = _vertex(here[cy - 1, cx], here[cy, cx], here[cy + 1, cx])
            dx = _vertex(here[cy, cx - 1], here[cy, cx], here[cy, cx + 1])
            moved[i, j] = _BIN * (cy - reach + dy), _BIN * (cx - reach + dx)
        return moved, known

    def whole_px(self, moved: FloatArray) -> NDArray[np.int16]:
        """(2, Y, X) int16: displacements of blocks spread over the pixels, rounded."""
        down, across = self._spread
        each = [np.rint((down @ moved[..., axis]) @ across.T) for axis in (0, 1)]
        return np.stack(each).astype(np.int16)


def _vertex(left: float, middle: float, right: float) -> float:
    bend = left - 2 * middle + right
    return 0.0 if bend >= 0 else float(np.clip(0.5 * (left - right) / bend, -0.5, 0.5))


@dataclass(frozen=True, slots=True, eq=False)
class _Reference:
    spectra: NDArray[np.complex64]
    moved: FloatArray
    """(blocks down, blocks across, 2) px that the blocks had moved by then."""


class Follower:
    """Keeps account of how far each place of a picture has moved since the first one.

    Each picture is compared with one that stands for several, so that rounding does not add up.
    """

    def __init__(self, shape: tuple[int, int], *, renew_after: int = 8) -> None:
        """For pictures of `shape` (Y, X); the one compared with is renewed every so many."""
        self._grid = BlockGrid(shape)
        self._renew_after = renew_after
        self._age = 0
        self._reference: _Reference | None = None
        self._whole = np.zeros((2, *shape), np.int16)
        self._moved_any = False

    def step(self, image: FloatArray) -> NDArray[np.int16] | None:
        """(2, Y, X) whole px (y, x) that the structure at each pixel came from the last step;
        None where nothing moved by a pixel. `image` is (Y, X) float32 in photoelectrons.
        """
        spectra = self._grid.spectra(image)
        reference = self._reference
        if reference is None:
            self._reference = _Reference(spectra, np.zeros((*self._grid.count, 2), np.float32))
            return None
        shift, known = self._grid.shifts(reference.spectra, spectra)
        moved = reference.moved + shift
        self._age += 1
        if self._age >= self._renew_after or (~known & (np.abs(spectra).sum((2, 3)) > 0)).any():
            self._reference, self._age = _Reference(spectra, moved), 0
        if not moved.any() and not self._moved_any:
            return None
        whole = self._grid.whole_px(moved)
        step = whole - self._whole
        if not step.any():
            return None
        self._whole, self._moved_any = whole, True
        return step
