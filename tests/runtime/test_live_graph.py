"""The live graph against NumPy: the same counts from a camera's bytes to bytes."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from liverestore.camera_maps import CameraMaps
from liverestore.camera_model import CameraModel
from liverestore.errors import Failure
from liverestore.frame import Frame, FrameHeader
from liverestore.model_spec import ModelSpec, list_engines
from liverestore.normalise import Padding
from liverestore.restore import restore
from liverestore.runtime.graph import GraphForm, live_graph
from liverestore.runtime.graph_feed import (
    camera_inputs,
    frame_bytes,
    map_inputs,
    pixels_of,
    put_frame,
)
from liverestore.runtime.half_precision import with_half_middle
from liverestore.runtime.openvino import shared_core

NETWORKS = [spec for spec in list_engines() if spec.weights is not None]
DENOISERS = [spec for spec in NETWORKS if not spec.refocuses]
CAMERA = CameraModel(100.0, 0.5, 1.5)
names = pytest.mark.parametrize("spec", DENOISERS, ids=lambda spec: spec.name)


def small_network(channels=1, *, gain=1.0):
    """A 3x3 convolution that adds a little of the neighbours, with a skip, as onnx bytes."""
    kernel = np.full((1, channels, 3, 3), 0.01, np.float32)
    kernel[0, 0, 1, 1] = gain - 1
    nodes = [
        helper.make_node("Conv", ["z", "kernel"], ["first"], pads=[1] * 4),
        helper.make_node("LeakyRelu", ["first"], ["bent"], alpha=0.1),
        helper.make_node("Conv", ["bent", "one"], ["change"]),
        helper.make_node("Slice", ["z", "zero", "1", "1"], ["picture"]),
        helper.make_node("Add", ["picture", "change"], ["out"]),
    ]
    constants = [
        numpy_helper.from_array(kernel, "kernel"),
        numpy_helper.from_array(np.full((1, 1, 1, 1), 0.5, np.float32), "one"),
        numpy_helper.from_array(np.array([0]), "zero"),
        numpy_helper.from_array(np.array([1]), "1"),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, ["n", channels, "y", "x"])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["n", 1, "y", "x"])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    return model.SerializeToString()


def copying_network():
    """A network that changes nothing: what is left is the graph around it."""
    graph = helper.make_graph(
        [helper.make_node("Conv", ["z", "one"], ["out"])],
        "copy",
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, ["n", 1, "y", "x"])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["n", 1, "y", "x"])],
        [numpy_helper.from_array(np.ones((1, 1, 1, 1), np.float32), "one")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    return model.SerializeToString()


def spec_of(task="denoise", domain="stabilised"):
    return ModelSpec("small", task, "1", "", domain=domain, reach_um=10.0)


def frame(pixels):
    header = FrameHeader(
        run_id="r", number=0, shape=pixels.shape, dtype=pixels.dtype.name, captured_ns=0,
        captured_utc="", camera="c",
    )  # fmt: skip
    return Frame(pixels.copy(), header)


def run(model, feed):
    core = shared_core()
    compiled = core.compile_model(
        core.read_model(model.SerializeToString()),
        "CPU",
        {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 2},
    )
    return compiled(feed)[0]


def live(model, pixels, camera, outer, more=None):
    buffer = np.empty(frame_bytes(outer, pixels.dtype), np.uint8)
    put_frame(pixels, buffer, outer)
    raw = model.graph.input[0]
    last = raw.type.tensor_type.shape.dim[3].dim_value
    given = buffer.view(np.float32) if pixels.dtype == np.float32 else buffer
    feed = {"raw": given.reshape(1, *outer, last), **camera_inputs(camera), **(more or {})}
    known = {value.name for value in model.graph.input}
    out = run(model, {name: value for name, value in feed.items() if name in known})
    assert out.dtype == given.dtype
    assert out.shape[1:] == (*outer, last)
    return [pixels_of(plane.ravel().view(np.uint8), pixels.shape, outer, pixels.dtype)
            for plane in out]  # fmt: skip


def scene(bits, shape, seed=0):
    """A noisy picture over the whole range of counts, with full and with empty pixels."""
    rng = np.random.default_rng(seed)
    top = 2**bits - 1
    camera = CameraModel(0.02 * top, 1.0 if bits == 8 else 0.5, 1.5)
    ramp = np.linspace(0, 1, shape[1]) ** 3 * np.ones((shape[0], 1))
    electrons = rng.poisson(ramp * top * camera.gain_e_per_count) + rng.normal(0, 1.5, shape)
    counts = np.rint(electrons / camera.gain_e_per_count + camera.offset_counts)
    pixels = np.clip(counts, 0, top).astype(np.uint8 if bits == 8 else np.uint16)
    pixels[: shape[0] // 4, : shape[1] // 4] = top
    pixels[-shape[0] // 4 :, : shape[1] // 4] = 0
    return pixels, camera


def in_float64(weights, z):
    """The network of the file `weights` in float64 throughout, by onnx's own evaluator."""
    model = onnx.load(str(weights))

    def doubled(tensor):
        values = numpy_helper.to_array(tensor)
        if values.dtype == np.float32:
            tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float64), tensor.name))

    for tensor in model.graph.initializer:
        doubled(tensor)
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.name == "value":
                doubled(attribute.t)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = TensorProto.DOUBLE
    return ReferenceEvaluator(model).run(None, {model.graph.input[0].name: z})[0]


