"""What only a GPU can show. Everything here is skipped without one."""

from collections import deque

import numpy as np
import pytest

from liverestore.camera_model import CameraModel
from liverestore.model_spec import list_engines
from liverestore.runtime import tensorrt, torch_cuda
from liverestore.runtime.cuda_driver import Cuda
from liverestore.runtime.gpu import Gpu, find_gpu

FOUND = find_gpu()
pytestmark = pytest.mark.skipif(not isinstance(FOUND, Gpu), reason=str(FOUND))

CAMERA = CameraModel(100.0, 0.5, 1.5)
SPECS = [spec for spec in list_engines() if spec.weights is not None and not spec.refocuses]
BACKENDS = [(torch_cuda, "TorchRuntime"), (tensorrt, "TensorRtRuntime")]


def noisy(shape, dtype=np.uint16, seed=0):
    rng = np.random.default_rng(seed)
    light = 20 + 15 * np.sin(np.arange(shape[1]) / 9 + seed)
    return (rng.poisson(light, shape) / 0.5 + 100).astype(dtype)


@pytest.fixture(params=BACKENDS, ids=lambda backend: backend[1])
def make(request, tmp_path, monkeypatch):
    module, name = request.param
    monkeypatch.setenv("LIVERESTORE_HOME", str(tmp_path))
    reason = module.is_incompatible(SPECS[0])
    if reason:
        pytest.skip(reason)
    return getattr(module, name)


@pytest.fixture(params=SPECS, ids=lambda spec: spec.name)
def spec(request):
    return request.param


@pytest.fixture
def reference(spec):
    pytest.importorskip("torch")
    runtime = torch_cuda.TorchRuntime(spec, device="cpu")
    yield runtime
    runtime.close()


def test_memory_streams_events_and_graphs_of_the_driver():
    cuda = Cuda()
    streams, events = [cuda.stream() for _ in range(2)], [cuda.event()]
    source, back, device = cuda.pinned(4096), cuda.pinned(4096), cuda.allocate(4096)
    source.bytes[...] = np.random.default_rng(0).integers(0, 256, 4096, np.uint8)
    cuda.copy_in(device, source, streams[0])
    cuda.record(events[0], streams[0])
    cuda.wait(streams[1], events[0])
    cuda.copy_out(back, device, streams[1])
    cuda.record(events[0], streams[1])
    cuda.wait_here(events[0])
    np.testing.assert_array_equal(back.bytes, source.bytes)
    graph = cuda.capture(streams[0], lambda: cuda.copy_in(device, source, streams[0]))
    source.bytes[...] = 7
    cuda.launch(graph, streams[0])
    cuda.copy_out(back, device, streams[0])
    cuda.finish(streams[0])
    assert (back.bytes == 7).all()
    cuda.copy_now(device, np.full(1024, 2.5, np.float32))
    cuda.copy_out(back, device, streams[0])
    cuda.synchronise()
    assert (back.bytes.view(np.float32) == 2.5).all()
    cuda.free_handles(streams, events, [graph])
    for buffer in (source, back, device):
        buffer.free()
    cuda.release()


@pytest.mark.parametrize("shape", [(64, 64), (301, 517), (1024, 1024)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_single_precision_is_within_a_count_of_the_processor(make, spec, reference, shape, dtype):
    pixels = noisy(shape, dtype)
    runtime = make(spec)
    got = runtime.restore_pixels(pixels, CAMERA).astype(int)
    assert np.abs(got - reference.restore_pixels(pixels, CAMERA)).max() <= 1
    assert "CUDA graph" in runtime.description
    runtime.close()


def test_half_precision_is_within_the_noise(make, spec, reference):
    pixels = noisy((256, 256), np.float32)
    runtime = make(spec, precision="f16")
    got = runtime.restore_pixels(pixels, CAMERA)
    expected = reference.restore_pixels(pixels, CAMERA)
    noise = np.sqrt(np.maximum((expected - 100) * 0.5, 1)) / 0.5
    error = (got - expected) / noise
    assert np.abs(error).max() < 0.1
    assert 0 < np.sqrt(np.mean(error**2)) < 0.02
    runtime.close()


def test_frames_that_overlap_keep_their_pixels(make, spec, reference):
    runtime = make(spec)
    frames = [noisy((256, 320), seed=k) for k in range(12)]
    waiting, got = deque(), []
    for pixels in frames:
        if len(waiting) == 3:
            got.append(runtime.collect(waiting.popleft()))
        waiting.append(runtime.submit(pixels, CAMERA))
    got += [runtime.collect(ticket) for ticket in waiting]
    for pixels, result in zip(frames, got, strict=True):
        expected = reference.restore_pixels(pixels, CAMERA)
        assert np.abs(result.astype(int) - expected).max() <= 1
    runtime.close()


def test_size_type_and_camera_change_while_live(make, spec, reference):
    runtime = make(spec)
    other = CameraModel(105.0, 0.25, 3.0)
    for shape, dtype, camera in [
        ((128, 128), np.uint16, CAMERA),
        ((72, 200), np.uint16, other),
        ((128, 128), np.uint8, CAMERA),
        ((128, 128), np.uint16, other),
        ((33, 47), np.float32, CAMERA),
        ((128, 128), np.uint16, CAMERA),
    ]:
        pixels = noisy(shape, dtype)
        got = runtime.restore_pixels(pixels, camera).astype(float)
        expected = reference.restore_pixels(pixels, camera)
        assert np.abs(got - expected).max() <= 1
    runtime.close()


def test_batches_of_stabilised_pictures(make, spec, reference):
    runtime = make(spec)
    batch = np.random.default_rng(0).normal(9, 1, (5, 1, 128, 160)).astype(np.float32)
    got = runtime.infer(batch).copy()
    np.testing.assert_allclose(got, reference.infer(batch), atol=2e-3)
    runtime.close()
    runtime.close()
