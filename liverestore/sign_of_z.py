"""How well light from above and from below the plane in focus can be told apart in one frame.

Two specimens stand for what frames hold. A *point*: the better one can do, since everything
about it but its place is known. A *texture*: an even, random specimen without edges, whose
frames differ in nothing but the power of each spatial frequency; the worse case. Distance and
brightness are taken as unknown, so +z is compared with the most similar picture that any
distance on the other side gives. The probability of a wrong side is Q(d' / 2) with the
detectability index d' (Barrett & Myers, Foundations of Image Science, chapter 13); for the
texture d' is that of the same Bhattacharyya distance (Kailath, IEEE Trans. Commun. 15, 52, 1967).
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from liverestore.microscopes import defocus_waves_per_um
from liverestore.optics import Optics, widefield_psf

__all__ = ["TWO_PLANES", "SignReport", "SignRow", "sign_report"]

_NEAREST_WAVES, _ROWS, _STEPS = 0.25, 9, 3
"""The table goes in ratios of sqrt(2) from so many waves of defocus at the rim of the pupil;
between two rows so many distances are compared."""
_CONTRASTS = np.geomspace(1 / 1.6, 1.6, 7)
_SIDE_PX = (33, 101)
_TEXTURE_PX = 64
_CONTRAST = 0.5
"""Standard deviation of the texture over its mean."""
_PER_PIXEL = 0.1
"""Mean light of a texture's pixel relative to the photons of a point."""
TWO_PLANES = "two frames at two stage positions tell it: liverestore sign"
"""The remedy that works with any optics."""
_TOLD = 0.05
"""Probability of the wrong side up to which the sign counts as told."""


@dataclass(frozen=True, slots=True)
class SignRow:
    """One distance from the plane in focus."""

    z_um: float
    """Above 0; stands for both sides."""
    d_prime_point: float
    d_prime_texture: float

    @property
    def error_point(self) -> float:
        """Probability that a point is put on the wrong side, 0.5 for a guess."""
        return wrong_side(self.d_prime_point)

    @property
    def error_texture(self) -> float:
        """The same of 64x64 pixels of a texture."""
        return wrong_side(self.d_prime_texture)


@dataclass(frozen=True, slots=True)
class SignReport:
    """Table over the distance, and what to say of it."""

    rows: tuple[SignRow, ...]
    """By rising distance."""
    photons: float
    """Photoelectrons of the point."""
    texture_e_per_px: float
    """Mean photoelectrons of a pixel of the texture."""
    background_e: float
    read_noise_e: float

    @property
    def told_um(self) -> tuple[float, ...]:
        """Distances of the table at which a point is put on the wrong side in 5 % or less."""
        return tuple(row.z_um for row in self.rows if row.error_point <= _TOLD)

    def error_at(self, z_um: float) -> float:
        """Probability that a point at `z_um` is put on the wrong side.

        Between the rows d' is interpolated; towards focus it falls to 0, and beyond the last
        row it stays.
        """
        z = [0.0, *(row.z_um for row in self.rows)]
        d = [0.0, *(row.d_prime_point for row in self.rows)]
        return wrong_side(float(np.interp(abs(z_um), z, d)))

    def warning_at(self, z_um: float) -> str | None:
        """What to say of refocusing by `z_um`; None where the sign is told or next to focus."""
        if self.error_at(z_um) <= _TOLD or abs(z_um) < self.rows[0].z_um:
            return None
        # One text for all distances, so that those of a stack are one note.
        return f"+z and -z look alike at such distances: {self.sentence}; {TWO_PLANES}"

    @property
    def sentence(self) -> str:
        """For a person, in one line."""
        told, all_of = self.told_um, [row.z_um for row in self.rows]
        what = f"a point of {self.photons:g} photons"
        if not told:
            best = min(row.error_point for row in self.rows)
            return (
                f"one frame does not tell +z from -z: {what} is put on the wrong side in "
                f"{best:.0%} of frames or more at every distance up to {all_of[-1]:.2g} um"
            )
        said = f"one frame tells +z from -z at {_spans(told, all_of)} um from focus: {what} is put "
        said += f"on the wrong side in {_TOLD:.0%} of frames or less"
        even = tuple(row.z_um for row in self.rows if row.error_texture <= _TOLD)
        light = f"{self.texture_e_per_px:g} photons a pixel"
        if even:
            return f"{said}; a texture of {light} at {_spans(even, all_of)} um"
        return f"{said}; a texture of {light} does not tell it anywhere"


def wrong_side(d_prime: float) -> float:
    """Probability of an error between two equally likely pictures of detectability `d_prime`.

    >>> wrong_side(0.0)
    0.5
    """
    return float(special.ndtr(-d_prime / 2))


def _spans(chosen: tuple[float, ...], of: list[float]) -> str:
    """Neighbours of a table as ranges: "0.5 to 2 and 8"."""
    places = [of.index(z) for z in chosen]
    breaks = [n for n in range(1, len(places)) if places[n] != places[n - 1] + 1]
    parts = []
    for first, last in zip([0, *breaks], [*breaks, len(places)], strict=True):
        low, high = chosen[first], chosen[last - 1]
        parts.append(f"{low:.2g}" if low == high else f"{low:.2g} to {high:.2g}")
    return " and ".join(parts)