def expected_counts(spec, pixels, camera):
    """Restored counts in float64, not rounded."""
    padding = Padding(pixels.shape, spec.padded(pixels.shape))
    shift = 0.375 + camera.read_noise_e**2
    electrons = (pixels.astype(np.float64) - camera.offset_counts) * camera.gain_e_per_count
    z = padding.pad(2 * np.sqrt(np.maximum(electrons + shift, 0)))
    z = padding.crop(in_float64(spec.weights, z[None, None])[0, 0])
    places = np.arange(32769) / 512
    table = camera.inverse_correction().astype(np.float64)
    e = z * z / 4 - 0.125 - camera.read_noise_e**2 + np.interp(z, places, table)
    return e / camera.gain_e_per_count + camera.offset_counts, z


@names
@pytest.mark.parametrize("bits", [8, 12, 14, 16])
def test_single_precision_is_within_a_count_of_float64(spec, bits):
    pixels, camera = scene(bits, (61, 75))
    form = GraphForm("uint8" if bits == 8 else "uint16")
    (got,) = live(live_graph(spec.weights, spec, form), pixels, camera, spec.padded((61, 75)))
    expected, _ = expected_counts(spec, pixels, camera)
    top = np.iinfo(pixels.dtype).max
    assert np.abs(got - np.clip(expected, 0, top)).max() <= 1
    assert np.ptp(got) > 0.5 * np.ptp(pixels)


def root_mean_square(values):
    return np.sqrt(np.mean(np.square(values)))


@names
@pytest.mark.parametrize("bits", [8, 12, 14, 16])
def test_half_precision_is_within_the_noise(spec, bits):
    """By onnx's evaluator, which really rounds to float16 after each step.

    The noise to compare with is what the network itself leaves: a second exposure of the same
    scene, in float64. Frames of 14 and 16 bits go far beyond the light it was trained for.
    """
    pixels, camera = scene(bits, (32, 40))
    again, _ = scene(bits, (32, 40), seed=1)
    model = live_graph(spec.weights, spec, GraphForm("float32", "fp16"))
    outer = spec.padded(pixels.shape)
    padded = Padding(pixels.shape, outer).pad(pixels.astype(np.float32))
    feed = {"raw": padded[None, ..., None], **camera_inputs(camera)}
    got = ReferenceEvaluator(model).run(None, feed)[0][0, : pixels.shape[0], : pixels.shape[1], 0]
    expected, z = expected_counts(spec, pixels, camera)
    _, z_again = expected_counts(spec, again, camera)
    noise = root_mean_square(z - z_again) / np.sqrt(2)
    # On the scale where the noise of a pixel is one.
    error = (got - expected) * 2 * camera.gain_e_per_count / np.maximum(z, 1)
    # 16 bits are thirty times the brightest light that any of them was trained for.
    assert 0 < root_mean_square(error) < (0.75 if bits == 16 else 0.5) * noise
    if bits == 8:
        # In the worst pixel a tenth of the noise; the more a network sharpens, the more it adds.
        assert np.abs(error).max() < 0.1


