"""Engines are changed, doubled and lost while frames go on."""

import threading
import time

import numpy as np
import pytest

from liverestore.errors import Failure, UserError
from liverestore.frame import Frame, FrameHeader
from liverestore.model_spec import BUILT_IN, find_engine
from liverestore.restore import restore
from liverestore.rig import load_rig
from liverestore.runtime.table import open_runtime
from liverestore.runtime.upgrade import UpgradingRuntime
from liverestore.service.camera_knowledge import CameraKnowledge
from liverestore.service.engine import begin, obey
from liverestore.service.engine_loop import EngineLoop
from liverestore.service.plan import RunPlan
from liverestore.status import SetEngine, SetRival
from liverestore.wire import End

CAMERA = load_rig("demo").camera


def frame(number=0, channel=None, shape=(16, 24)):
    pixels = np.random.default_rng(number).poisson(150, shape).astype(np.uint16)
    header = FrameHeader(
        run_id="r", number=number, shape=shape, dtype="uint16", captured_ns=number,
        captured_utc="2026-01-01T00:00:00+00:00", camera="c", channel=channel,
    )  # fmt: skip
    return Frame(pixels, header)


class Inlet:
    def __init__(self):
        self.frames, self.failed = [], 0

    def receive(self, _timeout_s):
        return self.frames.pop(0) if self.frames else None

    def fail(self):
        self.failed += 1


class Outlet:
    def __init__(self):
        self.results = []

    def offer(self, result):
        self.results.append(result)


class Adding:
    """An engine that adds a number to the counts; it can wait, and fail, on request."""

    spec = BUILT_IN["null"]

    def __init__(self, name, value):
        self.description = name
        self.value = value
        self.gate = None
        self.warm, self.closed, self.inferred = [], 0, 0
        self.breaks = self.refuses = None

    def warm_up(self, shape, dtype="uint16"):
        if self.gate is not None:
            assert self.gate.wait(30)
        if self.refuses is not None:
            raise self.refuses
        self.warm.append(shape)

    def infer(self, batch):
        if self.breaks is not None:
            raise self.breaks
        self.inferred += 1
        return batch + self.value

    def close(self):
        self.closed += 1


class Shop:
    """Opens engines "1" to "9", each adding its number; keeps what it opened."""

    def __init__(self):
        self.opened = []
        self.gates = {}
        self.refusals = {}

    def __call__(self, name):
        if name not in set("123456789"):
            raise UserError(f"engine '{name}' is not installed; installed: 1, 2")
        runtime = Adding(name, int(name))
        runtime.gate, runtime.refuses = self.gates.get(name), self.refusals.get(name)
        self.opened.append(runtime)
        return runtime

    def all(self, name):
        return [runtime for runtime in self.opened if runtime.description == name]


class Bench:
    def __init__(self, opener=None, files=None, kept_s=0.0):
        self.shop = opener or Shop()
        self.inlet, self.outlet = Inlet(), Outlet()
        camera = CameraKnowledge(CAMERA)
        self.loop = EngineLoop(
            self.inlet, self.outlet, camera, self.shop, files=files, kept_s=kept_s
        )
        self.number = 0

    def restore(self, channel=None, shape=(16, 24)):
        """One more frame; (what was added to its counts, by the rival)."""
        self.number += 1
        self.inlet.frames.append(frame(self.number, channel, shape))
        before = len(self.outlet.results)
        assert self.loop.step(0)
        if len(self.outlet.results) == before:
            return None
        result = self.outlet.results[-1]
        added = [_added(result, result)]
        if result.rival is not None:
            assert result.rival.source is result.source
            added.append(_added(result.rival, result))
        return added[0] if len(added) == 1 else tuple(added)

    def until(self, condition):
        deadline = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < deadline, "it never came"
            self.loop.step(0)
            time.sleep(0.002)


def _added(made, result):
    """The number that was added, which is the name of the engine on the label."""
    difference = made.pixels.astype(int) - result.source.pixels
    assert made.provenance.runtime == str(difference[0, 0])
    assert (difference == difference[0, 0]).all()
    return int(difference[0, 0])


@pytest.fixture
def bench():
    made = []

    def make(opener=None, files=None, **options):
        made.append(Bench(opener, files, **options))
        return made[-1]

    yield make
    for item in made:
        for gate in getattr(item.shop, "gates", {}).values():
            gate.set()
        item.loop.close()
        for runtime in getattr(item.shop, "opened", []):
            assert runtime.closed == 1, f"engine {runtime.description} was left open"
    left = [t.name for t in threading.enumerate() if t.name.startswith("engine ")]
    assert left == []


