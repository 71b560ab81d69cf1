"""Offset, gain, noise and fixed pattern of a camera from darks and steady light.

The photon-transfer method (Janesick, "Photon Transfer", SPIE 2007; EMVA standard 1288 release
4): where light arrives as a Poisson process, the temporal variance of a pixel rises with its
signal by one count squared per count and per 1/gain. Darks and flats are taken with the same
exposure, ROI and binning, so that dark current is part of the offset.

`docs/camera-calibration.md` tells how to take the series and what each number is good for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from liverestore.camera_maps import CameraMaps
from liverestore.camera_stabilise import CameraModel
from liverestore.errors import UserError
from liverestore.photon_levels import CLIPPED_SHARE, Levels, TransferPoint
from liverestore.photon_series import sum_series
from liverestore.photon_transfer import (
    Measured,
    jackknife,
    line_variance,
    relative_response,
    shrunk,
)

__all__ = ["CameraCalibration", "Measured", "TransferPoint", "calibrate_photon_transfer"]

FloatMap = NDArray[np.float64]
Frames = Iterable[NDArray[np.generic]]

LEAST_DARKS = 16
LEAST_FLATS = 4
"""Frames in each series of light."""
_NOTED_FLICKER = 1e-3
_ROUGH_VARIANCE = 0.25
"""Counts squared; with less noise, rounding is no longer like noise of its own."""


@dataclass(frozen=True, slots=True, eq=False)
class CameraCalibration:
    """What a photon-transfer series tells. Maps are (Y, X) of the frames that were given."""

    offset_counts: Measured
    gain_e_per_count: Measured
    read_noise_e: Measured
    """Rms over the pixels of the temporal noise of a dark pixel, row noise and rounding in it;
    without defective pixels."""
    read_noise_median_e: Measured
    """What data sheets of sCMOS cameras give: their few noisy pixels do not enter."""
    row_noise_e: Measured
    column_noise_e: Measured
    fixed_pattern_counts: Measured
    """Rms of the offset from pixel to pixel (DSNU)."""
    response_nonuniformity: Measured
    """Relative rms of the response from pixel to pixel (PRNU), over up to 33 pixels."""
    transfer_residual: Measured
    """Largest relative deviation of a level from the straight line of variance and signal."""
    linearity_residual: Measured | None
    """Largest relative deviation of a signal from proportionality to the exposures, where
    those were given."""
    saturation_counts: float | None
    """Highest number that pixels reach; None when no level was that bright."""
    full_well_e: Measured | None
    """The same in photoelectrons above the offset."""
    points: tuple[TransferPoint, ...]
    """In order of signal."""
    offset_map: FloatMap
    """Counts."""
    read_noise_map: FloatMap
    """Photoelectrons."""
    relative_gain_map: FloatMap
    """1 on average, and 1 where there was no light."""
    defective: NDArray[np.bool_]
    """(Y, X): far noisier than the others, or of an offset far from theirs."""
    notes: tuple[str, ...]
    """What was corrected, in words for people."""
    maps: CameraMaps
    """To restore frames with: the maps without the part of them that is only chance."""

    def model(self) -> CameraModel:
        """The camera with its maps."""
        return CameraModel(
            self.offset_counts.value,
            self.gain_e_per_count.value,
            self.read_noise_e.value,
            "calibration",
            self.row_noise_e.value,
            self.fixed_pattern_counts.value,
            self.maps,
        )


def calibrate_photon_transfer(
    darks: Frames,
    flats: Iterable[Frames],
    *,
    exposures: Sequence[float] | None = None,
    bit_depth: int | None = None,
    binning: int = 1,
) -> CameraCalibration:
    """Calibrate from `darks`, frames (Y, X) without light, and `flats`, one series per level.

    Each series is read once, frame by frame, so generators will do; a level is steady light,
    even or not. At least 16 darks, and two levels of at least 4 frames that differ by half. A
    level that saturates is left out of the gain and gives the full well. `exposures`: relative
    light of each level where that is known (its exposure time), for the linearity.
    `bit_depth`: of the camera, where it gives fewer bits than its integer type has. `binning`:
    of the frames, for the maps.

    Light that flickers as a whole, up to 5 % rms, is corrected and noted. Raises `UserError`
    naming the remedy for too few frames, darks clipped at zero, levels that are saturated,
    too dim or alike, light that flickers or drifts too much, and a camera that is not linear
    within 5 %.
    """
    top = None if bit_depth is None else float(2**bit_depth - 1)
    dark = sum_series(darks, "darks", least=LEAST_DARKS, top=top)
    if dark.zero_share > CLIPPED_SHARE:
        raise UserError(
            f"darks: {100 * dark.zero_share:.2g} % of the values are clipped at zero; raise the "
            "camera's offset (black level) until none are"
        )
    if not (dark.variance > 0).any():
        raise UserError("darks: got frames that are all alike; switch a test pattern off")
    series = [
        sum_series(flat, f"level {i}", least=LEAST_FLATS, dark=dark.mean, top=top)
        for i, flat in enumerate(flats, start=1)
    ]
    if exposures is not None and not (
        len(exposures) == len(series) and all(value > 0 for value in exposures)
    ):
        raise UserError(
            f"calibration: got exposures {list(exposures)} for {len(series)} levels; give one "
            "number above 0 for each, or none"
        )
    levels = Levels(dark, series)
    gain = levels.gain_e_per_count()
    transfer, points = levels.transfer()
    linearity = None
    if exposures is not None:
        linearity = levels.linearity(
            {id(level): float(value) for level, value in zip(series, exposures, strict=True)}
        )
    pixel_variance = float(dark.variance.mean())
    rows = line_variance(dark.row_means, pixel_variance, dark.mean.shape[1])
    columns = line_variance(dark.column_means, pixel_variance, dark.mean.shape[0])
    # What a pixel does over time: its own noise and that of its row.
    temporal = dark.variance.astype(np.float64) + max(rows.value, 0.0)
    read_noise = levels.read_noise_e(rows)
    chance = float(stats.chi2.median(dark.degrees_of_freedom) / dark.degrees_of_freedom)
    median = gain.value * float(np.sqrt(np.median(temporal[levels.good]) / chance))
    offset = Measured(
        levels.mean(dark.mean), float(dark.frame_means.std(ddof=1) / np.sqrt(dark.frames))
    )
    pattern = _pattern_variance(levels, temporal)
    response, response_noise, nonuniformity = _response(levels, temporal)
    saturation = levels.saturation_counts()
    offsets = shrunk(dark.mean - offset.value, temporal / dark.frames, max(pattern.value, 0.0))
    gains = 1 + shrunk(response - 1, response_noise, nonuniformity.value**2)
    return CameraCalibration(
        offset_counts=offset,
        gain_e_per_count=gain,
        read_noise_e=read_noise,
        # A median scatters 1.25 times as much as a mean.
        read_noise_median_e=Measured(
            median, 1.25 * read_noise.uncertainty / read_noise.value * median
        ),
        row_noise_e=rows.root().times(gain.value),
        column_noise_e=columns.root().times(gain.value),
        fixed_pattern_counts=pattern.root(),
        response_nonuniformity=nonuniformity,
        transfer_residual=transfer,
        linearity_residual=linearity,
        saturation_counts=saturation,
        full_well_e=None if saturation is None else _electrons(saturation, offset, gain),
        points=points,
        offset_map=dark.mean,
        read_noise_map=gain.value * np.sqrt(temporal),
        relative_gain_map=response,
        defective=~levels.good,
        notes=_notes(levels),
        maps=CameraMaps(offsets.astype(np.float32), gains.astype(np.float32), binning),
    )


def _electrons(counts: float, offset: Measured, gain: Measured) -> Measured:
    above = counts - offset.value
    return Measured(
        gain.value * above,
        float(np.hypot(gain.uncertainty * above, gain.value * offset.uncertainty)),
    )


def _pattern_variance(levels: Levels, temporal: FloatMap) -> Measured:
    """Of the offset from pixel to pixel, counts squared, without what chance gives."""
    away = levels.dark.mean - levels.mean(levels.dark.mean)
    return jackknife(
        lambda n, first, second, by_chance: second / n - (first / n) ** 2 - by_chance / n,
        levels.count,
        levels.sums(away),
        levels.sums(away**2),
        levels.sums(temporal / levels.dark.frames),
    )


def _response(levels: Levels, temporal: FloatMap) -> tuple[FloatMap, FloatMap, Measured]:
    """See `relative_response`; all levels together."""
    dark, used = levels.dark, levels.used
    signal = np.sum([level.mean - dark.mean for level in used], axis=0)
    noise = np.sum([level.variance / level.frames for level in used], axis=0)
    noise = noise + sum(1 / level.frames for level in used) * (temporal - dark.variance)
    # All levels had the same offset map taken off.
    noise = noise + len(used) ** 2 * temporal / dark.frames
    return relative_response(signal, noise, levels.good, levels.tiles)


def _notes(levels: Levels) -> tuple[str, ...]:
    notes = []
    worst = max(level.flicker for level in levels.used)
    if worst > _NOTED_FLICKER:
        notes.append(f"the light flickered by up to {100 * worst:.2g} % rms; corrected")
    bad = int((~levels.good).sum())
    if bad:
        notes.append(f"{bad} defective pixels were left out of all numbers but the maps")
    if levels.mean(levels.dark.variance) < _ROUGH_VARIANCE:
        notes.append(
            "the read noise is less than half a count: rounding hides part of it, and the number "
            "is that of the rounded frames"
        )
    return tuple(notes)
