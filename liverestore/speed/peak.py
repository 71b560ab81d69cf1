"""What this processor does at its best: matrix products and copies."""

from __future__ import annotations

import importlib.util
import threading
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from liverestore.runtime.openvino import shared_core
from liverestore.speed.lanes import Matmul
from liverestore.speed.race import Contender

__all__ = ["copy_bandwidth", "processor_peak"]

_EDGE = 1536
_FLOP = 2.0 * _EDGE**3
_COPY_BYTES = 1 << 27
_COPIES = 6


def processor_peak(precision: str) -> Matmul:
    """Products of two square matrices of 1536.

    OpenVINO in `precision` ("f32" or "bf16"), the library that runs the networks; without it
    NumPy's BLAS, in f32.
    """
    if importlib.util.find_spec("openvino") is None:
        a = np.ones((_EDGE, _EDGE), np.float32)
        out = np.empty_like(a)
        how = f"NumPy, matrix product of {_EDGE}, f32"
        return Matmul(Contender("peak f32", lambda: _multiply(a, out)), _FLOP, how)
    import openvino
    from openvino import opset13

    values = np.random.default_rng(0).normal(size=(_EDGE, _EDGE)).astype(np.float32)
    entry = opset13.parameter([_EDGE, _EDGE], np.float32)
    product = opset13.matmul(entry, opset13.constant(values), False, False)
    options = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY"}
    model = openvino.Model([opset13.result(product)], [entry])
    request = shared_core().compile_model(model, "CPU", options).create_infer_request()
    request.set_input_tensor(openvino.Tensor(values))
    how = f"OpenVINO, matrix product of {_EDGE}, {precision}"
    return Matmul(Contender(f"peak {precision}", request.infer), _FLOP, how)


def _multiply(a: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    np.matmul(a, a, out=out)


def copy_bandwidth(threads: int, clock: Callable[[], float] = time.perf_counter) -> float:
    """Bytes per second, read and written together, of copying 128 MB; the best of six.

    `threads` copy at once, each its share.
    """
    source = np.ones(_COPY_BYTES // 8, np.float64)
    to = np.zeros_like(source)
    parts = list(zip(np.array_split(source, threads), np.array_split(to, threads), strict=True))
    best = float("inf")
    for _ in range(_COPIES):
        workers = [threading.Thread(target=np.copyto, args=(b, a)) for a, b in parts]
        before = clock()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        best = min(best, clock() - before)
    return 2 * _COPY_BYTES / max(best, 1e-9)
