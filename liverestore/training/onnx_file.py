"""Networks to ONNX files and their weights back.

The exporter keeps the names of torch's parameters for the constants of the graph. A constant that
occurs twice, or is stored in float16, is reached through an Identity or a Cast of that name.
"""

from __future__ import annotations

import copy
import warnings
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from liverestore.errors import Failure

__all__ = ["OPSET", "is_large", "read_parameters", "rounded", "store_half", "write_onnx"]

OPSET = 17
_HALF_ABOVE_BYTES = 20_000_000
_SMALL = 64
"""Constants of so few numbers stay float32: they are biases and save nothing."""


def write_onnx(network: nn.Module, path: Path, divisor: int, channels: int) -> None:
    """Write `network`, (N, `channels`, Y, X) to (N, 1, Y, X), all sizes but `channels` free."""
    dummy = torch.zeros(1, channels, 8 * divisor, 8 * divisor)
    axes = {0: "batch", 2: "y", 3: "x"}
    with warnings.catch_warnings():
        # The exporter that needs nothing but `onnx` announces its successor each time.
        # It also tells of constants that it did not fold.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", UserWarning)
        torch.onnx.export(
            network,
            (dummy,),
            str(path),
            dynamo=False,
            opset_version=OPSET,
            input_names=["stabilised"],
            output_names=["restored"],
            dynamic_axes={"stabilised": axes, "restored": axes},
        )


def read_parameters(weights: Path) -> dict[str, NDArray[np.float32]]:
    """Constants of an ONNX file by name, float32; those behind Identity and Cast, too."""
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(str(weights)).graph
    found = {item.name: np.asarray(numpy_helper.to_array(item)) for item in graph.initializer}
    for node in graph.node:
        if node.op_type in ("Identity", "Cast") and node.input[0] in found:
            found[node.output[0]] = found[node.input[0]]
    return {
        name: np.array(array, np.float32)
        for name, array in found.items()
        if array.dtype in (np.float16, np.float32)
    }


def is_large(network: nn.Module) -> bool:
    """Whether the weights take more than 20 MB in float32."""
    return 4 * sum(p.numel() for p in network.parameters()) > _HALF_ABOVE_BYTES


def rounded(network: nn.Module) -> nn.Module:
    """A copy whose large weights are numbers that float16 can hold.

    Raises `Failure` for weights beyond its range.
    """
    copied = copy.deepcopy(network)
    with torch.no_grad():
        for name, parameter in copied.named_parameters():
            if parameter.numel() > _SMALL:
                parameter.copy_(parameter.half().float())
                if not bool(parameter.isfinite().all()):
                    raise Failure(f"export: {name} is too large for float16; nothing was written")
    return copied


def store_half(path: Path) -> None:
    """Large constants of the ONNX file as float16, each with a cast to float32 behind it that
    bears its name.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load(str(path))
    casts = []
    for item in model.graph.initializer:
        values = numpy_helper.to_array(item)
        if values.dtype != np.float32 or values.size <= _SMALL:
            continue
        name = item.name
        item.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}.float16"))
        casts.append(helper.make_node("Cast", [item.name], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
