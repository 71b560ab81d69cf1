"""The live graph: a network with everything around it, from a camera's bytes to bytes.

What `restore` does with NumPy around a network (counts to electrons, generalised Anscombe
transform, network, exact unbiased inverse, rounding) becomes part of the network's ONNX graph,
with the same formulas in the same order. A runtime on a GPU then moves two bytes a pixel each
way and computes nothing per pixel on the processor.

Integer frames enter and leave as bytes, little end first, because inference compilers do not
take 16-bit integers: an exact detour, since every count is a float32. The camera's numbers are
inputs, not weights: they are known or estimated anew for every session, and a plan that takes
seconds to build must serve any camera. The inverse is the table of `CameraModel`, an input too,
read with a Gather; so it is exact by construction and not a fit with an error of its own.

Frames come padded to the network's divisor (`graph_feed` does that while it copies them into
the transfer buffer anyway), so that sizes in the graph need no arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.inliner
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import TensorProto, compose, helper, numpy_helper

from liverestore.errors import Failure
from liverestore.model_spec import ModelSpec
from liverestore.runtime.graph_form import GRAPH_VERSION, GraphForm, Pixels
from liverestore.runtime.half_precision import with_half_middle

__all__ = ["GRAPH_VERSION", "GraphForm", "live_graph"]

_LAST_PLACE = {"uint8": 1, "uint16": 2, "float32": 1}
"""Length of the last axis of frames in the graph: bytes, or one float."""
_LARGEST_COUNT = {"uint8": 255.0, "uint16": 65535.0}
_TABLE_SIZE = 64 * 512 + 1
_TABLE_PER_UNIT = 512.0
_OLDEST_OPSET = 13


class _Nodes:
    """Nodes and constants of a graph in the making; each method gives the name it made."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, value: Any, dtype: type[np.generic] = np.float32) -> str:
        name = f"live/constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def add(self, op: str, *inputs: str, out: str = "", **attributes: Any) -> str:
        name = out or f"live/{op.lower()}{len(self.nodes)}"
        self.nodes.append(
            helper.make_node(op, list(inputs), [name], name=f"live/{len(self.nodes)}", **attributes)
        )
        return name

    def split(self, vector: str, parts: int) -> list[str]:
        names = [f"{vector}/{k}" for k in range(parts)]
        sizes = self.constant([1] * parts, np.int64)
        self.nodes.append(helper.make_node("Split", [vector, sizes], names, axis=0))
        return names


