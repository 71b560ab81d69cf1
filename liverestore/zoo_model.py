"""A model of the BioImage Model Zoo at work: counts in, its own steps around it, pixels out."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liverestore.errors import Failure
from liverestore.normalise import Padding, as_pixels
from liverestore.zoo_card import ZooCard
from liverestore.zoo_steps import Step, apply
from liverestore.zoo_values import Values, fixed_range, largest_taken, values_of

__all__ = ["ZooModel", "zoo_model"]

Picture = NDArray[np.float32]
Infer = Callable[[Picture], Picture]

_LARGEST_WHOLE_PX = 4096 * 4096
_TILE_PX = 2048
_HALO_PX = 64
"""Border of tiles that are cut where the card states none."""
_FAR = 10.0
"""Factor beyond the model's own test picture at which it is said."""
_GPU_OPSET = 13
"""Of the graphs around networks on a GPU."""


@dataclass(frozen=True, slots=True)
class ZooModel:
    """How pictures go to a network of the zoo and come back."""

    axes_in: str
    axes_out: str
    least_px: tuple[int, int]
    step_px: tuple[int, int]
    halo_px: int
    before: tuple[Step, ...]
    after: tuple[Step, ...]
    values: Values
    trained_to: float | None = None
    """Largest value of its test picture where nothing adapts frames to it; else None."""
    opset: int | None = None
    of_input: bool = False
    """Whether statistics before the network are those of the input (see `zoo_steps.apply`)."""

    # -- sizes --------------------------------------------------------------------------

    def padded(self, shape: tuple[int, int]) -> tuple[int, int]:
        """The smallest (Y, X) that holds `shape` and that whole tiles of the network cover."""
        y, x = (
            max(n, least) if step == 0 else least + math.ceil(max(n - least, 0) / step) * step
            for n, least, step in zip(shape, self.least_px, self.step_px, strict=True)
        )
        return y, x

    def window(self, shape: tuple[int, int]) -> tuple[int, int]:
        """(Y, X) that goes through the network at once for a frame of `shape`."""
        outer = self.padded(shape)
        large = math.prod(outer) > _LARGEST_WHOLE_PX
        most = self.padded((_TILE_PX, _TILE_PX))
        y, x = (
            least if step == 0 else min(n, tile) if large else n
            for n, least, step, tile in zip(outer, self.least_px, self.step_px, most, strict=True)
        )
        return y, x

    @property
    def cpu_only(self) -> str | None:
        """Why no graph for a GPU can be made around its network; None: it can."""
        if (self.axes_in, self.axes_out) != ("bcyx", "bcyx"):
            return f"its network has the axes {self.axes_in} and {self.axes_out}, not bcyx"
        if self.opset is None or self.opset < _GPU_OPSET:
            told = "an opset that is not stated" if self.opset is None else f"opset {self.opset}"
            return f"its network is of {told}; opset {_GPU_OPSET} or newer is needed"
        return None

    # -- layouts ------------------------------------------------------------------------

    def to_network(self, batch: Picture) -> Picture:
        """(N, 1, Y, X) as the network's own axes. N is 1 where it has no axis b."""
        return _reshaped(batch[:, 0], "byx", self.axes_in)

    def from_network(self, result: NDArray[Any], batch: Picture) -> Picture:
        """The network's result as (N, 1, Y, X). Raises `Failure` for another size than `batch`."""
        count, _, *shape = batch.shape
        sizes = {"b": count, "y": shape[0], "x": shape[1]}
        wanted = tuple(sizes.get(axis, 1) for axis in self.axes_out)
        if result.shape != wanted:
            raise Failure(
                f"gave an array of shape {result.shape} where its card says {wanted} "
                f"({self.axes_out}); its package does not match its weights"
            )
        order = [axis for axis in self.axes_out if axis in "byx"]
        plain = result.reshape([sizes[axis] for axis in order])
        if "b" not in order:
            plain, order = plain[None], ["b", *order]
        moved = plain.transpose([order.index(axis) for axis in "byx"])
        return np.ascontiguousarray(moved[:, None], np.float32)

    # -- pictures -----------------------------------------------------------------------

    def run(self, picture: Picture, infer: Infer) -> tuple[Picture, Picture]:
        """(Y, X) values through all that the card says; its output, and that scaled back.

        The second is what the output would be with the steps before the network undone, for
        cards that do not undo them.
        """
        entering = apply(self.before, picture, picture, of_input=self.of_input)
        shape = (picture.shape[0], picture.shape[1])
        padding = Padding(shape, self.padded(shape))
        made = padding.crop(self._tiled(padding.pad(entering.picture), infer, self.window(shape)))
        out = apply(self.after, made, picture).picture
        gain = np.where(np.asarray(entering.gain) == 0, 1.0, entering.gain)
        back = ((out - entering.offset) / gain).astype(np.float32)
        return out, back

    def restore(self, pixels: NDArray[Any], infer: Infer) -> NDArray[Any]:
        """(Y, X) pixels to (Y, X) of the same dtype; integers are rounded and clipped."""
        out, back = self.run(pixels.astype(np.float32), infer)
        if self.values == "scaled back":
            out = back
        elif self.values == "unit" and pixels.dtype.kind == "u":
            out = out * np.float32(np.iinfo(pixels.dtype).max)
        return as_pixels(np.array(out), pixels.dtype)

    def warnings_for(self, pixels: NDArray[Any]) -> tuple[str, ...]:
        """What a person must know of the values, and of frames unlike those of the model."""
        words = []
        if self.values == "scaled back":
            words.append(
                "values are not counts: the model's card does not undo its scaling, so each frame "
                "is scaled back by its own"
            )
        elif self.values == "unit":
            stretched = (
                " stretched over the range of the pixels" if pixels.dtype.kind == "u" else ""
            )
            words.append(f"values are not counts: the model gives 0 to 1{stretched}")
        elif self.values == "other":
            words.append("values are not counts: they are in units of the model's own")
        brightest = float(pixels.max(initial=0))
        most = largest_taken(self.before)
        if most is not None and brightest > most:
            words.append(f"frames are cut at {most:g}: the model takes no larger values")
        if self.trained_to is not None and brightest > _FAR * self.trained_to:
            words.append(
                f"frames are far brighter than the model's own test picture (up to "
                f"{self.trained_to:.3g}), and it does not scale them"
            )
        return tuple(words)

    def _tiled(self, picture: Picture, infer: Infer, window: tuple[int, int]) -> Picture:
        if picture.shape == window:
            whole: Picture = infer(picture[None, None])[0, 0]
            return whole
        out = np.empty(picture.shape, np.float32)
        for y, keep_y in _spans(picture.shape[0], window[0], self.step_px[0], self.halo_px):
            for x, keep_x in _spans(picture.shape[1], window[1], self.step_px[1], self.halo_px):
                tile = np.ascontiguousarray(picture[y : y + window[0], x : x + window[1]])
                part = infer(tile[None, None])[0, 0]
                out[keep_y, keep_x] = part[
                    keep_y.start - y : keep_y.stop - y, keep_x.start - x : keep_x.stop - x
                ]
        return out


