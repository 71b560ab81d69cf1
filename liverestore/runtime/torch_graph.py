"""An ONNX graph as torch operations, for GPUs that TensorRT for RTX refuses.

The operators of the networks in this package and of the live graph around them; no more.
Whole numbers of 64 bits are sizes and stay on the processor, everything else is on the device,
so that nothing waits for the device in between and CUDA can capture the whole.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from torch import Tensor

from liverestore.errors import Failure
from liverestore.runtime.torch_operators import CONVOLUTIONS, OPERATORS, Attributes, Operator

__all__ = ["TorchGraph", "unsupported"]


def unsupported(model: onnx.ModelProto) -> list[str]:
    """Operators of `model` that are not known here, sorted."""
    return sorted({node.op_type for node in model.graph.node} - OPERATORS.keys() - {"Constant"})


class TorchGraph:
    """`model` on `device`; raises `Failure` for operators that are not known."""

    def __init__(self, model: onnx.ModelProto, device: torch.device) -> None:
        unknown = unsupported(model)
        if unknown:
            raise Failure(f"torch: the network has the operators {', '.join(unknown)}, not known")
        self.device = device
        graph = model.graph
        self.input_names = tuple(value.name for value in graph.input)
        self._output = graph.output[0].name
        self._constants: dict[str, Tensor] = {}
        self._steps: list[tuple[Operator, tuple[str, ...], tuple[str, ...], Attributes]] = []
        for tensor in graph.initializer:
            self._constants[tensor.name] = self._placed(numpy_helper.to_array(tensor))
        for node in graph.node:
            attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
            if node.op_type == "Constant":
                value = numpy_helper.to_array(attributes["value"])
                self._constants[node.output[0]] = self._placed(value)
                continue
            attributes["device"] = device
            step = (OPERATORS[node.op_type], tuple(node.input), tuple(node.output), attributes)
            # What depends on constants alone is computed now.
            if node.input and all(not name or name in self._constants for name in node.input):
                self._run(step, self._constants)
            else:
                self._steps.append(step)
        if device.type == "cuda":
            self._prefer_channels_last()

    def _placed(self, array: np.ndarray[Any, Any]) -> Tensor:
        tensor = torch.from_numpy(np.array(array))
        return tensor if tensor.dtype == torch.int64 else tensor.to(self.device)

    def _prefer_channels_last(self) -> None:
        """Tensor cores take it as it is; the pictures follow the weights."""
        for operator, inputs, _, _ in self._steps:
            if operator in CONVOLUTIONS and inputs[1] in self._constants:
                weight = self._constants[inputs[1]]
                self._constants[inputs[1]] = weight.contiguous(memory_format=torch.channels_last)

    @staticmethod
    def _run(
        step: tuple[Operator, tuple[str, ...], tuple[str, ...], Attributes],
        values: dict[str, Tensor],
    ) -> None:
        operator, inputs, outputs, attributes = step
        made = operator([values[name] if name else None for name in inputs], attributes)
        results = [made] if isinstance(made, Tensor) else made
        values.update(zip(outputs, results, strict=False))

    def __call__(self, **inputs: Tensor) -> Tensor:
        """The first output for tensors by name, all on the device."""
        with torch.inference_mode():
            values = {**self._constants, **inputs}
            for step in self._steps:
                self._run(step, values)
            return values[self._output]