@functools.lru_cache(maxsize=8)
def sign_report(
    optics: Optics,
    *,
    photons: float = 1000.0,
    background_e: float = 2.0,
    read_noise_e: float = 1.6,
) -> SignReport:
    """How well one frame tells +z from -z, for a point of `photons` in all.

    `background_e` is the mean light of a pixel besides, `read_noise_e` its read noise, both in
    photoelectrons. The texture has a tenth of `photons` in each pixel. Takes some tenths of a
    second for optics not asked for before.
    """
    # Piston, tilts and defocus move the picture and the plane in focus; they say nothing.
    terms = tuple((noll, waves) for noll, waves in optics.zernike_waves if noll > 4)
    optics = dataclasses.replace(optics, zernike_waves=terms)
    per_um = defocus_waves_per_um(optics)
    # Even steps of the logarithm, from 0.4 times the nearest row to 1.7 times the last.
    beyond = 2 * _STEPS - 1
    steps = np.arange(-beyond - 2, (_ROWS - 1) * _STEPS + beyond + 1)
    z = _NEAREST_WAVES / per_um * 2.0 ** (steps / (2 * _STEPS))
    side = _side_px(optics, float(z[-beyond - 1]))
    both = [widefield_psf(optics, sign * z, side).astype(np.float64) for sign in (1, -1)]
    powers = [_powers(psf) for psf in both]
    noise_e2 = background_e + read_noise_e**2
    texture = _PER_PIXEL * photons
    spectrum = _texture_power(texture)
    floor = (texture + noise_e2) * _TEXTURE_PX**2
    rows = []
    for n in np.flatnonzero((steps >= 0) & (steps % _STEPS == 0) & (steps < _ROWS * _STEPS)):
        near = slice(int(n) - beyond - 2, int(n) + beyond + 1)
        point, even = [], []
        for here, there in ((0, 1), (1, 0)):
            point.append(_squared(both[here][n], both[there][near], photons, noise_e2))
            even.append(_apart(powers[here][n], powers[there][near], spectrum, floor))
        rows.append(SignRow(float(z[n]), math.sqrt(min(point)), math.sqrt(8 * min(even))))
    return SignReport(tuple(rows), photons, texture, background_e, read_noise_e)


def _side_px(optics: Optics, far_um: float) -> int:
    sine = min(optics.detected_aperture / optics.sample_index, 0.95)
    airy = 0.61e-3 * optics.wavelength_nm / optics.detected_aperture
    radius = (far_um * sine / math.sqrt(1 - sine**2) + 4 * airy) / optics.pixel_size_um
    return int(np.clip(2 * math.ceil(radius) + 1, *_SIDE_PX))


def _squared(
    image: NDArray[np.float64], others: NDArray[np.float64], photons: float, noise_e2: float
) -> float:
    """d'^2 of a picture of a point and the most similar of `others` (Z, Y, X).

    Any light is allowed, and any distance between two neighbours, whose mixtures stand for it.
    """
    least = math.inf
    for near, far in itertools.pairwise(others):
        variance = photons * (image + 0.5 * (near + far)) / 2 + noise_e2
        a, b, y = (part / np.sqrt(variance) for part in (near, far, image))
        aa, bb, ab, ay, by = (
            float((p * q).sum()) for p, q in ((a, a), (b, b), (a, b), (a, y), (b, y))
        )
        determinant = max(aa * bb - ab * ab, 1e-30)
        mixed = (bb * ay - ab * by) / determinant, (aa * by - ab * ay) / determinant
        alone = (ay / aa, 0.0), (0.0, by / bb)
        for one, other in (mixed, *alone) if min(mixed) > 0 else alone:
            least = min(least, float(((y - one * a - other * b) ** 2).sum()))
    return photons**2 * least


def _powers(psf: NDArray[np.float64]) -> NDArray[np.float64]:
    """(Z, K) squared transfer of half of the frequencies of a field of `_TEXTURE_PX`."""
    n = max(_TEXTURE_PX, psf.shape[-1])
    transfer = np.abs(np.fft.rfft2(psf, s=(n, n))) ** 2
    # On the frequencies of the field, whatever the size of the window was.
    rows = np.rint(np.fft.fftfreq(_TEXTURE_PX) * n).astype(int)
    columns = np.rint(np.arange(1, _TEXTURE_PX // 2) / _TEXTURE_PX * n).astype(int)
    return np.asarray(transfer[:, rows][:, :, columns].reshape(len(psf), -1))


def _texture_power(mean_e: float) -> NDArray[np.float64]:
    """Power of each of these frequencies of a specimen whose power falls as 1 / k^2."""
    ky = np.fft.fftfreq(_TEXTURE_PX)[:, None]
    kx = np.fft.fftfreq(_TEXTURE_PX)[None, :]
    with np.errstate(divide="ignore"):
        falling = 1 / (ky**2 + kx**2)
    falling[0, 0] = 0.0
    # Parseval: the sum over all frequencies is the number of pixels squared times the variance.
    falling *= (_CONTRAST * mean_e) ** 2 * _TEXTURE_PX**4 / falling.sum()
    return np.asarray(falling[:, 1 : _TEXTURE_PX // 2].ravel())


def _apart(
    one: NDArray[np.float64],
    others: NDArray[np.float64],
    spectrum: NDArray[np.float64],
    floor: float,
) -> float:
    """Bhattacharyya distance of a texture and the most similar of `others` (Z, K).

    Any contrast is allowed, and any distance between two neighbours.
    """
    p = one * spectrum + floor
    least = math.inf
    for near, far in itertools.pairwise(others):
        for share in (0.0, 1 / 3, 2 / 3, 1.0):
            power = ((1 - share) * near + share * far) * spectrum
            q = _CONTRASTS[:, None] * power + floor
            apart = (0.5 * np.log(p * q) - np.log((p + q) / 2)).sum(axis=1)
            least = min(least, -float(apart.max()))
    return max(least, 0.0)
