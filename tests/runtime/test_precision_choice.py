import numpy as np
import pytest

from liverestore.model_spec import find_engine
from liverestore.runtime.openvino import has_bf16
from liverestore.runtime.table import open_runtime


def test_fast_means_bf16_where_the_processor_has_it():
    runtime = open_runtime(find_engine("denoise-live"), precision="fast")
    assert runtime.description.endswith("bf16" if has_bf16() else "f32")
    runtime.close()


def test_a_filter_has_one_precision():
    runtime = open_runtime(find_engine("mean5"), precision="fast")
    assert runtime.description.endswith("f32")
    runtime.close()


@pytest.mark.skipif(not has_bf16(), reason="this processor has no bfloat16")
def test_the_fast_result_differs_by_a_fraction_of_the_noise():
    z = 6 + np.random.default_rng(0).normal(size=(1, 1, 128, 128)).astype(np.float32)
    results = []
    for precision in ("f32", "bf16"):
        runtime = open_runtime(find_engine("denoise-live"), precision=precision)
        results.append(runtime.infer(z).copy())
        runtime.close()
    error = results[1] - results[0]
    assert 0 < np.abs(error).max() < 0.2
    assert abs(error.mean()) < 0.01
