"""Plans for TensorRT from an engine's live graph, built ahead of time and kept."""

from __future__ import annotations

import hashlib
import platform
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from liverestore.errors import Failure, UserError
from liverestore.model_spec import ModelSpec
from liverestore.runtime.gpu import Gpu, find_gpu
from liverestore.runtime.graph import live_graph
from liverestore.runtime.graph_form import GRAPH_VERSION, GraphForm
from liverestore.runtime.plan_cache import (
    PlanIdentity,
    PlanRecord,
    PlanTensor,
    find_plan,
    forget_unused,
    plan_folder,
    plan_lock,
    write_plan,
)
from liverestore.runtime.tensorrt_library import Target, TensorRt, library

__all__ = ["BuiltPlan", "PlanRequest", "Progress", "Sizes", "identity_of", "plan_for"]

Progress = Callable[[str, float | None], None]
"""What is being done, and how far it is, 0 to 1; None where that is not known."""

_WAIT_S = 0.05
_Built = tuple[bytes, tuple[PlanTensor, ...]]


@dataclass(frozen=True, slots=True)
class Sizes:
    """Frame sizes that a plan takes, (Y, X) in pixels; rounded up to the engine's divisor."""

    least: tuple[int, int] = (1, 1)
    usual: tuple[int, int] = (1024, 1024)
    """What it is made fastest for."""
    largest: tuple[int, int] = (4096, 4096)

    def on_grid(self, divisor: int) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
        """Least, usual, largest; `UserError` unless they rise."""
        least, usual, largest = (
            (-(-y // divisor) * divisor, -(-x // divisor) * divisor)
            for y, x in (self.least, self.usual, self.largest)
        )
        if not all(1 <= a <= b <= c for a, b, c in zip(least, usual, largest, strict=True)):
            raise UserError(
                f"frame sizes of a plan: got {self.least}, {self.usual}, {self.largest}; the "
                "least must be above 0, the usual between it and the largest"
            )
        return least, usual, largest


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """What plan is wanted of an engine."""

    form: GraphForm = field(default_factory=lambda: GraphForm(precision="fp16"))
    target: Target = "default"
    """"default": every GPU from Ampere to Blackwell that TensorRT for RTX knows; "sm75":
    Turing; "this": the GPU of this machine alone."""
    sizes: Sizes = Sizes()
    planes: int = 1
    """Most planes restored from one frame at once; above 1 for engines that refocus."""


@dataclass(frozen=True, slots=True)
class BuiltPlan:
    """A plan that fits what was asked for."""

    data: bytes
    path: Path
    record: PlanRecord
    """What it was built from and when, and its inputs and outputs."""
    from_cache: bool
    refused: str | None
    """Why the plan that lay there was not taken, where there was one."""


def identity_of(spec: ModelSpec, request: PlanRequest, trt: TensorRt) -> PlanIdentity:
    """What the plan for `request` depends on. Raises `UserError` for what cannot be built."""
    if request.planes < 1 or (request.planes > 1 and not spec.refocuses):
        raise UserError(
            f"engine '{spec.name}' got {request.planes} planes; an engine that does not refocus "
            "takes 1, others 1 or more"
        )
    target: str = request.target
    if target != "this" and not trt.builds_ahead:
        raise UserError(
            f"{trt.name} {trt.version} builds only for the GPU that it runs on; use --target "
            "this, or install TensorRT for RTX"
        )
    if target == "this":
        gpu = find_gpu()
        if not isinstance(gpu, Gpu):
            raise UserError(f"a plan for this GPU alone cannot be built: {gpu}; leave --target out")
        if trt.target_for(gpu) is None:
            raise UserError(
                f"{trt.name} {trt.version} does not serve the {gpu.name} ({gpu.target}); such "
                "GPUs are for TensorRT (pip install tensorrt)"
            )
        target = f"{gpu.target} {gpu.name}"
    return PlanIdentity(
        engine=spec.name,
        task=spec.task,
        domain=spec.domain,
        model_sha256=hashlib.sha256(_weights(spec)).hexdigest(),
        graph_version=GRAPH_VERSION,
        pixels=request.form.pixels,
        precision=request.form.precision,
        maps=request.form.maps,
        library=trt.name,
        library_version=trt.version,
        target=target,
        platform=f"{sys.platform} {platform.machine()}".lower(),
        sizes=request.sizes.on_grid(spec.divisor),
        planes=request.planes,
    )


def _weights(spec: ModelSpec) -> bytes:
    if spec.weights is None:
        raise UserError(
            f"engine '{spec.name}' is no network, so that there is nothing to build; it runs "
            "on the processor as it is"
        )
    try:
        return spec.weights.read_bytes()
    except OSError as error:
        raise UserError(
            f"engine '{spec.name}': {spec.weights} cannot be read ({error.strerror}); install "
            "the engine again"
        ) from error


def plan_for(
    spec: ModelSpec,
    request: PlanRequest,
    *,
    force: bool = False,
    progress: Progress = lambda _text, _share: None,
    stop: threading.Event | None = None,
) -> BuiltPlan:
    """The plan of `spec` for `request`, from the cache or built now.

    A plan in the cache that is damaged or is one of something else is refused and built
    anew; `force` builds in any case. `stop` ends a build, as Ctrl-C does. Raises `UserError`
    without TensorRT or for what it cannot build, `Failure` when a build fails or is ended.
    """
    trt = library()
    identity = identity_of(spec, request, trt)
    folder = plan_folder()
    path = folder / f"{identity.key()}.plan"

    def waiting() -> None:
        if stop is not None and stop.is_set():
            raise Failure(f"engine '{spec.name}': waiting for its plan was ended")
        progress("another process builds this plan: waiting", None)

    refused = None
    with plan_lock(identity, folder, waiting):
        if not force:
            found = find_plan(identity, folder)
            if isinstance(found, tuple):
                return BuiltPlan(found[0], path, found[1], True, None)
            refused = found
        if refused is not None:
            progress(f"the plan in the cache is refused: {refused}; building anew", None)
        started = time.monotonic()
        data, tensors = _in_thread(
            lambda stopped: _build(spec, request, identity, trt, progress, stopped),
            stop or threading.Event(),
        )
        took = time.monotonic() - started
        now = datetime.now(UTC).replace(microsecond=0).isoformat()
        record = write_plan(identity, data, tensors, folder, built_utc=now, build_s=took)
    forgotten, size = forget_unused(folder, time.time())
    if forgotten:
        progress(f"removed plans unused for 90 days: {forgotten}, {size / 1e6:.0f} MB", None)
    return BuiltPlan(data, path, record, False, refused)


def _in_thread(work: Callable[[threading.Event], _Built], stop: threading.Event) -> _Built:
    """`work` in a thread of its own, so that Ctrl-C is heard while the library computes.

    In the main thread it would be raised inside a callback of the library, which does not
    expect that.
    """
    outcome: list[_Built | BaseException] = []

    def body() -> None:
        try:
            outcome.append(work(stop))
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=body, name="tensorrt build")
    thread.start()
    try:
        while thread.is_alive():
            thread.join(_WAIT_S)
    except KeyboardInterrupt:
        stop.set()
        thread.join()
        raise
    result = outcome[0]
    if isinstance(result, BaseException):
        raise result
    return result


def _build(
    spec: ModelSpec,
    request: PlanRequest,
    identity: PlanIdentity,
    trt: TensorRt,
    progress: Progress,
    stopped: threading.Event,
) -> _Built:
    progress("making the graph", None)
    weights = _weights(spec)
    if hashlib.sha256(weights).hexdigest() != identity.model_sha256:
        raise Failure(f"engine '{spec.name}': its weights changed while its plan was built")
    graph = live_graph(weights, spec, request.form).SerializeToString()
    module = trt.module
    trt.messages.clear()
    builder = module.Builder(trt.logger)
    network = builder.create_network(0)
    parser = module.OnnxParser(network, trt.logger)
    if not parser.parse(graph):
        reasons = "; ".join(parser.get_error(k).desc() for k in range(parser.num_errors))
        raise Failure(
            f"engine '{spec.name}': {trt.name} cannot read its graph: "
            f"{' '.join(reasons.split())[:400]}"
        )
    config = builder.create_builder_config()
    profile = _profile(builder, network, identity)
    config.add_optimization_profile(profile)
    _set_target(config, request.target, trt)
    monitor = _monitor(module, progress, stopped)
    config.progress_monitor = monitor
    progress("building", 0.0)
    plan = builder.build_serialized_network(network, config)
    if stopped.is_set():
        raise Failure(f"engine '{spec.name}': building its plan was ended; nothing was kept")
    if plan is None:
        raise Failure(
            f"engine '{spec.name}': {trt.name} {trt.version} cannot build it for "
            f"{identity.target}: {trt.last_error()}"
        )
    return bytes(plan), _tensors(network, profile)


def _profile(builder: Any, network: Any, identity: PlanIdentity) -> Any:
    """Shapes of all inputs that vary, for least, usual and largest frames."""
    profile = builder.create_optimization_profile()
    for place in range(network.num_inputs):
        tensor = network.get_input(place)
        if -1 not in tuple(tensor.shape):
            continue
        last = tuple(tensor.shape)[-1]
        shapes: list[tuple[int, ...]] = []
        for (y, x), planes in zip(identity.sizes, (1, 1, identity.planes), strict=True):
            if tensor.name == "raw" and identity.pixels == "stabilised":
                shapes.append((1, tuple(tensor.shape)[1], y, x))
            elif tensor.name == "raw":
                shapes.append((1, y, x, last))
            else:
                shapes.append((planes if tensor.name == "waves" else 1, 1, y, x))
        profile.set_shape(tensor.name, *shapes)
    return profile


def _tensors(network: Any, profile: Any) -> tuple[PlanTensor, ...]:
    """Inputs and outputs as the library read them from the graph."""
    found = []
    for count, get, is_input in (
        (network.num_inputs, network.get_input, True),
        (network.num_outputs, network.get_output, False),
    ):
        for place in range(count):
            tensor = get(place)
            shape = tuple(tensor.shape)
            sizes = None
            if is_input and -1 in shape:
                least, usual, largest = (tuple(size) for size in profile.get_shape(tensor.name))
                sizes = (least, usual, largest)
            found.append(
                PlanTensor(
                    name=tensor.name,
                    is_input=is_input,
                    dtype=tensor.dtype.name.lower(),
                    shape=shape,
                    sizes=sizes,
                )
            )
    return tuple(found)


def _set_target(config: Any, target: Target, trt: TensorRt) -> None:
    if not trt.builds_ahead or target == "default":
        return
    capability = trt.module.ComputeCapability
    config.num_compute_capabilities = 1
    wanted = capability.SM75 if target == "sm75" else capability.CURRENT
    if not config.set_compute_capability(wanted, 0):
        raise Failure(f"{trt.name} {trt.version} takes no target {target}: {trt.last_error()}")


def _monitor(module: Any, progress: Progress, stopped: threading.Event) -> Any:
    """Tells how far the outermost phase is; ends the build when asked to."""

    class Monitor(module.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self._steps: dict[str, int] = {}

        def phase_start(self, name: str, parent: str | None, steps: int) -> None:
            if not parent:
                self._steps[name] = steps

        def step_complete(self, name: str, step: int) -> bool:
            steps = self._steps.get(name)
            if steps:
                progress("building", min(1.0, (step + 1) / steps))
            return not stopped.is_set()

        def phase_finish(self, name: str) -> None:
            self._steps.pop(name, None)

    return Monitor()
