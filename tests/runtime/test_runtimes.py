"""One contract for all runtimes, and what is special to each."""

import subprocess
import sys

import numpy as np
import pytest
from scipy import ndimage

from liverestore.errors import Failure, UserError
from liverestore.model_spec import BUILT_IN, ModelSpec, find_engine, list_engines
from liverestore.runtime.table import choose, open_runtime

NAMES = [*(spec.name for spec in list_engines()), "null"]


@pytest.fixture(params=NAMES)
def runtime(request):
    runtime = open_runtime(find_engine(request.param), threads=1)
    yield runtime
    runtime.close()


def batch(shape, seed=0):
    return np.random.default_rng(seed).normal(10, 2, shape).astype(np.float32)


def test_it_knows_its_spec_and_says_what_it_is(runtime):
    assert runtime.spec.name in NAMES
    assert runtime.description


def for_engine(runtime, shape, seed=0):
    """A batch of `shape` (N, Y, X) with the channels that the engine takes."""
    return batch((shape[0], runtime.spec.channels, *shape[1:]), seed)


@pytest.mark.parametrize("shape", [(1, 64, 64), (1, 32, 96), (2, 96, 64)])
def test_any_size_and_batch(runtime, shape):
    runtime.warm_up(shape[1:])
    out = runtime.infer(for_engine(runtime, shape))
    assert out.shape == (shape[0], 1, *shape[1:])
    assert out.dtype == np.float32
    assert np.isfinite(out).all()


def test_the_same_input_gives_the_same_output(runtime):
    first = runtime.infer(for_engine(runtime, (1, 64, 64))).copy()
    runtime.infer(for_engine(runtime, (1, 64, 64), seed=1))
    np.testing.assert_array_equal(runtime.infer(for_engine(runtime, (1, 64, 64))), first)


def test_pictures_of_a_batch_do_not_mix(runtime):
    both = for_engine(runtime, (2, 64, 64))
    together = runtime.infer(both).copy()
    for k in range(2):
        np.testing.assert_allclose(runtime.infer(both[k : k + 1])[0], together[k], atol=1e-3)


def test_the_input_is_not_touched(runtime):
    given = for_engine(runtime, (1, 64, 64))
    before = given.copy()
    runtime.infer(given)
    np.testing.assert_array_equal(given, before)


def test_a_batch_that_is_none_fails(runtime):
    with pytest.raises(Failure, match="takes"):
        runtime.infer(np.zeros((64, 64), np.float32))


def test_closing_twice_is_fine(runtime):
    runtime.close()
    runtime.close()


def test_warming_up_takes_the_size_of_the_frame(runtime):
    runtime.warm_up((37, 51))


def test_the_filters_are_what_they_are_called():
    picture = batch((1, 1, 33, 40))
    mean = open_runtime(find_engine("mean5")).infer(picture)[0, 0]
    median = open_runtime(find_engine("median5")).infer(picture)[0, 0]
    padded = np.pad(picture[0, 0], 2, mode="symmetric")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (5, 5))
    np.testing.assert_allclose(mean, windows.mean((2, 3)), rtol=1e-5)
    np.testing.assert_array_equal(median, np.median(windows, axis=(2, 3)))
    np.testing.assert_array_equal(open_runtime(find_engine("null")).infer(picture), picture)


def test_sizes_off_the_grid_fail_instead_of_shifting():
    spec = next((spec for spec in list_engines() if spec.divisor > 1), None)
    if spec is None:
        pytest.skip("no network is installed")
    with pytest.raises(Failure, match="multiples"):
        open_runtime(spec, threads=1).infer(batch((1, 1, 33, 64)))


def test_the_table_says_why_nothing_runs_an_engine():
    odd = ModelSpec("odd", "denoise", "1", "")
    refused = choose(odd).refused
    assert set(refused) >= {"filter", "openvino"}
    with pytest.raises(UserError, match=r"odd.*no ONNX"):
        open_runtime(odd)


def test_a_precision_the_back_end_lacks_is_refused():
    with pytest.raises(UserError, match="bf16"):
        open_runtime(BUILT_IN["mean5"], precision="bf16")


def test_damaged_weights_fail_in_one_line(tmp_path):
    (tmp_path / "weights.onnx").write_bytes(b"\x00" * 100)
    spec = ModelSpec("bad", "denoise", "1", "", weights=tmp_path / "weights.onnx", divisor=8)
    with pytest.raises(Failure, match="cannot compile") as error:
        open_runtime(spec, threads=1).warm_up((64, 64))
    assert "\n" not in str(error.value)


def test_filters_do_not_lose_the_mean():
    picture = ndimage.gaussian_filter(batch((64, 64)), 1)[None, None]
    for name in ("mean5", "median5"):
        out = open_runtime(find_engine(name)).infer(picture)
        assert out.mean() == pytest.approx(picture.mean(), rel=0.01)


CTRL_C = """
import gc, signal
import numpy as np
from liverestore.model_spec import find_engine
from liverestore.runtime.openvino import OpenVinoRuntime

heard = []
signal.signal(signal.SIGINT, lambda *_: heard.append(1))
spec = find_engine("denoise-live")
runtimes = [OpenVinoRuntime(spec) for _ in range(2)]
for runtime in runtimes:
    runtime.infer(np.ones((1, 1, 64, 64), np.float32))
while runtimes:
    runtimes.pop(0).close()
    gc.collect()
    signal.raise_signal(signal.SIGINT)
assert len(heard) == 2
"""


def test_ctrl_c_is_heard_after_runtimes_were_closed_in_any_order():
    done = subprocess.run(
        [sys.executable, "-c", CTRL_C], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
