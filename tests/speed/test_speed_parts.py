"""Counting, timing in turns, ratios and tables: everything of the bench that needs no clock."""

import importlib.util
import io

import msgspec
import numpy as np
import pytest
from rich.console import Console

from liverestore.cli.bench_speed_tables import show_speed
from liverestore.errors import Failure
from liverestore.model_spec import list_engines
from liverestore.speed.machine import describe, resident_bytes, versions
from liverestore.speed.peak import copy_bandwidth
from liverestore.speed.race import Contender, Race, ratio, timing
from liverestore.speed.records import (
    Floor,
    GpuAnswer,
    Machine,
    Peak,
    PeerRow,
    Ratio,
    RuntimeWord,
    SpeedAnswer,
    SpeedRow,
    Timing,
)


class SteppedClock:
    """Stands still until somebody works."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def work(self, seconds):
        self.now += seconds


def test_percentiles_are_of_single_frames():
    times = Timing.of([0.001 * k for k in range(1, 102)])
    assert times.frames == 101
    assert times.p50_ms == pytest.approx(51)
    assert times.p95_ms == pytest.approx(96)
    assert times.p99_ms == pytest.approx(100)
    assert times.fps == pytest.approx(1 / 0.051)
    assert Timing.of([]) is None


def test_a_round_gives_everyone_a_turn_and_leaves_out_its_first_frame():
    clock, order, watched = SteppedClock(), [], []

    def contender(name, seconds):
        def run():
            order.append(name)
            clock.work(seconds)

        return Contender(name, run, watch=lambda timed: watched.append((name, timed)))

    fast, slow = contender("fast", 0.05), contender("slow", 0.5)
    race = Race([fast, slow], clock)
    race.step()
    # 0.15 s a turn: three timed frames of 0.05 s, or one of 0.5 s, each after an untimed one.
    assert order == ["fast"] * 4 + ["slow"] * 2
    assert watched == [("fast", False), ("fast", True), ("slow", False), ("slow", True)]
    order.clear()
    race.step()
    assert order == ["slow"] * 2 + ["fast"] * 4
    assert [len(turn) for turn in fast.rounds] == [3, 3]
    assert race.spent_s == pytest.approx(2 * (4 * 0.05 + 2 * 0.5))


def test_slow_frames_are_all_timed_after_the_first_round():
    clock, watched = SteppedClock(), []
    slow = Contender("slow", lambda: clock.work(1.0), watch=watched.append)
    race = Race([slow], clock)
    race.step()
    race.step()
    assert race.spent_s == pytest.approx(3.0)
    assert slow.rounds == [[1.0], [1.0]]
    assert watched == [False, True, True]


def test_ratios_are_taken_within_a_round():
    ours, theirs = Contender("ours", print), Contender("theirs", print)
    # The machine becomes ten times slower half way: the ratio stays.
    ours.rounds = [[0.1, 0.1, 9.0], [0.1], [1.0]]
    theirs.rounds = [[0.2], [0.2, 0.2], [2.0], [7.0]]
    found = ratio(ours, theirs)
    assert (found.median, found.low, found.high, found.rounds) == pytest.approx((2, 2, 2, 3))
    assert ratio(ours, Contender("nobody", print)) is None
    assert timing(Contender("nobody", print)) is None


def test_an_interrupted_round_leaves_nothing():
    def interrupted():
        raise KeyboardInterrupt

    first = Contender("first", lambda: None)
    race = Race([first, Contender("second", interrupted)], SteppedClock())
    with pytest.raises(KeyboardInterrupt):
        race.step()
    assert first.rounds == []
    assert race.done == 0


def test_a_race_ends_after_its_seconds_and_not_before_three_rounds():
    clock = SteppedClock()
    race = Race([Contender("slow", lambda: clock.work(10.0))], clock)
    rounds = 0
    while not race.over(1.0):
        race.step()
        rounds += 1
    assert rounds == 3
    while not race.over(200.0):
        race.step()
    assert 180 <= race.spent_s <= 220


def test_the_machine_is_described_without_names():
    machine = describe()
    assert machine.cores >= 1
    assert machine.processor
    assert "python" in versions()
    resident = resident_bytes()
    assert resident is None or resident > 1_000_000


def test_copying_moves_every_byte_twice():
    clock = SteppedClock()
    steps = iter(range(1000))
    rate = copy_bandwidth(2, lambda: clock() + float(next(steps)))
    assert rate == pytest.approx(2 * (1 << 27))


# -- what a network costs -------------------------------------------------------------


@pytest.fixture(scope="module")
def paper(tmp_path_factory):
    pytest.importorskip("torch")
    from liverestore.speed.gpu_networks import PAPER_NETWORKS, paper_network

    folder = tmp_path_factory.mktemp("networks")
    return {name: paper_network(name, folder) for name in PAPER_NETWORKS}


@pytest.mark.parametrize(
    ("name", "gflop", "million"),
    [
        ("noise2noise-unet", 22.5, 0.987),
        ("deepz", 65.0, 17.44),
        ("cross-modality", 36.3, 7.05),
    ],
)
def test_networks_of_the_papers_cost_what_was_measured_elsewhere(paper, name, gflop, million):
    from liverestore.speed.cost import network_cost

    spec = paper[name]
    cost = network_cost(spec.weights, (1, spec.channels, 256, 256))
    assert cost.flop / 1e9 == pytest.approx(gflop, abs=0.05)
    assert cost.parameters / 1e6 == pytest.approx(million, abs=0.01)
    twice = network_cost(spec.weights, (1, spec.channels, 256, 512))
    assert twice.flop == pytest.approx(2 * cost.flop)
    assert cost.traffic_bytes("f16") * 2 == pytest.approx(cost.traffic_bytes("f32"))


def one_node(op, weight, **attributes):
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    node = helper.make_node(op, ["x", "w"], ["y"], **attributes)
    graph = helper.make_graph(
        [node],
        "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", "c", "h", "w_"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.zeros(weight, np.float32), "w")],
    )
    return onnx.helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


@pytest.mark.parametrize(
    ("op", "weight", "attributes", "flop"),
    [
        # 8 outputs of 16x16 from 4 inputs by 3x3
        ("Conv", (8, 4, 3, 3), {"pads": [1, 1, 1, 1]}, 2 * 8 * 16 * 16 * 4 * 9),
        # in two groups
        ("Conv", (8, 2, 3, 3), {"pads": [1, 1, 1, 1], "group": 2}, 2 * 8 * 16 * 16 * 2 * 9),
        # a quarter of the places
        ("Conv", (8, 4, 2, 2), {"strides": [2, 2]}, 2 * 8 * 8 * 8 * 4 * 4),
        # every input pixel to 2x2 pixels of 5 outputs
        ("ConvTranspose", (4, 5, 2, 2), {"strides": [2, 2]}, 2 * 4 * 16 * 16 * 5 * 4),
        ("MatMul", (16, 7), {}, 2 * 4 * 16 * 7 * 16),
    ],
)
def test_single_operations(tmp_path, op, weight, attributes, flop):
    onnx = pytest.importorskip("onnx")
    from liverestore.speed.cost import network_cost

    file = tmp_path / "one.onnx"
    onnx.save(one_node(op, weight, **attributes), file)
    assert network_cost(file, (1, 4, 16, 16)).flop == flop


@pytest.mark.skipif(importlib.util.find_spec("onnx") is None, reason="onnx is not installed")
def test_every_shipped_engine_can_be_counted():
    from liverestore.speed.cost import network_cost

    specs = [spec for spec in list_engines() if spec.weights is not None]
    assert specs
    for spec in specs:
        small, large = (
            network_cost(spec.weights, (1, spec.channels, edge, edge)) for edge in (128, 256)
        )
        assert large.flop == pytest.approx(4 * small.flop)
        assert small.parameters > 1000


def test_a_network_with_two_inputs_is_refused(tmp_path):
    onnx = pytest.importorskip("onnx")
    from liverestore.speed.cost import network_cost

    model = one_node("MatMul", (16, 7))
    extra = model.graph.input.add()
    extra.CopyFrom(model.graph.input[0])
    extra.name = "second"
    onnx.save(model, tmp_path / "two.onnx")
    with pytest.raises(Failure, match="2 inputs"):
        network_cost(tmp_path / "two.onnx", (1, 4, 16, 16))


# -- tables ---------------------------------------------------------------------------


def times(ms):
    return Timing(frames=9, fps=1e3 / ms, p50_ms=ms, p95_ms=1.1 * ms, p99_ms=1.2 * ms)


def peer(name, precision, value, *, bare=False, missing=None):
    found = None if value is None else Ratio(median=value, low=value, high=value, rounds=3)
    return PeerRow(
        name=name,
        precision=precision,
        bare=bare,
        timing=None if value is None else times(10),
        ratio=found,
        missing=missing,
    )


def an_answer(**changes):
    row = SpeedRow(
        engine="denoise-live",
        version="1",
        sha256="ab",
        task="denoise",
        shape=(512, 512),
        dtype="uint16",
        runtime="openvino 2026 CPU bf16",
        precision="bf16",
        threads=None,
        pipeline=times(20),
        overlapped=None,
        stages={"in": times(0.5), "compute": times(18), "out": times(1.5)},
        rss_growth_bytes=60_000_000,
        gpu_bytes=None,
        floor=Floor(
            flop=7e9, traffic_bytes=5e7, compute_ms=16.0, traffic_ms=2.5, share_of_peak=0.8
        ),
        peers=[
            peer("openvino", "bf16", 0.951, bare=True),
            peer("openvino", "f32", 2.0),
            peer("onnxruntime", "f32", 3.04),
            peer("torch", "f32", 5.5),
            peer("torch.compile", "f32", None, missing="no C++ compiler (g++)"),
        ],
    )
    answer = SpeedAnswer(
        liverestore="0",
        measured_utc="2026-01-01T00:00:00+00:00",
        complete=True,
        machine=Machine(
            processor="a processor", cores=2, system="Linux", gpu=None, load_before=0.1
        ),
        versions={"python": "3.11.7"},
        peaks=[Peak(precision="bf16", flop_per_s=1.8e11, how="matrices")],
        bandwidth_bytes_per_s=2e10,
        rows=[row],
        left_out=["engine 'x': it is broken"],
    )
    return msgspec.structs.replace(answer, **changes)


def shown(answer, width=100):
    out = io.StringIO()
    show_speed(answer, Console(file=out, width=width, highlight=False))
    return out.getvalue()


def test_ratios_come_first_and_everything_fits_in_100_columns():
    text = shown(an_answer())
    assert max(map(len, text.splitlines())) <= 100
    ratios = next(line for line in text.splitlines() if line.startswith("denoise-live"))
    assert ratios.split() == [
        "denoise-live", "512", "openvino", "bf16", "0.95", "3.04", "5.50", "-", "80", "%", "50.0",
    ]  # fmt: skip
    assert text.index("own") < text.index("p95")
    assert "torch.compile: no C++ compiler" in text
    assert "left out: engine 'x': it is broken" in text
    assert "0.18 TFLOP/s bf16; memory 20 GB/s" in text


def test_what_only_a_gpu_shows_is_said_in_words():
    gpu = GpuAnswer(
        runtimes=[
            RuntimeWord(runtime="tensorrt", engine="deepz", accepts=False, reason="not installed"),
            RuntimeWord(runtime="torch", engine="deepz", accepts=True, reason=None),
        ],
        transfer_in_bytes_per_s=5e10,
        transfer_out_bytes_per_s=4.9e10,
        live={"denoise-live, torch": times(4)},
        stack_21_planes={"torch": times(80)},
    )
    text = shown(an_answer(gpu=gpu))
    assert "tensorrt, deepz: not installed" in text
    assert "torch, deepz: takes it" in text
    assert "p95 4.4 ms" in text
    assert "80 ms a stack" in text


def test_an_empty_answer_still_says_on_what_it_ran():
    assert "a processor, 2 cores" in shown(an_answer(rows=[]))


def test_the_json_reads_back_as_it_was_written():
    answer = an_answer()
    again = msgspec.json.decode(msgspec.json.encode(answer), type=SpeedAnswer)
    assert again == answer
    assert again.schema == 1


def test_null_copies_pixels_as_they_are():
    from liverestore.model_spec import find_engine
    from liverestore.runtime.base import whole_of
    from liverestore.runtime.filters import FilterRuntime
    from liverestore.speed.pipeline import Pipeline, counts

    spec = find_engine("null")
    runtime = FilterRuntime(spec)
    whole = whole_of(runtime)
    pixels = counts((8, 8))
    made = whole(pixels, None, None)
    np.testing.assert_array_equal(made, pixels)
    assert made.dtype == np.uint16
    assert not np.shares_memory(made, pixels)
    assert whole_of(FilterRuntime(find_engine("mean5"))) is None
    pipeline = Pipeline(spec, runtime, (8, 8))
    pipeline.contender.watch(True)
    pipeline.run()
    assert pipeline.stages()["compute"].frames == 1
