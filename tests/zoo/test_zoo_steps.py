"""The steps around a network of the zoo, against their formulas and their limits."""

import numpy as np
import pytest

from liverestore.errors import UserError
from liverestore.zoo_steps import apply, steps_of
from liverestore.zoo_values import values_of

PICTURE = np.random.default_rng(0).uniform(100, 900, (24, 31)).astype(np.float32)


def steps(*described):
    return steps_of(list(described), "raw", "x")


def after(*described, picture=PICTURE):
    return apply(steps(*described), picture, PICTURE).picture


def test_a_picture_gets_mean_0_and_deviation_1():
    for described in (
        {"id": "zero_mean_unit_variance"},
        {"id": "zero_mean_unit_variance", "kwargs": {"axes": ["batch", "channel", "y", "x"]}},
        {"name": "zero_mean_unit_variance", "kwargs": {"mode": "per_sample", "axes": "cyx"}},
        {"name": "zero_mean_unit_variance", "kwargs": {"mode": "per_dataset", "axes": "yx"}},
    ):
        made = after(described)
        assert abs(made.mean()) < 1e-4
        assert made.std() == pytest.approx(1, abs=1e-4)


def test_statistics_may_go_over_one_axis():
    rows = after({"id": "zero_mean_unit_variance", "kwargs": {"axes": ["x"]}})
    np.testing.assert_allclose(rows.mean(axis=1), 0, atol=1e-4)
    assert abs(rows.mean(axis=0)).max() > 0.1


def test_fixed_numbers_are_those_of_the_card_in_both_formats():
    for described in (
        {"id": "fixed_zero_mean_unit_variance", "kwargs": {"mean": 300.0, "std": 20.0}},
        {
            "id": "fixed_zero_mean_unit_variance",
            "kwargs": {"mean": [300.0], "std": [20.0], "axis": "channel"},
        },
        {
            "name": "zero_mean_unit_variance",
            "kwargs": {"mode": "fixed", "axes": "yx", "mean": 300.0, "std": 20.0},
        },
    ):
        np.testing.assert_allclose(after(described), (PICTURE - 300) / 20, rtol=1e-5, atol=1e-5)


def test_percentiles_are_those_of_the_picture_or_of_the_input():
    low, high = np.percentile(PICTURE, [5, 99])
    own = {"id": "scale_range", "kwargs": {"min_percentile": 5, "max_percentile": 99}}
    np.testing.assert_allclose(after(own), (PICTURE - low) / (high - low), rtol=1e-5, atol=1e-5)
    other = {"id": "scale_range", "kwargs": {**own["kwargs"], "reference_tensor": "raw"}}
    made = after(other, picture=PICTURE * 2)
    np.testing.assert_allclose(made, (2 * PICTURE - low) / (high - low), rtol=1e-5, atol=1e-5)


def test_bounds_masks_and_types():
    assert after({"id": "clip", "kwargs": {"min": 200, "max": 300}}).max() == 300
    assert after({"id": "clip", "kwargs": {"min": 200}}).min() == 200
    bounded = after({"id": "clip", "kwargs": {"min_percentile": 10, "max_percentile": 90}})
    assert bounded.min() == np.percentile(PICTURE, 10, method="inverted_cdf")
    np.testing.assert_array_equal(
        after({"id": "binarize", "kwargs": {"threshold": 500}}), PICTURE > 500
    )
    assert after({"id": "ensure_dtype", "kwargs": {"dtype": "uint8"}}).max() == 255
    np.testing.assert_array_equal(
        after({"id": "ensure_dtype", "kwargs": {"dtype": "int32"}}), np.trunc(PICTURE)
    )
    halves = after({"id": "sigmoid"}, picture=np.float32([[-1e4, 0, 1e4]]))
    np.testing.assert_allclose(halves, [[0, 0.5, 1]], atol=1e-6)


def test_mean_and_spread_of_the_input_come_back():
    made = after(
        {"id": "scale_mean_variance", "kwargs": {"reference_tensor": "raw"}}, picture=-3 * PICTURE
    )
    assert made.mean() == pytest.approx(PICTURE.mean(), rel=1e-4)
    assert made.std() == pytest.approx(PICTURE.std(), rel=1e-4)


REFUSED = [
    ({"id": "cellpose_flow_dynamics"}, "cellpose"),
    ({"id": "custom", "kwargs": {}}, "custom"),
    ({"id": "softmax"}, "softmax"),
    ({"id": "clip", "kwargs": {"min": 3, "max": 2}}, "smaller"),
    ({"id": "clip", "kwargs": {"lowest": 3}}, "lowest"),
    ({"id": "scale_linear", "kwargs": {"gain": [1.0, 2.0], "axis": "channel"}}, "2 values"),
    ({"id": "zero_mean_unit_variance", "kwargs": {"axes": ["channel"]}}, "axes"),
    ({"id": "scale_mean_variance", "kwargs": {"reference_tensor": "b"}}, "reference tensor 'b'"),
    ({"id": "fixed_zero_mean_unit_variance", "kwargs": {"mean": 1.0, "std": 0.0}}, "deviation"),
    ({"id": "scale_range", "kwargs": {"max_percentile": 101.0}}, "0 to 100"),
    ("clip", "steps"),
]


@pytest.mark.parametrize(("described", "word"), REFUSED)
def test_what_cannot_be_done_is_named(described, word):
    with pytest.raises(UserError, match=word) as caught:
        steps_of([described], "raw", "the card")
    assert "\n" not in str(caught.value)


NORMAL = {"id": "zero_mean_unit_variance"}
FIXED = {"id": "fixed_zero_mean_unit_variance", "kwargs": {"mean": 300.0, "std": 20.0}}
UNDONE = {"id": "scale_linear", "kwargs": {"gain": 20.0, "offset": 300.0}}
MATCHED = {"id": "scale_mean_variance", "kwargs": {"reference_tensor": "raw"}}
UNIT = {"id": "scale_range"}


@pytest.mark.parametrize(
    ("before", "behind", "values"),
    [
        ([], [], "counts"),
        ([FIXED], [UNDONE], "counts"),
        ([NORMAL], [MATCHED], "counts"),
        ([{"id": "scale_range", "kwargs": {"max_percentile": 99.0}}], [MATCHED], "counts"),
        ([NORMAL], [], "scaled back"),
        ([NORMAL], [{"id": "clip", "kwargs": {"min": -10.0}}], "scaled back"),
        ([NORMAL], [{"id": "sigmoid"}], "unit"),
        ([], [UNIT], "unit"),
        ([FIXED], [{"id": "scale_linear", "kwargs": {"gain": 2.0}}], "other"),
        ([{"id": "sigmoid"}], [], "other"),
    ],
)
def test_what_the_numbers_are_is_found_out_and_not_guessed(before, behind, values):
    assert values_of(steps(*before), steps(*behind), keeps_scale=True) == values
    if values == "counts":
        # Its own test pictures say otherwise: a mask, probabilities ...
        assert values_of(steps(*before), steps(*behind), keeps_scale=False) != "counts"
