"""What a card of the BioImage Model Zoo, format 0.4 or 0.5, says of a model, as far as it runs.

Only models that make one picture of one picture: one channel, of the same size. All others are
refused in one line. Written from the descriptions of the two formats; bioimageio.spec is needed
to make packages, not to read them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from liverestore.errors import UserError
from liverestore.zoo_files import (
    Part,
    Tolerance,
    first_file,
    list_of,
    part_of,
    text_of,
    tolerance_of,
    weights_of,
)
from liverestore.zoo_steps import Step, steps_of

__all__ = ["ZooCard", "read_zoo_card"]

_LETTERS = "bczyxti"
_LARGEST_PX = 1 << 16


class _Size(NamedTuple):
    """Sizes that an axis takes: `least` + n `step`; 0: only that one."""

    least: int
    step: int


@dataclass(frozen=True, slots=True)
class _Tensor:
    name: str
    axes: str
    sizes: dict[str, _Size | None]
    """None: as large as that of the input."""
    halo_px: int | None
    steps: tuple[Step, ...]
    test: Part


@dataclass(frozen=True, slots=True)
class ZooCard:
    """One model: what its network gets and gives, and what is done before and after."""

    version: str
    description: str
    license: str
    weights: Part
    more_weights: Part | None
    """File beside the ONNX file that holds the numbers of a large network."""
    opset: int | None
    axes_in: str
    """One letter for each axis of the network's input: b, c, z, y, x, t, i."""
    axes_out: str
    least_px: tuple[int, int]
    """Smallest (Y, X) that the network takes, and the steps to larger ones; 0: none."""
    step_px: tuple[int, int]
    halo_px: int | None
    """Border of a tile that is not to be trusted; None: the card does not say."""
    before: tuple[Step, ...]
    after: tuple[Step, ...]
    test_input: Part
    test_output: Part
    tolerance: Tolerance


def read_zoo_card(card: Any, place: str) -> ZooCard:
    """The model that the tree `card` of an rdf.yaml describes; `place` is for messages.

    Raises `UserError`: what was got, and what is allowed.
    """
    if not isinstance(card, dict) or card.get("type", "model") != "model":
        kind = card.get("type") if isinstance(card, dict) else type(card).__name__
        raise UserError(
            f"{place}: got a description of the type {kind!r:.40}; allowed are models of the "
            "BioImage Model Zoo"
        )
    version = str(card.get("format_version"))
    if not version.startswith(("0.4.", "0.5.")):
        raise UserError(
            f"{place}: got the format {version!r:.40}; allowed are 0.4 and 0.5; convert the model "
            "with: bioimageio update-format"
        )
    ins, outs = list_of(card, "inputs", place), list_of(card, "outputs", place)
    if (len(ins), len(outs)) != (1, 1):
        raise UserError(
            f"{place}: got a model of {len(ins)} inputs and {len(outs)} outputs; allowed are "
            "models that make one picture of one picture"
        )
    old = version.startswith("0.4.")
    given = _tensor(ins[0], None, old, card, place)
    made = _tensor(outs[0], given, old, card, place)
    least, step = [], []
    for axis in "yx":
        size = given.sizes[axis]
        assert size is not None, "an input has sizes"
        if made.sizes[axis] not in (None, size):
            raise _other_size(place, axis)
        least.append(size.least)
        step.append(size.step)
    onnx, more = weights_of(card, place)
    return ZooCard(
        version=text_of(card, "version", "?"),
        description=text_of(card, "description", ""),
        license=text_of(card, "license", ""),
        weights=part_of(onnx, f"{place}, weights"),
        more_weights=more,
        opset=onnx.get("opset_version") if isinstance(onnx.get("opset_version"), int) else None,
        axes_in=given.axes,
        axes_out=made.axes,
        least_px=(least[0], least[1]),
        step_px=(step[0], step[1]),
        halo_px=made.halo_px if made.halo_px is not None else given.halo_px,
        before=given.steps,
        after=made.steps,
        test_input=given.test,
        test_output=made.test,
        tolerance=tolerance_of(card, made.name, place),
    )


# -- one tensor -------------------------------------------------------------------------


def _tensor(entry: Any, of: _Tensor | None, old: bool, card: Any, place: str) -> _Tensor:
    side = "input" if of is None else "output"
    where = f"{place}, {side}"
    if not isinstance(entry, dict):
        raise UserError(f"{where}: got {type(entry).__name__}; allowed is a tensor's description")
    name = text_of(entry, "name" if old else "id", "")
    if old:
        axes, sizes, halo = _old_axes(entry, of, where)
        test = Part(first_file(card, f"test_{side}s", where), None)
    else:
        axes, sizes, halo = _new_axes(entry, of, where)
        test = part_of(entry.get("test_tensor"), f"{where}, test_tensor")
    if sorted(axes) != sorted(set(axes)) or not set("yx") <= set(axes) <= set(_LETTERS):
        raise UserError(
            f"{where}: got the axes {axes!r:.40}; allowed are y and x, and of each at most one "
            "batch, channel, z, time and index"
        )
    for axis in set(axes) - set("yxb"):
        size = sizes[axis]
        if size is not None and size.least != 1:
            kind = {"c": "channels", "z": "planes of z", "t": "times"}.get(axis, "indices")
            raise UserError(
                f"{where}: got {size.least} {kind}; allowed are models that make one picture "
                "of one picture, of 1 channel"
            )
    key = "preprocessing" if of is None else "postprocessing"
    first = name if of is None else of.name
    described = entry.get(key)
    if old and of is None and entry.get("data_type") in ("uint8", "uint16"):
        # Format 0.5 says so by a step of its own.
        cast = {"id": "ensure_dtype", "kwargs": {"dtype": entry["data_type"]}}
        described = [cast, *(described if isinstance(described, list) else [])]
    steps = steps_of(described, first, f"{where}, {key}")
    return _Tensor(name, axes, sizes, halo, steps, test)


