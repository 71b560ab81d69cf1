"""Pre- and post-processing as cards of the BioImage Model Zoo state it, on one picture.

The formulas are those of the format (bioimageio.spec 0.4 and 0.5, `preprocessing` and
`postprocessing`), with the epsilons of its reference implementation bioimageio.core. A picture
has one channel and there is one of it, so statistics "of the data set" and "of the sample" are
both those of the picture at hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from liverestore.errors import UserError

__all__ = [
    "Binarize",
    "Clip",
    "Done",
    "EnsureDtype",
    "Normal",
    "ScaleMeanVariance",
    "ScaleRange",
    "Sigmoid",
    "Step",
    "apply",
    "steps_of",
]

Picture = NDArray[np.float32]
Number = float | list[float]
"""A list where the card gives one for each channel; there is one channel."""
Axes = str | list[str] | None

_EPS = 1e-6


class _Step(msgspec.Struct, frozen=True, tag_field="id", forbid_unknown_fields=True):
    pass


class Binarize(_Step, frozen=True, tag="binarize"):
    """1 above the threshold, 0 elsewhere."""

    threshold: Number
    axis: str | None = None


class Clip(_Step, frozen=True, tag="clip"):
    """Values below and above are set to the bounds."""

    min: float | None = None
    max: float | None = None
    min_percentile: float | None = None
    max_percentile: float | None = None
    axes: Axes = None


class EnsureDtype(_Step, frozen=True, tag="ensure_dtype"):
    """Values as this type holds them; fractions of integers are cut off."""

    dtype: Literal["float32", "float64", "uint8", "int8", "uint16", "int16", "uint32", "int32",
                   "uint64", "int64", "bool"]  # fmt: skip


class ScaleLinear(_Step, frozen=True, tag="scale_linear"):
    """x gain + offset."""

    gain: Number = 1.0
    offset: Number = 0.0
    axis: str | None = None


class Sigmoid(_Step, frozen=True, tag="sigmoid"):
    """1 / (1 + exp(-x))."""


class FixedNormal(_Step, frozen=True, tag="fixed_zero_mean_unit_variance"):
    """(x - mean) / std with numbers of the card."""

    mean: Number
    std: Number
    axis: str | None = None


class Normal(_Step, frozen=True, tag="zero_mean_unit_variance"):
    """(x - mean) / std with those of the picture."""

    axes: Axes = None
    eps: float = _EPS


class ScaleRange(_Step, frozen=True, tag="scale_range"):
    """(x - low) / (high - low) with percentiles of the picture, or of the one that came in."""

    axes: Axes = None
    min_percentile: float = 0.0
    max_percentile: float = 100.0
    eps: float = _EPS
    reference_tensor: str | None = None


class ScaleMeanVariance(_Step, frozen=True, tag="scale_mean_variance"):
    """Mean and standard deviation of the picture that came in."""

    reference_tensor: str
    axes: Axes = None
    eps: float = _EPS


Step = (
    Binarize | Clip | EnsureDtype | ScaleLinear | Sigmoid | FixedNormal | Normal | ScaleRange
    | ScaleMeanVariance
)  # fmt: skip
_KNOWN = ("binarize", "clip", "ensure_dtype", "scale_linear", "sigmoid",
          "fixed_zero_mean_unit_variance", "zero_mean_unit_variance", "scale_range",
          "scale_mean_variance")  # fmt: skip


def steps_of(described: Any, input_name: str, place: str) -> tuple[Step, ...]:
    """The steps that a card's list `described` names, of format 0.4 (`name`) or 0.5 (`id`).

    `input_name` is that of the input tensor, the only one that can be referred to; `place` is
    for the message. Raises `UserError` for a step that is not known here or is malformed.
    """
    if described is None:
        return ()
    if not isinstance(described, list):
        raise UserError(f"{place}: got {type(described).__name__}; allowed is a list of steps")
    found = []
    for entry in described:
        if not isinstance(entry, dict):
            raise UserError(f"{place}: got {entry!r:.60}; allowed are steps with id and kwargs")
        name = entry.get("id", entry.get("name"))
        kwargs = entry.get("kwargs") or {}
        if name not in _KNOWN or not isinstance(kwargs, dict):
            raise UserError(
                f"{place}: got the step {str(name)!r:.60}; allowed are {', '.join(_KNOWN)}; this "
                "model cannot be used here"
            )
        try:
            step: Step = msgspec.convert({**_as_newest(str(name), kwargs)}, Step)
        except msgspec.ValidationError as error:
            raise UserError(f"{place}, step {name}: {error}") from error
        _check(step, input_name, place)
        found.append(step)
    return tuple(found)


def _as_newest(name: str, kwargs: dict[str, Any]) -> dict[str, Any]:
    """`kwargs` in the form of format 0.5, with their `id`."""
    told = dict(kwargs)
    mode = told.pop("mode", None)
    if name == "zero_mean_unit_variance" and (mode == "fixed" or told.get("mean") is not None):
        # Format 0.4: one step for both, and the fixed one needs no axes.
        return {
            "id": "fixed_zero_mean_unit_variance",
            **{key: told[key] for key in told.keys() - {"axes", "eps"}},
        }
    if name == "scale_linear":
        told.pop("axes", None)  # format 0.4; of one channel there is one number
    return {"id": name, **{key: value for key, value in told.items() if value is not None}}


def _check(step: Step, input_name: str, place: str) -> None:
    told: dict[str, Any] = {name: getattr(step, name) for name in step.__struct_fields__}
    reference = told.get("reference_tensor")
    if reference not in (None, input_name):
        raise UserError(
            f"{place}: got the reference tensor {reference!r:.60}; allowed is the input, "
            f"{input_name!r}"
        )
    for key in ("threshold", "gain", "offset", "mean", "std"):
        value = told.get(key)
        if isinstance(value, list) and len(value) != 1:
            raise UserError(
                f"{place}: got {len(value)} values of {key}; allowed is one, for the one channel"
            )
    if "axes" in told and not _along(told["axes"]):
        raise UserError(
            f"{place}: got statistics over the axes {told['axes']!r:.60}; allowed are those of y "
            "and x"
        )
    spread = told.get("std")
    if spread is not None and _one(spread) <= 0:
        raise UserError(f"{place}: got a standard deviation of {_one(spread):g}; allowed is > 0")
    for low, high in (("min", "max"), ("min_percentile", "max_percentile")):
        first, last = told.get(low), told.get(high)
        if first is not None and last is not None and first >= last:
            raise UserError(
                f"{place}: got {low} {first} and {high} {last}; the first must be smaller"
            )
    for key in ("min_percentile", "max_percentile"):
        value = told.get(key)
        if value is not None and not 0 <= value <= 100:
            raise UserError(f"{place}: got {key} {value:g}; allowed are 0 to 100")


def _one(value: Number) -> float:
    return value[0] if isinstance(value, list) else value


def _along(axes: Axes) -> tuple[int, ...]:
    """Which of (Y, X) statistics go over; names are those of 0.4 ("xy") or 0.5 (a list)."""
    if axes is None:
        return (0, 1)
    letters = {name[:1] for name in axes}
    return tuple(place for place, name in enumerate("yx") if name in letters)


class Done(msgspec.Struct, frozen=True):
    """A picture after some steps, and what they were as far as they only scaled."""

    picture: Picture
    """(Y, X) float32."""
    gain: NDArray[np.float64] | float
    """Of values that no bound has met: result = gain x value + offset."""
    offset: NDArray[np.float64] | float
    linear: bool
    """Whether they only scaled, apart from bounds."""


def apply(
    steps: Sequence[Step], picture: Picture, came_in: Picture, *, of_input: bool = False
) -> Done:
    """`picture` (Y, X) after `steps`, in order; `came_in` is what the whole model got.

    With `of_input` the statistics of every step are those of `came_in`, and not of what the steps
    before it made: bioimageio.core reads cards so, which only matters for several steps.
    """
    gain: Any = 1.0
    offset: Any = 0.0
    linear = True
    for step in steps:
        measured = came_in if of_input else picture
        scale = _scale(step, measured, came_in)
        if scale is not None:
            by, plus = scale
            picture = (picture * by + plus).astype(np.float32)
            gain, offset = gain * by, offset * by + plus
        elif isinstance(step, Clip):
            picture = np.clip(picture, *_bounds(step, measured)).astype(np.float32)
        elif isinstance(step, EnsureDtype):
            picture = _as_type(picture, step.dtype)
            linear = linear and step.dtype != "bool"
        elif isinstance(step, Binarize):
            picture, linear = (picture > _one(step.threshold)).astype(np.float32), False
        else:
            # exp overflows for values that come out as 0 anyway.
            bounded = np.clip(picture, -80, 80)
            picture, linear = (1 / (1 + np.exp(-bounded))).astype(np.float32), False
    return Done(picture, gain, offset, linear)


Scale = tuple[NDArray[np.float64] | float, NDArray[np.float64] | float]


def _scale(step: Step, picture: Picture, came_in: Picture) -> Scale | None:
    """(gain, offset) of a step that scales; None of others."""
    if isinstance(step, ScaleLinear):
        return _one(step.gain), _one(step.offset)
    if isinstance(step, FixedNormal):
        spread = _one(step.std) + _EPS
        return 1 / spread, -_one(step.mean) / spread
    if isinstance(step, Normal):
        mean, std = _moments(picture, step.axes)
        return 1 / (std + step.eps), -mean / (std + step.eps)
    if isinstance(step, ScaleRange):
        of = picture if step.reference_tensor is None else came_in
        low, high = _percentiles(of, step.axes, step.min_percentile, step.max_percentile)
        by = 1 / (high - low + step.eps)
        return by, -low * by
    if isinstance(step, ScaleMeanVariance):
        mean, std = _moments(picture, step.axes)
        wanted, wide = _moments(came_in, step.axes)
        ratio = (wide + step.eps) / (std + step.eps)
        return ratio, wanted - mean * ratio
    return None


def _moments(picture: Picture, axes: Axes) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    along = _along(axes)
    mean: Any = np.mean(picture, axis=along, keepdims=True, dtype=np.float64)
    return mean, np.std(picture, axis=along, keepdims=True, dtype=np.float64)


def _percentiles(
    picture: Picture, axes: Axes, low: float, high: float, method: Any = "linear"
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    along = _along(axes)
    if (low, high) == (0.0, 100.0):
        ends = picture.min(axis=along, keepdims=True), picture.max(axis=along, keepdims=True)
        return ends[0].astype(np.float64), ends[1].astype(np.float64)
    found = np.percentile(picture, [low, high], axis=along, keepdims=True, method=method)
    return found[0].astype(np.float64), found[1].astype(np.float64)


def _bounds(step: Clip, picture: Picture) -> tuple[Any, Any]:
    low, high = step.min, step.max
    if step.min_percentile is None and step.max_percentile is None:
        return low, high
    percents = step.min_percentile or 0.0, step.max_percentile or 100.0
    # Values that occur, as the reference implementation takes them.
    found = _percentiles(picture, step.axes, *percents, method="inverted_cdf")
    return (
        low if step.min_percentile is None else found[0],
        high if step.max_percentile is None else found[1],
    )


def _as_type(picture: Picture, name: str) -> Picture:
    kind = np.dtype(name)
    if kind.kind in "iu":
        limits = np.iinfo(kind)
        # A cast beyond the type's range is undefined; nothing sensible is lost by its bound.
        picture = np.clip(np.trunc(picture), float(limits.min), float(limits.max))
        return picture.astype(np.float32)
    return picture.astype(kind).astype(np.float32)
