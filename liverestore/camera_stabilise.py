"""Counts of a camera, photoelectrons, and a scale on which the noise is one everywhere.

A pixel reads `offset + electrons / gain` counts, where the electrons are Poisson-distributed
light plus Gaussian read noise. The generalised Anscombe transform (Starck, Murtagh & Bijaoui
1998) gives such a pixel a variance of about one; going back after denoising needs the *exact
unbiased* inverse (Makitalo & Foi, IEEE TIP 22, 91, 2013), because the plain algebraic one
loses up to half an electron at low light.

Fixed pattern is noise that does not change: with maps of the chip, `stabilise` and
`to_electrons` take it out, and going back to counts does not put it in again. What comes back
are the counts of a camera whose pixels are all alike and have the mean offset of the chip.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from liverestore.camera_maps import CameraMaps
from liverestore.errors import UserError
from liverestore.frame import FrameHeader

__all__ = ["CameraModel", "expected_stabilised"]

FloatArray = NDArray[np.float32]

_TABLE_STEP = 1 / 512
_TABLE_TOP = 64.0
"""Above this stabilised value (about 1000 e) the inverse is its asymptote."""


def expected_stabilised(electrons: NDArray[np.float64], read_noise_e: float) -> NDArray[np.float64]:
    """Mean of the stabilised value of a pixel that expects `electrons` (any shape, >= 0).

    Summed over the Poisson distribution, integrated over the read noise.
    """
    light = np.asarray(electrons, np.float64).ravel()
    top = float(light.max(initial=0.0))
    k = np.arange(int(top + 12 * np.sqrt(top) + 30))
    if read_noise_e > 0:
        # Midpoint rule; the kink of the root at zero is the reason for so many points.
        edges = np.linspace(-8, 8, 2001)
        x = 0.5 * (edges[1:] + edges[:-1])
        weight = np.exp(-0.5 * x * x)
        weight /= weight.sum()
        x = x * read_noise_e
    else:
        x, weight = np.zeros(1), np.ones(1)
    given_k = np.empty(k.size)
    for block in range(0, k.size, 256):
        e = k[block : block + 256, None] + x + 0.375 + read_noise_e**2
        given_k[block : block + 256] = 2 * np.sqrt(np.maximum(e, 0)) @ weight
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(np.maximum(k[1:], 1)))])
    out = np.empty(light.size)
    for i, rate in enumerate(light):
        if rate <= 0:
            out[i] = given_k[0]
            continue
        low = max(int(rate - 12 * np.sqrt(rate) - 30), 0)
        high = int(rate + 12 * np.sqrt(rate) + 30)
        kk = k[low:high]
        probability = np.exp(kk * np.log(rate) - rate - log_factorial[low:high])
        out[i] = (probability @ given_k[low:high]) / probability.sum()
    return out.reshape(np.shape(electrons))


@functools.lru_cache(maxsize=16)
def _inverse_correction(read_noise_e: float) -> FloatArray:
    """What the exact unbiased inverse adds to its asymptote z^2/4 - 1/8 - sigma^2, for
    z = 0, 1/512, ... 64 (electrons).
    """
    z = np.arange(int(_TABLE_TOP / _TABLE_STEP) + 1) * _TABLE_STEP
    asymptote = z * z / 4 - 0.125 - read_noise_e**2
    top = _TABLE_TOP**2 / 4
    # Dense where the curve bends.
    light = np.concatenate(
        [np.linspace(0, 2, 161), np.linspace(np.sqrt(2), np.sqrt(top), 1000)[1:] ** 2]
    )
    light = np.unique(light)
    mean_z = expected_stabilised(light, read_noise_e)
    # The correction is smooth in z, so it is what gets interpolated.
    correction = np.interp(z, mean_z, light - (mean_z * mean_z / 4 - 0.125 - read_noise_e**2))
    # Below the mean of no light at all: straight on, so that noise of a restored dark
    # background stays symmetric about zero instead of being cut at it.
    slope = (light[1] - light[0]) / (mean_z[1] - mean_z[0])
    below = z < mean_z[0]
    correction[below] = (z[below] - mean_z[0]) * slope - asymptote[below]
    table: FloatArray = correction.astype(np.float32)
    table.setflags(write=False)
    return table


@dataclass(frozen=True, slots=True)
class CameraModel:
    """How counts relate to light for one camera at one setting.

    Raises `UserError` for a gain or a read noise that no camera has.
    """

    offset_counts: float
    """Mean of a dark frame."""
    gain_e_per_count: float
    """Photoelectrons per count."""
    read_noise_e: float
    """Standard deviation of a dark pixel over time, in photoelectrons; the row noise and the
    rounding to whole counts are parts of it."""
    origin: str = "rig"
    """Where the numbers are from: "rig", "calibration", "movie", "frame", or "assumed" (a
    frame that tells nothing, such as an empty one)."""
    row_noise_e: float | None = None
    """Standard deviation of what a whole row has in common in one frame, in photoelectrons;
    None where unknown. For records and for choosing a training: it enters no formula."""
    fixed_pattern_counts: float | None = None
    """Standard deviation of the offset from pixel to pixel; None where unknown. Likewise."""
    maps: CameraMaps | None = None
    """Of the whole chip or, after `for_frame`, of the part that a frame shows."""

    def __post_init__(self) -> None:
        numbers = (self.offset_counts, self.gain_e_per_count, self.read_noise_e)
        if not all(np.isfinite(numbers)) or self.gain_e_per_count <= 0 or self.read_noise_e < 0:
            raise UserError(
                f"camera model: got offset {self.offset_counts} counts, gain "
                f"{self.gain_e_per_count} e/count, read noise {self.read_noise_e} e; the gain "
                "must be above 0, the read noise at least 0 and all of them finite"
            )

    def for_frame(self, header: FrameHeader) -> CameraModel:
        """The model with its maps cut to what the frame shows (see `CameraMaps.for_frame`)."""
        if self.maps is None:
            return self
        maps = self.maps.for_frame(header)
        return self if maps is self.maps else replace(self, maps=maps)

    def without_maps(self) -> CameraModel:
        """The numbers alone, for pixels whose place on the chip is not known."""
        return self if self.maps is None else replace(self, maps=None)

    def elementwise(self) -> tuple[FloatArray, FloatArray, np.float32]:
        """Offset, scale and shift of `stabilise`: 2 sqrt(max((counts - offset) scale + shift, 0)).

        Offset and scale are float32 of shape () or, with maps, (Y, X); read-only. A graph on
        a GPU takes them as its inputs.
        """
        shift = np.float32(0.375 + self.read_noise_e**2)
        offset, scale = _offset_and_scale(self.offset_counts, self.gain_e_per_count, self.maps)
        return offset, scale, shift

    def _above_offset(
        self, counts: NDArray[np.generic], out: FloatArray | None = None
    ) -> FloatArray:
        """Photoelectrons, float32."""
        if self.maps is not None and counts.shape[-2:] != self.maps.shape:
            raise UserError(
                f"camera model: got pixels of shape {counts.shape}, its maps are "
                f"{self.maps.shape}; cut them with for_frame, or use without_maps"
            )
        offset, scale, _ = self.elementwise()
        # In float32 throughout: uint16 minus a float would be float64 in NumPy.
        e: FloatArray = np.subtract(counts, offset, out=out, dtype=np.float32)
        e *= scale
        return e

    def to_electrons(self, counts: NDArray[np.generic]) -> FloatArray:
        """Counts of any real dtype to photoelectrons, float32, fixed pattern taken out.

        Of any shape; with maps (..., Y, X) of their size, else `UserError`.
        """
        return self._above_offset(counts)

    def to_counts(self, electrons: FloatArray) -> FloatArray:
        """Photoelectrons to counts, float32, not rounded, without fixed pattern."""
        counts = electrons.astype(np.float32) / np.float32(self.gain_e_per_count)
        counts += np.float32(self.offset_counts)
        return counts

    def stabilise(self, counts: NDArray[np.generic], out: FloatArray | None = None) -> FloatArray:
        """Counts to 2 sqrt(e + 3/8 + sigma^2), float32, with a noise of about one.

        Without maps, integer counts of 8 and 16 bits go through a table. With maps, which
        must have the size of the last two axes (else `UserError`), fixed pattern is taken
        out. Values below zero under the root count as zero. `out` (same shape, float32) is
        written when given.
        """
        if self.maps is None and counts.dtype in (np.uint8, np.uint16):
            table = _stabilising_table(self, counts.dtype.str)
            # mode="clip" skips the buffering that "raise" needs with `out`.
            where: NDArray[np.unsignedinteger] = np.asarray(counts)
            taken: FloatArray = table.take(where, out=out, mode="clip")
            return taken
        z = self._above_offset(counts, out)
        z += self.elementwise()[2]
        np.maximum(z, 0, out=z)
        np.sqrt(z, out=z)
        z *= np.float32(2)
        return z

    def inverse_correction(self) -> FloatArray:
        """What the exact unbiased inverse adds to z^2/4 - 1/8 - sigma^2, in photoelectrons.

        (32769,) float32, read-only, for z = 0, 1/512, ... 64; beyond, its last value. A graph
        on a GPU takes it as its input.
        """
        return _inverse_correction(round(self.read_noise_e, 3))

    def unstabilise_electrons(self, z: FloatArray) -> FloatArray:
        """Exact unbiased inverse: the mean of stabilised values to expected photoelectrons.

        Right for the *mean* of `stabilise` over the noise, which is what a denoiser gives;
        not the inverse of `stabilise` for a single noisy value. Slightly negative for values
        below those of no light at all.
        """
        table = self.inverse_correction()
        place = z * np.float32(1 / _TABLE_STEP)
        place += np.float32(0.5)
        index = np.clip(place, 0, table.size - 1, out=place).astype(np.int32)
        electrons = np.multiply(z, z)
        electrons *= np.float32(0.25)
        electrons -= np.float32(0.125 + self.read_noise_e**2)
        electrons += table.take(index, mode="clip")
        return electrons

    def unstabilise(self, z: FloatArray) -> FloatArray:
        """Exact unbiased inverse in counts, float32, not rounded, without fixed pattern."""
        counts = self.unstabilise_electrons(z)
        counts *= np.float32(1 / self.gain_e_per_count)
        counts += np.float32(self.offset_counts)
        return counts

    def numbers(self) -> dict[str, float | int | str]:
        """For provenance, exact, so that a frame can be made again; what is unknown is left out."""
        out: dict[str, float | int | str] = {
            "offset_counts": float(self.offset_counts),
            "gain_e_per_count": float(self.gain_e_per_count),
            "read_noise_e": float(self.read_noise_e),
            "camera_model_origin": self.origin,
        }
        if self.row_noise_e is not None:
            out["row_noise_e"] = float(self.row_noise_e)
        if self.fixed_pattern_counts is not None:
            out["fixed_pattern_counts"] = float(self.fixed_pattern_counts)
        if self.maps is not None:
            out["camera_maps"] = self.maps.origin or "given"
        return out


@functools.lru_cache(maxsize=8)
def _offset_and_scale(
    offset_counts: float, gain_e_per_count: float, maps: CameraMaps | None
) -> tuple[FloatArray, FloatArray]:
    offset, scale = np.array(offset_counts, np.float32), np.array(gain_e_per_count, np.float32)
    if maps is not None:
        offset = maps.offset_counts + np.float32(offset_counts)
        if maps.relative_gain is not None:
            scale = np.float32(gain_e_per_count) / maps.relative_gain
    offset.setflags(write=False)
    scale.setflags(write=False)
    return offset, scale


@functools.lru_cache(maxsize=16)
def _stabilising_table(model: CameraModel, dtype: str) -> FloatArray:
    counts = np.arange(np.iinfo(np.dtype(dtype)).max + 1, dtype=np.float32)
    table = model.stabilise(counts)
    table.setflags(write=False)
    return table
