"""Is there an NVIDIA GPU, and which: asked of its driver, without any package."""

from __future__ import annotations

import ctypes
import sys
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Gpu", "driver_library", "find_gpu"]

_MAJOR, _MINOR = 75, 76
"""CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR."""
_NAME_BYTES = 100
_PROC = Path("/proc/driver/nvidia/version")


@dataclass(frozen=True, slots=True)
class Gpu:
    """The first GPU, which is the one that engines run on."""

    name: str
    compute_capability: tuple[int, int]
    memory_bytes: int
    cuda_version: tuple[int, int]
    """Newest CUDA that the driver knows."""
    driver_major: int | None
    """Series of the driver, such as 580; None where it does not say."""

    @property
    def target(self) -> str:
        """For example "sm89"."""
        major, minor = self.compute_capability
        return f"sm{major}{minor}"


def driver_library() -> ctypes.CDLL | str:
    """The CUDA driver, loaded, or why it cannot be."""
    name = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        return ctypes.CDLL(name)
    except OSError:
        return "no NVIDIA driver is installed"


def find_gpu() -> Gpu | str:
    """The first NVIDIA GPU, or why there is none, in words."""
    cuda = driver_library()
    if isinstance(cuda, str):
        return cuda
    status = cuda.cuInit(0)
    if status != 0:
        return f"the NVIDIA driver finds no GPU that it can use (CUDA error {status})"
    count = ctypes.c_int()
    device = ctypes.c_int()
    if cuda.cuDeviceGetCount(ctypes.byref(count)) != 0 or count.value < 1:
        return "the NVIDIA driver finds no GPU"
    name = ctypes.create_string_buffer(_NAME_BYTES)
    numbers = [ctypes.c_int() for _ in range(3)]
    memory = ctypes.c_size_t()
    calls = (
        cuda.cuDeviceGet(ctypes.byref(device), 0),
        cuda.cuDeviceGetName(name, _NAME_BYTES, device),
        cuda.cuDeviceGetAttribute(ctypes.byref(numbers[0]), _MAJOR, device),
        cuda.cuDeviceGetAttribute(ctypes.byref(numbers[1]), _MINOR, device),
        cuda.cuDeviceTotalMem_v2(ctypes.byref(memory), device),
        cuda.cuDriverGetVersion(ctypes.byref(numbers[2])),
    )
    failed = next((status for status in calls if status != 0), 0)
    if failed:
        return f"the NVIDIA driver does not describe its GPU (CUDA error {failed})"
    version = numbers[2].value
    return Gpu(
        name=name.value.decode("utf-8", "replace"),
        compute_capability=(numbers[0].value, numbers[1].value),
        memory_bytes=memory.value,
        cuda_version=(version // 1000, version % 1000 // 10),
        driver_major=_driver_major(version),
    )


def _driver_major(cuda_version: int) -> int | None:
    """The series, from Linux's own file, else the least that such a CUDA takes."""
    try:
        words = _PROC.read_text(encoding="utf-8").split()
    except OSError:
        words = []
    for word in words:
        series, dot, _ = word.partition(".")
        if dot and series.isdigit():
            return int(series)
    return 580 if cuda_version >= 13000 else None
