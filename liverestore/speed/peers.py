"""The bare network in other runtimes: a fixed tensor in, nothing around it."""

from __future__ import annotations

import importlib.util
import logging
import shutil
import sys
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liverestore.errors import LiverestoreError
from liverestore.model_spec import ModelSpec
from liverestore.runtime.openvino import shared_core
from liverestore.speed.race import Contender

__all__ = ["PEERS", "Peer", "open_peers", "openvino_bare", "why_no_compiler"]

PEERS = ("onnxruntime", "torch", "torch.compile")
"""Beside OpenVINO, which is what the pipeline itself runs on."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A bare runtime, or why it is none."""

    name: str
    precision: str
    contender: Contender | None
    missing: str | None = None


def openvino_bare(spec: ModelSpec, batch: NDArray[np.float32], precision: str) -> Peer:
    """The network of `spec` compiled by OpenVINO for `batch` (N, C, Y, X), which is its input."""
    name = "openvino"
    if importlib.util.find_spec(name) is None:
        return Peer(name, precision, None, "not installed")
    import openvino

    options = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY"}
    core = shared_core()
    model = core.read_model(str(spec.weights))
    model.reshape({model.input(0): list(batch.shape)})
    request = core.compile_model(model, "CPU", options).create_infer_request()
    request.set_input_tensor(openvino.Tensor(batch, shared_memory=True))
    return Peer(name, precision, Contender(f"openvino bare {precision}", request.infer))


def open_peers(
    spec: ModelSpec, batch: NDArray[np.float32], names: tuple[str, ...] = PEERS
) -> list[Peer]:
    """The peers called `names`, in f32, on `batch`; each warm. What cannot run says why."""
    makers = {"onnxruntime": _onnxruntime, "torch": _eager, "torch.compile": _compiled}
    return [makers[name](spec, batch) for name in names]


def _onnxruntime(spec: ModelSpec, batch: NDArray[np.float32]) -> Peer:
    name = "onnxruntime"
    if importlib.util.find_spec(name) is None:
        return Peer(name, "f32", None, "not installed")
    import onnxruntime

    session = onnxruntime.InferenceSession(str(spec.weights), providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    binding.bind_cpu_input(session.get_inputs()[0].name, batch)
    binding.bind_output(session.get_outputs()[0].name)
    contender = Contender("onnxruntime f32", lambda: session.run_with_iobinding(binding))
    contender.run()
    return Peer(name, "f32", contender)


def _graph(spec: ModelSpec) -> Any:
    """The network as torch operations on the processor, or why not."""
    for package in ("torch", "onnx"):
        if importlib.util.find_spec(package) is None:
            return "not installed" if package == "torch" else "onnx is not installed"
    import torch

    from liverestore.runtime.graph import live_graph
    from liverestore.runtime.graph_form import GraphForm
    from liverestore.runtime.torch_graph import TorchGraph

    assert spec.weights is not None, "peers are for engines with weights"
    try:
        model = live_graph(spec.weights, spec, GraphForm("stabilised", "fp32"))
        return TorchGraph(model, torch.device("cpu"))
    except LiverestoreError as error:
        return str(error)


def _eager(spec: ModelSpec, batch: NDArray[np.float32]) -> Peer:
    graph = _graph(spec)
    if isinstance(graph, str):
        return Peer("torch", "f32", None, graph)
    import torch

    entry = torch.from_numpy(batch)
    contender = Contender("torch f32", lambda: graph(raw=entry))
    contender.run()
    return Peer("torch", "f32", contender)


def why_no_compiler() -> str | None:
    """Why torch.compile cannot make code for this processor, or None when it can."""
    names = ("cl",) if sys.platform == "win32" else ("g++", "clang++", "c++")
    if not any(shutil.which(name) for name in names):
        return f"no C++ compiler ({' or '.join(names)})"
    return None


def _compiled(spec: ModelSpec, batch: NDArray[np.float32]) -> Peer:
    name = "torch.compile"
    graph = _graph(spec)
    missing = graph if isinstance(graph, str) else why_no_compiler()
    if missing is not None:
        return Peer(name, "f32", None, missing)
    import torch
    from torch.fx.experimental.proxy_tensor import make_fx

    entry = torch.from_numpy(batch)
    logging.getLogger("torch._inductor").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            # The operations alone, of this size: what the compiler likes best.
            traced = make_fx(lambda raw: graph(raw=raw))(entry)
            compiled = torch.compile(traced, dynamic=False)
            with torch.no_grad():
                compiled(entry)
        except RuntimeError as error:
            # What its compilers raise is derived from this.
            return Peer(name, "f32", None, " ".join(str(error).split())[:160])

    def run() -> None:
        with torch.no_grad():
            compiled(entry)

    return Peer(name, "f32", Contender("torch.compile f32", run))
