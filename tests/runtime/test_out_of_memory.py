"""A device without memory: smaller tiles, then the next best runtime, and always a line."""

import numpy as np
import pytest

from liverestore.camera_model import CameraModel
from liverestore.errors import Failure
from liverestore.model_spec import BUILT_IN
from liverestore.restore import restore
from liverestore.runtime.base import RuntimeChanged, whole_of
from liverestore.runtime.filters import FilterRuntime
from liverestore.runtime.memory import out_of_memory
from liverestore.runtime.sparing import SparingRuntime
from liverestore.runtime.upgrade import UpgradingRuntime

SPEC = BUILT_IN["mean5"]
CAMERA = CameraModel(offset_counts=100.0, gain_e_per_count=0.5, read_noise_e=2.0)

TORCH = (
    "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 7.79 GiB of "
    "which 1.12 GiB is free."
)
TENSORRT = (
    "[defaultAllocator.cpp::allocate::31] Error Code 1: Cuda Runtime (out of memory)",
    "[executionContext.cpp::ExecutionContext::470] Error Code 2: OutOfMemory (no further "
    "information)",
    "IExecutionContext::enqueueV3: Error Code 1: Cuda Runtime (CUDA_ERROR_OUT_OF_MEMORY)",
)
OPENVINO = (
    "Check 'false' failed at src/inference/src/core.cpp:117: Failed to allocate 74784858112 bytes "
    "of memory",
    "Exception from src/inference/src/cpp/core.cpp:113: Exception from "
    "src/core/src/runtime/allocator.cpp:79: bad allocation",
    "std::bad_alloc",
    "[GPU] Exceeded max size of memory object allocation: requested 2305843008391495680 bytes",
)


def torch_error():
    torch = pytest.importorskip("torch")
    return torch.OutOfMemoryError(TORCH)


@pytest.mark.parametrize(
    "error",
    [*map(RuntimeError, (TORCH, *OPENVINO)), *map(Failure, TENSORRT), MemoryError()],
)
def test_the_libraries_own_words_are_known(error):
    assert out_of_memory(error)
    wrapped = Failure("engine 'x': it failed")
    wrapped.__cause__ = error
    assert out_of_memory(wrapped)


def test_torch_raises_what_is_known():
    assert out_of_memory(torch_error())


@pytest.mark.parametrize(
    "text",
    [
        "CUDA error: an illegal memory access was encountered",
        "CUDA error: unspecified launch failure",
        "[enqueue.cpp::myelinGraphExecute::3] Error Code 1: Myelin (internal error)",
        "Check 'shape.compatible()' failed: memory descriptor does not match",
    ],
)
def test_other_errors_are_not_taken_for_it(text):
    assert not out_of_memory(RuntimeError(text))


class Small:
    """The processor, as a device that has memory for so many pixels and says so otherwise."""

    description = "card f32"

    def __init__(self, most_px, error=None, short_way=False):
        self.real = FilterRuntime(SPEC)
        self.spec = SPEC
        self.most_px = most_px
        self.error = error or (lambda: RuntimeError(OPENVINO[0]))
        self.asked, self.freed, self.closed = [], 0, 0
        if short_way:
            self.whole = self._whole

    def _fits(self, shape):
        self.asked.append(shape)
        if shape[0] * shape[1] > self.most_px:
            raise self.error()

    def warm_up(self, shape, dtype="uint16"):
        del dtype
        self._fits(shape)

    def infer(self, batch):
        self._fits(batch.shape[2:])
        return self.real.infer(batch)

    def _whole(self, pixels, camera, waves):
        del camera, waves
        self._fits(pixels.shape)
        return pixels

    def free_memory(self):
        self.freed += 1

    def close(self):
        self.closed += 1
        self.real.close()


def reads_px(tile_px, shape):
    """Pixels of the largest tile with its halo."""
    return min(shape[0], tile_px + 2 * SPEC.halo_px) * min(shape[1], tile_px + 2 * SPEC.halo_px)


@pytest.fixture
def picture():
    return np.random.default_rng(4).normal(0, 1, (1, 1, 640, 640)).astype(np.float32)


def test_tiles_give_what_one_piece_gives(picture):
    device, lines = Small(reads_px(256, (640, 640)), torch_error), []
    runtime = SparingRuntime(device, lines.append)
    got = runtime.infer(picture)
    np.testing.assert_allclose(got, device.real.infer(picture), atol=2e-5)
    assert [line.split(";")[0] for line in lines] == [
        "engine 'mean5': card f32 has no memory for 640 x 640 pixels",
    ] * len(lines)
    assert lines[-1].split("; ")[1].startswith("it goes on in tiles of ")
    assert device.freed == len(lines)
    assert runtime.description == f"card f32 in tiles of {runtime._tile_px} px"
    # Not tried whole again, and not told again.
    del device.asked[:]
    told = len(lines)
    runtime.infer(picture)
    assert (640, 640) not in device.asked
    assert len(lines) == told


def test_a_frame_that_fits_never_sees_a_tile(picture):
    device, lines = Small(640 * 640), []
    runtime = SparingRuntime(device, lines.append)
    runtime.warm_up((640, 640))
    runtime.infer(picture)
    assert device.asked == [(640, 640)] * 2
    assert (lines, runtime.description) == ([], "card f32")


def test_warming_finds_the_tiles_before_the_first_frame():
    device, lines = Small(reads_px(256, (640, 640))), []
    runtime = SparingRuntime(device, lines.append)
    runtime.warm_up((640, 640))
    assert len(lines) >= 1
    assert max(h * w for h, w in device.asked[-1:]) <= device.most_px


def test_the_short_way_ends_in_the_long_one_for_the_same_frame():
    from kept_results import FrameMaker

    frame = FrameMaker((640, 640))(3)
    device, lines = Small(reads_px(256, (640, 640)), torch_error, short_way=True), []
    runtime = SparingRuntime(device, lines.append)
    made = restore(frame, SPEC, runtime.infer, CAMERA, whole=whole_of(runtime))
    expected = restore(frame, SPEC, device.real.infer, CAMERA)
    assert np.abs(made.pixels.astype(int) - expected.pixels.astype(int)).max() <= 1
    assert whole_of(runtime) is None
    assert lines


def test_another_error_is_not_answered_with_tiles(picture):
    device, lines = Small(0, lambda: RuntimeError("CUDA error: unspecified launch failure")), []
    runtime = SparingRuntime(device, lines.append)
    with pytest.raises(RuntimeError, match="unspecified launch failure"):
        runtime.infer(picture)
    assert lines == []


def test_no_memory_for_the_smallest_tile_is_the_next_best_runtimes_turn(picture):
    lines = []
    first = FilterRuntime(SPEC)
    card = Small(640 * 640, torch_error)
    runtime = UpgradingRuntime(first, lambda: SparingRuntime(card, lines.append), lines.append)
    runtime.warm_up((640, 640))
    runtime._thread.join()
    expected = runtime.infer(picture).copy()
    assert lines == ["engine 'mean5' now runs on card f32"]
    card.most_px = 0
    with pytest.raises(RuntimeChanged, match="no memory for the smallest tiles"):
        runtime.infer(picture)
    assert runtime.description == first.description
    np.testing.assert_allclose(runtime.infer(picture), expected, atol=2e-5)
    assert [line.split("tiles of ")[1][:4].strip(",") for line in lines[1:3]] == ["512", "256"]
    assert lines[-1].startswith("engine 'mean5' goes on with ")
    assert card.closed == 1
    runtime.close()