def test_the_old_engine_goes_on_until_the_new_one_is_warm(bench):
    run = bench()
    gate = run.shop.gates["2"] = threading.Event()
    run.loop.use("1")
    assert run.restore() == 1
    run.loop.lineup.ask("2")
    assert [run.restore() for _ in range(20)] == [1] * 20
    assert run.loop.report().loading == "2"
    assert run.loop.report().engine == "1"
    gate.set()
    run.until(lambda: run.loop.report().loading is None)
    assert run.restore() == 2
    assert run.loop.report().engine == "2"
    assert run.shop.all("2")[0].warm == [(16, 24)]
    run.until(lambda: run.shop.all("1")[0].closed == 1)
    assert run.loop.notices == []


def test_what_is_asked_for_last_counts(bench):
    run = bench()
    gate = run.shop.gates["2"] = threading.Event()
    run.loop.use("1")
    run.restore()
    run.loop.lineup.ask("2")
    run.until(lambda: run.shop.all("2"))
    run.loop.lineup.ask("3")
    assert run.loop.report().loading == "3"
    assert run.restore() == 1
    gate.set()
    run.until(lambda: run.loop.report().loading is None)
    assert run.restore() == 3
    run.until(lambda: run.shop.all("2")[0].closed == 1)
    assert {result.provenance.runtime for result in run.outlet.results} == {"1", "3"}


def test_back_to_the_one_in_use_while_another_loads(bench):
    run = bench()
    gate = run.shop.gates["2"] = threading.Event()
    run.loop.use("1")
    run.restore()
    run.loop.lineup.ask("2")
    run.loop.lineup.ask("1")
    assert run.loop.report().loading is None
    gate.set()
    run.until(lambda: run.shop.all("2")[0].closed == 1)
    assert run.restore() == 1
    assert len(run.shop.all("1")) == 1


MISHAPS = {
    "unknown": ("magic", None, "not installed"),
    "no warm-up": ("2", Failure("the GPU has not enough memory free"), "memory"),
    "a library's own error": ("2", RuntimeError("driver\nbroken"), "RuntimeError: driver broken"),
}


@pytest.mark.parametrize("mishap", MISHAPS)
def test_a_mishap_leaves_the_old_one_and_is_told_once(bench, mishap, caplog):
    name, error, words = MISHAPS[mishap]
    run = bench()
    run.shop.refusals["2"] = error
    run.loop.use("1")
    run.restore()
    run.loop.lineup.ask(name)
    run.until(lambda: run.loop.report().loading is None)
    assert [run.restore() for _ in range(5)] == [1] * 5
    assert len(run.loop.notices) == 1
    assert words in run.loop.notices[0]
    assert run.loop.notices[0].endswith("; '1' goes on")
    assert "\n" not in run.loop.notices[0]
    assert run.loop.report().engine == "1"
    # it can be asked for again
    run.shop.refusals.clear()
    run.loop.lineup.ask("2")
    run.until(lambda: run.loop.report().loading is None)
    assert run.restore() == 2


def test_waiting_for_an_unknown_engine_raises_and_leaves_the_one_in_use(bench):
    run = bench()
    run.loop.use("1")
    with pytest.raises(UserError, match="not installed"):
        run.loop.use("magic")
    assert run.restore() == 1


def test_closing_while_loading_leaves_nothing_behind(bench):
    run = bench()
    gate = run.shop.gates["2"] = threading.Event()
    run.loop.use("1")
    run.restore()
    run.loop.lineup.ask("2")
    run.loop.lineup.ask_rival("3")
    run.until(lambda: run.shop.all("2"))
    threading.Timer(0.05, gate.set).start()
    run.loop.close()
    assert [runtime.closed for runtime in run.shop.opened] == [1, 1]


def test_frames_of_another_size_while_loading(bench):
    run = bench()
    gate = run.shop.gates["2"] = threading.Event()
    run.loop.use("1")
    run.restore(shape=(16, 24))
    run.loop.lineup.ask("2")
    run.until(lambda: run.shop.all("2"))
    assert run.restore(shape=(8, 8)) == 1
    gate.set()
    run.until(lambda: run.loop.report().loading is None)
    assert run.restore(shape=(8, 8)) == 2
    # warm before the first frame of the new size reached it
    assert run.shop.all("2")[0].warm[-1] == (8, 8)
    assert run.shop.all("2")[0].warm.count((8, 8)) == 1


