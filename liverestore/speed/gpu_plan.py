"""`bench --gpu`: everything that only a GPU can show, in one run."""

from __future__ import annotations

import importlib.util
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from liverestore.errors import LiverestoreError
from liverestore.model_spec import ModelSpec, find_engine
from liverestore.restore import restore, restore_planes
from liverestore.runtime.base import InferenceRuntime, whole_of
from liverestore.speed.gpu_case import (
    CUDAGRAPHS,
    GPU_PEERS,
    GpuCase,
    accepting,
    device_runtimes,
)
from liverestore.speed.gpu_networks import PAPER_NETWORKS, paper_network
from liverestore.speed.pipeline import CAMERA, OPTICS, counts, frame_of
from liverestore.speed.records import GpuAnswer, Peak, RuntimeWord, SpeedRow, Timing

__all__ = ["GpuPlan", "capture_to_result", "stack_times"]

SIZES = (512, 1024, 2048)
_LIVE_EDGE = 1024
_STACK_PLANES_UM = tuple(float(z) for z in np.linspace(-10, 10, 21))
_WARMING_FRAMES = 5
_COPY_BYTES = 1 << 28
_LIVE_ENGINE = "denoise-live"


@dataclass(slots=True)
class GpuPlan:
    """The steps of `bench --gpu` and what they gave; `run` may be stopped between any two."""

    seconds: float
    sizes: tuple[int, ...] = SIZES
    device: str = "cuda"
    """"cpu" tries everything without a GPU."""
    networks: tuple[str, ...] = PAPER_NETWORKS
    peers: tuple[str, ...] = GPU_PEERS
    edge: int = _LIVE_EDGE
    """Of the frames of the live chain and of the stack."""
    live_fps: float = 50.0
    stacks_timed: int = 8
    """After one that is not."""
    width: float = 1.0
    """Share of the channels, of the networks that can be narrower."""
    rows: list[SpeedRow] = field(default_factory=list)
    peaks: dict[str, Peak] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    runtimes: list[RuntimeWord] = field(default_factory=list)
    live: dict[str, Timing] = field(default_factory=dict)
    stacks: dict[str, Timing] = field(default_factory=dict)
    transfer: tuple[float | None, float | None] = (None, None)
    bandwidth: float | None = None

    def answer(self) -> GpuAnswer:
        """What the steps so far gave."""
        return GpuAnswer(
            runtimes=self.runtimes,
            transfer_in_bytes_per_s=self.transfer[0],
            transfer_out_bytes_per_s=self.transfer[1],
            live=self.live,
            stack_21_planes=self.stacks,
        )

    def run(self, tell: Callable[[str], None]) -> None:
        """All steps; what fails is left out with its reason, and the others go on."""
        with tempfile.TemporaryDirectory() as name, _plans_in(Path(name)):
            self._steps(Path(name), tell)

    def _steps(self, folder: Path, tell: Callable[[str], None]) -> None:
        missing = [p for p in ("torch", "onnx") if importlib.util.find_spec(p) is None]
        if missing:
            self.left_out.append(
                f"the networks of the papers: {' and '.join(missing)} not installed "
                "(pip install 'liverestore[train]')"
            )
        else:
            self._try("bandwidth", self._bandwidth, tell)
        specs: dict[str, ModelSpec] = {}
        for network in () if missing else self.networks:
            self._try(
                f"{network}: writing the network",
                lambda network=network: self._write(network, folder, specs),  # type: ignore[misc]
                tell,
            )
        shipped = self._shipped()
        if shipped is not None:
            specs[shipped.name] = shipped
        for spec in specs.values():
            self._who_takes(spec)
        for spec in specs.values():
            for size in self.sizes:
                self._case(spec, size, tell)
        for name in ("noise2noise-unet", _LIVE_ENGINE):
            if name in specs:
                self._try(f"{name} live", lambda spec=specs[name]: self._live(spec), tell)  # type: ignore[misc]
        if "deepz" in specs:
            self._try("stack of 21 planes", lambda: self._stack(specs["deepz"]), tell)

    def _write(self, name: str, folder: Path, specs: dict[str, ModelSpec]) -> None:
        specs[name] = paper_network(name, folder, self.width)

    def _shipped(self) -> ModelSpec | None:
        try:
            return find_engine(_LIVE_ENGINE)
        except LiverestoreError as error:
            self.left_out.append(str(error))
            return None

    def _try(self, title: str, step: Callable[[], None], tell: Callable[[str], None]) -> None:
        tell(title)
        try:
            step()
        except (LiverestoreError, RuntimeError) as error:
            # RuntimeError is what the libraries of GPUs raise, for too little memory as well.
            self.left_out.append(f"{title}: {' '.join(str(error).split())[:300]}")

    def _who_takes(self, spec: ModelSpec) -> None:
        for name, reason in accepting(spec).items():
            self.runtimes.append(
                RuntimeWord(runtime=name, engine=spec.name, accepts=reason is None, reason=reason)
            )

    def _case(self, spec: ModelSpec, size: int, tell: Callable[[str], None]) -> None:
        # Compiling takes most of the time of a run: the second mode at one size only.
        peers = tuple(p for p in self.peers if size == self.edge or p != CUDAGRAPHS)
        case = GpuCase(spec, (size, size), peers, bandwidth=self.bandwidth, device=self.device)
        title = case.title

        def measure() -> None:
            case.open(tell)
            tell(f"{title}: measuring")
            case.race(self.seconds, lambda _spent: None)

        with case:
            try:
                self._try(title, measure, tell)
            finally:
                self.rows += case.rows()
                for peak in case.peaks():
                    known = self.peaks.get(peak.precision)
                    if known is None or known.flop_per_s < peak.flop_per_s:
                        self.peaks[peak.precision] = peak
        self._tidy()

    def _tidy(self) -> None:
        """Give the memory of compiled peers back before the next, larger size."""
        if self.device != "cpu" and importlib.util.find_spec("torch") is not None:
            import torch

            torch.compiler.reset()
            torch.cuda.empty_cache()

    def _live(self, spec: ModelSpec) -> None:
        with ExitStack() as stack:
            for opener in device_runtimes(spec, self.device):
                runtime = opener()
                stack.callback(runtime.close)
                ages = capture_to_result(
                    spec, runtime, (self.edge, self.edge), self.live_fps, self.seconds
                )
                if ages is not None:
                    self.live[f"{spec.name}, {runtime.description}"] = ages

    def _stack(self, spec: ModelSpec) -> None:
        with ExitStack() as stack:
            for opener in device_runtimes(spec, self.device):
                runtime = opener()
                stack.callback(runtime.close)
                shape = (self.edge, self.edge)
                times = stack_times(spec, runtime, shape, self.stacks_timed)
                self.stacks[runtime.description] = times

    def _bandwidth(self) -> None:
        """Of the device's memory, and of the way to it and back from pinned memory."""
        if self.device == "cpu":
            return
        import torch

        if not torch.cuda.is_available():
            self.left_out.append(f"torch {torch.__version__} finds no GPU")
            return
        host = torch.zeros(_COPY_BYTES, dtype=torch.uint8, pin_memory=True)
        here, there = (torch.zeros(_COPY_BYTES, dtype=torch.uint8, device="cuda") for _ in "ab")

        def rate(copy: Callable[[], object]) -> float:
            best = float("inf")
            for _ in range(6):
                torch.cuda.synchronize()
                before = time.perf_counter()
                copy()
                torch.cuda.synchronize()
                best = min(best, time.perf_counter() - before)
            return _COPY_BYTES / best

        self.bandwidth = 2 * rate(lambda: here.copy_(there))
        into = rate(lambda: here.copy_(host, non_blocking=True))
        self.transfer = (into, rate(lambda: host.copy_(here, non_blocking=True)))