def live_graph(weights: Path | bytes, spec: ModelSpec, form: GraphForm) -> onnx.ModelProto:
    """The ONNX graph of `spec` from raw frame to restored frame.

    `weights` is the engine's network, (N, C, Y, X) float32 to (N, 1, Y, X). Inputs, with Y
    and X multiples of `spec.divisor`:

    - `raw`: uint8 (1, Y, X, 2), the bytes of a little-endian uint16 frame; or uint8
      (1, Y, X, 1); or float32 (1, Y, X, 1);
    - `waves`, where the engine refocuses: float32 (N, 1, Y, X), the distance to the plane
      wanted in waves; N planes of one frame are restored together;
    - `camera`, for the domain "stabilised": float32 (5,), see `graph_feed.camera_inputs`;
    - `inverse`, likewise: float32 (32769,), what the exact unbiased inverse adds to its
      asymptote, at 512 places for each unit of noise;
    - `offset_map` and `scale_map`, where `form.maps`: float32 (1, 1, Y, X).

    The network alone ("stabilised") takes `raw` as float32 (1, C, Y, X) and gives `restored`
    as float32 (1, 1, Y, X). Else the output `restored` is of the type and last axis of `raw`:
    (N, Y, X, 2) or (N, Y, X, 1); integers are rounded half to even and clipped to the range of
    their type. Raises `Failure` for a network that is not of that shape.
    """
    network = _network(weights, spec)
    if form.precision == "fp16":
        network = with_half_middle(network)
    network = compose.add_prefix(network, "network/")
    entry, leave = network.graph.input[0].name, network.graph.output[0].name
    g = _Nodes()
    if form.pixels == "stabilised":
        g.add("Identity", "raw", out=entry)
        last = helper.make_node("Identity", [leave], ["restored"])
        nodes = [*g.nodes, *network.graph.node, last]
        result = helper.make_tensor_value_info("restored", TensorProto.FLOAT, [1, 1, "y", "x"])
        return _model(nodes, [result], network, g, spec, form)
    stabilised = spec.domain == "stabilised"
    camera = g.split("camera", 5) if stabilised else []
    z = _counts(g, form.pixels)
    if stabilised:
        offset, scale = ("offset_map", "scale_map") if form.maps else (camera[0], camera[1])
        z = g.add("Mul", g.add("Sub", z, offset), scale)
        z = g.add("Sqrt", g.add("Max", g.add("Add", z, camera[2]), g.constant(0.0)))
        z = g.add("Mul", z, g.constant(2.0))
    if spec.refocuses:
        z = g.add("Expand", z, g.add("Shape", "waves"))
        g.add("Concat", z, "waves", out=entry, axis=1)
    else:
        g.add("Identity", z, out=entry)
    before = len(g.nodes)
    counts = _unstabilised(g, leave, camera) if stabilised else leave
    _pixels(g, counts, form.pixels)
    nodes = [*g.nodes[:before], *network.graph.node, *g.nodes[before:]]
    result = _frame("restored", form.pixels, "planes" if spec.refocuses else 1)
    return _model(nodes, [result], network, g, spec, form)


def _model(
    nodes: list[onnx.NodeProto],
    outputs: list[onnx.ValueInfoProto],
    network: onnx.ModelProto,
    g: _Nodes,
    spec: ModelSpec,
    form: GraphForm,
) -> onnx.ModelProto:
    constants = [*network.graph.initializer, *g.constants]
    made = helper.make_graph(nodes, "live", _inputs(spec, form), outputs, constants)
    model = helper.make_model(made, opset_imports=network.opset_import, producer_name="liverestore")
    model.ir_version = max(network.ir_version, 8)
    helper.set_model_props(
        model,
        {
            "liverestore_graph": str(GRAPH_VERSION),
            "engine": f"{spec.name} {spec.version}",
            "engine_sha256": spec.sha256,
            "pixels": form.pixels,
            "precision": form.precision,
            "domain": spec.domain,
        },
    )
    onnx.checker.check_model(model)
    return model


def _network(weights: Path | bytes, spec: ModelSpec) -> onnx.ModelProto:
    """The engine's own network, checked to be what the graph around it takes it for."""
    try:
        if isinstance(weights, bytes):
            network = onnx.load_from_string(weights)
        else:
            network = onnx.load(str(weights))
        onnx.checker.check_model(network)
    except (OSError, ValueError, DecodeError, onnx.checker.ValidationError) as error:
        why = " ".join(str(error).split())[:300]
        raise Failure(f"engine '{spec.name}': its ONNX file cannot be read: {why}") from error
    if network.functions:
        network = onnx.inliner.inline_local_functions(network)
    known = {tensor.name for tensor in network.graph.initializer}
    inputs = [value for value in network.graph.input if value.name not in known]
    outputs = list(network.graph.output)
    sizes = [_sizes(value) for value in (*inputs, *outputs)]
    opset = next((o.version for o in network.opset_import if o.domain in ("", "ai.onnx")), 0)
    fits = (
        len(inputs) == len(outputs) == 1
        and all(v.type.tensor_type.elem_type == TensorProto.FLOAT for v in (*inputs, *outputs))
        and all(len(size) == 4 for size in sizes)
        and sizes[0][1] in (spec.channels, None)
        and opset >= _OLDEST_OPSET
    )
    if not fits:
        raise Failure(
            f"engine '{spec.name}': its network takes {sizes} of opset {opset}; a live graph "
            f"takes (N, {spec.channels}, Y, X) float32 to (N, 1, Y, X), opset {_OLDEST_OPSET} "
            "or newer; export the engine again"
        )
    del network.graph.input[:]
    network.graph.input.extend(inputs)
    return network


