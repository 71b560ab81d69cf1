"""Slots, streams and graphs of the TensorRT runtime, on a GPU that the processor plays."""

from collections import deque

import msgspec
import numpy as np
import onnx
import pytest
from host_gpu import HostDriver, HostTensorRt

from liverestore.camera_model import CameraModel
from liverestore.errors import Failure
from liverestore.frame import Frame, FrameHeader
from liverestore.model_spec import BUILT_IN, list_engines
from liverestore.restore import restore
from liverestore.runtime import plan_choice, tensorrt
from liverestore.runtime.build import BuiltPlan
from liverestore.runtime.cuda_driver import Cuda
from liverestore.runtime.gpu import Gpu
from liverestore.runtime.graph import live_graph
from liverestore.runtime.openvino import OpenVinoRuntime
from liverestore.runtime.plan_cache import PlanRecord, PlanTensor
from liverestore.runtime.tensorrt import TensorRtRuntime, is_incompatible
from liverestore.runtime.tensorrt_library import TensorRt

CAMERA = CameraModel(100.0, 0.5, 1.5)
GPU = Gpu("NVIDIA Test", (8, 9), 8 << 30, (13, 0), 581)


@pytest.fixture(scope="module")
def spec():
    return next(spec for spec in list_engines() if spec.name == "denoise-live")


@pytest.fixture
def driver():
    return HostDriver()


@pytest.fixture
def requests():
    return []


@pytest.fixture
def host(monkeypatch, driver, tmp_path, requests):
    """The simulated GPU in place of the driver, of TensorRT, and of building."""
    module = HostTensorRt(driver)
    trt = TensorRt(module, "TensorRT-RTX", "1.7.1", None, deque())
    monkeypatch.setattr(tensorrt, "library", lambda: trt)
    monkeypatch.setattr(tensorrt, "find_gpu", lambda: GPU)
    monkeypatch.setattr(tensorrt, "no_library", lambda: None)
    monkeypatch.setattr(tensorrt, "Cuda", lambda: Cuda(driver))

    def plan_for_frame(spec, request, outer):
        requests.append(request)
        graph = live_graph(spec.weights, spec, request.form)
        tensors = tuple(
            PlanTensor(
                name=value.name,
                is_input=value.name != "restored",
                dtype="uint8" if value.type.tensor_type.elem_type == 2 else "float",
                shape=tuple(d.dim_value or -1 for d in value.type.tensor_type.shape.dim),
                sizes=None,
            )
            for value in (*graph.graph.input, *graph.graph.output)
        )
        record = msgspec.structs.replace(
            EMPTY, tensors=tensors, plan_sha256=f"{request.form} {request.planes}"
        )
        path = tmp_path / f"{len(requests)}.plan"
        return BuiltPlan(graph.SerializeToString(), path, record, True, None)

    monkeypatch.setattr(plan_choice, "plan_for_frame", plan_for_frame)
    return module


EMPTY = PlanRecord(
    identity=None, tensors=(), plan_sha256="", plan_bytes=0, built_utc="", build_s=0.0
)  # fmt: skip


def noisy(shape, dtype=np.uint16, seed=0):
    rng = np.random.default_rng(seed)
    light = 20 + 15 * np.sin(np.arange(shape[1]) / 9 + seed)
    return (rng.poisson(light, shape) / 0.5 + 100).astype(dtype)


def restored(spec, pixels, camera=CAMERA):
    header = FrameHeader(
        run_id="r", number=0, shape=pixels.shape, dtype=pixels.dtype.name, captured_ns=0,
        captured_utc="", camera="c",
    )  # fmt: skip
    runtime = OpenVinoRuntime(spec, threads=2)
    try:
        return restore(Frame(pixels.copy(), header), spec, runtime.infer, camera).pixels
    finally:
        runtime.close()


def test_a_frame_goes_through_as_restore_takes_it(spec, host, driver):
    runtime = TensorRtRuntime(spec)
    pixels = noisy((37, 51))
    got = runtime.restore_pixels(pixels, CAMERA)
    assert got.dtype == np.uint16
    assert np.abs(got.astype(int) - restored(spec, pixels)).max() <= 1
    assert runtime.description == "TensorRT-RTX 1.7.1 NVIDIA Test f32 CUDA graph"
    assert driver.launches == 1
    runtime.close()
    runtime.close()
    assert driver.clean()


@pytest.mark.parametrize("captured", [True, False])
def test_frames_that_overlap_keep_their_pixels(spec, host, driver, captured):
    driver.refuse_capture = not captured
    runtime = TensorRtRuntime(spec)
    frames = [noisy((40, 48), seed=k) for k in range(7)]
    waiting, got = deque(), []
    for pixels in frames:
        if len(waiting) == 3:
            got.append(runtime.collect(waiting.popleft()))
        waiting.append(runtime.submit(pixels, CAMERA))
    with pytest.raises(Failure, match="under way"):
        runtime.submit(frames[0], CAMERA)
    got += [runtime.collect(ticket) for ticket in waiting]
    for pixels, result in zip(frames, got, strict=True):
        assert np.abs(result.astype(int) - restored(spec, pixels)).max() <= 1
    assert ("CUDA graph" in runtime.description) == captured
    runtime.close()
    assert driver.clean()


def test_a_new_camera_does_not_touch_frames_under_way(spec, host):
    runtime = TensorRtRuntime(spec)
    other = CameraModel(105.0, 0.25, 3.0)
    pixels = noisy((32, 32))
    first, second = runtime.submit(pixels, CAMERA), runtime.submit(pixels, other)
    for ticket, camera in ((second, other), (first, CAMERA)):
        got = runtime.collect(ticket).astype(int)
        assert np.abs(got - restored(spec, pixels, camera)).max() <= 1
    runtime.close()


