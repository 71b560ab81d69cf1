"""Whole frames through a device's slots, here on a device that is the processor itself."""

import numpy as np
import onnx
import pytest

from liverestore.camera_maps import CameraMaps
from liverestore.camera_model import CameraModel
from liverestore.errors import Failure
from liverestore.frame import Frame, FrameHeader
from liverestore.model_spec import BUILT_IN, ModelSpec, list_engines
from liverestore.restore import restore
from liverestore.runtime.base import whole_of
from liverestore.runtime.table import open_runtime

torch = pytest.importorskip("torch", reason="torch is in the train extra")

from liverestore.runtime import torch_cuda  # noqa: E402
from liverestore.runtime.device_slots import DeviceRuntime  # noqa: E402
from liverestore.runtime.gpu import Gpu  # noqa: E402
from liverestore.runtime.half_precision import with_half_middle  # noqa: E402
from liverestore.runtime.torch_cuda import TorchRuntime, is_incompatible  # noqa: E402
from liverestore.runtime.torch_graph import TorchGraph, unsupported  # noqa: E402

CAMERA = CameraModel(100.0, 0.5, 1.5)


@pytest.fixture(scope="module")
def spec():
    return next(spec for spec in list_engines() if spec.name == "denoise-live")


@pytest.fixture
def runtime(spec):
    runtime = TorchRuntime(spec, threads=2, device="cpu")
    yield runtime
    runtime.close()


def noisy(shape, dtype=np.uint16, seed=0):
    rng = np.random.default_rng(seed)
    light = 20 + 15 * np.sin(np.arange(shape[1]) / 9)
    return (rng.poisson(light, shape) / 0.5 + 100).astype(dtype)


def frame(pixels):
    header = FrameHeader(
        run_id="r", number=0, shape=pixels.shape, dtype=pixels.dtype.name, captured_ns=0,
        captured_utc="", camera="c",
    )  # fmt: skip
    return Frame(pixels.copy(), header)


def restored(spec, pixels, camera):
    runtime = open_runtime(spec, threads=2)
    try:
        return restore(frame(pixels), spec, runtime.infer, camera).pixels
    finally:
        runtime.close()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("shape", [(64, 64), (37, 51)])
def test_whole_frames_are_restored_as_restore_does(spec, runtime, shape, dtype):
    pixels = noisy(shape, dtype)
    got = runtime.restore_pixels(pixels, CAMERA)
    assert got.dtype == pixels.dtype
    assert got.shape == shape
    expected = restored(spec, pixels, CAMERA).astype(float)
    assert np.abs(got - expected).max() <= (0.02 if dtype == np.float32 else 1)


def test_restoring_takes_the_short_way_where_there_is_one(spec, runtime):
    calls = []

    def whole(*given):
        calls.append(given)
        return whole_of(runtime)(*given)

    pixels = noisy((37, 51))
    by_network = restore(frame(pixels), spec, runtime.infer, CAMERA)
    by_device = restore(frame(pixels), spec, None, CAMERA, whole=whole)
    assert len(calls) == 1
    difference = by_device.pixels.astype(int) - by_network.pixels
    assert np.abs(difference).max() <= 1
    assert by_device.provenance.parameters == by_network.provenance.parameters
    assert whole_of(open_runtime(BUILT_IN["mean5"])) is None


def test_single_pictures_are_inferred(spec, runtime):
    batch = np.random.default_rng(0).normal(9, 1, (4, 1, 32, 40)).astype(np.float32)
    got = runtime.infer(batch).copy()
    other = open_runtime(spec, threads=2)
    np.testing.assert_allclose(got, other.infer(batch), atol=1e-4)
    other.close()
    with pytest.raises(Failure, match="multiples"):
        runtime.infer(batch[:, :, :31])


def test_half_precision_changes_a_fraction_of_the_noise(spec):
    half = TorchRuntime(spec, threads=2, precision="f16", device="cpu")
    z = np.random.default_rng(0).normal(9, 1, (1, 1, 64, 64)).astype(np.float32)
    whole = TorchRuntime(spec, threads=2, device="cpu")
    error = half.infer(z) - whole.infer(z)
    assert 0 < np.abs(error).max() < 0.05
    assert "f16" in half.description


def test_size_type_and_camera_may_change_from_frame_to_frame(spec, runtime):
    cases = [
        (noisy((64, 64)), CAMERA),
        (noisy((40, 80)), CAMERA),
        (noisy((64, 64), np.uint8), CameraModel(90.0, 1.0, 2.0)),
        (noisy((64, 64), seed=3), CameraModel(105.0, 0.4, 1.0)),
        (noisy((16, 16)), CAMERA),
        (noisy((64, 64)), CAMERA),
    ]
    for pixels, camera in cases:
        got = runtime.restore_pixels(pixels, camera).astype(int)
        assert np.abs(got - restored(spec, pixels, camera)).max() <= 1


