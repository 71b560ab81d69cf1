"""What a network costs, counted from its ONNX graph."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from liverestore.errors import Failure

__all__ = ["Cost", "network_cost"]

_HALF_BYTES = 2
_SMALL = 64
"""Constants of so few numbers may be sizes; others are weights, whose values do not matter."""
_COUNTED = ("Conv", "ConvTranspose", "MatMul", "Gemm")
_SIZED = ("Expand", "Pad", "Reshape", "Resize", "Slice", "Tile")
"""Operations whose further inputs say how large the output is."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one run of a network."""

    flop: float
    """Two for each multiplication with its addition, in convolutions and matrix products;
    everything else is small beside them."""
    activations: float
    """Numbers that these operations read and write, weights apart, each operation for itself."""
    parameters: float
    """Numbers in their weights."""

    def traffic_bytes(self, precision: str) -> float:
        """Bytes that pass through memory when no layer finds its input in a cache."""
        size = _HALF_BYTES if precision in ("bf16", "f16") else 4
        return size * (self.activations + self.parameters)


def network_cost(weights: Path, shape: tuple[int, ...]) -> Cost:
    """The cost of the one-input network in the ONNX file `weights`, input `shape` (N, C, Y, X).

    Raises `Failure` where ONNX cannot tell the size of an operation.
    """
    model = onnx.load(str(weights))
    _without_weights(model)
    graph = model.graph
    entry = graph.input[0]
    for size, length in zip(entry.type.tensor_type.shape.dim, shape, strict=True):
        size.dim_value = length
    shapes = _shapes(model)
    # A network with residual blocks computes paddings from the sizes of what came before.
    while _fold_sizes(model, shapes):
        shapes = _shapes(model)
    flop = activations = parameters = 0.0
    for node in graph.node:
        if node.op_type in _COUNTED:
            flop += _flop(node, shapes)
            places = (node.input[0], node.output[0])
            activations += sum(math.prod(_shape(shapes, node, name)) for name in places)
            parameters += math.prod(_shape(shapes, node, node.input[1]))
    return Cost(flop, activations, parameters)


def _without_weights(model: onnx.ModelProto) -> None:
    """Turn weights into inputs of their size, the network's own input first, and sizes that
    the file claims into unknown ones.
    """
    graph = model.graph
    known = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in known]
    if len(inputs) != 1:
        raise Failure(f"cost of a network: it has {len(inputs)} inputs; only one can be counted")
    small = [tensor for tensor in graph.initializer if math.prod(tensor.dims) <= _SMALL]
    large = [
        helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims))
        for tensor in graph.initializer
        if math.prod(tensor.dims) > _SMALL
    ]
    del graph.initializer[:], graph.input[:], graph.value_info[:]
    graph.initializer.extend(small)
    graph.input.extend([*inputs, *large])
    for value in graph.output:
        value.type.tensor_type.ClearField("shape")


def _shapes(model: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    """Name of every array whose size is known -> its size."""
    found = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    shapes = {tensor.name: tuple(tensor.dims) for tensor in found.initializer}
    for value in (*found.input, *found.value_info, *found.output):
        tensor = value.type.tensor_type
        if tensor.HasField("shape") and all(d.HasField("dim_value") for d in tensor.shape.dim):
            shapes[value.name] = tuple(d.dim_value for d in tensor.shape.dim)
    return shapes


def _fold_sizes(model: onnx.ModelProto, shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """Turn sizes and paddings that constants and known sizes decide into constants.

    Exporters write them as chains of operations, which ONNX's own inference does not follow.
    False where nothing is left to fold.
    """
    graph = model.graph
    values = {
        node.output[0]: np.array(shapes[node.input[0]], np.int64)
        for node in graph.node
        if node.op_type == "Shape" and not node.attribute and node.input[0] in shapes
    }
    makers = {name: node for node in graph.node for name in node.output if name not in values}
    entries = {value.name for value in graph.input}
    wanted = {
        name
        for node in graph.node
        if node.op_type in _SIZED
        for name in node.input[1:]
        if name in makers and makers[name].op_type != "Constant"
    }
    folded: list[str] = []
    used: set[str] = set()
    for name in sorted(wanted):
        reached = _reached(name, makers)
        if not reached & entries:
            folded.append(name)
            used |= reached
    if not folded:
        return False
    part = helper.make_graph(
        [node for node in graph.node if used.intersection(node.output) - values.keys()],
        "sizes",
        [],
        [helper.make_empty_tensor_value_info(name) for name in folded],
        [
            *(tensor for tensor in graph.initializer if tensor.name in used),
            *(numpy_helper.from_array(v, name) for name, v in values.items() if name in used),
        ],
    )
    small = helper.make_model(part, opset_imports=model.opset_import)
    made = ReferenceEvaluator(small).run(folded, {})
    kept = [node for node in graph.node if not set(folded).intersection(node.output)]
    del graph.node[:]
    graph.node.extend(kept)
    graph.initializer.extend(
        numpy_helper.from_array(np.asarray(value), name)
        for name, value in zip(folded, made, strict=True)
    )
    return True


def _reached(name: str, makers: Mapping[str, onnx.NodeProto]) -> set[str]:
    """Everything that `name` is computed from, itself included."""
    reached, waiting = {name}, [name]
    while waiting:
        maker = makers.get(waiting.pop())
        fresh = [] if maker is None else [n for n in maker.input if n and n not in reached]
        reached.update(fresh)
        waiting += fresh
    return reached


def _shape(
    shapes: Mapping[str, tuple[int, ...]], node: onnx.NodeProto, name: str
) -> tuple[int, ...]:
    shape = shapes.get(name)
    if not shape:
        raise Failure(
            f"cost of a network: the size of '{name}' at a {node.op_type} does not follow from the "
            "size of the input"
        )
    return shape


def _flop(node: onnx.NodeProto, shapes: Mapping[str, tuple[int, ...]]) -> float:
    weight = _shape(shapes, node, node.input[1])
    if node.op_type == "Conv":
        # Weights are (outputs, inputs / groups, Y, X).
        return 2.0 * math.prod(_shape(shapes, node, node.output[0])) * math.prod(weight[1:])
    entering = _shape(shapes, node, node.input[0])
    if node.op_type == "ConvTranspose":
        # Weights are (inputs, outputs / groups, Y, X): every input pixel is spread.
        return 2.0 * math.prod(entering) * math.prod(weight[1:])
    inner = entering[-1]
    if node.op_type == "Gemm":
        attributes: dict[str, Any] = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        inner = entering[0] if attributes.get("transA", 0) else entering[1]
    return 2.0 * math.prod(_shape(shapes, node, node.output[0])) * inner
