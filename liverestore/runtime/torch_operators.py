"""ONNX operators in torch: those of the networks of this package, and of the live graph.

Each takes its inputs (None where an optional one is left out) and its attributes, with the
device as one of them. Whole numbers of 64 bits lie on the processor. What an operator cannot do
it refuses with a `Failure`, instead of doing something else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor
from torch.nn import functional

from liverestore.errors import Failure

__all__ = ["CONVOLUTIONS", "OPERATORS", "Attributes", "Operator"]

Attributes = dict[str, Any]
Operator = Callable[[Sequence[Tensor | None], Attributes], Tensor | Sequence[Tensor]]


def _given(inputs: Sequence[Tensor | None], place: int) -> Tensor:
    tensor = inputs[place]
    assert tensor is not None, "the ONNX checker has seen this input"
    return tensor


def _optional(inputs: Sequence[Tensor | None], place: int) -> Tensor | None:
    return inputs[place] if place < len(inputs) else None


def _whole(inputs: Sequence[Tensor | None], place: int) -> list[int]:
    numbers: list[int] = _given(inputs, place).tolist()
    return numbers


def _unary(function: Callable[[Tensor], Tensor]) -> Operator:
    return lambda inputs, _attributes: function(_given(inputs, 0))


def _binary(function: Callable[[Tensor, Tensor], Tensor]) -> Operator:
    return lambda inputs, _attributes: function(_given(inputs, 0), _given(inputs, 1))


def _cast(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    wanted = _TYPES.get(attributes["to"])
    tensor = _given(inputs, 0)
    if wanted is None or (wanted == torch.int64) != (tensor.dtype == torch.int64):
        raise Failure(f"torch: a cast from {tensor.dtype} to ONNX type {attributes['to']}")
    return tensor.to(wanted)


_TYPES = {
    onnx.TensorProto.FLOAT: torch.float32,
    onnx.TensorProto.FLOAT16: torch.float16,
    onnx.TensorProto.UINT8: torch.uint8,
    onnx.TensorProto.INT32: torch.int32,
    onnx.TensorProto.INT64: torch.int64,
}


def _slice(inputs: Sequence[Tensor | None], _attributes: Attributes) -> Tensor:
    tensor = _given(inputs, 0)
    starts, ends = _whole(inputs, 1), _whole(inputs, 2)
    axes = _whole(inputs, 3) if _optional(inputs, 3) is not None else list(range(len(starts)))
    steps = _whole(inputs, 4) if _optional(inputs, 4) is not None else [1] * len(starts)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        length = tensor.shape[axis]
        places = range(length)[start : end if end > -(2**62) else None : step]
        if step > 0:
            window = [slice(None)] * tensor.ndim
            window[axis] = slice(places.start, places.stop, step)
            tensor = tensor[tuple(window)]
        else:
            tensor = tensor.index_select(axis, torch.tensor(list(places), device=tensor.device))
    return tensor


def _split(inputs: Sequence[Tensor | None], attributes: Attributes) -> Sequence[Tensor]:
    return torch.split(_given(inputs, 0), _whole(inputs, 1), dim=attributes.get("axis", 0))


def _concat(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    return torch.cat([tensor for tensor in inputs if tensor is not None], attributes["axis"])


def _gather(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    tensor, index = _given(inputs, 0), _given(inputs, 1)
    axis = attributes.get("axis", 0) % tensor.ndim
    flat = tensor.index_select(axis, index.reshape(-1))
    return flat.reshape((*tensor.shape[:axis], *index.shape, *tensor.shape[axis + 1 :]))


def _clip(inputs: Sequence[Tensor | None], _attributes: Attributes) -> Tensor:
    return torch.clamp(_given(inputs, 0), _optional(inputs, 1), _optional(inputs, 2))


def _reshape(inputs: Sequence[Tensor | None], _attributes: Attributes) -> Tensor:
    tensor = _given(inputs, 0)
    sizes = [tensor.shape[k] if size == 0 else size for k, size in enumerate(_whole(inputs, 1))]
    return tensor.reshape(sizes)


def _squeeze(inputs: Sequence[Tensor | None], _attributes: Attributes) -> Tensor:
    tensor = _given(inputs, 0)
    if _optional(inputs, 1) is None:
        return tensor.squeeze()
    return tensor.squeeze(tuple(_whole(inputs, 1)))


def _unsqueeze(inputs: Sequence[Tensor | None], _attributes: Attributes) -> Tensor:
    tensor = _given(inputs, 0)
    axes = _whole(inputs, 1)
    for axis in sorted(axis % (tensor.ndim + len(axes)) for axis in axes):
        tensor = tensor.unsqueeze(axis)
    return tensor


def _filled(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    value = (
        numpy_helper.to_array(attributes["value"]) if "value" in attributes else np.zeros(1, "f4")
    )
    tensor = torch.from_numpy(np.full(_whole(inputs, 0), value[0]))
    return tensor if tensor.dtype == torch.int64 else tensor.to(attributes["device"])


def _pad(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    tensor = _given(inputs, 0)
    widths = _whole(inputs, 1)
    pairs = list(zip(widths[: tensor.ndim], widths[tensor.ndim :], strict=True))
    mode = attributes.get("mode", b"constant").decode()
    # torch counts axes from the last one.
    order = [width for pair in reversed(pairs) for width in pair]
    if mode == "constant":
        value = _optional(inputs, 2)
        # A constant of the graph: known without asking the device at every frame.
        known = attributes.setdefault("known", 0.0 if value is None else float(value))
        return functional.pad(tensor, order, value=known)
    names = {"reflect": "reflect", "edge": "replicate", "wrap": "circular"}
    if any(pair != (0, 0) for pair in pairs[:-2]):
        raise Failure(f"torch: {mode} padding of other axes than Y and X")
    return functional.pad(tensor, order[:4], mode=names[mode])


def _windows(attributes: Attributes) -> tuple[list[int], list[int], tuple[int, int]]:
    """Strides, dilations and the padding of a window, which must be the same on both sides."""
    pads = attributes.get("pads", [0, 0, 0, 0])
    if attributes.get("auto_pad", b"NOTSET") != b"NOTSET" or pads[:2] != pads[2:]:
        raise Failure(f"torch: windows padded by {pads}")
    return (
        attributes.get("strides", [1, 1]),
        attributes.get("dilations", [1, 1]),
        (pads[0], pads[1]),
    )


def _conv(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    strides, dilations, pads = _windows(attributes)
    return functional.conv2d(
        _given(inputs, 0), _given(inputs, 1), _optional(inputs, 2), strides, pads, dilations,
        attributes.get("group", 1),
    )  # fmt: skip


def _conv_transpose(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    strides, dilations, pads = _windows(attributes)
    return functional.conv_transpose2d(
        _given(inputs, 0), _given(inputs, 1), _optional(inputs, 2), strides, pads,
        attributes.get("output_padding", [0, 0]), attributes.get("group", 1), dilations,
    )  # fmt: skip


def _max_pool(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    strides, dilations, pads = _windows(attributes)
    ceil = bool(attributes.get("ceil_mode", 0))
    return functional.max_pool2d(
        _given(inputs, 0), attributes["kernel_shape"], strides, pads, dilations, ceil
    )


def _average_pool(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    strides, _, pads = _windows(attributes)
    ceil, all_of_it = attributes.get("ceil_mode", 0), attributes.get("count_include_pad", 0)
    return functional.avg_pool2d(
        _given(inputs, 0), attributes["kernel_shape"], strides, pads, bool(ceil), bool(all_of_it)
    )


def _resize(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    tensor = _given(inputs, 0)
    mode = attributes.get("mode", b"nearest").decode()
    grid = attributes.get("coordinate_transformation_mode", b"half_pixel").decode()
    rounding = attributes.get("nearest_mode", b"round_prefer_floor").decode()
    known = {("nearest", "asymmetric", "floor"): "nearest"}
    kind = known.get((mode, grid, rounding))
    if mode == "linear" and grid in ("half_pixel", "pytorch_half_pixel"):
        kind = "bilinear"
    if kind is None:
        raise Failure(f"torch: resizing by {mode}, {grid}, {rounding}")
    if "size" not in attributes:
        scales = _optional(inputs, 2)
        # Asked of the device once, not at every frame.
        attributes["size"] = None if scales is None or not scales.numel() else scales.tolist()
    scale = attributes["size"]
    if scale is None:
        size = _whole(inputs, 3)[2:]
    else:
        size = [int(n * s) for n, s in zip(tensor.shape[2:], scale[2:], strict=True)]
    if kind == "nearest":
        return functional.interpolate(tensor, size)
    return functional.interpolate(tensor, size, mode="bilinear", align_corners=False)


def _depth_to_space(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    tensor, block = _given(inputs, 0), attributes["blocksize"]
    if attributes.get("mode", b"DCR") == b"CRD":
        return functional.pixel_shuffle(tensor, block)
    n, c, y, x = tensor.shape
    parts = tensor.reshape(n, block, block, c // block**2, y, x).permute(0, 3, 4, 1, 5, 2)
    return parts.reshape(n, c // block**2, y * block, x * block)


def _space_to_depth(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    tensor, block = _given(inputs, 0), attributes["blocksize"]
    n, c, y, x = tensor.shape
    parts = tensor.reshape(n, c, y // block, block, x // block, block)
    return parts.permute(0, 3, 5, 1, 2, 4).reshape(n, c * block**2, y // block, x // block)


def _batch_norm(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    x, weight, bias, mean, variance = (_given(inputs, k) for k in range(5))
    epsilon = attributes.get("epsilon", 1e-5)
    return functional.batch_norm(x, mean, variance, weight, bias, eps=epsilon)


def _instance_norm(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    x, weight, bias = (_given(inputs, k) for k in range(3))
    epsilon = attributes.get("epsilon", 1e-5)
    return functional.instance_norm(x, weight=weight, bias=bias, eps=epsilon)


def _leaky(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    return functional.leaky_relu(_given(inputs, 0), attributes.get("alpha", 0.01))


OPERATORS: dict[str, Operator] = {
    "Abs": _unary(torch.abs),
    "Add": _binary(torch.add),
    "AveragePool": _average_pool,
    "BatchNormalization": _batch_norm,
    "Cast": _cast,
    "Clip": _clip,
    "Concat": _concat,
    "ConstantOfShape": _filled,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "DepthToSpace": _depth_to_space,
    "Div": lambda inputs, _: torch.div(
        _given(inputs, 0),
        _given(inputs, 1),
        rounding_mode=None if _given(inputs, 0).is_floating_point() else "trunc",
    ),
    "Exp": _unary(torch.exp),
    "Expand": lambda inputs, _: _given(inputs, 0).broadcast_to(
        np.broadcast_shapes(_given(inputs, 0).shape, _whole(inputs, 1))
    ),
    "Floor": _unary(torch.floor),
    "Gather": _gather,
    "Identity": lambda inputs, _: _given(inputs, 0),
    "InstanceNormalization": _instance_norm,
    "LeakyRelu": _leaky,
    "Max": _binary(torch.maximum),
    "MaxPool": _max_pool,
    "Min": _binary(torch.minimum),
    "Mul": _binary(torch.mul),
    "PRelu": lambda inputs, _: torch.where(
        _given(inputs, 0) > 0, _given(inputs, 0), _given(inputs, 0) * _given(inputs, 1)
    ),
    "Pad": _pad,
    "Relu": _unary(torch.relu),
    "Reshape": _reshape,
    "Resize": _resize,
    "Round": _unary(torch.round),
    "Shape": lambda inputs, _: torch.tensor(_given(inputs, 0).shape),
    "Sigmoid": _unary(torch.sigmoid),
    "Slice": _slice,
    "SpaceToDepth": _space_to_depth,
    "Split": _split,
    "Sqrt": _unary(torch.sqrt),
    "Squeeze": _squeeze,
    "Sub": _binary(torch.sub),
    "Tanh": _unary(torch.tanh),
    "Transpose": lambda inputs, attributes: _given(inputs, 0).permute(attributes["perm"]),
    "Unsqueeze": _unsqueeze,
}

CONVOLUTIONS = (OPERATORS["Conv"], OPERATORS["ConvTranspose"])
"""Their second input is a kernel."""
