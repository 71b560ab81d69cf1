"""The levels of light of a photon-transfer series: which are good, and the gain they give."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liverestore.errors import UserError
from liverestore.photon_series import SeriesSums
from liverestore.photon_transfer import Measured, Tiles, jackknife, line_variance

__all__ = ["Levels", "TransferPoint"]

FloatMap = NDArray[np.float64]
AnyMap = NDArray[np.float32] | NDArray[np.float64]

CLIPPED_SHARE = 1e-3
"""Of the values of a series; more is no cosmic ray or hot pixel."""
_PILED_UP_SHARE = 5e-3
"""Of the values that are the highest of a series: more is no tail of noise."""
_LEAST_RATIO = 1.5
"""Of the brightest level to the dimmest."""
_MOST_FLICKER = 0.05
_MOST_DRIFT = 0.1
"""Variance about the mean over that of successive frames, minus 1."""
_MOST_ROW_FLICKER = 0.02
"""Variance that flicker of rows adds to that of light."""
_MOST_NONLINEAR = 0.05
_WORST_GAIN = 0.1
_DEFECTIVE_VARIANCE = 25.0
"""Times the median: a pixel five times as noisy as the others."""
_DEFECTIVE_OFFSET = 20.0
"""Times the usual distance from the median, noise included."""


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


class Levels:
    """Levels in order of light, with the darks. Raises `UserError` for bad ones."""

    def __init__(self, dark: SeriesSums, levels: list[SeriesSums]) -> None:
        self.dark = dark
        self.all = sorted(levels, key=lambda level: float(level.frame_means.mean()))
        self.tiles = Tiles((dark.mean.shape[0], dark.mean.shape[1]))
        self.good = ~self._defective()
        self.count = self.tiles.sums(self.good)
        # Per level and tile: light, and the variance that it alone has, both as they were
        # scaled for flicker.
        self._light = np.array(
            [self.sums((level.mean - dark.mean) * level.signal_factor) for level in self.all]
        )
        self._excess = np.array(
            [self.sums(level.variance - dark.variance * level.readout_factor) for level in self.all]
        )
        self.is_used = [not self._saturated(i) for i in range(len(self.all))]
        self._used = [i for i, use in enumerate(self.is_used) if use]
        self._refuse_bad_ones()

    @property
    def used(self) -> list[SeriesSums]:
        """Those that do not saturate."""
        return [self.all[i] for i in self._used]

    def sums(self, values: AnyMap) -> FloatMap:
        """Of a (Y, X) map, per tile, without defective pixels."""
        return self.tiles.sums(np.where(self.good, values, 0.0))

    def mean(self, values: AnyMap) -> float:
        """Of a (Y, X) map, without defective pixels."""
        return float(values[self.good].mean())

    def _defective(self) -> NDArray[np.bool_]:
        noise = float(np.median(self.dark.variance))
        away = np.abs(self.dark.mean - np.median(self.dark.mean))
        usual = 1.4826 * float(np.median(away)) + np.sqrt(noise)
        noisy = self.dark.variance > _DEFECTIVE_VARIANCE * max(noise, 1 / 12)
        return np.asarray(noisy | (away > _DEFECTIVE_OFFSET * usual))

    def _saturated(self, i: int) -> bool:
        level = self.all[i]
        if level.top_share > CLIPPED_SHARE or level.highest_share > _PILED_UP_SHARE:
            return True
        # Pixels that are full all read the same: the variance falls though light rises.
        return any(self._excess[i].sum() < 0.9 * self._excess[j].sum() for j in range(i))

    def saturation_counts(self) -> float | None:
        """Highest number that pixels reach; None where no level is so bright."""
        for level, use in zip(self.all, self.is_used, strict=True):
            if not use:
                piled_up = max(level.top_share, level.highest_share) > CLIPPED_SHARE
                return level.highest if piled_up else self.mean(level.mean)
        return None

    def _refuse_bad_ones(self) -> None:
        used = self.used
        if len(used) < 2:
            raise UserError(
                f"flats: got {len(self.all)} levels of which {len(self.all) - len(used)} are "
                "saturated, at least two that are not are needed; add levels of less light"
            )
        means = [float(level.frame_means.mean()) for level in used]
        noise = self.dark.frame_means.std(ddof=1) + np.sqrt(
            self.mean(self.dark.variance) / self.good.sum()
        )
        if means[0] < 5 * noise:
            raise UserError(
                f"flats: got a level of {means[0]:.3g} counts above the offset, which is not "
                "brighter than the darks; add light"
            )
        if means[-1] < _LEAST_RATIO * means[0]:
            raise UserError(
                f"flats: got levels from {means[0]:.4g} to {means[-1]:.4g} counts above the "
                f"offset, the brightest must have {_LEAST_RATIO} times the light of the dimmest; "
                "change light or exposure between the levels"
            )
        for i in self._used:
            self._refuse_unsteady(i)

    def _refuse_unsteady(self, i: int) -> None:
        level = self.all[i]
        name = f"the level of {level.frame_means.mean():.4g} counts above the offset"
        if level.flicker > _MOST_FLICKER:
            raise UserError(
                f"flats: the light of {name} flickers by {100 * level.flicker:.2g} % rms from "
                f"frame to frame, allowed are {100 * _MOST_FLICKER:.0f} %; let the lamp warm "
                "up, run it on direct current, or expose for longer"
            )
        drift = self.mean(level.slow_variance) / self.mean(level.variance) - 1
        if drift > _MOST_DRIFT:
            raise UserError(
                f"flats: in {name} the light moves over the field during the series (noise "
                f"about the mean is {100 * drift:.2g} % above that of successive frames); take "
                "a uniform slide or an empty field, and wait until the lamp is steady"
            )
        # Rows that flicker on their own (rolling shutter) do harm where light is uneven.
        relative = level.row_means / level.frame_means[:, None]
        together = line_variance(relative, 0.0, 1).value
        by_chance = self.mean(level.variance) / (
            self.dark.mean.shape[1] * level.frame_means.mean() ** 2
        )
        unevenness = float((level.mean - self.dark.mean).var(axis=1).mean())
        light = float(self._excess[i].sum() / self.count.sum())
        if max(together - by_chance, 0.0) * unevenness > _MOST_ROW_FLICKER * light:
            raise UserError(
                f"flats: in {name} rows flicker on their own (rolling shutter and a lamp on "
                "alternating current); run the lamp on direct current, or expose for whole "
                "periods of the mains (20 ms, or 16.7 ms in North America)"
            )

    def _fit(self, light: FloatMap, excess: FloatMap) -> float:
        """Gain from totals per level: variance = light / gain, through the origin."""
        # The scatter of a variance goes with the variance; weights from the whole chip.
        whole = np.array([self.mean(level.variance) for level in self.used])
        weight = np.array([level.frames for level in self.used]) / whole**2
        s, v = light[self._used], excess[self._used]
        return float((weight * s * s).sum() / (weight * s * v).sum())

    def gain_e_per_count(self) -> Measured:
        """Slope of signal against variance. Raises `UserError` where it is worse than 10 %."""
        gain = jackknife(self._fit, self._light, self._excess)
        if gain.value <= 0 or gain.uncertainty > _WORST_GAIN * gain.value:
            raise UserError(
                f"calibration: got a gain of {gain} e/count, allowed is an uncertainty of "
                f"{100 * _WORST_GAIN:.0f} %; take more frames, and brighter levels"
            )
        return gain

    def read_noise_e(self, rows: Measured) -> Measured:
        """Rms over pixels, with the variance of `rows` (counts squared) in it."""
        row_variance = max(rows.value, 0.0)
        noise = jackknife(
            lambda n, dark, s, v: float(np.sqrt(dark / n + row_variance)) * self._fit(s, v),
            self.count,
            self.sums(self.dark.variance),
            self._light,
            self._excess,
        )
        from_rows = rows.uncertainty * self._fit(*self._totals()) ** 2 / (2 * noise.value)
        return Measured(noise.value, float(np.hypot(noise.uncertainty, from_rows)))

    def _totals(self) -> tuple[FloatMap, FloatMap]:
        return self._light.sum(axis=(1, 2)), self._excess.sum(axis=(1, 2))

    def transfer(self) -> tuple[Measured, tuple[TransferPoint, ...]]:
        """Largest relative deviation from the line, and all points.

        Raises `UserError` for one beyond 5 % and what is uncertain about it.
        """
        worst, points = Measured(0.0, 0.0), []
        for i, level in enumerate(self.all):
            variance = jackknife(lambda n, v, i=i: v[i] / n, self.count, self._excess)
            off = jackknife(
                lambda s, v, i=i: v[i] * self._fit(s, v) / s[i] - 1, self._light, self._excess
            )
            if self.is_used[i] and abs(off.value) >= worst.value:
                worst = Measured(abs(off.value), off.uncertainty)
            signal = float(level.frame_means.mean())
            points.append(
                TransferPoint(signal, variance, level.frames, level.flicker, self.is_used[i])
            )
        _refuse_nonlinear(worst, "variance and signal")
        return worst, tuple(points)

    def linearity(self, exposure_of: dict[int, float]) -> Measured:
        """Largest relative deviation from signal in proportion to exposure.

        `exposure_of`: by `id` of a level. Raises `UserError` as `transfer` does.
        """
        used = self.used
        response = np.array([level.frame_means.mean() / exposure_of[id(level)] for level in used])
        # From frame to frame the lamp varies; that, not noise of pixels, limits this number.
        own = np.array([level.flicker / np.sqrt(level.frames) for level in used])
        off = np.abs(response / response.mean() - 1)
        worst = int(off.argmax())
        others = float(np.sqrt(np.square(own).sum())) / len(used)
        found = Measured(float(off[worst]), float(np.hypot(own[worst], others)))
        _refuse_nonlinear(found, "signal and exposure")
        return found


def _refuse_nonlinear(residual: Measured, what: str) -> None:
    if residual.value > _MOST_NONLINEAR + 3 * residual.uncertainty:
        raise UserError(
            f"calibration: a level lies {100 * residual.value:.2g} % off the straight line of "
            f"{what}, allowed are {100 * _MOST_NONLINEAR:.0f} %; use levels below half of the "
            "full well, and one gain mode of the camera for all"
        )