@names
@pytest.mark.parametrize("value", [0, 65535])
def test_empty_and_saturated_frames(spec, value):
    pixels = np.full((33, 40), value, np.uint16)
    model = live_graph(spec.weights, spec, GraphForm())
    (got,) = live(model, pixels, CAMERA, spec.padded(pixels.shape))
    expected, _ = expected_counts(spec, pixels, CAMERA)
    assert np.abs(got - np.clip(expected, 0, 65535)).max() <= 1


@names
@pytest.mark.parametrize("shape", [(64, 64), (37, 51), (8, 129)])
def test_it_gives_what_restoring_gives(spec, shape):
    from liverestore.runtime.table import open_runtime

    pixels, camera = scene(12, shape)
    runtime = open_runtime(spec, threads=2)
    expected = restore(frame(pixels), spec, runtime.infer, camera).pixels
    runtime.close()
    model = live_graph(spec.weights, spec, GraphForm())
    (got,) = live(model, pixels, camera, spec.padded(shape))
    assert np.abs(got.astype(int) - expected.astype(int)).max() <= 1


@pytest.mark.parametrize("read_noise_e", [0.0, 1.5, 6.0])
def test_every_count_goes_through_unharmed(read_noise_e):
    """All 65536 counts through a network that copies: both transforms over their whole range."""
    camera = CameraModel(100.0, 0.47, read_noise_e)
    counts = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    model = live_graph(copying_network(), spec_of(), GraphForm())
    (got,) = live(model, counts, camera, (256, 256))
    expected = camera.unstabilise(camera.stabilise(counts))
    assert np.abs(got - np.clip(expected, 0, 65535)).max() <= 0.51
    model = live_graph(copying_network(), spec_of(), GraphForm("float32"))
    (exact,) = live(model, counts.astype(np.float32), camera, (256, 256))
    # The inverse is that of the mean: a quarter electron above the algebraic one.
    bright = counts > 1000
    assert (exact - counts)[bright].mean() * 0.47 == pytest.approx(0.25, abs=0.01)


def test_float_pixels_keep_their_fractions():
    pixels = np.random.default_rng(0).normal(300, 40, (20, 24)).astype(np.float32)
    model = live_graph(copying_network(), spec_of(), GraphForm("float32"))
    (got,) = live(model, pixels, CAMERA, (20, 24))
    expected = CAMERA.unstabilise(CAMERA.stabilise(pixels))
    np.testing.assert_allclose(got, expected, atol=0.02)


def test_plain_counts_are_not_transformed():
    pixels = scene(16, (16, 16))[0]
    model = live_graph(copying_network(), spec_of(domain="counts"), GraphForm())
    assert [value.name for value in model.graph.input] == ["raw"]
    (got,) = live(model, pixels, CAMERA, (16, 16))
    np.testing.assert_array_equal(got, pixels)


def test_maps_of_the_chip_are_taken_out():
    rng = np.random.default_rng(0)
    shape, outer = (21, 30), (24, 32)
    maps = CameraMaps(
        rng.normal(0, 5, shape).astype(np.float32),
        rng.uniform(0.8, 1.2, shape).astype(np.float32),
    )
    camera = CameraModel(100.0, 0.5, 1.5, maps=maps)
    pixels = rng.integers(100, 4000, shape).astype(np.uint16)
    model = live_graph(copying_network(), spec_of(), GraphForm(maps=True))
    (got,) = live(model, pixels, camera, outer, map_inputs(camera, outer))
    expected = camera.unstabilise(camera.stabilise(pixels))
    assert np.abs(got - expected).max() <= 0.51
    (plain,) = live(model, pixels, camera, outer, map_inputs(camera, outer) | {
        "offset_map": np.full((1, 1, *outer), 100, np.float32)})  # fmt: skip
    assert np.abs(plain.astype(int) - got).max() > 5
    with pytest.raises(Failure, match="maps"):
        map_inputs(CAMERA, outer)


