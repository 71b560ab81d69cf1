"""Networks on GPUs through torch: CUDA graphs, half precision, channels last.

For GPUs that TensorRT for RTX refuses, such as those of data centres. The graph is the same
one that TensorRT gets.
"""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from liverestore.errors import Failure
from liverestore.model_spec import ModelSpec
from liverestore.runtime.device_slots import DeviceRuntime, SlotLayout
from liverestore.runtime.gpu import find_gpu

if TYPE_CHECKING:
    import torch

    from liverestore.runtime.torch_graph import TorchGraph

__all__ = ["TorchRuntime", "TorchSlots", "is_incompatible"]

_SLOTS = 3
_WARM_RUNS = 3
"""Before a graph is captured: cuDNN chooses its algorithms, buffers are made."""


def is_incompatible(spec: ModelSpec) -> Literal[False] | str:
    """False when this back end can run `spec` here, else the reason."""
    if spec.weights is None:
        return "it has no ONNX weights"
    gpu = find_gpu()
    if isinstance(gpu, str):
        # Asked first, because torch takes seconds to load.
        return gpu
    for package in ("torch", "onnx"):
        if importlib.util.find_spec(package) is None:
            return f"{package} is not installed (pip install {package})"
    import torch

    if not torch.cuda.is_available():
        built = "it was built without CUDA" if torch.version.cuda is None else "it finds no GPU"
        return f"torch {torch.__version__} cannot use a GPU: {built}"
    return _unknown_operators(spec)


def _unknown_operators(spec: ModelSpec) -> Literal[False] | str:
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    from liverestore.runtime.torch_graph import unsupported

    try:
        unknown = unsupported(onnx.load(str(spec.weights)))
    except (OSError, DecodeError):
        return "its ONNX file cannot be read"
    return f"torch runs no {', '.join(unknown)}" if unknown else False


class TorchRuntime(DeviceRuntime):
    """One network on the first GPU; `precision` "f16" is the middle of it in float16.

    `device` "cpu" runs the same without a GPU, for tests. `threads` bounds torch's own there.
    """

    def __init__(
        self,
        spec: ModelSpec,
        *,
        threads: int | None = None,
        precision: Literal["f32", "f16"] = "f32",
        device: str = "cuda",
    ) -> None:
        import torch

        from liverestore.runtime.graph import live_graph
        from liverestore.runtime.torch_graph import TorchGraph

        if spec.weights is None:
            raise Failure(f"engine '{spec.name}' cannot run on torch: it has no ONNX weights")
        weights = spec.weights
        where = torch.device(device)
        if where.type == "cpu" and threads is not None:
            torch.set_num_threads(threads)
        graphs: dict[Any, TorchGraph] = {}

        def open_slots(layout: SlotLayout) -> TorchSlots:
            if layout.form not in graphs:
                graphs[layout.form] = TorchGraph(live_graph(weights, spec, layout.form), where)
            try:
                return TorchSlots(graphs[layout.form], layout)
            except RuntimeError as error:
                raise Failure(f"engine '{spec.name}': torch: {_one_line(error)}") from error

        card = torch.cuda.get_device_name(where) if where.type == "cuda" else "CPU"
        super().__init__(
            spec,
            open_slots,
            f"torch {torch.__version__} {card} {precision}",
            "fp16" if precision == "f16" else "fp32",
        )

    def free_memory(self) -> None:
        """See `DeviceRuntime.free_memory`; torch keeps what is freed until it is told not to."""
        import torch

        super().free_memory()
        torch.cuda.empty_cache()


