"""TensorRT plans, built for real; that takes no GPU. Running them does, and is not tested here."""

import hashlib
import multiprocessing
import os
import sys
import threading
import time
import warnings
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from typer.testing import CliRunner

from liverestore.errors import Failure, UserError
from liverestore.model_spec import BUILT_IN, ModelSpec, list_engines
from liverestore.runtime import build as build_module
from liverestore.runtime import tensorrt_library
from liverestore.runtime.build import PlanRequest, Sizes, identity_of, plan_for
from liverestore.runtime.gpu import Gpu, find_gpu
from liverestore.runtime.graph_form import GraphForm
from liverestore.runtime.plan_cache import PlanRecord, find_plan, plan_folder, plan_lock
from liverestore.runtime.plan_choice import plan_for_frame
from liverestore.runtime.tensorrt_library import extra_for, library, no_library

SHIPPED = [spec for spec in list_engines() if spec.weights is not None]
HALF = GraphForm(precision="fp16")

pytestmark = pytest.mark.skipif(
    no_library() is not None and not os.environ.get("LIVERESTORE_REQUIRE_TENSORRT"),
    reason=no_library() or "",
)
posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has other permissions")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("LIVERESTORE_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def spec(home):
    """An engine of one small convolution, which builds in a moment."""
    file = home / "weights.onnx"
    file.write_bytes(network_of("Relu"))
    return ModelSpec("small", "denoise", "1", "", weights=file, divisor=8)