@pytest.mark.parametrize("planes", [1, 3])
def test_a_distance_goes_in_beside_the_picture(planes):
    spec = spec_of("refocus")
    model = live_graph(small_network(2), spec, GraphForm())
    pixels = scene(12, (16, 24))[0]
    waves = np.random.default_rng(1).normal(0, 3, (planes, 1, 16, 24)).astype(np.float32)
    got = live(model, pixels, CAMERA, (16, 24), {"waves": waves})
    assert len(got) == planes
    z = CAMERA.stabilise(pixels)
    core = shared_core()
    network = core.compile_model(core.read_model(small_network(2)), "CPU",
                                 {"INFERENCE_PRECISION_HINT": "f32"})  # fmt: skip
    for picture, distance in zip(got, waves, strict=True):
        out = network(np.stack([z, distance[0]])[None])[0][0, 0]
        expected = np.clip(CAMERA.unstabilise(out), 0, 65535)
        assert np.abs(picture - expected).max() <= 1


def test_a_negative_restored_value_is_clipped_not_wrapped():
    pixels = np.full((16, 16), 5, np.uint16)
    camera = CameraModel(0.0, 10.0, 1.0)
    model = live_graph(small_network(gain=-1.0), spec_of(), GraphForm())
    (got,) = live(model, pixels, camera, (16, 16))
    assert got.max() < 40


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (13, 5), (16, 16)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_frames_are_mirrored_as_restoring_mirrors_them(shape, dtype):
    pixels = np.random.default_rng(0).integers(0, 200, shape).astype(dtype)
    buffer = np.empty(frame_bytes((16, 16), pixels.dtype), np.uint8)
    put_frame(pixels, buffer, (16, 16))
    expected = Padding(shape, (16, 16)).pad(pixels.astype(np.float32))
    np.testing.assert_array_equal(buffer.view(dtype).reshape(16, 16), expected)
    np.testing.assert_array_equal(pixels_of(buffer, shape, (16, 16), pixels.dtype), pixels)


def types_by_operator(model):
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    kinds = {t.name: t.data_type for t in inferred.graph.initializer}
    for value in (*inferred.graph.input, *inferred.graph.value_info, *inferred.graph.output):
        kinds[value.name] = value.type.tensor_type.elem_type
    return {
        (node.op_type, kinds[node.input[0]])
        for node in inferred.graph.node
        if node.op_type in ("Conv", "Add", "LeakyRelu", "Slice")
    }


def test_only_the_middle_is_half():
    model = with_half_middle(onnx.load_from_string(small_network()))
    onnx.checker.check_model(model, full_check=True)
    assert types_by_operator(model) == {
        ("Conv", TensorProto.FLOAT16),
        ("LeakyRelu", TensorProto.FLOAT16),
        ("Add", TensorProto.FLOAT),
        ("Slice", TensorProto.FLOAT),
    }
    ends = (*model.graph.input, *model.graph.output)
    assert {value.type.tensor_type.elem_type for value in ends} == {TensorProto.FLOAT}


def test_weights_that_half_precision_cannot_hold_are_refused():
    model = onnx.load_from_string(small_network())
    model.graph.initializer[1].CopyFrom(
        numpy_helper.from_array(np.full((1, 1, 1, 1), 1e6, np.float32), "one")
    )
    with pytest.raises(Failure, match="65504"):
        with_half_middle(model)


def test_a_network_of_another_kind_is_refused(tmp_path):
    with pytest.raises(Failure, match="export the engine again"):
        live_graph(small_network(2), spec_of(), GraphForm())
    (tmp_path / "weights.onnx").write_bytes(b"\x00" * 100)
    with pytest.raises(Failure, match="cannot be read"):
        live_graph(tmp_path / "weights.onnx", spec_of(), GraphForm())
    with pytest.raises(Failure, match="cannot be read"):
        live_graph(tmp_path / "missing.onnx", spec_of(), GraphForm())


@pytest.mark.parametrize("pixels", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_the_same_graph_is_made_each_time(pixels, precision):
    made = [live_graph(small_network(), spec_of(), GraphForm(pixels, precision)) for _ in range(2)]
    assert made[0].SerializeToString(deterministic=True) == made[1].SerializeToString(
        deterministic=True
    )
