"""The machine in general words, its memory, and the versions of what ran."""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata
from pathlib import Path

from liverestore.runtime.gpu import Gpu, find_gpu
from liverestore.speed.records import Machine

__all__ = ["describe", "resident_bytes", "versions"]

_PACKAGES = (
    "liverestore",
    "numpy",
    "onnx",
    "onnxruntime",
    "openvino",
    "pymmcore",
    "pyzmq",
    "tensorrt",
    "tensorrt_rtx_cu12_bindings",
    "tensorrt_rtx_cu13_bindings",
    "torch",
)
_CPUINFO = Path("/proc/cpuinfo")
_STATM = Path("/proc/self/statm")


def describe() -> Machine:
    """This machine."""
    gpu = find_gpu()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return Machine(
        processor=_processor(),
        cores=_cores(),
        system=f"{platform.system()} {platform.machine()}",
        gpu=gpu.name if isinstance(gpu, Gpu) else None,
        load_before=None if load is None else round(load, 1),
    )


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _processor() -> str:
    try:
        lines = _CPUINFO.read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() == "model name" and value.strip():
            return value.strip()
    return platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    """Package -> version, of those that are installed; Python first."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def resident_bytes() -> int | None:
    """Memory of this process that is in use; None where the system does not say (not Linux)."""
    if sys.platform != "linux":
        return None
    pages = int(_STATM.read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