def network_of(operator):
    """ONNX bytes: a convolution, `operator`, and the sum of both."""
    onnx = pytest.importorskip("onnx")
    helper = onnx.helper
    kinds = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", 1, "y", "x"])
        for name in ("z", "out")
    ]
    kernel = np.random.default_rng(0).normal(size=(1, 1, 3, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["z", "kernel"], ["a"], pads=[1] * 4),
        helper.make_node(operator, ["a"], ["b"]),
        helper.make_node("Add", ["a", "b"], ["out"]),
    ]
    weights = [onnx.numpy_helper.from_array(kernel, "kernel")]
    graph = helper.make_graph(nodes, "small", kinds[:1], kinds[1:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    return model.SerializeToString()


def test_the_library_is_there():
    assert no_library() is None
    assert library().builds_ahead


@pytest.mark.parametrize("target", ["default", "sm75"])
@pytest.mark.parametrize("engine", SHIPPED, ids=lambda spec: spec.name)
def test_every_shipped_engine_builds_and_is_kept(engine, target):
    request = PlanRequest(HALF, target)
    first = plan_for(engine, request)
    assert not first.from_cache
    record = first.record
    assert record.plan_bytes == len(first.data) > 10_000
    assert record.plan_sha256 == hashlib.sha256(first.data).hexdigest()
    assert first.path.read_bytes() == first.data

    tensors = {tensor.name: tensor for tensor in record.tensors}
    expected = {"raw", "camera", "inverse", "restored"} | ({"waves"} if engine.refocuses else set())
    assert set(tensors) == expected
    step = engine.divisor
    assert tensors["raw"].dtype == tensors["restored"].dtype == "uint8"
    assert tensors["raw"].shape == (1, -1, -1, 2)
    assert tensors["raw"].sizes == ((1, step, step, 2), (1, 1024, 1024, 2), (1, 4096, 4096, 2))
    assert tensors["restored"].shape[1:] == (-1, -1, 2)
    assert not tensors["restored"].is_input
    assert (tensors["camera"].dtype, tensors["camera"].shape) == ("float", (5,))
    assert (tensors["inverse"].dtype, tensors["inverse"].shape) == ("float", (32769,))

    second = plan_for(engine, request)
    assert second.from_cache
    assert second.refused is None
    assert second.data == first.data


def test_targets_differ(spec):
    plans = {target: plan_for(spec, PlanRequest(HALF, target)) for target in ("default", "sm75")}
    assert plans["default"].path != plans["sm75"].path
    assert plans["default"].data != plans["sm75"].data


def paper_network(kind):
    torch = pytest.importorskip("torch", reason="the papers' networks take the train extra")
    from liverestore.training.cross_modality_networks import CrossModalityGenerator
    from liverestore.training.deepz_networks import DeepZGenerator
    from liverestore.training.n2v2_unet import N2V2UNet
    from liverestore.training.noise2noise_unet import Noise2NoiseUNet

    torch.manual_seed(0)
    made = {
        "n2n": lambda: Noise2NoiseUNet(),
        "n2v2": lambda: N2V2UNet(),
        "deepz": lambda: DeepZGenerator(0.125),
        "cross": lambda: CrossModalityGenerator(0.125),
    }[kind]()
    return torch, made.eval()


def exported(kind, folder):
    torch, network = paper_network(kind)
    channels = 2 if kind == "deepz" else 1
    axes = {0: "batch", 2: "y", 3: "x"}
    step = 64
    file = folder / f"{kind}.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (torch.zeros(1, channels, step, step),),
            str(file),
            dynamo=False,
            opset_version=17,
            input_names=["z"],
            output_names=["out"],
            dynamic_axes={"z": axes, "out": axes},
        )
    task = "refocus" if kind == "deepz" else "denoise"
    return ModelSpec(kind, task, "1", "", weights=file, divisor=step, reach_um=10.0)


@pytest.mark.parametrize("kind", ["n2n", "n2v2", "deepz", "cross"])
def test_the_networks_of_the_papers_build(kind, tmp_path):
    spec = exported(kind, tmp_path)
    for target in ("default", "sm75"):
        plan = plan_for(spec, PlanRequest(HALF, target, planes=4 if spec.refocuses else 1))
        tensors = {tensor.name: tensor for tensor in plan.record.tensors}
        assert ("waves" in tensors) == spec.refocuses
        if spec.refocuses:
            assert tensors["waves"].shape == (-1, 1, -1, -1)
            assert tensors["waves"].sizes[2] == (4, 1, 4096, 4096)
            assert tensors["restored"].shape == (-1, -1, -1, 2)


@pytest.mark.parametrize("pixels", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize(("precision", "maps"), [("fp32", True), ("fp16", False)])
def test_every_form_builds(spec, pixels, precision, maps):
    plan = plan_for(spec, PlanRequest(GraphForm(pixels, precision, maps)))
    tensors = {tensor.name: tensor for tensor in plan.record.tensors}
    last = 2 if pixels == "uint16" else 1
    kind = "float" if pixels == "float32" else "uint8"
    assert (tensors["raw"].dtype, tensors["raw"].shape[-1]) == (kind, last)
    assert (tensors["restored"].dtype, tensors["restored"].shape[-1]) == (kind, last)
    assert ("offset_map" in tensors) == ("scale_map" in tensors) == maps


def spoilt(spec, spoil):
    """Build, let `spoil` act on the plan's path, ask again."""
    first = plan_for(spec, PlanRequest(HALF))
    spoil(first.path)
    return first, plan_for(spec, PlanRequest(HALF))


def test_a_truncated_plan_is_refused_and_built_anew(spec):
    first, again = spoilt(spec, lambda path: path.write_bytes(path.read_bytes()[:-1]))
    assert "cut short" in again.refused
    assert not again.from_cache
    assert again.path.read_bytes() == again.data
    assert len(again.data) == pytest.approx(len(first.data), rel=0.01)
    assert plan_for(spec, PlanRequest(HALF)).from_cache


def test_a_plan_whose_bytes_changed_is_refused(spec):
    def flip(path):
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)

    assert "changed" in spoilt(spec, flip)[1].refused


@pytest.mark.parametrize(
    ("text", "says"), [(None, "missing"), (b"{", "damaged"), (b'{"plan_sha256": "x"}', "damaged")]
)
def test_a_plan_without_its_record_is_refused(spec, text, says):
    def spoil(path):
        record = path.with_suffix(".json")
        record.unlink()
        if text is not None:
            record.write_bytes(text)

    assert says in spoilt(spec, spoil)[1].refused


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"model_sha256": "0" * 64}, "model sha256 0000000000000000 instead"),
        ({"library_version": "1.6.0"}, "library version 1.6.0 instead of 1."),
        ({"target": "sm75"}, "target sm75 instead of default"),
        ({"graph_version": 0}, "graph version 0 instead"),
        ({"engine": "other"}, "engine other instead of small"),
    ],
)
def test_a_plan_of_something_else_is_refused(spec, changes, says):
    def pretend(path):
        file = path.with_suffix(".json")
        record = msgspec.json.decode(file.read_bytes(), type=PlanRecord)
        other = msgspec.structs.replace(record.identity, **changes)
        file.write_bytes(msgspec.json.encode(msgspec.structs.replace(record, identity=other)))

    assert says in spoilt(spec, pretend)[1].refused


