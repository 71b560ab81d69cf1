"""Point spread function of a widefield microscope from its pupil function.

Scalar theory. A point emitter fills the pupil with a wave of even amplitude; its phase
holds the emitter's distance from the plane in focus, the spherical aberration of a
sample whose index is not that of the immersion, and aberrations given as Zernike
coefficients. The image is the squared modulus of the pupil's Fourier transform.

The mismatch is the model of Gibson and Lanni (J. Opt. Soc. Am. A 8, 1601, 1991) with a
coverslip as the objective is corrected for, written with axial wave numbers as in
Hanser et al. (J. Microsc. 216, 32, 2004): light from a depth d in a sample of index n_s
gathers the phase 2 pi d kz_s, and the immersion that the objective gave way loses
2 pi t kz_i, where kz = sqrt((n / wavelength)^2 - k^2).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft, special

from liverestore.errors import UserError

__all__ = [
    "Optics",
    "mismatch_spherical_waves",
    "radial_psf",
    "stage_psf",
    "widefield_psf",
    "zernike",
]


@dataclass(frozen=True, slots=True)
class Optics:
    """A detection path.

    Distances in the sample are measured along the optical axis. `depth_um` is the depth
    of the plane in focus below the coverslip; the objective is taken to be moved so that
    an emitter in that plane is as sharp as its spherical aberration allows.
    `zernike_waves` holds pairs (Noll index, coefficient in waves rms); the polynomials
    are normalised over the pupil.

    Raises `UserError` for values that no microscope has.
    """

    numerical_aperture: float
    wavelength_nm: float
    immersion_index: float
    sample_index: float
    pixel_size_um: float
    """Edge of one pixel in the sample."""
    depth_um: float = 0.0
    zernike_waves: tuple[tuple[int, float], ...] = ()

    def __post_init__(self) -> None:
        positive = ("numerical_aperture", "wavelength_nm", "pixel_size_um")
        for name in positive:
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise UserError(f"optics: {name} is {value}; it must be above 0")
        for name in ("immersion_index", "sample_index"):
            value = getattr(self, name)
            if not 1.0 <= value <= 4.0:
                raise UserError(f"optics: {name} is {value}; it must be from 1.0 to 4.0")
        if self.numerical_aperture >= self.immersion_index:
            raise UserError(
                f"optics: numerical_aperture is {self.numerical_aperture}; it must be below "
                f"immersion_index, {self.immersion_index}"
            )
        if not (math.isfinite(self.depth_um) and self.depth_um >= 0):
            raise UserError(f"optics: depth_um is {self.depth_um}; it must be 0 or above")
        for index, waves in self.zernike_waves:
            if index < 1 or not math.isfinite(waves):
                raise UserError(
                    f"optics: Zernike coefficient {index}: {waves}; give Noll indices from 1 "
                    "and finite waves"
                )

    @property
    def detected_aperture(self) -> float:
        """Numerical aperture that light from deep in the sample can fill.

        Waves steeper than the sample's index allows exist only within a wavelength of
        the coverslip and are left out.
        """
        return min(self.numerical_aperture, self.sample_index)

    @property
    def cutoff_per_um(self) -> float:
        """Highest lateral frequency in the image, cycles/um."""
        return 2e3 * self.detected_aperture / self.wavelength_nm


def zernike(noll: int, rho: NDArray[np.float64], phi: NDArray[np.float64]) -> NDArray[np.float64]:
    """Zernike polynomial of Noll index `noll` (from 1), rms 1 over the unit disc.

    `rho` and `phi` are arrays of one shape; so is the result. J. Opt. Soc. Am. 66, 207
    (1976), table I.

    >>> float(zernike(4, np.array([0.0]), np.array([0.0]))[0])  # defocus
    -1.7320508075688772
    """
    if noll < 1:
        raise UserError(f"Zernike polynomial {noll}: Noll indices start at 1")
    n = math.ceil((math.sqrt(1 + 8 * noll) - 3) / 2)
    place = noll - n * (n + 1) // 2 - 1
    m = 2 * ((place + 1) // 2) if n % 2 == 0 else 2 * (place // 2) + 1
    radial = np.zeros_like(rho)
    for k in range((n - m) // 2 + 1):
        factor = math.factorial(n - k) / (
            math.factorial(k) * math.factorial((n + m) // 2 - k) * math.factorial((n - m) // 2 - k)
        )
        radial += (-1) ** k * factor * rho ** (n - 2 * k)
    if m == 0:
        return math.sqrt(n + 1) * radial
    wave = np.cos(m * phi) if noll % 2 == 0 else np.sin(m * phi)
    return math.sqrt(2 * (n + 1)) * radial * wave


def _axial(index: float, optics: Optics, k: NDArray[np.float64]) -> NDArray[np.float64]:
    """Axial wave number in cycles/um of a wave with lateral frequency `k` in cycles/um."""
    return np.sqrt(np.maximum((1e3 * index / optics.wavelength_nm) ** 2 - k**2, 0.0))


def _aberration(optics: Optics, k: NDArray[np.float64]) -> NDArray[np.float64]:
    """Phase in cycles of an emitter in the plane in focus, at pupil radii `k` (cycles/um).

    The stage position enters as the immersion path that leaves the least mean square
    phase over the pupil, which is the sharpest plane for moderate depths.
    """
    if optics.depth_um == 0.0 or optics.sample_index == optics.immersion_index:
        return np.zeros_like(k)
    pupil = np.sqrt((np.arange(512) + 0.5) / 512) * 1e3 * optics.detected_aperture
    pupil /= optics.wavelength_nm  # even steps in area, so that plain means are pupil means
    sample = _axial(optics.sample_index, optics, pupil)
    immersion = _axial(optics.immersion_index, optics, pupil)
    centred = immersion - immersion.mean()
    ratio = float((sample * centred).mean() / (centred**2).mean())
    return optics.depth_um * (
        _axial(optics.sample_index, optics, k) - ratio * _axial(optics.immersion_index, optics, k)
    )


def mismatch_spherical_waves(optics: Optics) -> float:
    """Primary spherical term (Noll 11), waves rms, of the index mismatch at `depth_um`.

    >>> round(mismatch_spherical_waves(Optics(0.8, 520.0, 1.0, 1.33, 0.13, depth_um=10.0)), 3)
    0.051
    """
    rho = np.sqrt((np.arange(1024) + 0.5) / 1024)  # even steps in area
    phase = _aberration(optics, rho * 1e3 * optics.detected_aperture / optics.wavelength_nm)
    return float((phase * zernike(11, rho, np.zeros_like(rho))).mean())


def _check_z(z_um: ArrayLike) -> NDArray[np.float64]:
    z = np.asarray(z_um, dtype=np.float64)
    if z.ndim != 1 or z.size == 0 or not np.isfinite(z).all():
        raise UserError(f"z_um: got {z_um!r}; give a list of finite distances in um")
    return z


def _reach_um(optics: Optics, z_um: float) -> float:
    """Radius in um around which light of an emitter `z_um` out of focus is spread.

    The cone of the marginal ray, short of grazing waves that carry next to nothing.
    """
    sine = min(optics.detected_aperture / optics.sample_index, 0.97)
    airy = 0.61e-3 * optics.wavelength_nm / optics.detected_aperture
    blur = 3.0 * sum(abs(waves) for _, waves in optics.zernike_waves)
    return abs(z_um) * sine / math.sqrt(1 - sine**2) + (20.0 + 2.0 * blur) * airy


def _imaged(
    optics: Optics,
    z_um: NDArray[np.float64],
    size_px: int,
    *,
    medium_index: float,
    shift_um: NDArray[np.float64] | None = None,
    bead_um: float = 0.0,
    blur_um: float = 0.0,
    reach_um: float | None = None,
    single: bool = False,
) -> NDArray[np.float32]:
    """(Z, Y, X) images of an emitter that `z_um` of a medium part from the plane in focus."""
    # Steps fine enough for the intensity, whose frequencies reach twice the pupil's radius.
    fine = max(1, math.ceil(2 * optics.pixel_size_um * optics.cutoff_per_um - 1e-9))
    step_um = optics.pixel_size_um / fine
    # Room for the light that leaves the window, so that the periodic transform does not
    # bring it back on the other side.
    if reach_um is None:
        reach_um = _reach_um(optics, float(np.abs(z_um).max()))
    side = size_px * fine
    n = fft.next_fast_len(math.ceil(max(side, reach_um / step_um + side / 2)) + 1)

    frequency = fft.fftfreq(n, step_um)
    ky, kx = frequency[:, None], frequency[None, :]
    k = np.hypot(ky, kx)
    radius = 1e3 * optics.detected_aperture / optics.wavelength_nm
    # A rim of soft samples, so that a coarse pupil has the area of the true disc.
    spacing = 1 / (n * step_um)
    amplitude = np.clip((radius - k) / spacing + 0.5, 0.0, 1.0)
    inside = amplitude > 0
    amplitude = amplitude[inside]
    inside_k = np.minimum(k[inside], radius)
    inside_ky, inside_kx = (part[inside] for part in np.broadcast_arrays(ky, kx))
    phase = _aberration(optics, inside_k)
    if optics.zernike_waves:
        rho, phi = inside_k / radius, np.arctan2(inside_ky, inside_kx)
        for noll, waves in optics.zernike_waves:
            phase += waves * zernike(noll, rho, phi)
    defocus = _axial(medium_index, optics, inside_k)
    # Light of the whole plane is 1 (Parseval). A pixel gathers it over its area: a sinc.
    amplitude *= n / math.sqrt(float((amplitude**2).sum()))
    pixel = np.sinc(frequency * optics.pixel_size_um) * fine
    spread = pixel[:, None] * pixel[None, : n // 2 + 1]
    if bead_um > 0:
        spread *= _ball(bead_um * k[:, : n // 2 + 1])
    if blur_um > 0:
        spread *= np.exp(-2 * (np.pi * blur_um * k[:, : n // 2 + 1]) ** 2)

    half = size_px // 2
    rows = (np.arange(size_px) - half) * fine % n
    window = np.ix_(rows, rows)
    result = np.empty((z_um.size, size_px, size_px), np.float32)
    # Single precision is twice as fast and good to a millionth of the peak.
    pupil = np.zeros((n, n), np.complex64 if single else np.complex128)
    amplitude, spread = (np.asarray(part, pupil.real.dtype) for part in (amplitude, spread))
    for i, distance in enumerate(z_um):
        turns = phase + distance * defocus
        if shift_um is not None:
            turns -= shift_um[i, 0] * inside_ky + shift_um[i, 1] * inside_kx
        angles = np.asarray(2 * np.pi * (turns - np.rint(turns)), amplitude.dtype)
        pupil[inside] = amplitude * np.exp(1j * angles)
        intensity = np.abs(fft.ifft2(pupil)) ** 2
        pixels = fft.irfft2(fft.rfft2(intensity) * spread, s=(n, n))
        result[i] = np.maximum(pixels[window], 0.0)
    return result


def _ball(diameters: NDArray[np.float64]) -> NDArray[np.float64]:
    """Transform of an evenly bright ball seen from above, at diameter times frequency."""
    u = np.pi * np.maximum(diameters, 1e-3)  # below it, 1 up to 1e-6
    ball: NDArray[np.float64] = 3 * (np.sin(u) - u * np.cos(u)) / u**3
    return ball


def widefield_psf(optics: Optics, z_um: ArrayLike, size_px: int) -> NDArray[np.float32]:
    """Images of a point emitter at the distances `z_um` from the plane in focus.

    `z_um` is 1-D, in um, positive deeper into the sample (away from the coverslip), with
    the stage at rest. Returns (Z, Y, X) float32 with Y = X = `size_px`, the emitter at
    the centre of pixel [size_px // 2, size_px // 2], each pixel the light that falls on
    its whole area. The light of one emitter over an endless plane is 1 for every z;
    nothing is normalised per plane, so what a plane's sum lacks to 1 fell outside the
    window. Raises `UserError` for an empty window or distances.
    """
    z = _check_z(z_um)
    if size_px < 1:
        raise UserError(f"size_px: got {size_px}; it must be 1 or above")
    return _imaged(optics, z, size_px, medium_index=optics.sample_index)


def stage_psf(
    optics: Optics,
    focus_um: ArrayLike,
    size_px: int,
    *,
    shift_um: ArrayLike | None = None,
    bead_um: float = 0.0,
    blur_um: float = 0.0,
    reach_um: float | None = None,
) -> NDArray[np.float32]:
    """Images of a bead at rest while the stage moves, as in a recorded z-stack.

    The bead lies `optics.depth_um` below the coverslip; at `focus_um` = 0 it is as sharp as
    its spherical aberration allows. `focus_um` is 1-D, what the stage has moved since, in um,
    positive where it focuses deeper. The way lies in the immersion, whose index counts, so
    that planes differ from those of `widefield_psf` where sample and immersion differ.

    `shift_um` (Z, 2) moves the bead to (y, x) from the centre of pixel [size_px // 2,
    size_px // 2]. `bead_um` is the diameter of a ball, taken as flat, which is good for balls
    of up to half the depth of field; `blur_um` the standard deviation of a Gaussian that blurs
    all planes alike, as vibration and a camera's crosstalk do. `reach_um` is the room for light
    that leaves the window; None takes what the optics need. Returns (Z, Y, X) float32, the
    light of the bead over an endless plane 1. Raises `UserError` for an empty window or
    distances.
    """
    focus = _check_z(focus_um)
    if size_px < 1:
        raise UserError(f"size_px: got {size_px}; it must be 1 or above")
    shift = None if shift_um is None else np.asarray(shift_um, np.float64)
    return _imaged(
        optics,
        -focus,
        size_px,
        medium_index=optics.immersion_index,
        shift_um=shift,
        bead_um=bead_um,
        blur_um=blur_um,
        reach_um=reach_um,
        single=True,
    )


def radial_psf(optics: Optics, z_um: ArrayLike, r_um: ArrayLike) -> NDArray[np.float64]:
    """Light per um2 at the distances `r_um` from the axis, for emitters at `z_um`.

    (Z, R) float64, for optics that are symmetric about the axis; a quadrature of the
    same pupil as in `widefield_psf`, fast enough for hundreds of planes. Raises
    `UserError` for Zernike terms that are not symmetric.
    """
    z = _check_z(z_um)
    r = np.asarray(r_um, dtype=np.float64)
    radius = 1e3 * optics.detected_aperture / optics.wavelength_nm
    # The phase turns fastest at the rim and far from the axis: a dozen nodes a turn.
    turns = 2 * radius * (float(np.abs(r).max(initial=0.0)) + float(np.abs(z).max()))
    nodes, weights = np.polynomial.legendre.leggauss(max(64, math.ceil(4 * turns)))
    k = radius * (nodes + 1) / 2
    phase = _aberration(optics, k)
    for noll, waves in optics.zernike_waves:
        rho = k / radius
        term = zernike(noll, rho, np.zeros_like(k))
        if not np.allclose(term, zernike(noll, rho, np.ones_like(k))):
            raise UserError(
                f"optics: Zernike polynomial {noll} is not symmetric about the axis; use "
                "widefield_psf"
            )
        phase = phase + waves * term
    defocus = _axial(optics.sample_index, optics, k)
    pupil = np.exp(2j * np.pi * (phase + z[:, None] * defocus)) * (weights * k * radius / 2)
    field = 2 * np.pi * pupil @ special.j0(2 * np.pi * np.outer(k, r))
    intensity: NDArray[np.float64] = np.abs(field) ** 2 / (np.pi * radius**2)
    return intensity
