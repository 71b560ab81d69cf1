"""The middle of a network in half precision, its two ends in single.

Pixel values of a bright frame need more digits than half precision has (a stabilised value of
300 is known to 0.1 only), the correction that a network computes does not. So everything from
the first to the last convolution becomes float16; what comes before the first and after the
last one, such as the addition of the correction to the picture, stays float32. The types are
written into the graph as casts, for compilers that take precision from the graph alone.

Measured, against float64, in units of the pixel's noise: 0.003 to 0.006 for the shipped engines
in the light that they were trained for, 0.03 to 0.15 at the top of 16 bits, far beyond it; a
tenth and less than half of the noise that the networks themselves leave there.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from liverestore.errors import Failure

__all__ = ["with_half_middle"]

_CONVOLUTIONS = frozenset({"Conv", "ConvTranspose"})
_DATA_INPUTS: dict[str, tuple[int, ...]] = {
    # The other float inputs of these are scales or shapes, which no compiler takes in half.
    "Resize": (0,),
    "Upsample": (0,),
    "Pad": (0, 2),
    "Expand": (0,),
    "Tile": (0,),
    "Reshape": (0,),
}
_LARGEST_HALF = 65504.0


def with_half_middle(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of `model` that computes in float16 between its first and last convolution.

    Inputs and outputs keep their types. Weights there are rounded to float16; those whose
    size it cannot hold raise `Failure`, as do a network without convolutions and one with
    branches (`If`, `Loop`).
    """
    model = onnx.shape_inference.infer_shapes(model)
    graph = model.graph
    if any(a.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS)
           for node in graph.node for a in node.attribute):  # fmt: skip
        raise Failure("half precision: the network has branches or loops; use float32")
    middle = _between_convolutions(list(graph.node))
    if not middle:
        raise Failure("half precision: the network has no convolution; use float32")
    types = _element_types(graph)
    constants = {tensor.name: tensor for tensor in graph.initializer}
    constants |= {
        node.output[0]: attribute.t
        for node in graph.node
        if node.op_type == "Constant"
        for attribute in node.attribute
        if attribute.name == "value"
    }
    made: list[onnx.NodeProto] = []
    halves: dict[str, onnx.TensorProto] = {}
    casts: dict[tuple[str, int], str] = {}
    for index, original in enumerate(graph.node):
        node = onnx.NodeProto()
        node.CopyFrom(original)
        wanted = TensorProto.FLOAT16 if index in middle else TensorProto.FLOAT
        for place in _data_places(node):
            name = node.input[place]
            have = types.get(name)
            if have not in (TensorProto.FLOAT, TensorProto.FLOAT16) or have == wanted:
                continue
            if wanted == TensorProto.FLOAT16 and name in constants:
                node.input[place] = _half_constant(constants[name], name, halves)
                continue
            key = (name, wanted)
            if key not in casts:
                casts[key] = f"{name}/{'half' if wanted == TensorProto.FLOAT16 else 'single'}"
                made.append(helper.make_node("Cast", [name], [casts[key]], to=wanted))
            node.input[place] = casts[key]
        if index in middle and node.op_type == "Cast":
            target = next(a for a in node.attribute if a.name == "to")
            if target.i == TensorProto.FLOAT:
                target.i = TensorProto.FLOAT16
        made.append(node)
        for name in node.output:
            if index in middle and types.get(name) == TensorProto.FLOAT:
                types[name] = TensorProto.FLOAT16
    results = {output.name for output in graph.output}
    made += _restored_outputs(made, results, types)
    out = onnx.ModelProto()
    out.CopyFrom(model)
    del out.graph.node[:], out.graph.initializer[:], out.graph.value_info[:]
    used = {name for node in made for name in node.input}
    out.graph.node.extend(made)
    out.graph.initializer.extend(t for t in graph.initializer if t.name in used)
    out.graph.initializer.extend(halves.values())
    return out


def _data_places(node: onnx.NodeProto) -> Iterable[int]:
    places = _DATA_INPUTS.get(node.op_type, range(len(node.input)))
    return (k for k in places if k < len(node.input) and node.input[k])


def _between_convolutions(nodes: list[onnx.NodeProto]) -> set[int]:
    """Indices of convolutions, and of nodes that both follow one and lead to one."""
    after: set[str] = set()
    following: set[int] = set()
    for index, node in enumerate(nodes):
        if node.op_type in _CONVOLUTIONS or any(name in after for name in node.input):
            following.add(index)
            after.update(node.output)
    before: set[str] = set()
    leading: set[int] = set()
    for index in reversed(range(len(nodes))):
        node = nodes[index]
        if node.op_type in _CONVOLUTIONS or any(name in before for name in node.output):
            leading.add(index)
            before.update(node.input)
    return following & leading


def _element_types(graph: onnx.GraphProto) -> dict[str, int]:
    """Name of a tensor -> its element type, as far as it is known."""
    types = {tensor.name: tensor.data_type for tensor in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        types[value.name] = value.type.tensor_type.elem_type
    return types


def _half_constant(tensor: onnx.TensorProto, name: str, halves: dict[str, onnx.TensorProto]) -> str:
    label = f"{name}/half"
    if label not in halves:
        values = numpy_helper.to_array(tensor)
        largest = float(np.abs(values).max(initial=0.0))
        if largest > _LARGEST_HALF:
            raise Failure(
                f"half precision: the weight {name} reaches {largest:.3g}, float16 holds "
                f"{_LARGEST_HALF:g} at most; use float32"
            )
        halves[label] = numpy_helper.from_array(values.astype(np.float16), label)
    return label


def _restored_outputs(
    nodes: list[onnx.NodeProto], results: set[str], types: dict[str, int]
) -> list[onnx.NodeProto]:
    """Casts that give outputs which a convolution writes itself their float32 back."""
    casts = []
    for name in sorted(results):
        if types.get(name) != TensorProto.FLOAT16:
            continue
        inner = f"{name}/half"
        for node in nodes:
            for names in (node.input, node.output):
                for place, found in enumerate(names):
                    if found == name:
                        names[place] = inner
        casts.append(helper.make_node("Cast", [inner], [name], to=TensorProto.FLOAT))
    return casts