def test_every_channel_has_its_engine_and_equal_ones_are_one(bench):
    run = bench()
    run.loop.use("1")
    run.loop.use("2", "nuclei")
    run.loop.use("2", "filaments")
    assert [run.restore(c) for c in (None, "nuclei", "filaments", "else")] == [1, 2, 2, 1]
    assert len(run.shop.opened) == 2
    assert run.loop.report().engines == {"nuclei": "2", "filaments": "2"}
    run.loop.lineup.ask("3", "filaments")
    run.until(lambda: run.loop.report().loading is None)
    assert [run.restore(c) for c in ("nuclei", "filaments", "else")] == [2, 3, 1]
    # the engine of all others for a channel: no second one of it
    run.loop.lineup.ask("1", "filaments")
    assert [run.restore(c) for c in ("nuclei", "filaments")] == [2, 1]
    assert run.loop.report().engines == {"nuclei": "2"}
    assert len(run.shop.all("1")) == 1


def test_an_engine_for_all_takes_the_place_of_those_of_channels(bench):
    run = bench()
    run.loop.use("1")
    run.loop.use("2", "nuclei")
    assert [run.restore(c) for c in ("nuclei", "else")] == [2, 1]
    gate = run.shop.gates["4"] = threading.Event()
    run.loop.lineup.ask("4")
    assert [run.restore(c) for c in ("nuclei", "else")] == [2, 1]
    run.loop.lineup.ask("5", "nuclei")
    gate.set()
    run.until(lambda: run.loop.report().loading is None)
    # what was asked for last holds for its channel
    assert [run.restore(c) for c in ("nuclei", "else")] == [5, 4]
    run.loop.lineup.ask("6")
    run.until(lambda: run.loop.report().loading is None)
    assert [run.restore(c) for c in ("nuclei", "else")] == [6, 6]
    assert run.loop.report().engines == {}
    run.until(lambda: sum(runtime.closed for runtime in run.shop.opened) == 4)


def test_a_rival_restores_the_same_frame_and_is_not_kept_in_the_file(bench):
    kept = []

    class Files:
        def append(self, result):
            kept.append(result)

    run = bench(files=Files())
    run.loop.use("1")
    run.loop.lineup.ask_rival("2")
    run.until(lambda: run.loop.report().rival == "2")
    assert [run.restore() for _ in range(3)] == [(1, 2)] * 3
    assert [result.rival for result in kept] == [None] * len(kept)
    assert kept[-1].pixels is run.outlet.results[-1].pixels
    # the rival becomes the first: nothing is loaded again
    run.loop.lineup.ask("2")
    assert run.restore() == (2, 2)
    assert run.shop.all("2")[0].inferred == 4
    run.loop.lineup.ask_rival(None)
    assert run.restore() == 2
    assert run.loop.report().rival is None
    assert len(run.shop.all("2")) == 1


def test_two_engines_that_change_places_are_not_loaded_again(bench):
    run = bench()
    run.loop.use("1")
    run.loop.lineup.use_rival("2")
    assert run.restore() == (1, 2)
    for word in (SetEngine(name="2"), SetRival(name="1")):
        obey(run.loop, word)
    assert run.restore() == (2, 1)
    assert len(run.shop.opened) == 2


def test_an_engine_that_served_a_moment_ago_is_not_loaded_again(bench):
    run = bench(kept_s=3600.0)
    run.loop.use("1")
    assert run.restore() == 1
    run.loop.lineup.ask("2")
    run.until(lambda: run.loop.report().loading is None)
    assert run.restore() == 2
    run.loop.lineup.ask("1")
    assert run.restore() == 1
    assert [runtime.closed for runtime in run.shop.opened] == [0, 0]


def test_the_failure_of_a_rival_never_harms_the_first(bench):
    run = bench()
    run.loop.use("1")
    run.loop.lineup.ask_rival("magic")
    run.until(lambda: run.loop.report().loading is None)
    assert "not installed" in run.loop.notices.pop()
    assert run.restore() == 1
    run.loop.lineup.ask_rival("2")
    run.until(lambda: run.loop.report().rival == "2")
    assert run.restore() == (1, 2)
    run.shop.all("2")[0].breaks = Failure("it broke")
    assert [run.restore() for _ in range(150)] == [1] * 150
    assert [("it broke" in line, "'2'" in line) for line in run.loop.notices] == [(True, True)] * 2
    assert run.inlet.failed == 0