class TorchSlots:
    """One layout of a graph; on a GPU each slot is one captured CUDA graph."""

    def __init__(self, graph: TorchGraph, layout: SlotLayout) -> None:
        import torch

        self._torch = torch
        self._graph = graph
        self._cuda = graph.device.type == "cuda"
        self.count = _SLOTS if self._cuda else 1
        self.note = ""
        kind = torch.float32 if layout.frame_type == np.float32 else torch.uint8
        self._kind = kind

        def made(shape: tuple[int, ...], where: Any, pinned: bool = False) -> torch.Tensor:
            return torch.zeros(shape, dtype=kind, device=where, pin_memory=pinned)

        slots = range(self.count)
        # Shared inputs that nobody has set must not make NaN in the warming runs.
        self._shared = {
            name: torch.ones(shape, device=graph.device) for name, shape in layout.shared.items()
        }
        self._in = [made(layout.raw, graph.device) for _ in slots]
        self._out = [made(layout.restored, graph.device) for _ in slots]
        self._host_in = [made(layout.raw, "cpu", self._cuda) for _ in slots]
        self._host_out = [made(layout.restored, "cpu", self._cuda) for _ in slots]
        if self._cuda:
            cuda: Any = torch.cuda
            self._streams = [cuda.Stream(graph.device) for _ in range(3)]
            self._copied_in = [cuda.Event() for _ in slots]
            self._computed = [cuda.Event() for _ in slots]
            # Whoever waits sleeps, and leaves the core to the camera and the view.
            self._done = [cuda.Event(blocking=True) for _ in slots]
            # One pool for all, or each would hold activations of its own. They run one after
            # the other, and results leave it inside each graph.
            self._pool = torch.cuda.graph_pool_handle()
            self._captured = [self._capture(slot) for slot in slots]
            self.note = "CUDA graph"

    def _compute(self, slot: int) -> None:
        self._out[slot].copy_(self._graph(raw=self._in[slot], **self._shared))

    def _capture(self, slot: int) -> Any:
        torch = self._torch
        stream = self._streams[1]
        # Single precision means it: the ends of the graph carry counts to the last digit.
        with torch.backends.cudnn.flags(enabled=True, benchmark=True, allow_tf32=False):
            stream.wait_stream(torch.cuda.current_stream(self._graph.device))
            with torch.cuda.stream(stream):
                for _ in range(_WARM_RUNS):
                    self._compute(slot)
            stream.synchronize()
            captured = torch.cuda.CUDAGraph()
            # Other threads may go on calling CUDA meanwhile.
            mode = "thread_local"
            with torch.cuda.graph(captured, self._pool, stream, capture_error_mode=mode):
                self._compute(slot)
        return captured

    def host_input(self, slot: int) -> NDArray[np.uint8]:
        """Flat bytes of a slot's input."""
        return self._bytes(self._host_in[slot])

    def host_output(self, slot: int) -> NDArray[np.uint8]:
        """Flat bytes of a slot's output."""
        return self._bytes(self._host_out[slot])

    @staticmethod
    def _bytes(tensor: torch.Tensor) -> NDArray[np.uint8]:
        flat: NDArray[Any] = tensor.numpy().reshape(-1)
        return flat.view(np.uint8)

    def share(self, name: str, values: NDArray[np.float32]) -> None:
        """Set an input that stays from frame to frame."""
        self._finish()
        self._shared[name].copy_(self._torch.from_numpy(np.array(values)))
        if self._cuda:
            self._torch.cuda.current_stream(self._graph.device).synchronize()

    def _finish(self) -> None:
        """Until all slots are done.

        Not until the whole GPU is: another engine may be captured there as a graph by then,
        which waiting for everything would break.
        """
        if self._cuda:
            for stream in self._streams:
                stream.synchronize()

    def launch(self, slot: int) -> None:
        """Copy in, compute, copy out; on a GPU each on a stream of its own."""
        if not self._cuda:
            self._in[slot].copy_(self._host_in[slot])
            self._compute(slot)
            self._host_out[slot].copy_(self._out[slot])
            return
        try:
            self._launch(slot)
        except RuntimeError as error:
            raise Failure(f"torch: the GPU failed: {_one_line(error)}") from error

    def _launch(self, slot: int) -> None:
        copy_in, compute, copy_out = self._streams
        stream = self._torch.cuda.stream
        with stream(copy_in):
            self._in[slot].copy_(self._host_in[slot], non_blocking=True)
            self._copied_in[slot].record(copy_in)
        with stream(compute):
            compute.wait_event(self._copied_in[slot])
            self._captured[slot].replay()
            self._computed[slot].record(compute)
        with stream(copy_out):
            copy_out.wait_event(self._computed[slot])
            self._host_out[slot].copy_(self._out[slot], non_blocking=True)
            self._done[slot].record(copy_out)

    def wait(self, slot: int) -> None:
        """Until the slot's output is there."""
        if self._cuda:
            try:
                self._done[slot].synchronize()
            except RuntimeError as error:
                raise Failure(f"torch: the GPU failed: {_one_line(error)}") from error

    def close(self) -> None:
        """Let go of the buffers; safe to call twice."""
        if self._cuda and self._in:
            self._finish()
            self._captured = []
        self._in, self._out = [], []
        self._host_in, self._host_out = [], []
        self._shared = {}


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
