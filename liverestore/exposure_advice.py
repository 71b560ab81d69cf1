"""The least exposure whose restored pictures keep the quality asked for, and how sure that is.

From frames at falling exposures, each restored, between references at the present exposure
(see `exposure_series`); their errors come without the noise of the references
(`exposure_products`). Nothing here knows the truth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from liverestore.exposure_curve import falling_curve, least_exposure, resampled
from liverestore.exposure_products import FrameProducts
from liverestore.exposure_quality import Quality
from liverestore.exposure_series import LEAST_ROUNDS, MOST_ROUNDS
from liverestore.exposure_stillness import bleached, stillness

__all__ = ["MOST_DOUBT", "Advice", "Evidence", "LevelScore", "advise"]

FloatArray = NDArray[np.float64]

MOST_DOUBT = 0.2
"""Relative standard deviation of an exposure that is still advised."""
_REPLICATES = 300
_MOST_BLEACHED = 0.1
"""Of the light, over the series: the exposure would be wrong by as much."""
_MOST_ADDED = 0.1
"""What movement may add to the error that is allowed, relative to it."""
_MOST_STEP = 0.1
"""The same from one reference to the next, where each frame is compared with its neighbours."""
_LEAST_SHARED = 5.0
"""Standard errors of what two references have in common."""
_HOPELESS_SHARED = _LEAST_SHARED * (LEAST_ROUNDS / MOST_ROUNDS) ** 0.5
"""After the fewest rounds: what even the most, whose standard error is smaller by the root of
their number, would not bring to the above."""
_LEAST_FOLLOWED = 0.95
"""Of the contrast of a restored frame, what the references next to it must share."""
_REACHED = 0.5


@dataclass(slots=True)
class Evidence:
    """A series as far as it was taken."""

    exposures_ms: tuple[float, ...]
    """Longest first; the first is the present one, which the references have too."""
    products: FrameProducts
    levels: list[int]
    """Level of each restored frame, in the order of `frames`."""
    restored: list[int]
    """Index in `products` of each restored frame."""
    raw: list[int]
    """Of the raw frames at the first level."""
    signal_e: list[float]
    """Mean light of each reference above the offset, in photoelectrons."""
    structure_e: list[float]
    """Light of the structure of each above its surroundings: what bleaches, while light that lies
    on the whole field hides in the mean how much."""
    span: float
    """Range of the picture in the units of the references, the peak of the PSNR."""
    guess: NDArray[np.generic]
    """(Y, X) mean of the restored frames of the first level."""
    gain: float = 1.0
    """Of the references, per unit of the restored frames of the first level."""
    floor_ms: float | None = None
    """Below it the light is less than the engine was trained for; None where unknown."""


@dataclass(frozen=True, slots=True)
class LevelScore:
    """One exposure of the series."""

    exposure_ms: float
    psnr_db: float
    """Affine PSNR of restored frames, without the noise of the references."""
    doubt_db: float
    """Half of the interval that holds the true value in 68 % of all series."""
    frames: int
    allowed: bool
    """Whether the light is within what the engine was trained for."""


@dataclass(frozen=True, slots=True)
class Advice:
    """What a series says. `exposure_ms` is None where it does not support any advice."""

    quality: Quality
    present_ms: float
    levels: tuple[LevelScore, ...]
    raw_psnr_db: float
    """Of raw frames at the present exposure."""
    target_db: float
    exposure_ms: float | None
    interval_ms: tuple[float, float] | None
    """95 % of the replicates of the bootstrap lie in it, widened for so few frames."""
    doubt: float
    """Relative standard deviation of the exposure."""
    refusal: str | None
    """Why there is no advice, and what to do."""
    limited_by: str | None
    """What holds the advice above the exposure that would keep the quality."""
    curve_ms: FloatArray
    curve_db: FloatArray
    moving: bool
    """Whether frames were compared with their neighbours in time alone."""
    bleached: float
    """Share of the light lost over the series."""
    needs_more: bool = False
    """Whether more rounds of the same could mend the refusal."""

    def supports(self, factor: float) -> bool:
        """Whether `factor` times less light than now keeps the quality, by this advice."""
        return self.exposure_ms is not None and self.exposure_ms <= self.present_ms / factor


def advise(evidence: Evidence, quality: Quality) -> Advice:
    """Judge a series of three rounds or more."""
    times = np.array(evidence.exposures_ms)
    levels = np.array(evidence.levels)
    frames = [np.flatnonzero(levels == n) for n in range(len(times))]
    signal = np.array(evidence.signal_e)
    lost = bleached(signal)
    faded = bleached(np.array(evidence.structure_e))
    errors, local = evidence.products.errors(), evidence.products.local_errors()
    trend = np.exp(np.linspace(0, 1, len(signal)) * np.log(1 - lost))
    still = stillness(evidence.products.residual_products(evidence.guess, trend))
    # By neighbours: movement makes the error against all references large, and would hide so.
    raw, first, *_ = _means(local, evidence, frames, None)
    follows = evidence.products.slope([evidence.restored[n] for n in frames[0]]) / evidence.gain
    finest = min(abs(quality.target(raw, first, evidence.span)), abs(first))
    moving = still.seen and still.added > _MOST_ADDED * finest
    if moving:
        errors = local
    means = _means(errors, evidence, frames, None)
    rng = np.random.default_rng(0)
    drawn = []
    for _ in range(_REPLICATES):
        if not moving:
            errors = evidence.products.errors(resampled(len(signal), rng))
        drawn.append(_means(errors, evidence, frames, rng))
    replicates = np.array(drawn)
    spread = replicates.std(axis=0)
    relative = spread[1:] / np.maximum(means[1:], 1e-6 * np.abs(means).max())
    weights = 1 / np.maximum(relative, 1e-3) ** 2
    curve = falling_curve(times, means[1:], weights)
    target = quality.target(means[0], float(curve[1][-1]), evidence.span)
    found = least_exposure(curve, target)
    others = []
    for row in replicates:
        one = falling_curve(times, row[1:], weights)
        others.append(least_exposure(one, quality.target(row[0], float(one[1][-1]), evidence.span)))
    reached = [value for value in others if value is not None]
    spread_log = float(np.std(np.log(reached))) if len(reached) > 1 else np.inf
    span2 = evidence.span**2

    def db(values: FloatArray | float) -> FloatArray:
        return np.asarray(10 * np.log10(span2 / np.maximum(values, 1e-12 * span2)))

    low = evidence.floor_ms
    scores = tuple(
        LevelScore(
            exposure_ms=float(ms),
            psnr_db=float(db(mean)),
            doubt_db=float(10 / np.log(10) * off * _student(len(those))),
            frames=len(those),
            allowed=low is None or bool(ms >= low),
        )
        for ms, mean, off, those in zip(times, means[1:], relative, frames, strict=True)
    )
    refusal, limited_by, advised, mendable = None, None, found, False
    if max(lost, faded) > _MOST_BLEACHED:
        refusal = (
            f"the sample lost {100 * max(lost, faded):.2g} % of its light during the series, "
            f"allowed are {100 * _MOST_BLEACHED:g} %: it bleaches too fast to compare exposures; "
            "take it with less light, or on another field of view"
        )
    elif lost < -_MOST_BLEACHED:
        refusal = (
            f"the light grew by {-100 * lost:.2g} % during the series, allowed are "
            f"{100 * _MOST_BLEACHED:g} %: let the lamp warm up, shut out other light, and ask again"
        )
    elif evidence.products.shared_sigmas < _LEAST_SHARED:
        mendable = evidence.products.shared_sigmas >= _HOPELESS_SHARED
        refusal = (
            "one reference has nothing in common with the next: the field is empty, out of focus, "
            "or changes completely from frame to frame; find a field with structure"
        )
    elif follows < _LEAST_FOLLOWED or (
        moving and still.added_by_step > max(_MOST_STEP * target, 3 * still.step_doubt)
    ):
        refusal = (
            "the sample moved too far from one frame to the next to compare exposures; use a "
            "field that moves less, or a fixed sample"
        )
    elif low is not None and low > times[0]:
        refusal = (
            f"the light at {times[0]:g} ms is already below what the engine was trained for, which "
            f"begins at {low:.3g} ms here; use more light or another engine"
        )
    elif found is None or len(reached) < _REACHED * _REPLICATES:
        # Where no replicate reaches it, no more of the same will.
        mendable = bool(reached)
        refusal = (
            f"{quality.words} is more than any exposure up to {times[0]:g} ms gives: the best "
            f"measured is {float(db(curve[1][-1])):.1f} dB; ask for less, or begin at a longer "
            "exposure"
        )
    elif spread_log > MOST_DOUBT:
        mendable = True
        refusal = (
            f"the exposure is uncertain by {100 * spread_log:.2g} %, allowed are "
            f"{100 * MOST_DOUBT:.0f} %: the references are too dim for so fine a difference; allow "
            "more light for the series, or ask for another quality"
        )
    if refusal is None and advised is not None:
        if low is not None and low > advised:
            advised, limited_by = low, "the engine was not trained for less light"
        elif advised <= times[-1] * (1 + 1e-6):
            limited_by = "no shorter exposure was tried"
    else:
        advised = None
    interval = None
    if advised is not None:
        bottom, top = (float(v) for v in np.quantile(reached, [0.025, 0.975]))
        # The curve crosses between two levels: the frames of both tell how much they vary.
        wider = _student(2 * len(frames[0]) - 1, 0.975)
        low_ms, high_ms = (advised * (end / advised) ** wider for end in (bottom, top))
        interval = (min(low_ms, advised), max(high_ms, advised))
    return Advice(
        quality=quality,
        present_ms=float(times[0]),
        levels=scores,
        raw_psnr_db=float(db(means[0])),
        target_db=float(db(target)),
        exposure_ms=None if advised is None else float(f"{advised:.3g}"),
        interval_ms=interval,
        doubt=spread_log,
        refusal=refusal,
        limited_by=limited_by,
        curve_ms=curve[0],
        curve_db=db(curve[1]),
        moving=bool(moving),
        bleached=lost,
        needs_more=mendable,
    )


def _student(frames: int, level: float = 0.841) -> float:
    """What an interval of the normal distribution is to be multiplied with for so few frames.

    Their spread is itself uncertain, and is often too small by chance (Student, Biometrika 6, 1,
    1908). `level`: quantile at the end of the interval; that of one standard deviation, or 0.975.
    """
    return float(stdtrit(max(frames - 1, 1), level) / ndtri(level))


def _means(
    errors: FloatArray,
    evidence: Evidence,
    frames: list[NDArray[np.intp]],
    rng: np.random.Generator | None,
) -> FloatArray:
    """(1 + L,) mean errors of raw frames and of every level; of frames that are drawn anew
    where `rng` is given. Frames without an error (NaN) are left out.
    """
    groups = [np.array(evidence.raw, np.intp)]
    groups += [np.array(evidence.restored, np.intp)[those] for those in frames]
    means = []
    for group in groups:
        values = errors[group]
        values = values[np.isfinite(values)]
        weights = np.ones(len(values)) if rng is None else resampled(len(values), rng)
        means.append(float(np.average(values, weights=weights)))
    return np.array(means)