def _sizes(value: onnx.ValueInfoProto) -> tuple[int | None, ...]:
    return tuple(
        size.dim_value if size.HasField("dim_value") else None
        for size in value.type.tensor_type.shape.dim
    )


def _frame(name: str, pixels: Pixels, planes: int | str) -> onnx.ValueInfoProto:
    kind = TensorProto.FLOAT if pixels == "float32" else TensorProto.UINT8
    return helper.make_tensor_value_info(name, kind, [planes, "y", "x", _LAST_PLACE[pixels]])


def _inputs(spec: ModelSpec, form: GraphForm) -> list[onnx.ValueInfoProto]:
    def floats(name: str, *shape: int | str) -> onnx.ValueInfoProto:
        size: Sequence[int | str] = shape
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, size)

    if form.pixels == "stabilised":
        return [floats("raw", 1, spec.channels, "y", "x")]
    inputs = [_frame("raw", form.pixels, 1)]
    if spec.refocuses:
        inputs.append(floats("waves", "planes", 1, "y", "x"))
    if spec.domain == "stabilised":
        inputs += [floats("camera", 5), floats("inverse", _TABLE_SIZE)]
        if form.maps:
            inputs += [floats("offset_map", 1, 1, "y", "x"), floats("scale_map", 1, 1, "y", "x")]
    return inputs


def _counts(g: _Nodes, pixels: Pixels) -> str:
    """(1, 1, Y, X) float32 counts."""
    place = "raw"
    if pixels != "float32":
        # Before anything else: TensorRT lets nothing but a cast touch bytes.
        place = g.add("Cast", "raw", to=TensorProto.FLOAT)
    if pixels == "uint16":
        low, high = (
            g.add("Slice", place, *(g.constant([k], np.int64) for k in (at, at + 1, 3)))
            for at in (0, 1)
        )
        place = g.add("Add", low, g.add("Mul", high, g.constant(256.0)))
    return g.add("Transpose", place, perm=[0, 3, 1, 2])


def _unstabilised(g: _Nodes, z: str, camera: list[str]) -> str:
    """(N, 1, Y, X) float32 stabilised means to counts, as `CameraModel.unstabilise` does."""
    place = g.add("Add", g.add("Mul", z, g.constant(_TABLE_PER_UNIT)), g.constant(0.5))
    place = g.add("Clip", place, g.constant(0.0), g.constant(_TABLE_SIZE - 1))
    correction = g.add("Gather", "inverse", g.add("Cast", place, to=TensorProto.INT32), axis=0)
    electrons = g.add("Mul", g.add("Mul", z, z), g.constant(0.25))
    electrons = g.add("Add", g.add("Sub", electrons, camera[4]), correction)
    return g.add("Add", g.add("Mul", electrons, camera[3]), camera[0])


def _pixels(g: _Nodes, counts: str, pixels: Pixels) -> None:
    """The output: rounded half to even, clipped, as bytes; float pixels as they are."""
    if pixels == "float32":
        g.add("Transpose", counts, out="restored", perm=[0, 2, 3, 1])
        return
    whole = g.add(
        "Clip", g.add("Round", counts), g.constant(0.0), g.constant(_LARGEST_COUNT[pixels])
    )
    whole = g.add("Transpose", whole, perm=[0, 2, 3, 1])
    if pixels == "uint16":
        high = g.add("Floor", g.add("Mul", whole, g.constant(1 / 256)))
        low = g.add("Sub", whole, g.add("Mul", high, g.constant(256.0)))
        whole = g.add("Concat", low, high, axis=3)
    g.add("Cast", whole, out="restored", to=TensorProto.UINT8)
