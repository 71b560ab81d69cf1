"""A GPU that is the processor: the driver's calls, and TensorRT's as far as a pipeline needs them.

Work put into a stream is done as late as the rules allow, when somebody waits for it, so that a
missing wait shows as wrong pixels. Memory that is used after it was freed, or never freed, fails.
"""

import ctypes
from collections import deque

import numpy as np
import onnx

from liverestore.runtime.openvino import shared_core

_SIZES = {1: np.float32, 2: np.uint8}


class HostDriver:
    """Stands in for the CUDA driver's library; see `Cuda(library)`."""

    def __init__(self, memory_bytes=1 << 34):
        self.left = memory_bytes
        self.blocks = {}
        self.streams = {}
        self.events = {}
        self.graphs = {}
        self.capturing = None
        self.refuse_capture = False
        self.contexts = 0
        self.launches = 0
        self._next = 0x1000
        for name in dir(type(self)):
            if name.startswith("cu"):
                setattr(self, name, self._plain(name))

    def _plain(self, name):
        method = getattr(type(self), name)

        def call(*arguments):
            return method(self, *arguments) or 0

        return call

    def _handle(self):
        self._next += 0x1000
        return self._next

    def clean(self):
        """Whether everything was given back."""
        return not (self.blocks or self.streams or self.events or self.graphs or self.contexts)

    def at(self, address, size):
        """The bytes at `address`, which must lie in one living block."""
        for start, block in self.blocks.items():
            if start <= address and address + size <= start + len(block):
                return block[address - start : address - start + size]
        raise AssertionError(f"{size} bytes at {address:#x} belong to nobody")

    def push(self, stream, work):
        if self.capturing is not None and self.capturing[0] == stream:
            self.capturing[1].append(work)
        else:
            self.streams[stream].append(("do", work))

    def advance(self, stream):
        queue = self.streams[stream]
        while queue:
            kind, what = queue[0]
            if kind == "wait":
                event, version = what
                while self.events[event]["reached"] < version:
                    self.advance(self.events[event]["stream"])
            queue.popleft()
            if kind == "do":
                what()
            elif kind == "record":
                event, version = what
                self.events[event]["reached"] = version

    def cuInit(self, flags): ...  # noqa: N802

    def cuDeviceGet(self, device, ordinal):  # noqa: N802
        device._obj.value = ordinal

    def cuDevicePrimaryCtxRetain(self, context, device):  # noqa: N802
        self.contexts += 1
        context._obj.value = 1

    def cuDevicePrimaryCtxRelease_v2(self, device):  # noqa: N802
        self.contexts -= 1

    def cuCtxSetCurrent(self, context): ...  # noqa: N802

    def cuCtxSynchronize(self):  # noqa: N802
        for stream in self.streams:
            self.advance(stream)

    def _block(self, out, size):
        if size > self.left:
            return 2
        self.left -= size
        block = np.full(size, 0xA5, np.uint8)
        self.blocks[block.ctypes.data] = block
        out._obj.value = block.ctypes.data
        return 0

    def cuMemAlloc_v2(self, out, size):  # noqa: N802
        return self._block(out, size)

    def cuMemHostAlloc(self, out, size, flags):  # noqa: N802
        return self._block(out, size)

    def cuMemFree_v2(self, address):  # noqa: N802
        self.left += len(self.blocks.pop(address))

    cuMemFreeHost = cuMemFree_v2  # noqa: N815

    def cuMemcpyHtoD_v2(self, to, source, size):  # noqa: N802
        ctypes.memmove(self.at(to, size).ctypes.data, source, size)

    def cuMemcpyHtoDAsync_v2(self, to, source, size, stream):  # noqa: N802
        self.push(stream, lambda: self.at(to, size).__setitem__(..., self.at(source, size)))

    cuMemcpyDtoHAsync_v2 = cuMemcpyHtoDAsync_v2  # noqa: N815

    def cuStreamCreate(self, out, flags):  # noqa: N802
        out._obj.value = self._handle()
        self.streams[out._obj.value] = deque()

    def cuStreamDestroy_v2(self, stream):  # noqa: N802
        assert not self.streams.pop(stream), "destroyed with work in it"

    def cuStreamSynchronize(self, stream):  # noqa: N802
        self.advance(stream)

    def cuStreamWaitEvent(self, stream, event, flags):  # noqa: N802
        self.streams[stream].append(("wait", (event, self.events[event]["asked"])))

    def cuEventCreate(self, out, flags):  # noqa: N802
        out._obj.value = self._handle()
        self.events[out._obj.value] = {"asked": 0, "reached": 0, "stream": 0}

    def cuEventDestroy_v2(self, event):  # noqa: N802
        del self.events[event]

    def cuEventRecord(self, event, stream):  # noqa: N802
        state = self.events[event]
        state["asked"] += 1
        state["stream"] = stream
        self.streams[stream].append(("record", (event, state["asked"])))

    def cuEventSynchronize(self, event):  # noqa: N802
        state = self.events[event]
        if state["reached"] < state["asked"]:
            self.advance(state["stream"])

    def cuStreamBeginCapture_v2(self, stream, mode):  # noqa: N802
        if self.refuse_capture:
            return 900
        self.capturing = (stream, [])
        return 0

    def cuStreamEndCapture(self, stream, out):  # noqa: N802
        out._obj.value = self._handle()
        self.graphs[out._obj.value] = self.capturing[1]
        self.capturing = None

    def cuGraphInstantiateWithFlags(self, out, graph, flags):  # noqa: N802
        out._obj.value = self._handle()
        self.graphs[out._obj.value] = self.graphs[graph]

    def cuGraphDestroy(self, graph):  # noqa: N802
        del self.graphs[graph]

    cuGraphExecDestroy = cuGraphDestroy  # noqa: N815

    def cuGraphLaunch(self, graph, stream):  # noqa: N802
        self.launches += 1
        for work in self.graphs[graph]:
            self.push(stream, work)

    def cuGetErrorName(self, status, out):  # noqa: N802
        out._obj.value = b"CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED" if status == 900 else b"ERROR"


