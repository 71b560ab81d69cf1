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
from liverestore.photon_series import SeriesSums, sum_series
from liverestore.photon_transfer import (
    Measured,
    Tiles,
    effective,
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
_CLIPPED_SHARE = 1e-3
_PILED_UP_SHARE = 5e-3
"""Of the values of a series that are its highest value: more is no tail of noise."""
_LEAST_RATIO = 1.5
"""Of the brightest level to the dimmest."""
_MOST_FLICKER = 0.05
_MOST_DRIFT = 0.1
"""Variance about the mean over that of successive frames, minus 1."""
_MOST_ROW_FLICKER = 0.02
"""Variance that flicker of rows adds to that of light."""
_MOST_NONLINEAR = 0.05
_WORST_GAIN = 0.1
_NOTED_FLICKER = 1e-3
_DEFECTIVE_VARIANCE = 25.0
"""Times the median: a pixel five times as noisy as the others."""


@dataclass(frozen=True, slots=True)
class TransferPoint:
    """One level of light, for a plot of variance against signal."""

    signal_counts: float
    variance_counts: Measured
    """Of light alone, counts squared: the readout is taken off."""
    frames: int
    flicker: float
    """Relative rms of the frame means; corrected."""
    used: bool
    """False for a saturated level."""


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
    if dark.zero_share > _CLIPPED_SHARE:
        raise UserError(
            f"darks: {100 * dark.zero_share:.2g} % of the values are clipped at zero; raise the "
            "camera's offset (black level) until none are"
        )
    if not (dark.variance > 0).any():
        raise UserError("darks: got frames that are all alike; switch a test pattern off")
    levels = [
        sum_series(flat, f"level {i}", least=LEAST_FLATS, dark=dark.mean, top=top)
        for i, flat in enumerate(flats, start=1)
    ]
    return _Solver(dark, levels, exposures, binning).solve()


class _Solver:
    def __init__(
        self,
        dark: SeriesSums,
        levels: list[SeriesSums],
        exposures: Sequence[float] | None,
        binning: int,
    ) -> None:
        if exposures is not None and (len(exposures) != len(levels) or min(exposures) <= 0):
            raise UserError(
                f"calibration: got exposures {list(exposures)} for {len(levels)} levels; give one "
                "number above 0 for each, or none"
            )
        self.dark, self.binning = dark, binning
        order = sorted(range(len(levels)), key=lambda i: levels[i].frame_means.mean())
        self.levels = [levels[i] for i in order]
        self.exposures = None if exposures is None else [float(exposures[i]) for i in order]
        self.shape = (dark.mean.shape[0], dark.mean.shape[1])
        self.tiles = Tiles(self.shape)
        self.good = ~self._defective()
        self.count = self.tiles.sums(self.good)
        parts = [effective(level, dark) for level in self.levels]
        self.signal = np.array([self._sums(signal) for signal, _ in parts])
        self.excess = np.array(
            [
                self._sums(level.variance - readout)
                for level, (_, readout) in zip(self.levels, parts, strict=True)
            ]
        )
        self.used = [not self._saturated(i) for i in range(len(self.levels))]

    def _sums(self, values: FloatMap) -> FloatMap:
        return self.tiles.sums(np.where(self.good, values, 0.0))

    def _mean(self, values: FloatMap) -> float:
        return float(values[self.good].mean())

    def _defective(self) -> NDArray[np.bool_]:
        noise = float(np.median(self.dark.variance))
        away = np.abs(self.dark.mean - np.median(self.dark.mean))
        usual = 1.4826 * float(np.median(away)) + np.sqrt(noise)
        noisy = self.dark.variance > _DEFECTIVE_VARIANCE * max(noise, 1 / 12)
        return np.asarray(noisy | (away > 20 * usual))

    def _saturated(self, i: int) -> bool:
        level = self.levels[i]
        if level.top_share > _CLIPPED_SHARE or level.highest_share > _PILED_UP_SHARE:
            return True
        # Pixels that are full all read the same: the variance falls though light rises.
        return any(self.excess[i].sum() < 0.9 * self.excess[j].sum() for j in range(i))

    def solve(self) -> CameraCalibration:
        self._refuse_bad_levels()
        used = [i for i, use in enumerate(self.used) if use]
        gain = self._gain(used)
        if gain.value <= 0 or gain.uncertainty > _WORST_GAIN * gain.value:
            raise UserError(
                f"calibration: got a gain of {gain} e/count, allowed is an uncertainty of "
                f"{100 * _WORST_GAIN:.0f} %; take more frames, and brighter levels"
            )
        transfer, points = self._transfer(used)
        linearity = self._linearity(used)
        for residual, what in ((transfer, "variance and signal"), (linearity, "exposures")):
            if residual is not None and residual.value > (
                _MOST_NONLINEAR + 3 * residual.uncertainty
            ):
                raise UserError(
                    f"calibration: a level lies {100 * residual.value:.2g} % off the straight "
                    f"line of {what}, allowed are {100 * _MOST_NONLINEAR:.0f} %; use levels "
                    "below half of the full well, and one gain mode of the camera for all"
                )
        rows, columns = self._lines()
        row_variance = max(rows.value, 0.0)
        temporal = self.dark.variance + row_variance
        read = self._read_noise(used, rows)
        spread = float(np.median(temporal[self.good]))
        median = float(np.sqrt(spread / _chi_square_median(self.dark.degrees_of_freedom)))
        offset, pattern, pattern_variance, offset_noise = self._offset(temporal)
        response, response_noise, nonuniformity = self._response(used, temporal)
        saturation = self._saturation()
        well = None
        if saturation is not None:
            electrons = gain.times(saturation - offset.value)
            extra = offset.uncertainty * gain.value
            well = Measured(electrons.value, float(np.hypot(electrons.uncertainty, extra)))
        noise_e = gain.value * np.sqrt(temporal)
        return CameraCalibration(
            offset_counts=offset,
            gain_e_per_count=gain,
            read_noise_e=read,
            read_noise_median_e=Measured(median, read.uncertainty / read.value * median).times(
                gain.value
            ),
            row_noise_e=rows.root().times(gain.value),
            column_noise_e=columns.root().times(gain.value),
            fixed_pattern_counts=pattern,
            response_nonuniformity=nonuniformity,
            transfer_residual=transfer,
            linearity_residual=linearity,
            saturation_counts=saturation,
            full_well_e=well,
            points=points,
            offset_map=self.dark.mean,
            read_noise_map=noise_e,
            relative_gain_map=response,
            defective=~self.good,
            notes=self._notes(),
            maps=CameraMaps(
                shrunk(self.dark.mean - offset.value, offset_noise, pattern_variance).astype(
                    np.float32
                ),
                (1 + shrunk(response - 1, response_noise, nonuniformity.value**2)).astype(
                    np.float32
                ),
                self.binning,
            ),
        )

    def _refuse_bad_levels(self) -> None:
        usable = [level for level, use in zip(self.levels, self.used, strict=True) if use]
        if len(usable) < 2:
            saturated = len(self.levels) - len(usable)
            raise UserError(
                f"flats: got {len(self.levels)} levels of which {saturated} are saturated, at "
                "least two that are not are needed; add levels of less light"
            )
        means = [float(level.frame_means.mean()) for level in usable]
        if means[-1] < _LEAST_RATIO * means[0]:
            raise UserError(
                f"flats: got levels from {means[0]:.4g} to {means[-1]:.4g} counts above the "
                f"offset, the brightest must have {_LEAST_RATIO} times the light of the dimmest; "
                "change light or exposure between the levels"
            )
        noise = self.dark.frame_means.std(ddof=1) + np.sqrt(
            self._mean(self.dark.variance) / self.good.sum()
        )
        for i, level in enumerate(self.levels):
            if not self.used[i]:
                continue
            name = f"the level of {level.frame_means.mean():.4g} counts above the offset"
            if level.frame_means.mean() < 5 * noise:
                raise UserError(f"flats: {name} is not brighter than the darks; add light")
            if level.flicker > _MOST_FLICKER:
                raise UserError(
                    f"flats: the light of {name} flickers by {100 * level.flicker:.2g} % rms from "
                    f"frame to frame, allowed are {100 * _MOST_FLICKER:.0f} %; let the lamp warm "
                    "up, run it on direct current, or expose for longer"
                )
            drift = self._mean(level.slow_variance) / self._mean(level.variance) - 1
            if drift > _MOST_DRIFT + 3 * np.sqrt(2 / (level.frames * self.good.sum())):
                raise UserError(
                    f"flats: in {name} the light moves over the field during the series (noise "
                    f"about the mean is {100 * drift:.2g} % above that of successive frames); take "
                    "a uniform slide or an empty field, and wait until the lamp is steady"
                )
            self._refuse_flickering_rows(level, self.excess[i].sum() / self.count.sum(), name)

    def _refuse_flickering_rows(self, level: SeriesSums, light: float, name: str) -> None:
        """Rows that flicker on their own (rolling shutter) do harm where light is uneven."""
        relative = level.row_means / level.frame_means[:, None]
        common = line_variance(relative, 0.0, 1).value
        own = self._mean(level.variance) / (self.shape[1] * level.frame_means.mean() ** 2)
        unevenness = float((level.mean - self.dark.mean).var(axis=1).mean())
        if max(common - own, 0.0) * unevenness > _MOST_ROW_FLICKER * light:
            raise UserError(
                f"flats: in {name} rows flicker on their own (rolling shutter and a lamp on "
                "alternating current); run the lamp on direct current, or expose for whole "
                "periods of the mains (20 ms, or 16.7 ms in North America)"
            )

    def _fit(self, signal: FloatMap, excess: FloatMap, used: list[int]) -> float:
        """Gain from totals per level: variance = signal / gain, through the origin."""
        # The scatter of a variance goes with the variance; weights from the whole chip.
        whole = np.array([self._mean(self.levels[i].variance) for i in used])
        frames = np.array([self.levels[i].frames for i in used])
        weight = frames / whole**2
        s, v = signal[used], excess[used]
        return float((weight * s * s).sum() / (weight * s * v).sum())

    def _gain(self, used: list[int]) -> Measured:
        return jackknife(lambda s, v: self._fit(s, v, used), self.signal, self.excess)

    def _transfer(self, used: list[int]) -> tuple[Measured, tuple[TransferPoint, ...]]:
        worst, points = Measured(0.0, 0.0), []
        for i, level in enumerate(self.levels):
            variance = jackknife(lambda n, v, i=i: v[i] / n, self.count, self.excess)
            off = jackknife(
                lambda s, v, i=i: v[i] * self._fit(s, v, used) / s[i] - 1, self.signal, self.excess
            )
            if self.used[i] and abs(off.value) >= worst.value:
                worst = Measured(abs(off.value), off.uncertainty)
            signal = float(level.frame_means.mean())
            points.append(
                TransferPoint(signal, variance, level.frames, level.flicker, self.used[i])
            )
        return worst, tuple(points)

    def _linearity(self, used: list[int]) -> Measured | None:
        if self.exposures is None:
            return None
        exposure = np.array([self.exposures[i] for i in used])
        response = np.array([self.levels[i].frame_means.mean() for i in used]) / exposure
        # From frame to frame the lamp varies; that, not noise of pixels, limits this number.
        own = np.array([self.levels[i].flicker / np.sqrt(self.levels[i].frames) for i in used])
        off = np.abs(response / response.mean() - 1)
        worst = int(off.argmax())
        others = float(np.sqrt(np.square(own).sum())) / len(used)
        return Measured(float(off[worst]), float(np.hypot(own[worst], others)))

    def _lines(self) -> tuple[Measured, Measured]:
        """Variance that rows, and columns, have in common in a dark frame; counts squared."""
        pixel = float(self.dark.variance.mean())
        height, width = self.shape
        return (
            line_variance(self.dark.row_means, pixel, width),
            line_variance(self.dark.column_means, pixel, height),
        )

    def _read_noise(self, used: list[int], rows: Measured) -> Measured:
        row_variance = max(rows.value, 0.0)
        pixels = jackknife(
            lambda n, d, s, v: np.sqrt(d / n + row_variance) * self._fit(s, v, used),
            self.count,
            self._sums(self.dark.variance),
            self.signal,
            self.excess,
        )
        scale = self._gain(used).value
        from_rows = rows.uncertainty * scale**2 / (2 * pixels.value)
        return Measured(pixels.value, float(np.hypot(pixels.uncertainty, from_rows)))

    def _offset(self, temporal: FloatMap) -> tuple[Measured, Measured, float, FloatMap]:
        """Mean; rms and variance of the pattern; noise variance of the offset map."""
        frames = self.dark.frames
        noise = temporal / frames
        pattern = jackknife(
            lambda n, first, second, by_chance: second / n - (first / n) ** 2 - by_chance / n,
            self.count,
            self._sums(self.dark.mean - self.dark.mean.mean()),
            self._sums(np.square(self.dark.mean - self.dark.mean.mean())),
            self._sums(noise),
        )
        uncertainty = float(self.dark.frame_means.std(ddof=1) / np.sqrt(frames))
        offset = Measured(self._mean(self.dark.mean), uncertainty)
        return offset, pattern.root(), max(pattern.value, 0.0), noise

    def _response(self, used: list[int], temporal: FloatMap) -> tuple[FloatMap, FloatMap, Measured]:
        levels = [self.levels[i] for i in used]
        signal = np.sum([level.mean - self.dark.mean for level in levels], axis=0)
        noise = np.sum([level.variance / level.frames for level in levels], axis=0)
        rows = temporal - self.dark.variance
        noise = noise + sum(1 / level.frames for level in levels) * rows
        # All levels had the same offset map taken off.
        noise = noise + len(levels) ** 2 * temporal / self.dark.frames
        return relative_response(signal, noise, self.good, self.tiles)

    def _saturation(self) -> float | None:
        for level, use in zip(self.levels, self.used, strict=True):
            if not use:
                piled = max(level.top_share, level.highest_share) > _CLIPPED_SHARE
                return level.highest if piled else self._mean(level.mean)
        return None

    def _notes(self) -> tuple[str, ...]:
        worst = max(level.flicker for level in self.levels)
        notes = []
        if worst > _NOTED_FLICKER:
            notes.append(f"the light flickered by up to {100 * worst:.2g} % rms; corrected")
        bad = int((~self.good).sum())
        if bad:
            notes.append(f"{bad} defective pixels were left out of all numbers but the maps")
        if self._mean(self.dark.variance) < 0.25:
            notes.append(
                "the read noise is less than half a count: rounding hides part of it, the number "
                "is that of the rounded frames"
            )
        return tuple(notes)


def _chi_square_median(degrees_of_freedom: float) -> float:
    """Median of chi square over its mean."""
    return float(stats.chi2.median(degrees_of_freedom) / degrees_of_freedom)