def test_maps_of_the_chip(spec, runtime):
    rng = np.random.default_rng(1)
    maps = CameraMaps(rng.normal(0, 4, (30, 44)).astype(np.float32))
    camera = CameraModel(100.0, 0.5, 1.5, maps=maps)
    pixels = noisy((30, 44))
    got = runtime.restore_pixels(pixels, camera).astype(int)
    assert np.abs(got - restored(spec, pixels, camera)).max() <= 1
    assert np.abs(got - runtime.restore_pixels(pixels, CAMERA)).max() > 1


def test_more_frames_than_slots_are_refused_and_none_is_collected_twice(runtime):
    first = runtime.submit(noisy((32, 32)), CAMERA)
    with pytest.raises(Failure, match="under way"):
        runtime.submit(noisy((32, 32)), CAMERA)
    runtime.collect(first)
    with pytest.raises(Failure, match="before"):
        runtime.collect(first)


def test_a_frame_under_way_survives_a_change_of_size(spec, runtime):
    pixels = noisy((32, 32))
    waiting = runtime.submit(pixels, CAMERA)
    for k in range(5):
        runtime.restore_pixels(noisy((16 + 8 * k, 48)), CAMERA)
    got = runtime.collect(waiting).astype(int)
    assert np.abs(got - restored(spec, pixels, CAMERA)).max() <= 1


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "int16"])
def test_warming_up_for_any_type(runtime, dtype):
    runtime.warm_up((37, 51), dtype)


def test_closed_is_closed(runtime):
    runtime.warm_up((32, 32), "uint16")
    runtime.close()
    runtime.close()
    with pytest.raises(Failure, match="closed"):
        runtime.restore_pixels(noisy((32, 32)), CAMERA)


def refocusing_network():
    """Adds a tenth of the distance to the picture."""
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    kinds = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", channels, "y", "x"])
        for name, channels in (("z", 2), ("out", 1))
    ]
    kernel = np.array([1.0, 0.1], np.float32).reshape(1, 2, 1, 1)
    graph = helper.make_graph(
        [helper.make_node("Conv", ["z", "kernel"], ["out"])], "add", kinds[:1], kinds[1:],
        [numpy_helper.from_array(kernel, "kernel")],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    return model


def test_planes_of_one_frame(tmp_path):
    onnx.save(refocusing_network(), tmp_path / "add.onnx")
    spec = ModelSpec(
        "add", "refocus", "1", "", weights=tmp_path / "add.onnx", divisor=8, reach_um=5.0
    )
    runtime = TorchRuntime(spec, device="cpu")
    assert isinstance(runtime, DeviceRuntime)
    pixels = noisy((20, 30), np.float32)
    waves = np.stack([np.full((20, 30), w, np.float32) for w in (-2.0, 0.0, 3.0)])
    got = runtime.restore_pixels(pixels, CAMERA, waves)
    z = CAMERA.stabilise(pixels)
    for plane, distance in zip(got, waves, strict=True):
        np.testing.assert_allclose(plane, CAMERA.unstabilise(z + 0.1 * distance), atol=0.05)
    with pytest.raises(Failure, match="distances"):
        runtime.restore_pixels(pixels, CAMERA)


def test_an_operator_that_is_not_known_is_named():
    model = refocusing_network()
    model.graph.node[0].op_type = "Det"
    assert unsupported(model) == ["Det"]
    with pytest.raises(Failure, match="Det"):
        TorchGraph(model, torch.device("cpu"))


NETWORKS = [spec for spec in list_engines() if spec.weights is not None]


@pytest.mark.parametrize("engine", NETWORKS, ids=lambda spec: spec.name)
def test_every_shipped_network_runs_in_both_precisions(engine):
    model = onnx.load(str(engine.weights))
    given = np.load(engine.folder / "test_input.npy")
    expected = np.load(engine.folder / "test_output.npy")
    name = model.graph.input[0].name
    for network, bound in ((model, 1e-3), (with_half_middle(model), 0.1)):
        got = TorchGraph(network, torch.device("cpu"))(**{name: torch.from_numpy(given)}).numpy()
        assert np.abs(got - expected).max() < bound


def test_why_torch_does_not_serve(spec, monkeypatch):
    monkeypatch.setattr(torch_cuda, "find_gpu", lambda: "no NVIDIA driver is installed")
    assert is_incompatible(spec) == "no NVIDIA driver is installed"
    found = Gpu("NVIDIA Test", (9, 0), 8 << 30, (13, 0), 581)
    monkeypatch.setattr(torch_cuda, "find_gpu", lambda: found)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "cannot use a GPU" in is_incompatible(spec)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert is_incompatible(spec) is False
