"""TensorRT, whichever of its two products is installed: they share one interface.

TensorRT for RTX is made for the GPUs of workstations and builds plans without one; TensorRT is
made for those of data centres and builds only on the GPU that it builds for.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import logging
from collections import deque
from dataclasses import dataclass
from typing import Any, Literal

from liverestore.errors import UserError
from liverestore.runtime.gpu import Gpu, find_gpu

__all__ = [
    "CUDA_13_DRIVER",
    "RTX_CAPABILITIES",
    "Target",
    "TensorRt",
    "extra_for",
    "library",
    "no_library",
]

log = logging.getLogger(__name__)

Target = Literal["default", "sm75", "this"]
"""GPUs that a plan is for: all that TensorRT for RTX knows but Turing's; Turing's; or the one
of this machine alone."""

_MODULES = ("tensorrt_rtx", "tensorrt_rtx_bindings", "tensorrt")
CUDA_13_DRIVER = 580
"""Series of the oldest driver that CUDA 13 works with."""
_MESSAGES_KEPT = 8

_TURING = (7, 5)
_DEFAULT_TARGETS = frozenset({(8, 0), (8, 6), (8, 9), (12, 0), (12, 1)})
"""Compute capabilities that one plan of TensorRT for RTX serves, when none is named."""
RTX_CAPABILITIES = _DEFAULT_TARGETS | {_TURING}
"""Compute capabilities that TensorRT for RTX knows at all."""


@dataclass(frozen=True, slots=True)
class TensorRt:
    """One installed library."""

    module: Any
    name: str
    """"TensorRT-RTX" or "TensorRT"."""
    version: str
    logger: Any
    messages: deque[str]
    """The last warnings and errors of the library, oldest first."""

    @property
    def builds_ahead(self) -> bool:
        """Whether it builds plans without a GPU, for many GPUs at once."""
        return self.name == "TensorRT-RTX"

    def target_for(self, gpu: Gpu) -> Target | None:
        """The build target that serves `gpu`; None where the library refuses such a GPU."""
        if not self.builds_ahead:
            return "this"
        if gpu.compute_capability == _TURING:
            return "sm75"
        return "default" if gpu.compute_capability in _DEFAULT_TARGETS else None

    def last_error(self) -> str:
        """What the library complained of last, in one line."""
        return " ".join(self.messages[-1].split())[:300] if self.messages else "no reason given"


def extra_for(gpu: Gpu | None) -> str:
    """The extra of this package with the TensorRT that fits the driver."""
    old = gpu is not None and gpu.driver_major is not None and gpu.driver_major < CUDA_13_DRIVER
    return "tensorrt-cu12" if old else "tensorrt-cu13"


def no_library() -> str | None:
    """Why there is no TensorRT here, with the remedy, or None where there is one."""
    found = _load()
    return found if isinstance(found, str) else None


def library() -> TensorRt:
    """The installed library, TensorRT for RTX first. Raises `UserError` where there is none."""
    found = _load()
    if isinstance(found, str):
        raise UserError(found)
    return found


@functools.cache
def _load() -> TensorRt | str:
    gpu = find_gpu()
    install = f"pip install 'liverestore[{extra_for(gpu if isinstance(gpu, Gpu) else None)}]'"
    # Its error says which of its own libraries it lacks.
    broken = ""
    for name in _MODULES:
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError:
            continue
        except (ImportError, OSError) as error:
            broken = f" ({name}: {' '.join(str(error).split())[:200]})"
            continue
        if importlib.util.find_spec("onnx") is None:
            return f"onnx, which plans are made with, is not installed; {install}"
        messages: deque[str] = deque(maxlen=_MESSAGES_KEPT)
        return TensorRt(
            module,
            "TensorRT" if name == "tensorrt" else "TensorRT-RTX",
            str(module.__version__),
            _logger(module, messages),
            messages,
        )
    return f"TensorRT is not installed{broken}; {install}"


def _logger(module: Any, messages: deque[str]) -> Any:
    """One for the whole process: the library keeps the first it gets and ignores others."""
    severity = module.ILogger.Severity
    levels = {
        severity.INTERNAL_ERROR: logging.ERROR,
        severity.ERROR: logging.ERROR,
        severity.WARNING: logging.WARNING,
        severity.INFO: logging.DEBUG,
        severity.VERBOSE: logging.DEBUG,
    }

    class Logger(module.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()

        def log(self, level: Any, text: str) -> None:
            rank = levels.get(level, logging.ERROR)
            if rank >= logging.WARNING:
                messages.append(text)
            # What fails is raised by whoever called the library, in words of our own.
            log.log(min(rank, logging.INFO), "%s", text)

    return Logger()