def test_the_camera_is_asked_once_per_frame_also_with_a_rival(bench):
    run = bench()
    asked = []
    model_for = run.loop._camera.model_for
    run.loop._camera.model_for = lambda frame: asked.append(frame) or model_for(frame)
    run.loop.use("1")
    run.loop.lineup.use_rival("2")
    run.restore()
    assert len(asked) == 1


class OnGpu(Adding):
    """Restores whole frames by itself, as runtimes on a GPU do."""

    def whole(self, pixels, _camera, _waves):
        if self.breaks is not None:
            raise self.breaks
        return pixels + np.uint16(self.value)


@pytest.mark.parametrize("kind", [Adding, OnGpu])
def test_a_gpu_that_fails_in_mid_run_is_replaced_by_the_processor(bench, kind):
    gpu, opened = kind("7", 7), []

    def open_engine(name):
        runtime = UpgradingRuntime(Adding(name, int(name)), lambda: gpu, run.loop.notices.append)
        opened.append(runtime)
        return runtime

    run = bench(open_engine)
    run.loop.use("1")
    assert run.restore() in (1, 7)
    opened[0]._thread.join(20)
    assert run.restore() == 7
    gpu.breaks = RuntimeError("CUDA error: unspecified launch failure")
    # this very frame is not lost, and its label names what made it
    assert [run.restore() for _ in range(5)] == [1] * 5
    assert (run.inlet.failed, gpu.closed) == (0, 1)
    assert len(run.loop.notices) == 2
    assert "unspecified launch failure" in run.loop.notices[1]
    assert run.loop.report().runtime == "1"


def test_a_restarted_engine_begins_with_what_was_in_use(bench):
    run = bench()
    plan = RunPlan(
        rig=load_rig("demo"), engine="1", endpoints=None, engines={"nuclei": "2"}, rival="3"
    )
    begin(run.loop, plan)
    assert [run.restore(c) for c in ("nuclei", None)] == [(2, 3), (1, 3)]
    other = bench()
    begin(other.loop, RunPlan(rig=plan.rig, engine="1", endpoints=None, rival="magic"))
    assert other.restore() == 1
    assert "not installed" in other.loop.notices[0]


def test_the_words_of_the_control_channel_are_obeyed(bench):
    run = bench()
    gate = run.shop.gates["2"] = threading.Event()
    run.loop.use("1")
    run.restore()
    for word in (SetEngine(name="2"), SetEngine(name="3", channel="nuclei"), SetRival(name="4")):
        obey(run.loop, word)
    assert run.loop.report().loading == "2, 3, 4"
    gate.set()
    run.until(lambda: run.loop.report().loading is None)
    assert [run.restore(c) for c in ("nuclei", None)] == [(3, 4), (2, 4)]
    obey(run.loop, SetRival(name=None))
    assert run.restore() == 2


def test_swaps_between_real_engines_are_never_mislabelled(bench):
    names = ["denoise-live", "median5", "mean5", "denoise-live"]
    run = bench(lambda name: open_runtime(find_engine(name), threads=1))
    run.loop.use("mean5")
    for name in names:
        run.loop.lineup.ask(name)
        while run.loop.report().loading is not None:
            run.inlet.frames.append(frame(len(run.outlet.results), shape=(64, 80)))
            run.loop.step(0)
            time.sleep(0.01)
        run.inlet.frames.append(frame(len(run.outlet.results), shape=(64, 80)))
        run.loop.step(0)
        assert run.outlet.results[-1].provenance.engine == name
        assert run.loop.report().runtime_reason is not None
    run.inlet.frames.append(End())
    assert not run.loop.step(0)
    assert run.inlet.failed == 0
    order = [result.provenance.engine for result in run.outlet.results]
    changes = [name for k, name in enumerate(order) if k == 0 or order[k - 1] != name]
    assert changes in (["mean5", *names], names)
    camera = CameraKnowledge(CAMERA)
    for name in set(order):
        offline = open_runtime(find_engine(name), threads=1)
        for result in [r for r in run.outlet.results if r.provenance.engine == name][-3:]:
            again = restore(
                result.source, offline.spec, offline.infer, camera.model_for(result.source)
            )
            np.testing.assert_array_equal(again.pixels, result.pixels)
        offline.close()
