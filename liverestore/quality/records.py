"""What is measured, and how single measurements become a score."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

import msgspec
import numpy as np

__all__ = ["METRICS", "Metric", "QualityTest", "Sample", "Score", "Tally", "Unit"]

Unit = Literal["um", "px", ""]


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure of merit and how it is shown."""

    heading: str
    digits: int
    better: Literal["high", "low", "none"]
    explained: str


METRICS: dict[str, Metric] = {
    "psnr_db": Metric(
        "PSNR dB", 2, "high", "PSNR: peak signal-to-noise ratio; the peak is the truth's range"
    ),
    "drift_corrected_psnr_db": Metric(
        "PSNR dB, drift out", 2, "high", "drift out: the shift between frame and truth undone"
    ),
    "gain_db": Metric("gain dB", 2, "high", "gain: PSNR above that of the frame as recorded"),
    "ssim": Metric("SSIM", 3, "high", "SSIM: structural similarity, window of 1.5 px, at most 1"),
    "nrmse": Metric(
        "NRMSE", 3, "low", "NRMSE: root mean square error in standard deviations of the truth"
    ),
    "frc_um": Metric("FRC um", 3, "low", "FRC: finest period shared with the truth, threshold 1/7"),
    "frc_px": Metric("FRC px", 2, "low", "FRC: finest period shared with the truth, threshold 1/7"),
    "correlation": Metric(
        "correlation", 4, "high", "correlation: Pearson's coefficient with the truth"
    ),
    "fine_correlation": Metric(
        "haze out",
        4,
        "high",
        "haze out: correlation with the truth, of both what is coarser than 8 px (Gaussian) "
        "taken away",
    ),
    "right_sign": Metric(
        "right sign %", 0, "high", "right sign: share where the true distance beat its opposite"
    ),
    "fwhm_um": Metric(
        "bead FWHM um",
        3,
        "none",
        "bead FWHM: median width of a fitted Gaussian; wide: nothing narrower than the window",
    ),
    "line_fwhm_um": Metric("line FWHM um", 3, "none", "line FWHM: across straight lines"),
    "surface_loss_db": Metric(
        "loss dB",
        2,
        "low",
        "loss: PSNR below what the same engine gives when each distance is uniform",
    ),
}


@dataclass(frozen=True, slots=True)
class Sample:
    """One method on one image."""

    condition: str
    """Light level, distance, objective or image: a row or a column of the table."""
    method: str
    metrics: dict[str, float]
    """Keys of `METRICS`."""
    setting: float | None = None
    """What was chosen on the truth: sigma in px, or iterations."""


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """Means of one method over the images of one condition (the median for widths)."""

    test: str
    condition: str
    method: str
    metrics: dict[str, float]
    """Keys of `METRICS`; an infinite width is null in JSON."""
    images: int
    setting: float | None = None
    """Mean of what was chosen on the truth."""


@dataclass(frozen=True, slots=True)
class QualityTest:
    """A part of the bench: some images, some methods, some figures."""

    key: str
    title: str
    notes: tuple[str, ...]
    """What was measured on and how, for the reader of the table."""
    columns: Literal["metrics", "conditions"]
    """What stands side by side; the other one above each other."""
    shown: tuple[str, ...]
    """Metrics of the table; the JSON has all."""
    steps: int
    run: Callable[[], Iterator[list[Sample]]]
    """Yields `steps` times."""


@dataclass(slots=True)
class Tally:
    """Samples of one test, in the order in which conditions and methods came."""

    test: str
    samples: dict[tuple[str, str], list[Sample]] = field(default_factory=dict)

    def add(self, samples: list[Sample]) -> None:
        """Take in what a step measured."""
        for sample in samples:
            self.samples.setdefault((sample.condition, sample.method), []).append(sample)

    def scores(self) -> list[Score]:
        """One for each condition and method that was measured."""
        found = []
        for (condition, method), samples in self.samples.items():
            metrics = {}
            for key in METRICS:
                values = [s.metrics[key] for s in samples if key in s.metrics]
                if values:
                    metrics[key] = _middle(key, values)
            settings = [s.setting for s in samples if s.setting is not None]
            found.append(
                Score(
                    test=self.test,
                    condition=condition,
                    method=method,
                    metrics=metrics,
                    images=len(samples),
                    setting=round(float(np.mean(settings)), 2) if settings else None,
                )
            )
        return found


def _middle(key: str, values: list[float]) -> float:
    if "fwhm" in key or "frc" in key:
        # A single width may be infinite.
        ordered = sorted(values)
        low, high = ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]
        middle = math.inf if math.isinf(high) else 0.5 * (low + high)
    else:
        middle = float(np.mean(values))
    return round(middle, 5)
