"""Which back end serves an engine, and how a better one takes over."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from liverestore.errors import Failure, UserError
from liverestore.model_spec import BUILT_IN, ModelSpec, find_engine
from liverestore.runtime import table, tensorrt, torch_cuda
from liverestore.runtime.base import RuntimeChanged, whole_of
from liverestore.runtime.table import choose, open_runtime, serving_words
from liverestore.runtime.upgrade import UpgradingRuntime

PICTURE = np.zeros((1, 1, 16, 16), np.float32)


class Stub:
    """A runtime that answers with a number."""

    def __init__(self, value, gate=None, fails=False):
        self.value, self.gate, self.fails = value, gate, fails
        self.shapes, self.closed = [], 0
        self.spec = BUILT_IN["null"]
        self.description = f"stub {value}"

    def warm_up(self, shape, dtype="uint16"):
        if self.gate is not None:
            assert self.gate.wait(30)
        self.shapes.append(shape)
        if self.fails:
            raise Failure("it does not start")

    def infer(self, batch):
        return batch + self.value

    def close(self):
        self.closed += 1


def settled(runtime):
    runtime._thread.join(30)


def test_the_better_one_takes_over_between_two_frames():
    gate, told = threading.Event(), []
    slow, fast = Stub(1), Stub(2, gate)
    runtime = UpgradingRuntime(slow, lambda: fast, told.append)
    runtime.warm_up((16, 16))
    assert runtime.infer(PICTURE).max() == 1
    assert (runtime.description, told) == ("stub 1", [])
    gate.set()
    settled(runtime)
    assert runtime.infer(PICTURE).max() == 2
    assert (runtime.description, fast.shapes) == ("stub 2", [(16, 16)])
    assert told == ["engine 'null' now runs on stub 2"]
    # the first one stays, for a GPU that fails
    assert slow.closed == 0
    runtime.close()
    assert (slow.closed, fast.closed) == (1, 1)


def test_a_size_that_changed_meanwhile_is_warm_too():
    gate = threading.Event()
    fast = Stub(2, gate)
    runtime = UpgradingRuntime(Stub(1), lambda: fast)
    runtime.warm_up((16, 16))
    runtime.warm_up((8, 8))
    gate.set()
    settled(runtime)
    assert fast.shapes[-1] == (8, 8)
    runtime.close()


def test_the_short_way_is_that_of_the_runtime_at_work():
    gate, fast = threading.Event(), Stub(2)
    fast.gate, fast.whole = gate, lambda pixels, _camera, _waves: pixels + 2
    runtime = UpgradingRuntime(Stub(1), lambda: fast)
    runtime.warm_up((16, 16))
    assert whole_of(runtime) is None
    gate.set()
    settled(runtime)
    assert whole_of(runtime)(PICTURE, None, None).max() == 2
    assert runtime.description == "stub 2"
    runtime.close()


def test_a_better_one_that_fails_leaves_the_first_at_work():
    told, fast = [], Stub(2, fails=True)
    runtime = UpgradingRuntime(Stub(1), lambda: fast, told.append)
    runtime.warm_up((16, 16))
    settled(runtime)
    assert [runtime.infer(PICTURE).max() for _ in range(2)] == [1, 1]
    assert told == ["engine 'null' stays on stub 1: it does not start"]
    assert fast.closed == 1
    runtime.close()


def test_closing_while_the_better_one_is_made_frees_both():
    gate = threading.Event()
    slow, fast = Stub(1), Stub(2, gate)
    runtime = UpgradingRuntime(slow, lambda: fast)
    runtime.warm_up((16, 16))
    threading.Timer(0.05, gate.set).start()
    runtime.close()
    runtime.close()
    assert fast.closed == 1
    assert slow.closed >= 1


def test_a_better_one_that_fails_in_mid_run_hands_back_to_the_first():
    told, slow, fast = [], Stub(1), Stub(2)
    runtime = UpgradingRuntime(slow, lambda: fast, told.append)
    runtime.warm_up((16, 16))
    settled(runtime)
    assert runtime.infer(PICTURE).max() == 2

    def broken(_batch):
        raise RuntimeError("CUDA error:\nan illegal address")

    fast.infer = broken
    with pytest.raises(RuntimeChanged, match="goes on with stub 1"):
        runtime.infer(PICTURE)
    assert runtime.description == "stub 1"
    assert [runtime.infer(PICTURE).max() for _ in range(3)] == [1, 1, 1]
    assert slow.shapes[-1] == (16, 16)
    assert told[1:] == [
        "engine 'null' goes on with stub 1: stub 2 failed (CUDA error: an illegal address)"
    ]
    runtime.warm_up((8, 8))
    assert runtime._thread is not None
    settled(runtime)
    assert runtime.infer(PICTURE).max() == 1
    runtime.close()
    assert fast.closed == 1


def test_the_short_way_that_fails_in_mid_run_hands_back_too():
    slow, fast = Stub(1), Stub(2)

    def broken(_pixels, _camera, _waves):
        raise Failure("the GPU failed: cuLaunchKernel gave CUDA_ERROR_LAUNCH_FAILED (719)")

    fast.whole = broken
    runtime = UpgradingRuntime(slow, lambda: fast)
    runtime.warm_up((16, 16))
    settled(runtime)
    whole = whole_of(runtime)
    with pytest.raises(RuntimeChanged, match="719"):
        whole(PICTURE[0, 0], None, None)
    assert whole_of(runtime) is None
    assert "719" in runtime.why_not_better
    runtime.close()


@pytest.mark.parametrize(
    "error",
    [OSError("[WinError 126] cudnn64_9.dll"), ImportError("no module named 'x'"), MemoryError()],
)
def test_what_cannot_even_be_loaded_is_told_and_not_waited_for(error):
    told = []

    def open_better():
        raise error

    runtime = UpgradingRuntime(Stub(1), open_better, told.append)
    runtime.warm_up((16, 16))
    settled(runtime)
    assert runtime.infer(PICTURE).max() == 1
    (line,) = told
    assert line.startswith("engine 'null' stays on stub 1: ")
    assert runtime.why_not_better != "it is being made ready"
    runtime.close()


def test_a_new_size_is_served_by_the_first_until_the_better_one_is_warm_for_it():
    told, gate, slow, fast = [], threading.Event(), Stub(1), Stub(2)
    runtime = UpgradingRuntime(slow, lambda: fast, told.append)
    runtime.warm_up((16, 16))
    settled(runtime)
    assert runtime.infer(PICTURE).max() == 2
    fast.gate = gate
    runtime.warm_up((8, 8))
    assert (runtime.infer(PICTURE).max(), runtime.description) == (1, "stub 1")
    assert runtime.why_not_better == "it is being made ready"
    gate.set()
    settled(runtime)
    assert runtime.infer(PICTURE).max() == 2
    # back to the size before: it is still warm, and nobody waits
    gate.clear()
    runtime.warm_up((16, 16))
    assert runtime.infer(PICTURE).max() == 2
    assert fast.shapes == [(16, 16), (8, 8)]
    assert len(told) == 1
    runtime.close()


def test_a_new_size_that_the_better_one_cannot_take_is_told():
    told, slow, fast = [], Stub(1), Stub(2)
    runtime = UpgradingRuntime(slow, lambda: fast, told.append)
    runtime.warm_up((16, 16))
    settled(runtime)
    fast.fails = True
    runtime.warm_up((8, 8))
    settled(runtime)
    assert runtime.infer(PICTURE).max() == 1
    assert told[1:] == ["engine 'null' stays on stub 1: it does not start"]
    runtime.close()
    assert (slow.closed, fast.closed) == (1, 1)


def no_gpu(monkeypatch, *, tensorrt_serves=False, torch_serves=False):
    for module, serves in ((tensorrt, tensorrt_serves), (torch_cuda, torch_serves)):
        answer = False if serves else "no NVIDIA driver is installed"
        monkeypatch.setattr(module, "is_incompatible", lambda spec, answer=answer: answer)


@pytest.mark.parametrize(
    ("serve", "name"),
    [({}, "openvino"), ({"torch_serves": True}, "torch"),
     ({"tensorrt_serves": True, "torch_serves": True}, "tensorrt")],
)  # fmt: skip
def test_the_best_back_end_is_chosen_and_the_others_say_why_not(monkeypatch, serve, name):
    no_gpu(monkeypatch, **serve)
    choice = choose(find_engine("denoise-live"))
    assert choice.backend.name == name
    assert "filter" in choice.refused
    if name == "openvino":
        assert choice.refused["tensorrt"] == "no NVIDIA driver is installed"


def test_the_choice_is_told_in_words(monkeypatch):
    no_gpu(monkeypatch)
    words = choose(find_engine("denoise-live")).words
    assert words == "openvino (not tensorrt or torch: no NVIDIA driver is installed)"
    assert choose(BUILT_IN["mean5"]).words == "filter"
    nothing = choose(ModelSpec("odd", "denoise", "1", "")).words
    assert nothing.startswith("nothing here can run it (not filter: it is no classical filter")


def opened(monkeypatch, **options):
    """What `open_runtime` asks the GPU's back end for."""
    asked = []

    def make(spec, **given):
        asked.append(given)
        return Stub(5)

    monkeypatch.setattr(tensorrt, "TensorRtRuntime", make)
    runtime = open_runtime(find_engine("denoise-live"), threads=1, **options)
    return runtime, asked