_Axes = tuple[str, dict[str, "_Size | None"], int | None]


def _old_axes(entry: dict[str, Any], of: _Tensor | None, place: str) -> _Axes:
    """Format 0.4: axes "bcyx", and a shape that is a list, {min, step} or refers to the input."""
    axes, shape = entry.get("axes"), entry.get("shape")
    if not isinstance(axes, str):
        raise UserError(f"{place}: got the axes {axes!r:.40}; allowed is a word such as bcyx")
    if isinstance(shape, dict) and of is not None and "reference_tensor" in shape:
        scale, offset = shape.get("scale"), shape.get("offset")
        if not (isinstance(scale, list) and isinstance(offset, list)):
            raise UserError(f"{place}: its shape has no scale and offset")
        for axis, by, plus in zip(axes, scale, offset, strict=False):
            if axis != "b" and (by != 1 or plus != 0):
                raise _other_size(place, axis)
        sizes: dict[str, _Size | None] = dict.fromkeys(axes)
    else:
        least = shape.get("min") if isinstance(shape, dict) else shape
        steps = shape.get("step") if isinstance(shape, dict) else [0] * len(axes)
        fits = [isinstance(v, list) and len(v) == len(axes) for v in (least, steps)]
        if not all(fits):
            raise UserError(
                f"{place}: got the shape {shape!r:.60} for the axes {axes}; allowed are a number "
                "for each, or min and step"
            )
        assert isinstance(least, list)
        assert isinstance(steps, list)
        sizes = {
            axis: _size(low, by, f"{place}, axis {axis}")
            for axis, low, by in zip(axes, least, steps, strict=True)
        }
    halo = entry.get("halo")
    found = None
    if isinstance(halo, list) and len(halo) == len(axes):
        found = max(
            _count(value, f"{place}, halo") for axis, value in zip(axes, halo, strict=True)
            if axis in "yx"
        )  # fmt: skip
    return axes, sizes, found


def _new_axes(entry: dict[str, Any], of: _Tensor | None, place: str) -> _Axes:
    """Format 0.5: a list of axes, each with its own size and halo."""
    described = entry.get("axes")
    if not isinstance(described, list) or not all(isinstance(axis, dict) for axis in described):
        raise UserError(f"{place}: got the axes {described!r:.40}; allowed is a list of them")
    letters, halo = "", None
    sizes: dict[str, _Size | None] = {}
    for axis in described:
        kind, name = str(axis.get("type")), str(axis.get("id", axis.get("type")))
        # Axes of space are told apart by their name, the others by their kind.
        letter = name[:1] if kind == "space" else kind[:1]
        letters += letter
        size = axis.get("size")
        if letter == "b":
            continue
        if letter == "c":
            names = axis.get("channel_names")
            sizes[letter] = _Size(len(names) if isinstance(names, list) else 0, 0)
        elif isinstance(size, dict) and "min" in size and "max" not in size:
            sizes[letter] = _size(size["min"], size.get("step"), f"{place}, axis {name}")
        elif isinstance(size, dict) and of is not None and "tensor_id" in size:
            same = size.get("tensor_id") == of.name and str(size.get("axis_id"))[:1] == letter
            if size.get("offset", 0) != 0 or not same:
                raise _other_size(place, name)
            sizes[letter] = None
        elif isinstance(size, dict):
            raise UserError(
                f"{place}, axis {name}: got the size {size!r:.60}; allowed are a number, min and "
                "step, and for the output that of the same axis of the input"
            )
        else:
            sizes[letter] = _size(size, 0, f"{place}, axis {name}")
        if letter in "yx" and axis.get("halo") is not None:
            halo = max(halo or 0, _count(axis["halo"], f"{place}, halo"))
    return letters, sizes, halo


def _size(least: Any, step: Any, place: str) -> _Size:
    found = _Size(_count(least, place), _count(step, place))
    if found.least < 1:
        raise UserError(f"{place}: got a size of {found.least}; allowed is 1 and more")
    return found


def _count(value: Any, place: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _LARGEST_PX:
        raise UserError(f"{place}: got {value!r:.40}; allowed are whole numbers to {_LARGEST_PX}")
    return value


def _other_size(place: str, axis: str) -> UserError:
    return UserError(
        f"{place}: got a model whose output has another size than its input (axis {axis}); allowed "
        "are models that make one picture of one picture, of the same size"
    )
