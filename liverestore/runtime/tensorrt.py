"""Plans on the GPU: pinned slots, three streams, one CUDA graph for each slot."""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from liverestore.errors import Failure
from liverestore.file_moves import move_over
from liverestore.model_spec import ModelSpec
from liverestore.runtime.cuda_driver import Cuda, DeviceBuffer, PinnedBuffer
from liverestore.runtime.device_slots import DeviceRuntime, SlotLayout
from liverestore.runtime.gpu import find_gpu
from liverestore.runtime.plan_cache import PlanTensor, read_private
from liverestore.runtime.tensorrt_library import TensorRt, library, no_library

__all__ = ["PlanSlots", "TensorRtRuntime", "is_incompatible"]

log = logging.getLogger(__name__)

_SLOTS = 3
_WARM_RUNS = 2
_DIGEST_BYTES = 32


def is_incompatible(spec: ModelSpec) -> Literal[False] | str:
    """False when this back end can run `spec` here, else the reason."""
    if spec.weights is None:
        return "it has no ONNX weights"
    gpu = find_gpu()
    if isinstance(gpu, str):
        return gpu
    missing = no_library()
    if missing is not None:
        return missing
    trt = library()
    if trt.target_for(gpu) is None:
        return f"{trt.name} {trt.version} does not serve the {gpu.name} ({gpu.target})"
    return False


class TensorRtRuntime(DeviceRuntime):
    """One network on the first GPU; its plans come from the cache or are built when needed.

    `precision` "f16" is the middle of the network in float16. `threads` is what other back
    ends take; the GPU needs none.
    """

    def __init__(
        self,
        spec: ModelSpec,
        *,
        threads: int | None = None,
        precision: Literal["f32", "f16"] = "f32",
    ) -> None:
        from liverestore.runtime.build import PlanRequest
        from liverestore.runtime.plan_choice import plan_for_frame

        del threads
        trt, gpu = library(), find_gpu()
        if isinstance(gpu, str):
            raise Failure(f"engine '{spec.name}' cannot run on {trt.name}: {gpu}")
        target = trt.target_for(gpu)
        if target is None:
            raise Failure(
                f"engine '{spec.name}': {trt.name} {trt.version} does not serve the {gpu.name}"
            )
        self._trt = trt
        self._cuda = Cuda()
        self._runtime: Any = trt.module.Runtime(trt.logger)
        self._engines: dict[str, Any] = {}

        def open_slots(layout: SlotLayout) -> PlanSlots:
            self._cuda.enter()
            request = PlanRequest(layout.form, target, planes=layout.planes)
            plan = plan_for_frame(spec, request, layout.outer)
            key = plan.record.plan_sha256
            if key not in self._engines:
                self._engines[key] = _loaded(
                    trt, self._runtime, plan.data, plan.record.tensors, spec.name
                )
            kernels = plan.path.with_suffix(f".{gpu.target}.kernels")
            return PlanSlots(trt, self._cuda, self._engines[key], layout, kernels)

        super().__init__(
            spec,
            open_slots,
            f"{trt.name} {trt.version} {gpu.name} {precision}",
            "fp16" if precision == "f16" else "fp32",
        )

    def close(self) -> None:
        """Free the GPU; safe to call twice."""
        if self._runtime is None:
            return
        self._cuda.enter()
        super().close()
        # Plans before the runtime that they came from, both before the context they lie in.
        self._engines.clear()
        self._runtime = None
        self._cuda.release()


def _loaded(
    trt: TensorRt, runtime: Any, plan: bytes, tensors: tuple[PlanTensor, ...], name: str
) -> Any:
    """The plan on the GPU, checked against what it was built as. Raises `Failure`."""
    trt.messages.clear()
    engine = runtime.deserialize_cuda_engine(plan)
    # None, not an exception, is how the library says no.
    if engine is None:
        raise Failure(f"engine '{name}': {trt.name} refuses its plan: {trt.last_error()}")
    # Shapes of outputs follow from those of inputs, and libraries write them in their own ways.
    inputs = {tensor.name for tensor in tensors if tensor.is_input}
    found = {
        (
            label,
            engine.get_tensor_dtype(label).name.lower(),
            tuple(engine.get_tensor_shape(label)) if label in inputs else (),
        )
        for label in (engine.get_tensor_name(k) for k in range(engine.num_io_tensors))
    }
    expected = {
        (tensor.name, tensor.dtype, tensor.shape if tensor.is_input else ()) for tensor in tensors
    }
    if found != expected:
        raise Failure(
            f"engine '{name}': its plan has the inputs and outputs {sorted(found)}, expected were "
            f"{sorted(expected)}; build it anew with: liverestore build {name} --force"
        )
    return engine


