"""A simulated specimen under a widefield microscope: the light a camera would gather.

Cells with a nucleus and a filament network drift, vesicles travel along the filaments.
The image of any moment, stage position and exposure is known without noise, which is
the truth that a restoration is measured against. Light is summed in Fourier space:
slices of the specimen are multiplied by the transfer function of their distance from
the plane in focus and by a phase for where they drifted, so movement is exact to a
fraction of a pixel and an image costs a few milliseconds.

Movement during an exposure is not blurred: an image shows the middle of its exposure.
"""

from __future__ import annotations

import functools
import math
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy import fft, special

from liverestore import specimen_shapes as shapes
from liverestore.errors import UserError
from liverestore.frame import PixelDtype
from liverestore.optics import Optics, radial_psf
from liverestore.rig import CameraConfig, SpecimenConfig

__all__ = ["STAINS", "Specimen", "expose", "pixel_dtype"]

_CANVAS_MAX_PX = 600
"""Longest side simulated; a larger chip sees the specimen repeated."""
_MARGIN_PX = 64
_GROUPS = 4
"""Cells drift in this many groups."""
_Z_REACH_UM = 14.0
_Z_STEP_UM = 0.05
_VESICLES_PER_CELL = 11
_VESICLE_UM = 0.12
"""Standard deviation of the light of one vesicle."""

# Of the brightest pixels of each structure, in focus, relative to one another.
_BRIGHTNESS = {"filaments": 0.8, "nuclei": 0.8, "plasma": 0.13, "vesicles": 1.0}

STAINS = MappingProxyType(
    {
        "all": frozenset(_BRIGHTNESS),
        "nuclei": frozenset({"nuclei"}),
        "filaments": frozenset({"filaments", "plasma", "vesicles"}),
    }
)
"""Name to the structures that give light in it; each stain alone is what a channel sees."""