def test_fast_on_a_gpu_is_half_precision(monkeypatch):
    no_gpu(monkeypatch, tensorrt_serves=True)
    assert opened(monkeypatch, precision="fast")[1] == [{"threads": 1, "precision": "f16"}]
    assert opened(monkeypatch)[1] == [{"threads": 1, "precision": "f32"}]
    with pytest.raises(UserError, match="f32 or f16 only"):
        opened(monkeypatch, precision="bf16")


def test_a_live_view_does_not_wait_for_the_gpu(monkeypatch):
    no_gpu(monkeypatch, tensorrt_serves=True)
    told = []
    runtime, asked = opened(monkeypatch, precision="fast", ready=False, tell=told.append)
    assert runtime.description.startswith("openvino")
    assert asked == []
    runtime.warm_up((64, 64))
    settled(runtime)
    assert runtime.infer(np.zeros((1, 1, 64, 64), np.float32)).max() == 5
    assert told == ["engine 'null' now runs on stub 5"]
    runtime.close()


def test_while_the_gpu_is_made_ready_the_words_name_what_serves(monkeypatch):
    no_gpu(monkeypatch, tensorrt_serves=True)
    runtime, _ = opened(monkeypatch, precision="fast", ready=False)
    assert serving_words(runtime) == "openvino (not tensorrt: it is being made ready)"
    runtime.close()
    plain = open_runtime(BUILT_IN["mean5"])
    assert serving_words(plain) == "filter"
    plain.close()


def test_filters_need_no_gpu_and_no_waiting(monkeypatch):
    no_gpu(monkeypatch, tensorrt_serves=True)
    runtime = open_runtime(BUILT_IN["mean5"], ready=False)
    assert "scipy" in runtime.description
    runtime.close()


def test_every_back_end_of_the_table_is_there():
    for backend in table.BACKENDS:
        module = __import__(backend.module, fromlist=["x"])
        assert callable(getattr(module, backend.runtime))
        assert callable(module.is_incompatible)


def test_a_base_install_has_neither_onnx_nor_torch_nor_tensorrt():
    """The choice still works there, and says what is missing."""
    code = """
import sys
sys.modules.update(onnx=None, torch=None, tensorrt_rtx=None, tensorrt_rtx_bindings=None)
from liverestore.model_spec import find_engine
from liverestore.runtime.base import RuntimeChanged, whole_of
from liverestore.runtime.table import choose, open_runtime, serving_words
choice = choose(find_engine("denoise-live"))
assert {"filter", "tensorrt", "torch"} <= set(choice.refused), choice
open_runtime(find_engine("denoise-live"), threads=1, ready=False).close()
"""
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