def test_other_weights_have_another_plan(spec, tmp_path):
    changed = tmp_path / "changed.onnx"
    changed.write_bytes(spec.weights.read_bytes() + b"\x00")
    trt, request = library(), PlanRequest(HALF)
    other = replace(spec, weights=changed)
    assert identity_of(other, request, trt).key() != identity_of(spec, request, trt).key()


@posix
def test_a_folder_that_others_can_write_to_is_refused(spec):
    folder = plan_folder()
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o770)
    with pytest.raises(Failure, match="can be written to by other users"):
        plan_for(spec, PlanRequest(HALF))


@posix
def test_a_folder_of_someone_else_is_refused(spec, monkeypatch):
    plan_folder()
    monkeypatch.setattr(os, "geteuid", lambda: 4242424)
    with pytest.raises(Failure, match="belongs to another user"):
        plan_for(spec, PlanRequest(HALF))


@posix
def test_a_link_is_no_folder_and_no_plan(spec, tmp_path):
    def link(path):
        path.rename(tmp_path / "p")
        path.symlink_to(tmp_path / "p")

    again = spoilt(spec, link)[1]
    assert "cannot be read" in again.refused
    assert not again.path.is_symlink()
    folder = plan_folder()
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Failure, match="no folder"):
        plan_folder()


@posix
def test_a_plan_that_others_can_write_is_refused(spec):
    assert "other users" in spoilt(spec, lambda path: path.chmod(0o666))[1].refused


def test_nothing_is_left_behind_but_the_plan_its_record_and_its_lock(spec):
    plan = plan_for(spec, PlanRequest(HALF))
    names = {file.name for file in plan.path.parent.iterdir()}
    assert names == {plan.path.with_suffix(end).name for end in (".plan", ".json", ".lock")}


def test_plans_unused_for_long_go_when_another_is_built(spec):
    request = PlanRequest(HALF, sizes=Sizes((64, 64), (64, 64), (64, 64)))
    stale, used = plan_for(spec, PlanRequest(HALF)), plan_for(spec, request)
    long_ago = time.time() - 91 * 86_400
    for built in (stale, used):
        os.utime(built.path, (long_ago, long_ago))
    assert plan_for(spec, request).from_cache  # used now, however old it is

    said = []
    single = PlanRequest(GraphForm(precision="fp32"))
    plan_for(spec, single, progress=lambda text, _share: said.append(text))

    assert not stale.path.exists()
    assert not stale.path.with_suffix(".json").exists()
    assert used.path.exists()
    assert any("unused for 90 days" in line for line in said)


def test_a_build_can_be_ended(spec):
    stop = threading.Event()

    def progress(text, share):
        if share is not None:
            stop.set()

    with pytest.raises(Failure, match="was ended"):
        plan_for(spec, PlanRequest(HALF), progress=progress, stop=stop)
    assert not list(plan_folder().glob("*.plan"))
    assert not plan_for(spec, PlanRequest(HALF)).from_cache


