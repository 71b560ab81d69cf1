"""Networks on the processor through OpenVINO."""

from __future__ import annotations

import functools
import importlib.util
from collections import OrderedDict
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from liverestore.errors import Failure
from liverestore.model_spec import ModelSpec

__all__ = ["OpenVinoRuntime", "Precision", "has_bf16", "is_incompatible", "shared_core"]

Precision = Literal["f32", "bf16"]

_SHAPES_KEPT = 4
"""Compiled networks kept; a change of ROI to and fro costs nothing."""


def is_incompatible(spec: ModelSpec) -> Literal[False] | str:
    """False when this back end can run `spec` here, else the reason."""
    if spec.weights is None:
        return "it has no ONNX weights"
    if importlib.util.find_spec("openvino") is None:
        return "openvino is not installed (pip install openvino)"
    return False


@functools.cache
def shared_core() -> Any:
    """The process's one OpenVINO core, which lives as long as the process.

    A core gives the thread a signal stack and, closed, the one that it found. Of two that are
    not closed in reverse order the freed stack of the other is left behind, and the next signal,
    a Ctrl-C, ends the process with a segmentation fault.
    """
    import openvino

    return openvino.Core()


def has_bf16() -> bool:
    """Whether this processor multiplies in bfloat16 by itself."""
    return "BF16" in shared_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


class OpenVinoRuntime:
    """One ONNX network, compiled for each frame size that comes.

    `threads` bounds the cores it takes (None: all of them). `precision` is chosen on purpose:
    left alone, OpenVINO multiplies in bfloat16 where the processor can, which is twice as
    fast and wrong by some per cent of the noise.
    """

    def __init__(
        self, spec: ModelSpec, *, threads: int | None = None, precision: Precision = "f32"
    ) -> None:
        import openvino

        if spec.weights is None:
            raise Failure(f"engine '{spec.name}' cannot run on openvino: it has no ONNX weights")
        self._spec = spec
        self._precision = precision
        self._options: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": precision,
            "PERFORMANCE_HINT": "LATENCY",
        }
        if threads is not None:
            self._options["INFERENCE_NUM_THREADS"] = threads
        self._openvino = openvino
        self._core: Any = shared_core()
        self._requests: OrderedDict[tuple[int, ...], Any] = OrderedDict()
        version = openvino.get_version().split("-")[0]
        self._description = f"openvino {version} CPU {precision}"

    @property
    def spec(self) -> ModelSpec:
        """What the network expects and promises."""
        return self._spec

    @property
    def description(self) -> str:
        """For people and provenance."""
        return self._description

    def _request(self, shape: tuple[int, ...]) -> Any:
        """A request for (N, C, Y, X); compiled when it is not at hand."""
        if self._core is None:
            raise Failure(f"engine '{self._spec.name}' is closed")
        request = self._requests.get(shape)
        if request is None:
            try:
                model = self._core.read_model(str(self._spec.weights))
                model.reshape({model.input(0): list(shape)})
                compiled = self._core.compile_model(model, "CPU", self._options)
            except RuntimeError as error:
                raise Failure(
                    f"engine '{self._spec.name}': openvino cannot compile it for "
                    f"{shape}: {_one_line(error)}"
                ) from error
            request = compiled.create_infer_request()
            self._requests[shape] = request
            while len(self._requests) > _SHAPES_KEPT:
                self._requests.popitem(last=False)
        self._requests.move_to_end(shape)
        return request

    def warm_up(self, shape: tuple[int, int], dtype: str = "uint16") -> None:
        """Compile for frames of `shape` (Y, X) and run once; whatever their `dtype`."""
        self.infer(np.zeros((1, self._spec.channels, *self._spec.window(shape)), np.float32))

    def infer(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, C, Y, X) float32 to (N, 1, Y, X); the result lies in a buffer that is reused."""
        if batch.ndim != 4 or any(n % self._spec.divisor for n in batch.shape[2:]):
            raise Failure(
                f"engine '{self._spec.name}' got a batch {batch.shape}; it takes (N, C, Y, X) "
                f"with Y and X multiples of {self._spec.divisor}"
            )
        zoo = self._spec.zoo
        entering: NDArray[Any] = batch if zoo is None else zoo.to_network(batch)
        request = self._request(entering.shape)
        if zoo is not None:
            # A network of the zoo may take integers, or half precision.
            entering = entering.astype(request.get_input_tensor(0).data.dtype, copy=False)
        tensor = self._openvino.Tensor(np.ascontiguousarray(entering), shared_memory=True)
        try:
            request.infer([tensor], share_inputs=True)
        except RuntimeError as error:
            raise Failure(f"engine '{self._spec.name}': {_one_line(error)}") from error
        result: NDArray[np.float32] = request.get_output_tensor(0).data
        return result if zoo is None else zoo.from_network(result, batch)

    def close(self) -> None:
        """Let go of the compiled networks; safe to call twice."""
        self._requests.clear()
        self._core = None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