class Specimen:
    """A seeded specimen seen through `optics`.

    The same seed, size and optics give the same light on every machine, up to rounding.
    The depth of focus in `optics` is where the stage stands at z = 0. `stain` names what
    gives light; places and movement are the same in all stains, and in each the brightest
    thousandth of the pixels is as bright as the configuration says. Raises `UserError` for
    an unknown stain.
    """

    def __init__(self, config: SpecimenConfig, optics: Optics, stain: str = "all") -> None:
        if stain not in STAINS:
            raise UserError(f"specimen: got the stain {stain!r}, allowed is {', '.join(STAINS)}")
        self._lit = STAINS[stain]
        self.config = config
        self.optics = optics
        self.shape = config.shape
        self._canvas = tuple(
            fft.next_fast_len(min(side, _CANVAS_MAX_PX) + _MARGIN_PX, real=True)
            for side in config.shape
        )
        rows, columns = self._canvas
        self._ky = fft.fftfreq(rows, optics.pixel_size_um)[:, None]
        self._kx = fft.rfftfreq(columns, optics.pixel_size_um)[None, :]
        self._prepare_transfer()
        self._focus: tuple[float, NDArray[np.complex64], NDArray[np.float32]] | None = None
        self._build()

    def _prepare_transfer(self) -> None:
        self._table = _transfer_table(self.optics)
        k = np.hypot(self._ky, self._kx) / self.optics.cutoff_per_um
        last = self._table.shape[1] - 1
        self._k_index = np.minimum(np.rint(k * last), last).astype(np.intp)
        pixel = self.optics.pixel_size_um
        self._area = (np.sinc(self._ky * pixel) * np.sinc(self._kx * pixel)).astype(np.float32)

    def _transfer(self, distance_um: float) -> NDArray[np.float32]:
        """(Y, X/2 + 1) transfer function of light `distance_um` deeper than the focus."""
        place = np.clip(distance_um, -_Z_REACH_UM, _Z_REACH_UM - _Z_STEP_UM) + _Z_REACH_UM
        index = int(place / _Z_STEP_UM)
        part = np.float32(place / _Z_STEP_UM - index)
        row = self._table[index] * (1 - part) + self._table[index + 1] * part
        transfer: NDArray[np.float32] = row[self._k_index] * self._area
        return transfer

    def _build(self) -> None:
        rng = np.random.Generator(np.random.PCG64([self.config.seed, 0x5EED]))
        pixel = self.optics.pixel_size_um
        rows, columns = self._canvas
        cells = shapes.place_cells((rows * pixel, columns * pixel), rng)
        groups = min(_GROUPS, len(cells))
        lines = [shapes.filaments(cell, rng) for cell in cells]
        tracks = [
            (number % groups, lines[number][line])
            for number in range(len(cells))
            for line in rng.choice(len(lines[number]), _VESICLES_PER_CELL)
        ]
        self._make_movement(groups, tracks, rng)
        grain = shapes.chromatin((rows, columns), pixel, rng)

        slices = len(shapes.SLICES_UM)
        transfers = np.stack([self._transfer(height) for height in shapes.SLICES_UM])
        self._slices = np.zeros((groups, slices, rows, columns // 2 + 1), np.complex64)
        for name in ("filaments", "nuclei", "plasma"):
            light = np.zeros((groups, slices, rows, columns), np.float32)
            for number, cell in enumerate(cells):
                here = light[number % groups]
                if name == "filaments":
                    shapes.deposit(here, np.concatenate(lines[number]), 1.0, pixel)
                elif name == "nuclei":
                    here += shapes.nucleus(cell, grain, pixel, rng)
                else:
                    here += shapes.plasma(cell, (rows, columns), pixel)
            if name not in self._lit:
                # Built all the same: the random numbers behind it must be those of any stain.
                continue
            spectra = fft.rfft2(light)
            seen = fft.irfft2((spectra.sum(0) * transfers).sum(0), s=(rows, columns))
            spectra *= np.float32(_BRIGHTNESS[name] / np.quantile(seen, 0.995))
            self._slices += spectra
        self._vesicle_light = 1.0
        alone = fft.irfft2(self._vesicles(0.0, transfers), s=(rows, columns))
        self._vesicle_light = _BRIGHTNESS["vesicles"] / float(np.quantile(alone, 0.999))
        if "vesicles" not in self._lit:
            self._vesicle_light = 0.0
        self._peak = 1.0
        self._peak = float(np.quantile(self._light(0.0, 0.0), 0.999))

    def _make_movement(
        self,
        groups: int,
        tracks: list[tuple[int, NDArray[np.float64]]],
        rng: np.random.Generator,
    ) -> None:
        self._drift_um = rng.uniform(0.8, 1.6, (groups, 2))
        self._drift_phase = rng.uniform(0, 2 * np.pi, (groups, 2))
        self._tracks = tracks
        self._track_speed = rng.uniform(0.5, 4.0, len(tracks))
        self._track_phase = rng.uniform(0, 2 * np.pi, len(tracks))
        self._track_light = rng.uniform(0.5, 1.3, len(tracks))

    def _drift(self, time_s: float) -> NDArray[np.float64]:
        """(groups, 2) displacement (y, x) in um."""
        # Peak speed of each axis is speed / sqrt(2), so that of a cell is the speed set.
        rate = self.config.speed_um_s / (math.sqrt(2) * self._drift_um)
        turned: NDArray[np.float64] = self._drift_um * np.sin(rate * time_s + self._drift_phase)
        return turned

    def _vesicle_places(self, time_s: float) -> NDArray[np.float64]:
        """(vesicles, 3) of (z, y, x) in um."""
        drift = self._drift(time_s)
        places = np.empty((len(self._tracks), 3))
        for i, (group, line) in enumerate(self._tracks):
            length = len(line) * 0.05
            angle = np.pi * self._track_speed[i] * self.config.speed_um_s * time_s / length
            swing = math.asin(0.98 * math.sin(angle + self._track_phase[i])) / (np.pi / 2)
            at = (0.5 + 0.45 * swing) * (len(line) - 1)
            low = int(at)
            places[i] = line[low] + (at - low) * (line[min(low + 1, len(line) - 1)] - line[low])
            places[i, 1:] += drift[group]
        return places

    def _vesicles(self, time_s: float, transfers: NDArray[np.float32]) -> NDArray[np.complex64]:
        """Spectrum of all vesicles, each a Gaussian at its exact place."""
        places = self._vesicle_places(time_s)
        extent = np.array(self._canvas) * self.optics.pixel_size_um
        wave_y = _waves(self._canvas[0], places[:, 1] / extent[0])
        wave_y[self._canvas[0] // 2 + 1 :] = wave_y[1 : (self._canvas[0] + 1) // 2][::-1].conj()
        wave_x = _waves(self._canvas[1] // 2 + 1, places[:, 2] / extent[1]).T
        spread = 2 * (np.pi * _VESICLE_UM) ** 2
        wave_y *= np.exp(-spread * self._ky**2).astype(np.float32)
        wave_x = wave_x * np.exp(-spread * self._kx**2).astype(np.float32)
        wave_y *= (self._track_light * self._vesicle_light).astype(np.float32)
        step = shapes.SLICES_UM[1] - shapes.SLICES_UM[0]
        total = np.zeros(transfers.shape[1:], np.complex64)
        for height, transfer in zip(shapes.SLICES_UM, transfers, strict=True):
            share = np.clip(1 - np.abs(places[:, 0] - height) / step, 0, 1).astype(np.float32)
            here = share > 0
            if here.any():
                total += _product(wave_y[:, here] * share[here], wave_x[here]) * transfer
        return total

    def _focused(self, z_um: float) -> tuple[NDArray[np.complex64], NDArray[np.float32]]:
        """(groups, Y, X/2 + 1) spectra at rest and (slices, ...) transfers, for a stage at z."""
        if self._focus is None or self._focus[0] != z_um:
            transfers = np.stack([self._transfer(height - z_um) for height in shapes.SLICES_UM])
            spectra = np.stack(
                [
                    sum(g * t for g, t in zip(group, transfers, strict=True))
                    for group in self._slices
                ]
            )
            self._focus = (z_um, spectra, transfers)
        return self._focus[1], self._focus[2]

    def _light(
        self, time_s: float, z_um: float, xy_um: tuple[float, float] = (0.0, 0.0)
    ) -> NDArray[np.float32]:
        """(Y, X) of the chip; 1 in the brightest thousandth at the start."""
        spectra, transfers = self._focused(z_um)
        total = np.zeros(transfers.shape[1:], np.complex64)
        if self._vesicle_light:
            total += self._vesicles(time_s, transfers)
        for spectrum, (dy, dx) in zip(spectra, self._drift(time_s), strict=True):
            wave_y = np.exp(-2j * np.pi * self._ky * dy).astype(np.complex64)
            wave_x = np.exp(-2j * np.pi * self._kx * dx).astype(np.complex64)
            total += spectrum * wave_y * wave_x
        if any(xy_um):
            total *= np.exp(2j * np.pi * self._kx * xy_um[0]).astype(np.complex64)
            total *= np.exp(2j * np.pi * self._ky * xy_um[1]).astype(np.complex64)
        canvas = np.maximum(fft.irfft2(total, s=self._canvas), 0) / np.float32(self._peak)
        height, width = self.shape
        if height <= canvas.shape[0] and width <= canvas.shape[1]:
            image: NDArray[np.float32] = canvas[:height, :width]
        else:
            rows, columns = np.arange(height) % canvas.shape[0], np.arange(width) % canvas.shape[1]
            image = canvas[np.ix_(rows, columns)]
        return image

    def render(
        self,
        time_s: float,
        z_um: float,
        exposure_ms: float,
        xy_um: tuple[float, float] = (0.0, 0.0),
    ) -> NDArray[np.float32]:
        """Expected photoelectrons (Y, X) float32 of an exposure in the middle of which the
        specimen is `time_s` old, with the stage at `z_um`. `xy_um` is the place of the specimen
        in the chip's first corner; the specimen goes on for ever by repeating itself. Raises
        `UserError` for numbers that are not finite and an exposure that is not above 0.
        """
        if not (math.isfinite(time_s) and math.isfinite(z_um) and 0 < exposure_ms < math.inf):
            raise UserError(
                f"specimen: got time {time_s} s, z {z_um} um, exposure {exposure_ms} ms; allowed "
                "are finite numbers and an exposure above 0"
            )
        light = self._light(time_s, z_um, xy_um)
        light = light * np.float32(self.config.peak_photons_per_ms * exposure_ms)
        return light + np.float32(self.config.background_photons_per_ms * exposure_ms)


@functools.lru_cache(maxsize=4)
def _transfer_table(optics: Optics) -> NDArray[np.float32]:
    """Transfer function (defocus, radial frequency) from -14 um and from 0 to the cutoff.

    The Hankel transform of the point spread function, from quadratures of the pupil.
    """
    cutoff = optics.cutoff_per_um
    z = np.arange(-_Z_REACH_UM, _Z_REACH_UM + _Z_STEP_UM / 2, _Z_STEP_UM)
    sine = min(optics.detected_aperture / optics.sample_index, 0.95)
    reach = _Z_REACH_UM * sine / math.sqrt(1 - sine**2) + 20 / cutoff
    # Half the step that the highest frequency in the intensity needs.
    r = np.arange(0, reach, 0.25 / cutoff)
    ring = 2 * np.pi * r * (r[1] - r[0])
    q = np.linspace(0, cutoff, 1024)
    table = (radial_psf(optics, z, r) * ring) @ special.j0(2 * np.pi * np.outer(r, q))
    table /= table[:, :1]  # the quadrature stops at a finite radius; no light is lost
    table[:, -1] = 0.0  # whatever lies beyond the cutoff is looked up here
    single: NDArray[np.float32] = table.astype(np.float32)
    return single


def _product(a: NDArray[np.complex64], b: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """The matrix product in blocks too small for BLAS to spread over threads.

    Its threads wait by spinning: on a busy machine they made a frame five times as dear.
    """
    result = np.empty((a.shape[0], b.shape[1]), np.complex64)
    rows = max(1, 60_000 // b.size)
    for start in range(0, a.shape[0], rows):
        np.matmul(a[start : start + rows], b, out=result[start : start + rows])
    return result


def _waves(count: int, places: NDArray[np.float64]) -> NDArray[np.complex64]:
    """exp(-2 pi i n p) for n = 0 .. count - 1 and every place p: (count, places).

    A product of coarse and fine steps, which costs a tenth of that many exponentials.
    """
    fine = 32
    coarse = -(-count // fine)
    small = np.exp(-2j * np.pi * np.outer(np.arange(fine), places)).astype(np.complex64)
    large = np.exp(-2j * np.pi * fine * np.outer(np.arange(coarse), places)).astype(np.complex64)
    waves: NDArray[np.complex64] = (large[:, None] * small[None]).reshape(-1, len(places))
    return waves[:count]


def pixel_dtype(camera: CameraConfig) -> PixelDtype:
    """The dtype a camera of this bit depth delivers."""
    return "uint8" if camera.bit_depth is not None and camera.bit_depth <= 8 else "uint16"


def expose(
    photoelectrons: NDArray[np.float32], camera: CameraConfig, rng: np.random.Generator
) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Counts (Y, X) that `camera` reads for expected `photoelectrons` (Y, X).

    Poisson noise of the light, Gaussian noise of the readout, gain, offset, rounding,
    saturation at the bit depth. Raises `UserError` where `camera` lacks a number.
    """
    offset, gain = camera.offset_counts, camera.gain_e_per_count
    read_noise, bit_depth = camera.read_noise_e, camera.bit_depth
    if offset is None or gain is None or read_noise is None or bit_depth is None:
        raise UserError(
            f"camera: got {camera}; a simulated camera needs offset_counts, "
            "gain_e_per_count, read_noise_e and bit_depth"
        )
    counts = rng.poisson(photoelectrons).astype(np.float32)
    if read_noise:
        noise = rng.standard_normal(counts.shape, dtype=np.float32)
        noise *= np.float32(read_noise)
        counts += noise
    counts *= np.float32(1 / gain)
    counts += np.float32(offset)
    np.rint(counts, out=counts)
    np.clip(counts, 0, 2**bit_depth - 1, out=counts)
    return counts.astype(np.uint8) if bit_depth <= 8 else counts.astype(np.uint16)