def test_progress_rises_to_its_end(spec):
    shares = []
    plan_for(spec, PlanRequest(HALF), progress=lambda text, share: shares.append(share))
    numbers = [share for share in shares if share is not None]
    assert numbers == sorted(numbers)
    assert numbers[-1] > 0.5


def _hold(identity, folder, held, free):
    with plan_lock(identity, folder):
        held.set()
        free.wait(30)


def test_two_processes_do_not_build_the_same_at_once(spec, home):
    identity = identity_of(spec, PlanRequest(HALF), library())
    context = multiprocessing.get_context("spawn")
    held, free = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(identity, plan_folder(), held, free))
    other.start()
    try:
        assert held.wait(30)
        told = []

        def progress(text, share):
            told.append(text)
            free.set()

        plan = plan_for(spec, PlanRequest(HALF), progress=progress)
        assert "waiting" in told[0]
        assert not plan.from_cache
    finally:
        free.set()
        other.join(30)


def test_a_network_that_tensorrt_cannot_read_fails_in_one_line(tmp_path):
    # No compiler has an operator for a determinant.
    (tmp_path / "odd.onnx").write_bytes(network_of("Det"))
    spec = ModelSpec("odd", "denoise", "1", "", weights=tmp_path / "odd.onnx")
    with pytest.raises(Failure, match="TensorRT-RTX cannot read its graph") as error:
        plan_for(spec, PlanRequest(GraphForm()))
    assert "\n" not in str(error.value)


def test_what_cannot_be_built_is_refused_with_the_reason(spec):
    with pytest.raises(UserError, match="no network"):
        plan_for(BUILT_IN["mean5"], PlanRequest())
    with pytest.raises(UserError, match="planes"):
        plan_for(spec, PlanRequest(planes=3))
    with pytest.raises(UserError, match="usual"):
        plan_for(spec, PlanRequest(sizes=Sizes(usual=(8192, 64))))


def gpu(major, minor, driver=581):
    return Gpu("NVIDIA Test", (major, minor), 8 << 30, (13, 0), driver)


@pytest.mark.parametrize(
    ("capability", "target"),
    [((7, 5), "sm75"), ((8, 6), "default"), ((8, 9), "default"), ((12, 0), "default"),
     ((9, 0), None), ((10, 0), None), ((7, 0), None)],
)  # fmt: skip
def test_which_target_serves_a_gpu(capability, target):
    assert library().target_for(gpu(*capability)) == target


def test_a_gpu_that_the_library_refuses(spec, monkeypatch):
    monkeypatch.setattr(build_module, "find_gpu", lambda: gpu(9, 0))
    with pytest.raises(UserError, match=r"does not serve the NVIDIA Test \(sm90\)"):
        plan_for(spec, PlanRequest(HALF, "this"))
    monkeypatch.setattr(build_module, "find_gpu", lambda: "no NVIDIA driver is installed")
    with pytest.raises(UserError, match="no NVIDIA driver"):
        plan_for(spec, PlanRequest(HALF, "this"))


def test_the_extra_fits_the_driver():
    assert extra_for(gpu(8, 9, 581)) == "tensorrt-cu13"
    assert extra_for(gpu(8, 9, 570)) == "tensorrt-cu12"
    assert extra_for(None) == "tensorrt-cu13"


def test_a_gpu_or_the_reason_why_not():
    found = find_gpu()
    assert isinstance(found, Gpu) or "NVIDIA" in found