class PlanSlots:
    """One layout of a loaded plan: fixed buffers, and a captured graph for each slot.

    Shapes and addresses are set once. One context serves all slots: their computations follow
    each other in one stream, only the copies overlap them.
    """

    def __init__(
        self, trt: TensorRt, cuda: Cuda, engine: Any, layout: SlotLayout, kernels: Path
    ) -> None:
        self._trt = trt
        self._cuda = cuda
        self._layout = layout
        self.count = _SLOTS
        self.note = ""
        self._device: list[DeviceBuffer] = []
        self._pinned: list[PinnedBuffer] = []
        self._streams: list[int] = []
        self._events: list[int] = []
        self._graphs: list[int] = []
        self._context: Any = None
        try:
            self._prepare(engine, kernels)
        except BaseException:
            self.close()
            raise

    def _allocate(self, shape: tuple[int, ...], itemsize: int) -> DeviceBuffer:
        buffer = self._cuda.allocate(int(np.prod(shape)) * itemsize)
        self._device.append(buffer)
        return buffer

    def _prepare(self, engine: Any, kernels: Path) -> None:
        cuda, layout, slots = self._cuda, self._layout, range(self.count)
        self._streams = [cuda.stream() for _ in range(3)]
        self._events = [cuda.event() for _ in range(3 * self.count)]
        self._copied_in = self._events[0::3]
        self._computed = self._events[1::3]
        self._done = self._events[2::3]
        itemsize = layout.frame_type.itemsize
        self._in = [self._allocate(layout.raw, itemsize) for _ in slots]
        self._out = [self._allocate(layout.restored, itemsize) for _ in slots]
        self._shared = {name: self._allocate(shape, 4) for name, shape in layout.shared.items()}
        for name, shape in layout.shared.items():
            # Numbers that make no NaN in the warming runs.
            cuda.copy_now(self._shared[name], np.ones(shape, np.float32))
        for buffers in (self._in, self._out):
            pinned = [cuda.pinned(buffer.size_bytes) for buffer in buffers]
            self._pinned += pinned
        self._host_in = self._pinned[: self.count]
        self._host_out = self._pinned[self.count :]
        for host in self._host_in:
            host.bytes[...] = 0

        config, cache = self._configured(engine, kernels)
        self._context = engine.create_execution_context(config)
        if self._context is None:
            raise Failure(f"{self._trt.name} makes no context: {self._trt.last_error()}")
        if self._context.active_optimization_profile != 0:
            stream = self._streams[1]
            chosen = self._context.set_optimization_profile_async(0, stream)
            self._must(chosen, "its only profile of sizes")
            cuda.finish(stream)
        shapes = {"raw": layout.raw, **layout.shared}
        for name, shape in shapes.items():
            self._must(self._context.set_input_shape(name, shape), f"the shape {shape} of {name}")
        scratch = self._allocate((self._context.update_device_memory_size_for_shapes(),), 1)
        self._context.set_device_memory(scratch.address, scratch.size_bytes)
        for name, buffer in self._shared.items():
            self._must(self._context.set_tensor_address(name, buffer.address), f"input {name}")
        self._warm_and_capture()
        if cache is not None:
            _keep_kernels(kernels, bytes(cache.serialize()))

    def _configured(self, engine: Any, kernels: Path) -> tuple[Any, Any]:
        """Memory given by us; kernels made for these very shapes, now, and kept on disk."""
        module = self._trt.module
        config = engine.create_runtime_config()
        config.set_execution_context_allocation_strategy(
            module.ExecutionContextAllocationStrategy.USER_MANAGED
        )
        if not hasattr(config, "create_runtime_cache"):
            return config, None
        strategies = module.DynamicShapesKernelSpecializationStrategy
        config.dynamic_shapes_kernel_specialization_strategy = strategies.EAGER
        # Captured by us, for each slot: the library would capture anew at each new address.
        config.cuda_graph_strategy = module.CudaGraphStrategy.DISABLED
        cache = config.create_runtime_cache()
        kept = _kept_kernels(kernels)
        if kept is not None and not cache.deserialize(kept):
            log.info("%s: kernels of another driver or GPU; they are made anew", kernels.name)
        self._must(config.set_runtime_cache(cache), "the cache of kernels")
        return config, cache

    def _must(self, accepted: bool, what: str) -> None:
        if not accepted:
            raise Failure(f"{self._trt.name} does not take {what}: {self._trt.last_error()}")

    def _enqueue(self, slot: int) -> None:
        context, stream = self._context, self._streams[1]
        self._must(context.set_tensor_address("raw", self._in[slot].address), "the input")
        self._must(context.set_tensor_address("restored", self._out[slot].address), "the output")
        self._must(context.execute_async_v3(stream), "the frame")

    def _warm_and_capture(self) -> None:
        """The first runs make the kernels; then one graph for each slot, where that works."""
        cuda, stream = self._cuda, self._streams[1]
        cuda.copy_in(self._in[0], self._host_in[0], stream)
        for _ in range(_WARM_RUNS):
            self._enqueue(0)
        cuda.finish(stream)
        capturable = getattr(self._context, "is_stream_capturable", None)
        if capturable is not None and not capturable(stream):
            log.info("this plan cannot be captured as a CUDA graph; it runs without")
            return
        try:
            for slot in range(self.count):
                self._graphs.append(cuda.capture(stream, partial(self._enqueue, slot)))
        except Failure as error:
            log.info("no CUDA graph (%s); the plan runs without", error)
            cuda.free_handles([], [], self._graphs)
            return
        self.note = "CUDA graph"

    def host_input(self, slot: int) -> NDArray[np.uint8]:
        """Flat bytes of a slot's input, pinned."""
        return self._host_in[slot].bytes

    def host_output(self, slot: int) -> NDArray[np.uint8]:
        """Flat bytes of a slot's output, pinned."""
        return self._host_out[slot].bytes

    def share(self, name: str, values: NDArray[np.float32]) -> None:
        """Set an input that stays from frame to frame; frames under way are finished first."""
        self._cuda.enter()
        self._finish()
        self._cuda.copy_now(self._shared[name], values)

    def _finish(self) -> None:
        """Until all slots are done.

        Not until the whole GPU is: another engine may be captured there as a graph by then,
        which waiting for everything would break.
        """
        for stream in self._streams:
            self._cuda.finish(stream)

    def launch(self, slot: int) -> None:
        """Copy in, compute, copy out, each in its stream behind the one before."""
        cuda = self._cuda
        cuda.enter()
        copy_in, compute, copy_out = self._streams
        cuda.copy_in(self._in[slot], self._host_in[slot], copy_in)
        cuda.record(self._copied_in[slot], copy_in)
        cuda.wait(compute, self._copied_in[slot])
        if self._graphs:
            cuda.launch(self._graphs[slot], compute)
        else:
            self._enqueue(slot)
        cuda.record(self._computed[slot], compute)
        cuda.wait(copy_out, self._computed[slot])
        cuda.copy_out(self._host_out[slot], self._out[slot], copy_out)
        cuda.record(self._done[slot], copy_out)

    def wait(self, slot: int) -> None:
        """Until the slot's output is there."""
        self._cuda.enter()
        self._cuda.wait_here(self._done[slot])

    def close(self) -> None:
        """Free the GPU's memory; safe to call twice."""
        if not self._streams:
            return
        self._cuda.enter()
        self._finish()
        # The graphs hold kernels of the context, the context holds the scratch memory.
        self._cuda.free_handles([], [], self._graphs)
        self._context = None
        self._cuda.free_handles(self._streams, self._events, [])
        for buffer in self._device:
            buffer.free()
        for host in self._pinned:
            host.free()
        self._device, self._pinned = [], []


def _kept_kernels(path: Path) -> bytes | None:
    """Kernels that an earlier run made; None where there are none that can be trusted."""
    found = read_private(path)
    if not isinstance(found, bytes):
        if found is not None:
            log.warning("kernels in the cache are refused: %s; they are made anew", found)
        return None
    digest, kernels = found[:_DIGEST_BYTES], found[_DIGEST_BYTES:]
    if hashlib.sha256(kernels).digest() != digest:
        log.warning("%s is damaged; kernels are made anew", path.name)
        return None
    return kernels


def _keep_kernels(path: Path, kernels: bytes) -> None:
    """For the next start; a full disk is no reason to stop a live view."""
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
        with os.fdopen(handle, "wb") as file:
            file.write(hashlib.sha256(kernels).digest() + kernels)
        move_over(Path(name), path)
    except OSError as error:
        log.warning("%s cannot be written (%s): the next start is slower", path, error.strerror)
