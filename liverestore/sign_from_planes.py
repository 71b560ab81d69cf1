"""On which side of the focus light lies, from two frames at two positions of the stage.

With optics that look alike above and below focus one frame cannot tell (`sign_of_z`); two can,
since the one nearer to the light is the sharper one. Both show the same unknown light S: in
Fourier space F1 = H(d) S and F2 = H(d - delta) S, with the transfer H of the rig's optics and the
distance d of the light from the plane in focus in the first frame. The best S for each d leaves

    chi2(d) = sum over k of |H2 F1 - H1 F2|^2 / (|H2|^2 var1 + |H1|^2 var2),

which noise alone raises by the same amount whatever d is (depth from defocus: Subbarao & Surya,
Int. J. Comput. Vis. 13, 271, 1994; as maximum likelihood: Rajagopalan & Chaudhuri, IEEE Trans.
Pattern Anal. Mach. Intell. 21, 577, 1999). It is summed over pixels rather than frequencies, so
that it can be had for a part of the frame.

How sure it is, is taken from how far the parts of a region agree about the better distance of one
side and that of the other (Vuong, Econometrica 57, 307, 1989), because light in several planes
makes the model wrong in a way that counting photons does not know.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage, special

from liverestore.camera_stabilise import CameraModel
from liverestore.errors import UserError
from liverestore.microscopes import defocus_waves_per_um
from liverestore.optics import Optics, widefield_psf

__all__ = ["Side", "TwoPlaneSign", "sign_from_two_planes"]

_REACH_WAVES = 4.0
_STEP_WAVES = 0.2
_LEAST_WAVES, _MOST_WAVES = 0.1, 3.0
"""Of defocus at the rim of the pupil between the two frames."""
_BLOCK_PX, _TILE_BLOCKS = 32, 4
_LONGEST_PX = 64.0
"""Longer waves hold background and shading."""
_TOLD = 0.05


@dataclass(frozen=True, slots=True)
class Side:
    """What two frames say of the light in one region."""

    z_um: float
    """Most likely distance from the plane in focus in the first frame, positive deeper."""
    wrong_side: float
    """Probability that the light lies on the other side of that plane, 0.5 for a guess."""

    @property
    def sign(self) -> int:
        """1 deeper, -1 shallower, 0 where more than 5 % speak for the other side."""
        return 0 if self.wrong_side > _TOLD else int(math.copysign(1, self.z_um))

    @property
    def words(self) -> str:
        """For a person: which side, and how sure."""
        if not self.sign:
            return (
                f"not told: {self.wrong_side:.0%} speak for the other side (most likely "
                f"{self.z_um:+.2g} um)"
            )
        share = "under 0.1 %" if self.wrong_side < 1e-3 else f"{self.wrong_side:.1%}"
        where = "deeper than" if self.sign > 0 else "above"
        return (
            f"the light lies {where} the plane in focus in the first frame, by about "
            f"{abs(self.z_um):.2g} um; {share} speak for the other side"
        )


@dataclass(frozen=True, slots=True)
class TwoPlaneSign:
    """The frame as a whole, and its tiles."""

    whole: Side
    tiles: tuple[tuple[Side, ...], ...]
    """Rows of tiles of 128 px, from the top left; those at the right and below may be larger."""
    reach_um: float
    """Farthest distance that was looked at."""


def sign_from_two_planes(
    first: NDArray[np.generic],
    second: NDArray[np.generic],
    delta_um: float,
    optics: Optics,
    camera: CameraModel,
) -> TwoPlaneSign:
    """Where the light of two frames (Y, X) in counts lies, for each tile and in all.

    `second` was taken with the plane in focus `delta_um` deeper in the sample than in `first`
    (below 0: shallower), of the same place and without a shift. `camera` gives their noise.

    Raises `UserError` for frames that differ in size, are smaller than a tile or not finite, whose
    light differs tenfold, and for planes too near or too far apart to tell anything.
    """
    _check(first, second)
    per_um = defocus_waves_per_um(optics)
    apart = abs(delta_um) * per_um
    if not _LEAST_WAVES <= apart <= _MOST_WAVES:
        raise UserError(
            f"--delta: got {delta_um:g} um; allowed are {_LEAST_WAVES / per_um:.2g} to "
            f"{_MOST_WAVES / per_um:.2g} um, up or down, for these optics: planes nearer to each "
            "other differ too little, and farther apart show too different blur"
        )
    one, two = (camera.to_electrons(frame).astype(np.float64) for frame in (first, second))
    # Defocus moves light and loses none: what the second has more is lamp, exposure or bleaching.
    scale = float(two.sum() / max(float(one.sum()), 1e-9))
    if not 0.1 <= scale <= 10:
        raise UserError(
            f"two planes: the second frame has {scale:.3g} times the light of the first; allowed "
            "is 0.1 to 10: take both with one exposure"
        )
    two /= scale
    steps = math.ceil(apart / _STEP_WAVES)
    count = math.ceil(_REACH_WAVES / apart * steps)
    z_um = np.arange(-count, count + 1) * np.float64(delta_um / steps)
    noise = (camera.read_noise_e, camera.read_noise_e / scale)
    blocks: NDArray[np.float64] = np.stack(
        [_blocks(left) for left in _left_over(one, two, z_um, delta_um, optics, scale, noise)],
        axis=-1,
    )
    rows, columns = (max(1, n // _TILE_BLOCKS) for n in blocks.shape[:2])
    tiles = tuple(
        tuple(_side(z_um, part) for part in np.array_split(band, columns, axis=1))
        for band in np.array_split(blocks, rows, axis=0)
    )
    whole = _side(z_um, blocks)
    return TwoPlaneSign(whole, tiles, float(np.abs(z_um).max()))


def _check(first: NDArray[np.generic], second: NDArray[np.generic]) -> None:
    if first.ndim != 2 or first.shape != second.shape:
        raise UserError(
            f"two planes: got frames of {first.shape} and {second.shape}; allowed are two of one "
            "size (Y, X): the same camera, ROI and binning"
        )
    least = _BLOCK_PX * _TILE_BLOCKS
    if min(first.shape) < least:
        raise UserError(
            f"two planes: got frames of {first.shape[1]}x{first.shape[0]} px; allowed are "
            f"{least} px or more on each side"
        )
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise UserError("two planes: hold values that are no finite numbers; give raw frames")


def _left_over(
    one: NDArray[np.float64],
    two: NDArray[np.float64],
    z_um: NDArray[np.float64],
    delta_um: float,
    optics: Optics,
    scale: float,
    read_noise_e: tuple[float, float],
) -> Iterator[NDArray[np.float64]]:
    """For each distance the squared residual (Y, X), noise alone being even over them."""
    height, width = one.shape
    edge = _edge_px(optics, float(np.abs(z_um).max()) + abs(delta_um))
    side = 2 * edge + 1
    n = tuple(fft.next_fast_len(length + 2 * edge, real=True) for length in one.shape)
    padding = [(edge, length - size - edge) for length, size in zip(n, one.shape, strict=True)]
    # Mirrored, so that blurred edges are no edges; what remains of it lies in the outer blocks.
    f1, f2 = (
        fft.rfft2(np.pad(part - part.mean(), padding, mode="symmetric")) for part in (one, two)
    )
    k = np.hypot(fft.fftfreq(n[0])[:, None], fft.rfftfreq(n[1])[None, :])
    used = (k > 1 / _LONGEST_PX) & (k < min(optics.cutoff_per_um * optics.pixel_size_um, 0.5))
    noise1 = max(float(one.mean()), 0.0) + read_noise_e[0] ** 2
    noise2 = max(float(two.mean()), 0.0) / scale + read_noise_e[1] ** 2
    local = _local(one, noise1)
    known: dict[float, NDArray[np.complex128]] = {}

    def transfer(distance_um: float) -> NDArray[np.complex128]:
        key = round(distance_um, 6)
        if key not in known:
            psf = np.zeros(n)
            psf[:side, :side] = widefield_psf(optics, [key], side)[0]
            known[key] = fft.rfft2(np.roll(psf, (-edge, -edge), (0, 1)))
        return known[key]

    for z in z_um:
        h1, h2 = transfer(z), transfer(z - delta_um)
        power = np.abs(h2) ** 2 * noise1 + np.abs(h1) ** 2 * noise2
        # Where neither frame has anything, nothing is left over.
        ratio = (h2 * f1 - h1 * f2) / np.sqrt(power + 1e-8 * noise1)
        left = fft.irfft2(np.where(used, ratio, 0.0), s=n)
        yield left[edge : edge + height, edge : edge + width] ** 2 / local


def _edge_px(optics: Optics, far_um: float) -> int:
    """How far the light of the farthest distance spreads, up to a tile's half."""
    sine = min(optics.detected_aperture / optics.sample_index, 0.95)
    airy = 0.61e-3 * optics.wavelength_nm / optics.detected_aperture
    radius = (far_um * sine / math.sqrt(1 - sine**2) + 4 * airy) / optics.pixel_size_um
    return min(math.ceil(radius), _BLOCK_PX * _TILE_BLOCKS // 2)


def _local(one: NDArray[np.float64], noise: float) -> NDArray[np.float64]:
    """Noise of each place relative to that of the frame: bright places have more."""
    mean = ndimage.gaussian_filter(one, _BLOCK_PX / 4, mode="nearest")
    return np.asarray(np.maximum(mean + (noise - float(one.mean())), 0.1 * noise) / noise)


def _blocks(left: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums over blocks of `_BLOCK_PX`; what fills none at the right and below is left out."""
    rows, columns = (length // _BLOCK_PX for length in left.shape)
    cut = left[: rows * _BLOCK_PX, : columns * _BLOCK_PX]
    return np.asarray(cut.reshape(rows, _BLOCK_PX, columns, _BLOCK_PX).sum(axis=(1, 3)))


def _side(z_um: NDArray[np.float64], chi2: NDArray[np.float64]) -> Side:
    """What blocks (Y, X, D) say together: the better side, and how far they agree about it."""
    chi2 = chi2.reshape(-1, z_um.size)
    total = chi2.sum(axis=0)
    deeper = int(np.where(z_um > 0, total, np.inf).argmin())
    above = int(np.where(z_um < 0, total, np.inf).argmin())
    better, other = (deeper, above) if total[deeper] < total[above] else (above, deeper)
    for_it = chi2[:, other] - chi2[:, better]
    spread = float(for_it.std(ddof=1)) * math.sqrt(len(for_it))
    certainty = float(for_it.sum()) / max(spread, 1e-12)
    return Side(float(z_um[better]), float(special.stdtr(len(for_it) - 1, -certainty)))