def test_sizes_and_types_change_and_old_memory_is_freed(spec, host, driver):
    runtime = TensorRtRuntime(spec)
    runtime.restore_pixels(noisy((64, 64)), CAMERA)
    for shape in [(16, 16), (24, 40), (32, 32), (40, 16), (48, 48)]:
        pixels = noisy(shape)
        got = runtime.restore_pixels(pixels, CAMERA).astype(int)
        assert np.abs(got - restored(spec, pixels)).max() <= 1
    # Three sizes are held, with 9 streams and 27 events; more would pile up for ever.
    assert len(driver.streams) == 9
    small = runtime.restore_pixels(noisy((16, 16), np.uint8), CAMERA)
    assert small.dtype == np.uint8
    runtime.close()
    assert driver.clean()


def test_batches_go_through_the_slots_in_order(spec, host):
    runtime = TensorRtRuntime(spec)
    batch = np.random.default_rng(0).normal(9, 1, (5, 1, 32, 40)).astype(np.float32)
    got = runtime.infer(batch).copy()
    other = OpenVinoRuntime(spec, threads=2)
    np.testing.assert_allclose(got, other.infer(batch), atol=1e-4)
    other.close()
    runtime.close()


def test_half_precision_is_asked_for(spec, host, requests):
    runtime = TensorRtRuntime(spec, precision="f16")
    runtime.warm_up((32, 32), "uint16")
    assert [request.form.precision for request in requests] == ["fp16"]
    assert requests[0].target == "default"
    runtime.close()


def test_a_full_gpu_is_said_in_words_and_leaves_nothing_behind(spec, host, driver):
    driver.left = 300_000
    runtime = TensorRtRuntime(spec)
    with pytest.raises(Failure, match="memory"):
        runtime.restore_pixels(noisy((256, 256)), CAMERA)
    assert not driver.blocks
    driver.left = 1 << 30
    runtime.restore_pixels(noisy((256, 256)), CAMERA)
    runtime.close()
    assert driver.clean()


def test_a_frame_that_cannot_be_launched_gives_its_slot_back(spec, host, monkeypatch):
    runtime = TensorRtRuntime(spec)
    pixels = noisy((32, 32))
    runtime.restore_pixels(pixels, CAMERA)

    def fails(slots, slot):
        raise Failure("no launch")

    with monkeypatch.context() as patch:
        patch.setattr(tensorrt.PlanSlots, "launch", fails)
        for _ in range(4):
            with pytest.raises(Failure, match="no launch"):
                runtime.submit(pixels, CAMERA)
    got = runtime.restore_pixels(pixels, CAMERA).astype(int)
    assert np.abs(got - restored(spec, pixels)).max() <= 1
    runtime.close()


def test_a_plan_that_the_library_refuses(spec, host, monkeypatch):
    good = plan_choice.plan_for_frame

    def bad(*asked):
        made = good(*asked)
        return BuiltPlan(b"bad", made.path, made.record, True, None)

    monkeypatch.setattr(plan_choice, "plan_for_frame", bad)
    runtime = TensorRtRuntime(spec)
    with pytest.raises(Failure, match="refuses its plan"):
        runtime.restore_pixels(noisy((32, 32)), CAMERA)
    runtime.close()


def test_a_plan_of_other_inputs_is_not_run(spec, host, monkeypatch):
    good = plan_choice.plan_for_frame

    def other(*asked):
        made = good(*asked)
        model = onnx.load_from_string(made.data)
        model.graph.input[0].type.tensor_type.elem_type = 1
        return BuiltPlan(model.SerializeToString(), made.path, made.record, True, None)

    monkeypatch.setattr(plan_choice, "plan_for_frame", other)
    runtime = TensorRtRuntime(spec)
    with pytest.raises(Failure, match="build it anew"):
        runtime.restore_pixels(noisy((32, 32)), CAMERA)
    runtime.close()


def test_kernels_are_kept_for_the_next_start_and_refused_when_damaged(spec, host, tmp_path):
    def start():
        runtime = TensorRtRuntime(spec)
        runtime.warm_up((32, 32), "uint16")
        runtime.close()
        return host.configs[-1]

    assert start().cache.taken == b""
    (kept,) = tmp_path.glob("*.kernels")
    kept.rename(tmp_path / "2.sm89.kernels")
    assert start().cache.taken == b"kernels"
    (tmp_path / "3.sm89.kernels").write_bytes(kept.name.encode() * 9)
    (tmp_path / "3.sm89.kernels").chmod(0o600)
    assert start().cache.taken == b""
    assert host.configs[-1].dynamic_shapes_kernel_specialization_strategy == "eager"


def test_why_tensorrt_does_not_serve(spec, host, monkeypatch):
    assert is_incompatible(spec) is False
    assert "no ONNX" in is_incompatible(BUILT_IN["mean5"])
    hopper = Gpu("NVIDIA H100", (9, 0), 80 << 30, (13, 0), 581)
    monkeypatch.setattr(tensorrt, "find_gpu", lambda: hopper)
    assert "does not serve the NVIDIA H100 (sm90)" in is_incompatible(spec)
    monkeypatch.setattr(tensorrt, "find_gpu", lambda: GPU)
    monkeypatch.setattr(tensorrt, "no_library", lambda: "TensorRT is not installed; pip install x")
    assert "not installed" in is_incompatible(spec)
    monkeypatch.setattr(tensorrt, "find_gpu", lambda: "no NVIDIA driver is installed")
    assert is_incompatible(spec) == "no NVIDIA driver is installed"


def test_an_old_driver_is_named():
    class Old:
        pass

    with pytest.raises(Failure, match="no cuInit; update the driver"):
        Cuda(Old())