@contextmanager
def _plans_in(folder: Path) -> Iterator[None]:
    """Plans of networks with random weights go to `folder`, not to the user's cache."""
    name = "LIVERESTORE_HOME"
    before = os.environ.get(name)
    os.environ[name] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def capture_to_result(
    spec: ModelSpec,
    runtime: InferenceRuntime,
    shape: tuple[int, int],
    fps: float,
    seconds: float,
) -> Timing | None:
    """Age of restored frames, from the camera's hand to the result, at `fps` frames a second.

    Frames of `shape` (Y, X) uint16 pass the link between the processes of a live run; capture
    is a thread here. The first five are left out. None where no more came.
    """
    from liverestore.transport.endpoint import PrivateEndpoints
    from liverestore.transport.inlet import Inlet
    from liverestore.transport.outlet import Outlet

    frames = [counts(shape, k) for k in range(4)]
    over = threading.Event()

    with PrivateEndpoints() as endpoints:
        endpoint = endpoints("raw")
        outlet = Outlet(endpoint, roles=("engine",))
        inlet = Inlet(endpoint.for_client(), "engine")

        def capture() -> None:
            number, due = 0, time.perf_counter()
            while not over.wait(max(0.0, due - time.perf_counter())):
                pixels = frames[number % len(frames)]
                outlet.offer(frame_of(pixels, number, time.perf_counter_ns()))
                number += 1
                due += 1 / fps

        ages: list[float] = []
        try:
            runtime.warm_up(shape)
            camera = threading.Thread(target=capture, name="capture")
            camera.start()
            try:
                ends = time.perf_counter() + seconds
                while time.perf_counter() < ends:
                    frame = inlet.receive(0.1)
                    if frame is None or not hasattr(frame, "pixels"):
                        continue
                    whole = whole_of(runtime)
                    made = restore(frame, spec, runtime.infer, CAMERA, whole=whole)  # type: ignore[arg-type]
                    ages.append((made.provenance.finished_ns - frame.header.captured_ns) / 1e9)  # type: ignore[union-attr]
            finally:
                over.set()
                camera.join()
        finally:
            inlet.close()
            outlet.close()
    return Timing.of(ages[_WARMING_FRAMES:])


def stack_times(
    spec: ModelSpec, runtime: InferenceRuntime, shape: tuple[int, int], stacks: int
) -> Timing:
    """The time of whole virtual z-stacks of 21 planes from -10 to 10 um, of one (Y, X) frame."""
    frame = frame_of(counts(shape))
    seconds: list[float] = []
    for number in range(stacks + 1):
        before = time.perf_counter()
        planes = list(
            restore_planes(
                frame,
                spec,
                runtime.infer,
                CAMERA,
                _STACK_PLANES_UM,
                optics=OPTICS,
                whole=whole_of(runtime),
            )
        )
        if number:  # the first one makes everything ready
            seconds.append(time.perf_counter() - before)
        assert len(planes) == len(_STACK_PLANES_UM)
    timing = Timing.of(seconds)
    assert timing is not None, "at least one stack is timed"
    return timing
