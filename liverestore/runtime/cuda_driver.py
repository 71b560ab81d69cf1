"""The few calls of the CUDA driver that a pipeline needs, through ctypes.

The driver's own library is on every machine that can run a plan, its interface is stable over
all CUDA versions, and it is what the CUDA runtime inside TensorRT works on: so no package of
CUDA bindings is needed. Everything happens in the primary context of the first GPU, which
TensorRT uses too.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from ctypes import POINTER, byref, c_char_p, c_int, c_size_t, c_uint, c_uint64, c_void_p
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liverestore.errors import Failure
from liverestore.runtime.gpu import driver_library

__all__ = ["Cuda", "DeviceBuffer", "PinnedBuffer"]

_NON_BLOCKING = 1
"""CU_STREAM_NON_BLOCKING: no waiting for the default stream."""
_EVENT_FLAGS = 1 | 2
"""CU_EVENT_BLOCKING_SYNC: whoever waits sleeps; CU_EVENT_DISABLE_TIMING: cheaper."""
_THREAD_LOCAL = 1
"""CU_STREAM_CAPTURE_MODE_THREAD_LOCAL: other threads may go on calling CUDA."""
_OUT_OF_MEMORY = 2

_SIGNATURES: dict[str, tuple[Any, ...]] = {
    "cuInit": (c_uint,),
    "cuDeviceGet": (POINTER(c_int), c_int),
    "cuDevicePrimaryCtxRetain": (POINTER(c_void_p), c_int),
    "cuDevicePrimaryCtxRelease_v2": (c_int,),
    "cuCtxSetCurrent": (c_void_p,),
    "cuCtxSynchronize": (),
    "cuMemAlloc_v2": (POINTER(c_uint64), c_size_t),
    "cuMemFree_v2": (c_uint64,),
    "cuMemHostAlloc": (POINTER(c_void_p), c_size_t, c_uint),
    "cuMemFreeHost": (c_void_p,),
    "cuMemcpyHtoD_v2": (c_uint64, c_void_p, c_size_t),
    "cuMemcpyHtoDAsync_v2": (c_uint64, c_void_p, c_size_t, c_void_p),
    "cuMemcpyDtoHAsync_v2": (c_void_p, c_uint64, c_size_t, c_void_p),
    "cuStreamCreate": (POINTER(c_void_p), c_uint),
    "cuStreamDestroy_v2": (c_void_p,),
    "cuStreamSynchronize": (c_void_p,),
    "cuStreamWaitEvent": (c_void_p, c_void_p, c_uint),
    "cuEventCreate": (POINTER(c_void_p), c_uint),
    "cuEventDestroy_v2": (c_void_p,),
    "cuEventRecord": (c_void_p, c_void_p),
    "cuEventSynchronize": (c_void_p,),
    "cuStreamBeginCapture_v2": (c_void_p, c_int),
    "cuStreamEndCapture": (c_void_p, POINTER(c_void_p)),
    "cuGraphInstantiateWithFlags": (POINTER(c_void_p), c_void_p, c_uint64),
    "cuGraphDestroy": (c_void_p,),
    "cuGraphLaunch": (c_void_p, c_void_p),
    "cuGraphExecDestroy": (c_void_p,),
    "cuGetErrorName": (c_int, POINTER(c_char_p)),
}


class Cuda:
    """The first GPU; raises `Failure` where it cannot be used.

    Handles of streams, events and graphs are plain integers. `enter` makes the GPU the
    current one of the calling thread, as every other method expects.
    """

    def __init__(self, library: Any | None = None) -> None:
        """`library` stands in for the driver; None loads it."""
        found = driver_library() if library is None else library
        if isinstance(found, str):
            raise Failure(f"CUDA cannot be used: {found}")
        self._calls: dict[str, Callable[..., int]] = {}
        for name, arguments in _SIGNATURES.items():
            try:
                call = getattr(found, name)
            except AttributeError as error:
                raise Failure(
                    f"CUDA cannot be used: the driver has no {name}; update the driver"
                ) from error
            call.argtypes = arguments
            call.restype = c_int
            self._calls[name] = call
        self._do("cuInit", 0)
        device = c_int()
        self._do("cuDeviceGet", byref(device), 0)
        self._device = device.value
        self._context = self._made("cuDevicePrimaryCtxRetain", self._device)
        self.enter()

    def _do(self, name: str, *arguments: Any) -> None:
        status = self._calls[name](*arguments)
        if status == _OUT_OF_MEMORY:
            raise Failure("the GPU has not enough memory free; use a smaller ROI or larger binning")
        if status != 0:
            text = c_char_p()
            self._calls["cuGetErrorName"](status, byref(text))
            word = (text.value or b"unknown error").decode()
            raise Failure(f"the GPU failed: {name} gave {word} ({status})")

    def _made(self, name: str, *arguments: Any) -> int:
        """The handle that `name` writes to its first argument."""
        handle = c_void_p()
        self._do(name, byref(handle), *arguments)
        return handle.value or 0

    def enter(self) -> None:
        """Let the calling thread use the GPU."""
        self._do("cuCtxSetCurrent", self._context)

    def synchronise(self) -> None:
        """Until everything that was begun is done."""
        self._do("cuCtxSynchronize")

    def release(self) -> None:
        """Give the GPU back; nothing may be used afterwards."""
        self._do("cuDevicePrimaryCtxRelease_v2", self._device)

    def allocate(self, size_bytes: int) -> DeviceBuffer:
        """Memory on the GPU, aligned to 256 bytes at least."""
        address = c_uint64()
        self._do("cuMemAlloc_v2", byref(address), max(1, size_bytes))
        return DeviceBuffer(self, address.value, size_bytes)

    def pinned(self, size_bytes: int) -> PinnedBuffer:
        """Memory of the processor that the GPU copies from and to by itself."""
        return PinnedBuffer(self, self._made("cuMemHostAlloc", max(1, size_bytes), 0), size_bytes)

    def stream(self) -> int:
        """A queue of its own."""
        return self._made("cuStreamCreate", _NON_BLOCKING)

    def event(self) -> int:
        """A mark in a queue that another can wait for."""
        return self._made("cuEventCreate", _EVENT_FLAGS)

    def record(self, event: int, stream: int) -> None:
        """Set the mark behind what is in `stream` now."""
        self._do("cuEventRecord", event, stream)

    def wait(self, stream: int, event: int) -> None:
        """Let `stream` go on only when `event` is reached."""
        self._do("cuStreamWaitEvent", stream, event, 0)

    def wait_here(self, event: int) -> None:
        """Let the calling thread sleep until `event` is reached."""
        self._do("cuEventSynchronize", event)

    def finish(self, stream: int) -> None:
        """Until `stream` is empty."""
        self._do("cuStreamSynchronize", stream)

    def capture(self, stream: int, work: Callable[[], None]) -> int:
        """What `work` puts into `stream`, as one graph that `launch` runs.

        Raises `Failure` where it cannot be captured; `stream` is as before then.
        """
        self._do("cuStreamBeginCapture_v2", stream, _THREAD_LOCAL)
        try:
            work()
        except BaseException:
            # The capture must end in any case, or the stream stays unusable; why it
            # failed is what `work` says.
            graph = c_void_p()
            self._calls["cuStreamEndCapture"](stream, byref(graph))
            if graph.value:
                self._calls["cuGraphDestroy"](graph.value)
            raise
        made = c_void_p()
        self._do("cuStreamEndCapture", stream, byref(made))
        try:
            return self._made("cuGraphInstantiateWithFlags", made.value, 0)
        finally:
            self._do("cuGraphDestroy", made.value)

    def launch(self, graph: int, stream: int) -> None:
        """Run a captured graph in `stream`."""
        self._do("cuGraphLaunch", graph, stream)

    def copy_in(self, to: DeviceBuffer, source: PinnedBuffer, stream: int) -> None:
        """Begin to copy `source` to the GPU."""
        self._do("cuMemcpyHtoDAsync_v2", to.address, source.address, source.size_bytes, stream)

    def copy_out(self, to: PinnedBuffer, source: DeviceBuffer, stream: int) -> None:
        """Begin to copy `source` from the GPU."""
        self._do("cuMemcpyDtoHAsync_v2", to.address, source.address, to.size_bytes, stream)

    def copy_now(self, to: DeviceBuffer, values: NDArray[np.float32]) -> None:
        """Copy `values` to the GPU; they may change afterwards."""
        held = np.ascontiguousarray(values)
        if held.nbytes != to.size_bytes:
            raise Failure(f"the GPU's buffer holds {to.size_bytes} bytes, got {held.nbytes}")
        self._do("cuMemcpyHtoD_v2", to.address, held.ctypes.data, held.nbytes)

    def free_device(self, address: int) -> None:
        """Give memory of the GPU back."""
        self._do("cuMemFree_v2", address)

    def free_pinned(self, address: int) -> None:
        """Give pinned memory back."""
        self._do("cuMemFreeHost", address)

    def free_handles(self, streams: list[int], events: list[int], graphs: list[int]) -> None:
        """Destroy them; graphs first, as they lie in streams."""
        for name, handles in (
            ("cuGraphExecDestroy", graphs),
            ("cuEventDestroy_v2", events),
            ("cuStreamDestroy_v2", streams),
        ):
            for handle in handles:
                self._do(name, handle)
            handles.clear()


class DeviceBuffer:
    """Memory on the GPU."""

    def __init__(self, cuda: Cuda, address: int, size_bytes: int) -> None:
        self._cuda = cuda
        self.address = address
        self.size_bytes = size_bytes

    def free(self) -> None:
        """Give it back; safe to call twice."""
        if self.address:
            address, self.address = self.address, 0
            self._cuda.free_device(address)


class PinnedBuffer:
    """Memory of the processor, as bytes."""

    def __init__(self, cuda: Cuda, address: int, size_bytes: int) -> None:
        self._cuda = cuda
        self.address = address
        self.size_bytes = size_bytes
        memory = (ctypes.c_uint8 * max(1, size_bytes)).from_address(address)
        self.bytes: NDArray[np.uint8] = np.ctypeslib.as_array(memory)[:size_bytes]

    def free(self) -> None:
        """Give it back; safe to call twice. `bytes` must not be used afterwards."""
        if self.address:
            self.bytes = np.empty(0, np.uint8)
            address, self.address = self.address, 0
            self._cuda.free_pinned(address)
