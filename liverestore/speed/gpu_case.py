"""An engine at one frame size on a GPU: every runtime that takes it, and torch's own ways."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import shutil
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from liverestore.errors import Failure
from liverestore.model_spec import ModelSpec
from liverestore.runtime.device_slots import DeviceRuntime
from liverestore.runtime.table import BACKENDS, Backend
from liverestore.speed.lanes import Lane, Matmul
from liverestore.speed.machine import resident_bytes
from liverestore.speed.peers import Peer
from liverestore.speed.pipeline import CAMERA, Overlapped, Pipeline, counts
from liverestore.speed.plan import RacedCase, Tell, network_input
from liverestore.speed.race import Contender

if TYPE_CHECKING:
    import torch

__all__ = [
    "COMPILED",
    "CUDAGRAPHS",
    "GPU_PEERS",
    "GpuCase",
    "accepting",
    "device_runtimes",
    "gpu_peak",
]

CUDAGRAPHS = "torch.compile cudagraphs"
COMPILED = {"torch.compile": "default", CUDAGRAPHS: "reduce-overhead"}
"""Name of a peer -> mode of torch.compile."""
GPU_PEERS = ("torch", *COMPILED)
_EDGE = 8192
_EDGE_ON_PROCESSOR = 256


def _on_a_card(backend: Backend) -> bool:
    """Whether it runs on a card of this machine; a server has its own."""
    return backend.gpu and "f16" in backend.precisions


def accepting(spec: ModelSpec) -> dict[str, str | None]:
    """Runtime for GPUs -> None where it takes `spec` on this one, else why not."""
    found: dict[str, str | None] = {}
    for backend in BACKENDS:
        if _on_a_card(backend):
            reason = importlib.import_module(backend.module).is_incompatible(spec)
            found[backend.name] = reason or None
    return found


def device_runtimes(spec: ModelSpec, device: str) -> list[Callable[[], DeviceRuntime]]:
    """What opens each runtime that takes `spec`, in f16, the best first.

    `device` "cpu" runs torch on the processor in f32, to try the bench without a GPU.
    """
    if device == "cpu":
        from liverestore.runtime.torch_cuda import TorchRuntime

        return [lambda: TorchRuntime(spec, device="cpu")]
    refused = accepting(spec)
    openers: list[Callable[[], DeviceRuntime]] = []
    for backend in BACKENDS:
        if _on_a_card(backend) and refused[backend.name] is None:
            made = getattr(importlib.import_module(backend.module), backend.runtime)
            openers.append(lambda made=made: made(spec, precision="f16"))  # type: ignore[misc]
    return openers


@dataclass(slots=True)
class GpuCase(RacedCase):
    """On a GPU, in f16 between the first and the last convolution, peers in the same network."""

    device: str = "cuda"

    @property
    def precision(self) -> Literal["f16", "f32"]:
        """Of everything here; processors have no float16 worth trying."""
        return "f32" if self.device == "cpu" else "f16"

    def open(self, tell: Tell) -> None:
        """Make every contender ready; `tell` gets what is being made.

        Raises `Failure` where no runtime takes the engine, or one fails.
        """
        spec = self.spec
        openers = device_runtimes(spec, self.device)
        if not openers:
            reasons = "; ".join(f"{name}: {why}" for name, why in accepting(spec).items())
            raise Failure(f"engine '{spec.name}' cannot run on this GPU: {reasons}")
        peak = gpu_peak(self.device)
        for number, opener in enumerate(openers, start=1):
            tell(f"{self.title}: pipeline {number} of {len(openers)}")
            used, resident = _gpu_used(self.device), resident_bytes()
            runtime = opener()
            self.stack.callback(runtime.close)
            lane = Lane(
                spec, self.shape, self.precision, Pipeline(spec, runtime, self.shape), peak=peak
            )
            overlapped = Overlapped(runtime, self.shape)
            self.stack.callback(overlapped.close)
            lane.overlapped = overlapped.contender
            lane.bare = self._bare(runtime)
            lane.gpu_bytes = _grown(used, _gpu_used(self.device))
            lane.rss_growth_bytes = _grown(resident, resident_bytes())
            self.lanes.append(lane)
        for name in self.peer_names:
            tell(f"{self.title}: {name} alone")
            self.peers.append(_torch_peer(name, self))

    def _bare(self, runtime: DeviceRuntime) -> Peer:
        """Copy in, graph, copy out, from buffers that nobody fills or reads."""
        waves = None
        if self.spec.refocuses:
            waves = [network_input(self.spec, self.shape)[0, 1]]
        ticket = runtime.submit(counts(self.shape), CAMERA, waves)
        runtime.collect(ticket)
        engine, slot = ticket.session.engine, ticket.slot

        def run() -> None:
            engine.launch(slot)
            engine.wait(slot)

        name = runtime.description.split()[0]
        return Peer(f"{name} loop", self.precision, Contender(f"{name} loop", run))


def _grown(before: int | None, after: int | None) -> int | None:
    return None if before is None or after is None else after - before


def _gpu_used(device: str) -> int | None:
    if device == "cpu" or importlib.util.find_spec("torch") is None:
        return None
    import torch

    if not torch.cuda.is_available():
        return None
    free, total = torch.cuda.mem_get_info()
    return int(total - free)


def _waiter(device: str) -> Callable[[], None]:
    """What waits until the device has done all it was given."""
    if device == "cpu":
        return lambda: None
    import torch

    return torch.cuda.synchronize


def gpu_peak(device: str) -> Matmul | None:
    """Products of two square matrices by torch, in f16 (f32 on the processor).

    None where torch cannot use the GPU.
    """
    if importlib.util.find_spec("torch") is None:
        return None
    import torch

    if device != "cpu" and not torch.cuda.is_available():
        return None
    edge = _EDGE_ON_PROCESSOR if device == "cpu" else _EDGE
    kind, word = (torch.float32, "f32") if device == "cpu" else (torch.float16, "f16")
    a = torch.randn(edge, edge, device=device).to(kind)
    out, wait = torch.empty_like(a), _waiter(device)

    def run() -> None:
        torch.matmul(a, a, out=out)
        wait()

    how = f"torch, matrix product of {edge}, {word}"
    return Matmul(Contender(f"peak {word}", run), 2.0 * edge**3, how)


def _torch_peer(name: str, case: GpuCase) -> Peer:
    """The bare network through torch, eager or compiled; its input lies on the device."""
    spec, device, word = case.spec, case.device, case.precision
    for package in ("torch", "onnx"):
        if importlib.util.find_spec(package) is None:
            return Peer(name, word, None, f"{package} is not installed")
    import torch

    if device != "cpu" and not torch.cuda.is_available():
        return Peer(name, word, None, f"torch {torch.__version__} finds no GPU")

    from liverestore.runtime.graph import live_graph
    from liverestore.runtime.graph_form import GraphForm
    from liverestore.runtime.torch_graph import TorchGraph

    assert spec.weights is not None, "a case on a GPU has weights"
    try:
        model = live_graph(
            spec.weights, spec, GraphForm("stabilised", "fp16" if word == "f16" else "fp32")
        )
        graph = TorchGraph(model, torch.device(device))
        entry = torch.from_numpy(network_input(spec, case.shape)).to(device)
        # Let cuDNN choose, as a person who measures would.
        torch.backends.cudnn.benchmark = True
        graph(raw=entry)
        network: Callable[[Any], Any] = lambda raw: graph(raw=raw)  # noqa: E731
        if name in COMPILED:
            if not any(shutil.which(compiler) for compiler in ("gcc", "clang", "cc", "cl")):
                return Peer(name, word, None, "no C compiler, which torch.compile needs")
            network = _compiled(network, entry, COMPILED[name])
        wait = _waiter(device)

        def run() -> None:
            with torch.no_grad():
                network(entry)
            wait()

        run()
    except (Failure, RuntimeError, ImportError, AssertionError, TypeError) as error:
        # No memory left, or whatever the compilers of torch raise: a peer that cannot run must
        # not end the measuring of ours.
        return Peer(name, word, None, " ".join(str(error).split())[:160])
    return Peer(name, word, Contender(name, run))


def _compiled(
    network: Callable[[Any], Any], entry: torch.Tensor, mode: str
) -> Callable[[Any], Any]:
    import torch
    from torch.fx.experimental.proxy_tensor import make_fx

    logging.getLogger("torch._inductor").setLevel(logging.ERROR)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        # The operations alone, of this size: what the compiler likes best.
        compiled: Callable[[Any], Any] = torch.compile(
            make_fx(network)(entry), dynamic=False, mode=mode
        )
        compiled(entry)
        compiled(entry)
    return compiled
