"""What the noise of a movie is like, and which way of learning from it that leaves open.

Blind-spot training (Noise2Void) takes noise for independent from pixel to pixel. Where it is
not, the network learns to repeat the noise; so the noise is looked at first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["NoiseDiagnosis", "diagnose"]

Kind = Literal["white", "along_x", "along_y", "rows", "columns", "unknown"]

_LINE_SHARE = 0.02
"""Share of the noise variance that whole rows or columns have in common, from where on it
counts. At 2 % blind-spot training begins to draw lines."""
_CORRELATION = 0.06
_FARTHEST_PX = 5
_PAIRS = 32


@dataclass(frozen=True, slots=True)
class NoiseDiagnosis:
    """Kind of noise and the numbers behind it."""

    kind: Kind
    """"unknown" for a single frame, which does not tell structure from noise."""
    reach_px: int
    """How far noise is correlated along its direction; 0 for white noise."""
    row_share: float
    """Part of the variance that is common to whole rows; negative values are chance."""
    column_share: float
    lag_x: float
    """Correlation of horizontal neighbours."""
    lag_y: float

    @property
    def words(self) -> str:
        """One line for people."""
        match self.kind:
            case "white":
                return "noise is independent from pixel to pixel: blind spots of one pixel"
            case "along_x" | "along_y":
                axis = "rows" if self.kind == "along_x" else "columns"
                return (
                    f"noise is correlated over {self.reach_px} px along the {axis}: blind spots "
                    f"of {2 * self.reach_px + 1} px along them"
                )
            case "rows" | "columns":
                share = self.row_share if self.kind == "rows" else self.column_share
                return (
                    f"whole {self.kind} share {100 * share:.0f} % of the noise: learning from "
                    "neighbouring frames instead of blind spots"
                )
            case "unknown":
                return "one frame does not show how noise is correlated: taken for independent"


def _correlation(noise: NDArray[np.float64], dy: int, dx: int) -> float:
    height, width = noise.shape[1:]
    one = noise[:, : height - dy, : width - dx]
    two = noise[:, dy:, dx:]
    return float((one * two).mean() / np.square(noise).mean())


def diagnose(stabilised: NDArray[np.float32]) -> NoiseDiagnosis:
    """Look at the differences of neighbouring frames of a (T, Y, X) movie of unit noise."""
    if stabilised.shape[0] < 2:
        return NoiseDiagnosis("unknown", 0, 0.0, 0.0, 0.0, 0.0)
    starts = np.unique(
        np.linspace(0, stabilised.shape[0] - 2, min(stabilised.shape[0] - 1, _PAIRS)).astype(int)
    )
    noise = np.stack(
        [(stabilised[t + 1].astype(np.float64) - stabilised[t]) / np.sqrt(2) for t in starts]
    )
    noise -= noise.mean(axis=(1, 2), keepdims=True)
    # Things that move: few pixels, large differences.
    limit = 5 * 1.4826 * float(np.median(np.abs(noise)))
    noise = np.clip(noise, -limit, limit)
    variance = max(float(np.square(noise).mean()), 1e-12)
    height, width = noise.shape[1:]
    rows, columns = noise.mean(axis=2), noise.mean(axis=1)
    rest = noise - rows[:, :, None] - columns[:, None, :]
    lags_x = [_correlation(rest, 0, d) for d in range(1, _FARTHEST_PX + 1)]
    lags_y = [_correlation(rest, d, 0) for d in range(1, _FARTHEST_PX + 1)]
    # The mean of a row varies by chance too, the more so where neighbours are correlated.
    by_chance_x = (1 + 2 * max(sum(lags_x), 0)) / width
    by_chance_y = (1 + 2 * max(sum(lags_y), 0)) / height
    row_share = float(rows.var() / variance - by_chance_x)
    column_share = float(columns.var() / variance - by_chance_y)
    kind: Kind = "white"
    reach = 0
    if max(row_share, column_share) > _LINE_SHARE:
        kind = "rows" if row_share >= column_share else "columns"
    elif max(abs(lags_x[0]), abs(lags_y[0])) > _CORRELATION:
        along_x = abs(lags_x[0]) >= abs(lags_y[0])
        kind, lags = ("along_x", lags_x) if along_x else ("along_y", lags_y)
        reach = max(d for d, lag in enumerate(lags, start=1) if abs(lag) > _CORRELATION)
    return NoiseDiagnosis(kind, reach, row_share, column_share, lags_x[0], lags_y[0])