class TestCommand:
    def invoke(self, *arguments):
        from liverestore.cli.commands import app

        return CliRunner().invoke(app, ["build", *arguments], env={"COLUMNS": "200"})

    def test_it_says_what_it_built_and_where(self):
        first = self.invoke("denoise-live", "--target", "sm75", "--size", "512x640")
        assert first.exit_code == 0, first.output
        for word in ("built in", "MB", "Turing", "512x640", "TensorRT-RTX", ".plan"):
            assert word in first.stdout
        again = self.invoke("denoise-live", "--target", "sm75", "--size", "512x640")
        assert "was there already" in again.stdout

    def test_json(self):
        result = self.invoke("denoise-live", "--target", "default", "--json")
        answer = msgspec.json.decode(result.stdout)
        assert answer["engine"] == "denoise-live"
        assert answer["target"] == "default"
        assert answer["size_bytes"] > 10_000
        assert not answer["from_cache"]

    @pytest.mark.parametrize("size", ["512", "0x5", "axb", "5x5x5"])
    def test_a_size_that_is_none(self, size):
        result = self.invoke("denoise-live", "--size", size)
        assert isinstance(result.exception, UserError)
        assert size in str(result.exception)

    @pytest.mark.parametrize("size", ["5000x5000", "64x5000"])
    def test_a_size_above_the_largest_names_both_options(self, size):
        result = self.invoke("denoise-live", "--size", size)
        assert isinstance(result.exception, UserError)
        assert f"--size: got {size}, but --largest is 4096x4096" in str(result.exception)

    def test_without_the_extra_one_line_says_what_to_install(self, monkeypatch):
        monkeypatch.setattr(tensorrt_library, "_MODULES", ("no_such_module",))
        tensorrt_library._load.cache_clear()
        try:
            result = self.invoke("denoise-live")
        finally:
            tensorrt_library._load.cache_clear()
            monkeypatch.undo()
        assert isinstance(result.exception, UserError)
        assert "pip install 'liverestore[tensorrt-cu1" in str(result.exception)


def test_a_waiting_build_can_be_ended(spec):
    identity = identity_of(spec, PlanRequest(HALF), library())
    stop = threading.Event()
    stop.set()
    with plan_lock(identity, plan_folder()), pytest.raises(Failure, match="waiting"):
        plan_for(spec, PlanRequest(HALF), stop=stop)


def test_no_plan_is_no_refusal(spec):
    assert find_plan(identity_of(spec, PlanRequest(HALF), library()), plan_folder()) is None


def test_a_frame_gets_the_plan_that_was_built_for_its_size(spec):
    small, large = Sizes(usual=(128, 128)), Sizes(usual=(2048, 2048))
    built = {size: plan_for(spec, PlanRequest(HALF, sizes=size)) for size in (small, large)}
    request = PlanRequest(HALF)
    assert plan_for_frame(spec, request, (200, 96)).path == built[small].path
    assert plan_for_frame(spec, request, (1800, 2304)).path == built[large].path
    # Another precision is another plan, whatever was built for the size.
    whole = plan_for_frame(spec, PlanRequest(GraphForm()), (200, 96))
    assert not whole.from_cache
    assert whole.record.identity.sizes[1] == (1024, 1024)


def test_a_frame_too_large_for_any_gets_a_plan_of_its_own(spec):
    plan_for(spec, PlanRequest(HALF))
    plan = plan_for_frame(spec, PlanRequest(HALF), (8, 8192))
    assert plan.record.identity.sizes[2] == (4096, 8192)
    assert plan_for_frame(spec, PlanRequest(HALF), (8, 8192)).from_cache


def test_a_damaged_plan_for_a_size_is_passed_over(spec):
    near = plan_for(spec, PlanRequest(HALF, sizes=Sizes(usual=(128, 128))))
    near.path.write_bytes(b"short")
    usual = plan_for(spec, PlanRequest(HALF))
    assert plan_for_frame(spec, PlanRequest(HALF), (128, 128)).path == usual.path
    near.path.with_suffix(".json").write_text("{")
    assert plan_for_frame(spec, PlanRequest(HALF), (128, 128)).path == usual.path
