"""Registration of a pair: a rigid shift and turn first, then a smooth field of local shifts.

Pairs of two instruments never fit. What is left after these steps is below a pixel, as the
cross-modality training of Wang et al. 2019 needs it, whose pairs went through a rigid and a
pyramidal elastic step too. Displacements say where to look: `registered[p] = moving[p + d(p)]`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from liverestore.errors import UserError

__all__ = ["Registration", "phase_shift", "register", "warp"]

Image = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Registration:
    """How `moving` was brought onto `fixed`."""

    registered: NDArray[np.float32]
    """(Y, X), `moving` on the pixels of `fixed`."""
    displacement_px: NDArray[np.float32]
    """(2, Y, X): where, from each pixel, it was looked for in `moving`, (dy, dx)."""
    angle_deg: float
    """Turn of the rigid part."""
    shift_px: tuple[float, float]
    """Shift (dy, dx) of the rigid part, at the centre of the picture."""
    valid: NDArray[np.bool_]
    """(Y, X), where `moving` had pixels to look at."""


def _check(fixed: Image, moving: Image) -> None:
    if fixed.ndim != 2 or fixed.shape != moving.shape or min(fixed.shape) < 32:
        raise UserError(
            f"registration: got pictures of {fixed.shape} and {moving.shape}; allowed are two of "
            "one size (Y, X), 32 px or more a side; scale one to the pixel size of the other"
        )
    for name, image in (("fixed", fixed), ("moving", moving)):
        if not np.isfinite(image).all():
            raise UserError(f"registration: the {name} picture has NaN or infinite pixels")
        if float(np.ptp(image)) == 0:
            raise UserError(f"registration: the {name} picture is empty; give one with structure")


def _flattened(image: Image) -> NDArray[np.float64]:
    """Without mean and slow background, and faded out at the borders, which are no structure."""
    x = image.astype(np.float64)
    x -= ndimage.gaussian_filter(x, max(x.shape) / 8, mode="nearest")
    window = np.outer(*(np.hanning(n + 2)[1:-1] ** 0.5 for n in x.shape))
    flat: NDArray[np.float64] = (x - x.mean()) * window
    return flat


def phase_shift(fixed: Image, moving: Image) -> tuple[tuple[float, float], float]:
    """Shift (dy, dx) with fixed[p] = moving[p + d], below a pixel, and how sure it is.

    Peak of the whitened cross-correlation (Kuglin & Hines 1975), refined by a parabola
    through its neighbours in each direction. The frequencies are weighted towards the lower
    half, where two modalities agree. The second value is the correlation coefficient of the
    two flattened pictures after the shift, at most 1.
    """
    a, b = _flattened(fixed), _flattened(moving)
    fa, fb = fft.rfft2(a), fft.rfft2(b)
    cross = np.conj(fa) * fb
    magnitude = np.abs(cross)
    ky, kx = fft.fftfreq(a.shape[0])[:, None], fft.rfftfreq(a.shape[1])[None, :]
    low = np.exp(-(ky**2 + kx**2) / (2 * 0.12**2))
    # Half whitened: fully whitened noise would outvote the structure.
    peak_map = fft.irfft2(cross / np.sqrt(magnitude + 1e-9 * magnitude.max()) * low, s=a.shape)
    top = np.unravel_index(int(peak_map.argmax()), a.shape)
    shift = []
    for axis, place in enumerate(top):
        n = a.shape[axis]
        along = np.take(peak_map, [(place - 1) % n, place, (place + 1) % n], axis=axis)
        before, at, after = along[:, top[1]] if axis == 0 else along[top[0]]
        bend = before - 2 * at + after
        part = 0.5 * (before - after) / bend if bend < 0 else 0.0
        signed = place if place <= n // 2 else place - n
        shift.append(float(signed + part))
    moved = ndimage.shift(b, (-shift[0], -shift[1]), order=1)
    norm = math.sqrt(float((a * a).sum() * (moved * moved).sum()))
    return (shift[0], shift[1]), float((a * moved).sum()) / norm if norm > 0 else 0.0


def warp(image: Image, displacement_px: NDArray[np.floating]) -> NDArray[np.float32]:
    """`image` (Y, X) read at p + d(p), cubic; `displacement_px` is (2, Y, X)."""
    grid = np.indices(image.shape, np.float64) + displacement_px
    result = ndimage.map_coordinates(image.astype(np.float64), grid, order=3, mode="nearest")
    return np.asarray(result, np.float32)


def _rigid_displacement(
    shape: tuple[int, int], angle_deg: float, shift: tuple[float, float]
) -> NDArray[np.float64]:
    """(2, Y, X) of a turn about the centre of the picture, then a shift."""
    y, x = np.indices(shape, np.float64)
    y -= (shape[0] - 1) / 2
    x -= (shape[1] - 1) / 2
    c, s = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    return np.stack([c * y - s * x - y + shift[0], s * y + c * x - x + shift[1]])


def _rigid(
    fixed: Image, moving: Image, largest_angle_deg: float
) -> tuple[float, tuple[float, float]]:
    """Angle and shift with the best correlation: a coarse search, then a golden section."""
    shrink = max(1, min(fixed.shape) // 256)
    small_fixed, small_moving = (
        ndimage.zoom(ndimage.gaussian_filter(i.astype(np.float64), 0.5 * shrink), 1 / shrink)
        if shrink > 1
        else i
        for i in (fixed, moving)
    )

    def fit(angle: float) -> float:
        turned = warp(small_moving, _rigid_displacement(small_moving.shape, angle, (0.0, 0.0)))
        return phase_shift(small_fixed, turned)[1]

    angle = 0.0
    if largest_angle_deg > 0:
        coarse = np.linspace(-largest_angle_deg, largest_angle_deg, 9)
        step = float(coarse[1] - coarse[0])
        angle = float(coarse[int(np.argmax([fit(float(a)) for a in coarse]))])
        low, high = angle - step, angle + step
        ratio = (math.sqrt(5) - 1) / 2
        while high - low > 0.02:
            left, right = high - ratio * (high - low), low + ratio * (high - low)
            if fit(left) > fit(right):
                high = right
            else:
                low = left
        angle = 0.5 * (low + high)
    turned = warp(moving, _rigid_displacement(moving.shape, angle, (0.0, 0.0)))
    (dy, dx), _ = phase_shift(fixed, turned)
    # The shift was found after the turn; the displacement applies it before.
    c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    return angle, (c * dy - s * dx, s * dy + c * dx)


def _local_shifts(
    fixed: Image, moving: Image, tiles: int, largest_px: float
) -> NDArray[np.float64] | None:
    """(2, Y, X) smooth field from the shifts of overlapping tiles; None if none is sure."""
    height, width = fixed.shape
    centres = [np.linspace(0, n - 1, 2 * tiles + 1)[1::2] for n in (height, width)]
    half = [max(16, int(0.75 * n / tiles)) for n in (height, width)]
    field = np.zeros((2, tiles, tiles))
    weight = np.zeros((tiles, tiles))
    for row, cy in enumerate(centres[0]):
        for column, cx in enumerate(centres[1]):
            rows = slice(max(0, int(cy) - half[0]), min(height, int(cy) + half[0]))
            columns = slice(max(0, int(cx) - half[1]), min(width, int(cx) + half[1]))
            a, b = fixed[rows, columns], moving[rows, columns]
            if min(np.ptp(a), np.ptp(b)) == 0:
                continue
            shift, sure = phase_shift(a, b)
            if max(abs(shift[0]), abs(shift[1])) <= largest_px and sure > 0.2:
                field[:, row, column] = shift
                weight[row, column] = sure**2
    if not weight.any():
        return None
    # Normalised smoothing fills the tiles where nothing was found from their neighbours.
    sigma = 0.5
    spread = ndimage.gaussian_filter(weight, sigma, mode="nearest") + 1e-6
    smooth = [ndimage.gaussian_filter(part * weight, sigma, mode="nearest") for part in field]
    y, x = np.indices((height, width), np.float64)
    place = np.stack([(y + 0.5) / height * tiles - 0.5, (x + 0.5) / width * tiles - 0.5])
    return np.stack(
        [ndimage.map_coordinates(part / spread, place, order=3, mode="nearest") for part in smooth]
    )


def register(
    fixed: Image,
    moving: Image,
    *,
    largest_angle_deg: float = 3.0,
    elastic_levels: tuple[int, ...] = (2, 3, 5, 8),
    largest_local_px: float = 8.0,
) -> Registration:
    """Bring `moving` onto `fixed`, both (Y, X) of one size, any real dtype and scale.

    Rigid: turns up to `largest_angle_deg` and any shift. Elastic: for each number of tiles a
    side in `elastic_levels`, local shifts of up to `largest_local_px`, made smooth and added;
    an empty tuple leaves it out. A level that lowers the correlation is not applied, nor are
    tiles below 48 px. Raises `UserError` for pictures that cannot be compared.
    """
    _check(fixed, moving)
    angle, shift = _rigid(fixed, moving, largest_angle_deg)
    field = _rigid_displacement(fixed.shape, angle, shift)
    registered = warp(moving, field)
    flat = _flattened(fixed)

    def agreement(image: Image) -> float:
        other = _flattened(image)
        norm = math.sqrt(float((flat * flat).sum() * (other * other).sum()))
        return float((flat * other).sum()) / norm if norm > 0 else 0.0

    best = agreement(registered)
    for tiles in elastic_levels:
        if min(fixed.shape) / tiles < 48:
            break
        local = _local_shifts(fixed, registered, tiles, largest_local_px)
        if local is None:
            continue
        # Fields are chained: first the local step, then where that place came from.
        place = np.indices(fixed.shape, np.float64) + local
        chained = local + np.stack(
            [ndimage.map_coordinates(part, place, order=1, mode="nearest") for part in field]
        )
        candidate = warp(moving, chained)
        score = agreement(candidate)
        if score > best:
            best, field, registered = score, chained, candidate
    place = np.indices(fixed.shape, np.float64) + field
    inside = [(p >= 0) & (p <= n - 1) for p, n in zip(place, fixed.shape, strict=True)]
    return Registration(registered, field.astype(np.float32), angle, shift, np.logical_and(*inside))
