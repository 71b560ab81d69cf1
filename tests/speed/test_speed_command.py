"""`liverestore bench` for speed, run for real on tiny frames, and its refusals."""

import importlib.util

import msgspec
import pytest
import typer
from typer.testing import CliRunner

from liverestore.cli import bench as command
from liverestore.errors import UserError
from liverestore.runtime import gpu as gpu_module
from liverestore.runtime.gpu import Gpu, find_gpu
from liverestore.speed import plan as planning
from liverestore.speed.gpu_plan import GpuPlan
from liverestore.speed.peers import Peer, open_peers
from liverestore.speed.plan import network_input
from liverestore.speed.race import Race
from liverestore.speed.records import SpeedAnswer

NEEDS_TORCH = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="torch is not installed"
)


@pytest.fixture
def app():
    app = typer.Typer()
    app.command()(command.bench)
    return app


def invoke(app, *arguments):
    return CliRunner().invoke(app, [*map(str, arguments)], env={"COLUMNS": "100"})


@pytest.fixture
def quick_peers(monkeypatch):
    """Compiling takes a minute; that it is asked for is enough here."""
    asked = []

    def peers(spec, batch, names):
        asked.extend(names)
        if names == ("torch.compile",):
            return [Peer("torch.compile", "f32", None, "left out here")]
        return open_peers(spec, batch, names)

    monkeypatch.setattr(planning, "open_peers", peers)
    return asked


def read(file):
    return msgspec.json.decode(file.read_bytes(), type=SpeedAnswer)


@pytest.mark.skipif(isinstance(find_gpu(), Gpu), reason="here engines run on the GPU")
def test_an_engine_is_measured_beside_its_peers(app, quick_peers, tmp_path):
    file = tmp_path / "speed.json"
    done = invoke(app, "denoise-live", "mean5", "--size", 64, "--seconds", 0.5, "--json", file)
    assert done.exit_code == 0, done.output
    answer = read(file)
    assert answer.complete
    assert quick_peers == ["onnxruntime", "torch", "torch.compile"]
    network = [row for row in answer.rows if row.engine == "denoise-live"]
    assert "f32" in {row.precision for row in network}
    for row in network:
        assert row.shape == (64, 64)
        assert row.pipeline.frames >= 3
        assert set(row.stages) == {"in", "compute", "out"}
        # Stages are of the timed frames, and lie within them.
        assert {stage.frames for stage in row.stages.values()} == {row.pipeline.frames}
        together = sum(stage.frames / stage.fps for stage in row.stages.values())
        assert 0 < together <= row.pipeline.frames / row.pipeline.fps
        (bare,) = [peer for peer in row.peers if peer.bare]
        assert (bare.name, bare.precision) == ("openvino", row.precision)
        assert bare.ratio.rounds >= 3
        assert row.floor.flop > 1e7
        assert row.floor.share_of_peak > 0
        (compiled,) = [peer for peer in row.peers if peer.name == "torch.compile"]
        assert compiled.missing == "left out here"
    (mean,) = [row for row in answer.rows if row.engine == "mean5"]
    assert mean.peers == []
    assert mean.floor is None
    assert answer.bandwidth_bytes_per_s > 0
    assert {peak.precision for peak in answer.peaks} == {row.precision for row in network}
    assert "denoise-live" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= max(100, len(str(file)) + 20)


def test_ctrl_c_keeps_what_was_measured(app, monkeypatch, tmp_path):
    step = Race.step

    def interrupted(race):
        if race.done == 2:
            raise KeyboardInterrupt
        step(race)

    monkeypatch.setattr(Race, "step", interrupted)
    file = tmp_path / "speed.json"
    done = invoke(app, "mean5", "null", "--size", 64, "--json", file)
    assert done.exit_code == 130
    answer = read(file)
    assert not answer.complete
    (row,) = answer.rows
    assert row.engine == "mean5"
    assert row.pipeline.frames >= 2
    assert "interrupted" in done.stdout


def test_an_engine_that_fails_does_not_end_the_others(app, monkeypatch):
    from liverestore.errors import Failure
    from liverestore.speed.plan import Case

    opened = Case.open

    def failing(case, tell):
        if case.spec.name == "mean5":
            raise Failure("engine 'mean5': it broke")
        opened(case, tell)

    monkeypatch.setattr(Case, "open", failing)
    done = invoke(app, "mean5", "null", "--size", 32, "--seconds", 0.1)
    assert done.exit_code == 1
    assert "it broke" in done.stdout
    assert "null" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothing-like-this"], "not installed"),
        (["--json", "no/such/folder/f.json"], "is missing; make it"),
        (["--gpu", "denoise-live"], "leave the names out"),
        (["--gpu"], "no NVIDIA driver"),
    ],
)
def test_mistakes_are_said_before_any_work(app, monkeypatch, tmp_path, arguments, said):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(gpu_module, "find_gpu", lambda: "no NVIDIA driver is installed")
    done = invoke(app, *arguments)
    assert isinstance(done.exception, UserError)
    assert said in str(done.exception)
    assert "\n" not in str(done.exception)


def test_sizes_out_of_reach_are_refused(app):
    assert invoke(app, "null", "--size", 4).exit_code == 2


@NEEDS_TORCH
def test_peers_compute_what_the_pipeline_computes(monkeypatch):
    """The bare runtimes are timed on the same network: their numbers say so."""
    import numpy as np
    import torch

    from liverestore.model_spec import find_engine
    from liverestore.runtime.openvino import OpenVinoRuntime
    from liverestore.speed.peers import _graph

    spec = find_engine("denoise-live")
    batch = network_input(spec, (60, 60))
    assert batch.shape == (1, 1, 64, 64)
    runtime = OpenVinoRuntime(spec)
    expected = runtime.infer(batch).copy()
    runtime.close()
    got = _graph(spec)(raw=torch.from_numpy(batch)).numpy()
    np.testing.assert_allclose(got, expected, atol=2e-3)


@pytest.fixture
def one_thread():
    """On a busy machine torch's threads wait for each other in every layer."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@NEEDS_TORCH
@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_the_bench_for_gpus_runs_through_on_a_processor():
    """Every step but those of CUDA itself, at a size that a processor can do."""
    said = []
    plan = GpuPlan(
        0.3,
        sizes=(32,),
        device="cpu",
        networks=("noise2noise-unet", "deepz"),
        peers=("torch",),
        edge=32,
        live_fps=30.0,
        stacks_timed=2,
        width=0.125,
    )
    plan.run(said.append)
    assert plan.left_out == []
    assert {row.engine for row in plan.rows} == {"noise2noise-unet", "deepz", "denoise-live"}
    for row in plan.rows:
        assert row.precision == "f32"  # f16 on a GPU
        assert row.overlapped.frames >= 3
        assert {"in", "compute", "out"} <= set(row.stages)
        assert [peer.name for peer in row.peers if peer.bare] == ["torch loop"]
        assert all(peer.ratio is not None for peer in row.peers)
        assert row.floor.share_of_peak > 0
    answer = plan.answer()
    assert {word.runtime for word in answer.runtimes} == {"tensorrt", "torch"}
    assert len(answer.stack_21_planes) == 1
    assert {name.split(",")[0] for name in answer.live} == {"noise2noise-unet", "denoise-live"}
    assert any("deepz 32x32" in line for line in said)
