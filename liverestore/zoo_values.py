"""What the numbers are that leave a model of the zoo: counts, or something else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from liverestore.zoo_steps import (
    Binarize,
    Clip,
    EnsureDtype,
    Normal,
    ScaleMeanVariance,
    ScaleRange,
    Sigmoid,
    Step,
    apply,
)

__all__ = ["Values", "fixed_range", "largest_taken", "undoes_itself", "values_of"]

Values = Literal["counts", "scaled back", "unit", "other"]
"""What the numbers are that leave: "counts": the card's own steps end at counts; "scaled back":
the card scales and leaves it at that, so that it is undone here; "unit": 0 to 1, stretched over
the range of integer pixels; "other": as the model gives them."""


def values_of(before: Sequence[Step], after: Sequence[Step], *, keeps_scale: bool) -> Values:
    """Which they are, from the steps around the network.

    `keeps_scale` is whether the model's test output lies in the range of its test input.
    """
    if undoes_itself(before, after) and keeps_scale:
        return "counts"
    if _gives_unit(after):
        return "unit"
    ramp = np.linspace(0, 1000, 64, dtype=np.float32).reshape(8, 8)
    if before and _bounds_only(after) and apply(before, ramp, ramp).linear:
        return "scaled back"
    return "other"


def largest_taken(before: Sequence[Step]) -> float | None:
    """The largest count that a model of integer pixels takes; None: any."""
    first = before[0] if before else None
    if not isinstance(first, EnsureDtype) or np.dtype(first.dtype).kind not in "iu":
        return None
    return float(np.iinfo(first.dtype).max)


def fixed_range(steps: Sequence[Step]) -> bool:
    """Whether nothing adapts the values to the picture: they must be those of the training."""
    return not any(isinstance(step, Normal | ScaleRange | ScaleMeanVariance) for step in steps)


def _bounds_only(steps: Sequence[Step]) -> bool:
    """Whether all that `steps` do is to bound values or to cast them."""
    return all(isinstance(step, Clip | EnsureDtype) for step in steps)


def _gives_unit(steps: Sequence[Step]) -> bool:
    """Whether what comes out lies between 0 and 1, as probabilities and masks do."""
    deciding = [step for step in steps if not isinstance(step, Clip | EnsureDtype)]
    return bool(deciding) and isinstance(deciding[-1], Sigmoid | Binarize | ScaleRange)


_PROBES = ((100.0, 5.0), (1500.0, 300.0), (20_000.0, 4000.0))
"""(background, spread) of pictures that a camera could give, in counts."""
_ALIKE = 0.01


def undoes_itself(before: Sequence[Step], after: Sequence[Step]) -> bool:
    """Whether a network that changes nothing would give the picture back: counts stay counts.

    Tried with pictures of several levels of light; the middle of the values counts, so that
    bounds at the ends do not matter.
    """
    rng = np.random.default_rng(0)
    for level, spread in _PROBES:
        probe = (level + spread * rng.standard_exponential((64, 64))).astype(np.float32)
        entering = apply(before, probe, probe).picture
        back = apply(after, entering, probe).picture
        middle = (probe > np.percentile(probe, 5)) & (probe < np.percentile(probe, 95))
        if np.abs(back - probe)[middle].max() > _ALIKE * spread:
            return False
    return True
