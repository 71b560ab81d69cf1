"""A package's own test: its input through the runtime here, against the output it came with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liverestore.errors import UserError
from liverestore.model_spec import ModelSpec
from liverestore.runtime.base import InferenceRuntime
from liverestore.runtime.table import open_on_processor
from liverestore.zoo_files import Tolerance

__all__ = ["Outcome", "keeps_scale", "read_tensor", "run_test"]

_NPY_BEGINS = b"\x93NUMPY"
_MOST_VALUES = 1 << 28
_LARGEST_SHARE = 0.05
"""Of the spread of the output: beyond it the outputs differ, whatever the card tolerates."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How far the output here lies from that of the package."""

    largest: float
    off_per_million: float
    share: float
    """Root mean square of the difference, in standard deviations of the package's output."""
    runtime: str
    tolerance: Tolerance

    @property
    def passed(self) -> bool:
        """Whether this is the model that the package describes."""
        return (
            self.off_per_million <= self.tolerance.off_per_million and self.share <= _LARGEST_SHARE
        )

    def words(self) -> str:
        """The figures, in one line."""
        allowed = self.tolerance
        return (
            f"largest difference {self.largest:.3g}, {self.off_per_million:.0f} of a million "
            f"values off by more than {allowed.absolute:g} + {allowed.relative:g} of the value "
            f"(allowed {allowed.off_per_million:.0f}), {100 * self.share:.2g} % of its spread "
            f"(allowed {100 * _LARGEST_SHARE:g})"
        )


def read_tensor(file: Path, place: str) -> NDArray[Any]:
    """The array of numbers in a .npy. Raises `UserError` for anything else; unpickles nothing."""
    try:
        with file.open("rb") as opened:
            if opened.read(len(_NPY_BEGINS)) != _NPY_BEGINS:
                raise UserError(f"{place}: {file.name} is no .npy file; download the package again")
        # Mapped, not read: a header may promise more than the file has.
        with np.errstate(over="raise"):
            array = np.load(file, mmap_mode="r", allow_pickle=False)
        if array.size > _MOST_VALUES or array.dtype.kind not in "fiub" or array.size < 1:
            raise UserError(
                f"{place}: got {array.size} values of {array.dtype} in {file.name}; allowed are "
                f"1 to {_MOST_VALUES} numbers"
            )
        read = np.array(array)
    except OSError as error:
        why = error.strerror or "its end is missing"
        raise UserError(f"{place}: {file.name} cannot be read: {why}") from error
    except (ValueError, EOFError, ArithmeticError, MemoryError) as error:
        raise UserError(
            f"{place}: {file.name} is damaged, cut short, or holds objects that are no numbers; "
            "download the package again"
        ) from error
    if not np.isfinite(read).all():
        raise UserError(f"{place}: {file.name} has values that are no numbers (NaN or infinite)")
    return read


def run_test(
    spec: ModelSpec, given: NDArray[Any], expected: NDArray[Any], tolerance: Tolerance
) -> Outcome:
    """Put `given`, in the axes of the package, through `spec` on the processor in 32 bits.

    Raises `UserError` where the arrays are not of the shape that the card says, `Failure` where
    the network cannot be run.
    """
    runtime = open_on_processor(spec)
    try:
        got = _output(spec, runtime, given)
        description = runtime.description
    finally:
        runtime.close()
    if got.shape != expected.shape:
        raise UserError(
            f"engine '{spec.name}': its test output has the shape {expected.shape}, but the "
            f"network gives {got.shape}; allowed are models that make one picture of one picture, "
            "of the same size"
        )
    if not np.isfinite(got).all():
        raise UserError(f"engine '{spec.name}': its test input comes out as NaN or infinite values")
    told = expected.astype(np.float64)
    difference = np.abs(got - told)
    off = difference > tolerance.absolute + tolerance.relative * np.abs(told)
    spread = float(told.std()) or 1.0
    return Outcome(
        largest=float(difference.max()),
        off_per_million=round(1e6 * float(off.mean()), 1),
        share=float(np.sqrt(np.mean(difference**2))) / spread,
        runtime=description,
        tolerance=tolerance,
    )


def _output(spec: ModelSpec, runtime: InferenceRuntime, given: NDArray[Any]) -> NDArray[np.float32]:
    zoo = spec.zoo
    if zoo is None:
        if given.ndim != 4 or given.shape[1] != spec.channels:
            raise UserError(
                f"engine '{spec.name}': its test input has the shape {given.shape}; allowed is "
                f"(1, {spec.channels}, Y, X)"
            )
        return runtime.infer(np.ascontiguousarray(given, np.float32)).copy()
    pictures = _pictures(given, zoo.axes_in, spec.name)
    made = np.stack([zoo.run(picture, runtime.infer)[0] for picture in pictures])
    order = [axis for axis in zoo.axes_out if axis in "byx"]
    if "b" not in order:
        made, names = made[0], "yx"
    else:
        names = "byx"
    moved = made.transpose([names.index(axis) for axis in order])
    sizes = dict(zip(order, moved.shape, strict=True))
    return moved.reshape([sizes.get(axis, 1) for axis in zoo.axes_out])


def _pictures(given: NDArray[Any], axes: str, name: str) -> NDArray[np.float32]:
    """(N, Y, X) of the test input. Raises `UserError` where it is no single pictures."""
    sizes = dict(zip(axes, given.shape, strict=False))
    others = [size for axis, size in sizes.items() if axis not in "byx"]
    if given.ndim != len(axes) or any(size != 1 for size in others):
        raise UserError(
            f"engine '{name}': its test input has the shape {given.shape} for the axes {axes}; "
            "allowed are single pictures of one channel"
        )
    order = [axis for axis in axes if axis in "byx"]
    plain = given.reshape([sizes[axis] for axis in order])
    if "b" not in order:
        plain, order = plain[None], ["b", *order]
    moved = plain.transpose([order.index(axis) for axis in "byx"])
    return np.ascontiguousarray(moved, np.float32)


def keeps_scale(given: NDArray[Any], made: NDArray[Any]) -> bool:
    """Whether a test output lies where its input does, as that of a restoration in counts does.

    Restoring keeps the mean light. Allowed is a fifth of it, or half of the input's spread.
    """
    mean, out = float(given.mean(dtype=np.float64)), float(made.mean(dtype=np.float64))
    near = abs(out - mean) <= 0.2 * abs(mean) + 0.5 * float(given.std(dtype=np.float64))
    return near and float(made.std()) > 0