class _Named:
    def __init__(self, name):
        self.name = name


class HostTensorRt:
    """Stands in for the module `tensorrt_rtx`; its plans are ONNX files."""

    class ExecutionContextAllocationStrategy:
        USER_MANAGED = "user"

    class DynamicShapesKernelSpecializationStrategy:
        EAGER = "eager"

    class CudaGraphStrategy:
        DISABLED = "disabled"

    def __init__(self, driver):
        self.driver = driver
        self.caches = []
        self.configs = []

    def Runtime(self, logger):  # noqa: N802
        return self

    def deserialize_cuda_engine(self, plan):
        return None if plan.startswith(b"bad") else HostPlan(self, plan)


class HostPlan:
    def __init__(self, library, plan):
        self.library = library
        self.model = onnx.load_from_string(plan)
        values = (*self.model.graph.input, *self.model.graph.output)
        self.tensors = {value.name: value.type.tensor_type for value in values}
        self.num_io_tensors = len(self.tensors)

    def get_tensor_name(self, place):
        return list(self.tensors)[place]

    def get_tensor_dtype(self, name):
        return _Named({1: "FLOAT", 2: "UINT8"}[self.tensors[name].elem_type])

    def get_tensor_shape(self, name):
        return tuple(d.dim_value or -1 for d in self.tensors[name].shape.dim)

    def create_runtime_config(self):
        config = HostConfig()
        self.library.configs.append(config)
        return config

    def create_execution_context(self, config):
        return HostContext(self)


class HostConfig:
    def set_execution_context_allocation_strategy(self, strategy):
        assert strategy == "user"

    def create_runtime_cache(self):
        self.cache = HostCache()
        return self.cache

    def set_runtime_cache(self, cache):
        return cache is self.cache


class HostCache:
    taken = b""

    def deserialize(self, data):
        self.taken = data
        return True

    def serialize(self):
        return b"kernels"


class HostContext:
    active_optimization_profile = -1

    def set_optimization_profile_async(self, profile, stream):
        self.active_optimization_profile = profile
        return stream in self.plan.library.driver.streams

    def __init__(self, plan):
        self.plan = plan
        self.shapes, self.addresses = {}, {}
        self.scratch = None
        core = shared_core()
        self.compiled = core.compile_model(
            core.read_model(plan.model.SerializeToString()),
            "CPU",
            {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 2},
        )

    def set_input_shape(self, name, shape):
        assert self.active_optimization_profile == 0
        self.shapes[name] = tuple(shape)
        fixed = self.plan.get_tensor_shape(name)
        fits = zip(shape, fixed, strict=True)
        return all(have == wanted or wanted == -1 for have, wanted in fits)

    def update_device_memory_size_for_shapes(self):
        return 4096

    def set_device_memory(self, address, size):
        self.scratch = (address, size)

    def set_tensor_address(self, name, address):
        self.addresses[name] = address
        return name in self.plan.tensors

    def is_stream_capturable(self, stream):
        return True

    def execute_async_v3(self, stream):
        driver, addresses = self.plan.library.driver, dict(self.addresses)

        def work():
            driver.at(*self.scratch)
            feed = {}
            for name, shape in self.shapes.items():
                kind = np.dtype(_SIZES[self.plan.tensors[name].elem_type])
                size = int(np.prod(shape)) * kind.itemsize
                feed[name] = driver.at(addresses[name], size).view(kind).reshape(shape).copy()
            out = self.compiled(feed)[0]
            data = np.ascontiguousarray(out).reshape(-1).view(np.uint8)
            driver.at(addresses["restored"], data.size)[...] = data

        driver.push(stream, work)
        return True