def _spans(length: int, window: int, step: int, halo: int) -> Iterator[tuple[int, slice]]:
    """Where tiles of equal size begin on an axis, and what of each is kept.

    Beginnings lie on the network's own grid (`step`), on which it gives the same everywhere;
    between two tiles the cut is in the middle of what they share, `halo` from both edges.
    """
    grid = max(step, 1)
    stride = max((window - 2 * halo) // grid * grid, grid)
    starts = [*range(0, length - window, stride), length - window]
    cuts = [0, *((a + window + b) // 2 for a, b in itertools.pairwise(starts)), length]
    for start, (low, high) in zip(starts, itertools.pairwise(cuts), strict=True):
        yield start, slice(low, high)


def _reshaped(pictures: Picture, order: str, axes: str) -> Picture:
    """(N, Y, X) to `axes`; all others have the size 1."""
    sizes = dict(zip(order, pictures.shape, strict=True))
    if "b" not in axes and sizes["b"] != 1:
        raise Failure(f"got {sizes['b']} pictures at once; its network takes one")
    present = [axis for axis in axes if axis in order]
    if "b" not in present:
        pictures, order = pictures[0], order[1:]
    moved = pictures.transpose([order.index(axis) for axis in present])
    return np.ascontiguousarray(moved.reshape([sizes.get(axis, 1) for axis in axes]))


def zoo_model(
    card: ZooCard, *, keeps_scale: bool, brightest: float, of_input: bool = False
) -> ZooModel:
    """How the model of `card` is used.

    `keeps_scale` is whether its test output lies in the range of its test input, and
    `brightest` the largest value of that one; `of_input` as in `ZooModel`.
    """
    halo = card.halo_px if card.halo_px is not None else _HALO_PX
    return ZooModel(
        axes_in=card.axes_in,
        axes_out=card.axes_out,
        least_px=card.least_px,
        step_px=card.step_px,
        halo_px=halo,
        before=card.before,
        after=card.after,
        values=values_of(card.before, card.after, keeps_scale=keeps_scale),
        trained_to=brightest if fixed_range(card.before) and brightest > 0 else None,
        opset=card.opset,
        of_input=of_input,
    )
