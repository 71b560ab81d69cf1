import numpy as np
import pytest

from liverestore.view.histogram import (
    MAX_SAMPLES,
    AxisFollower,
    Bins,
    HistogramMeter,
    bins_over,
    count_in,
    heights,
    round_ticks,
    sample_of,
    span_of,
)

NO_LEVELS = (None, None)


@pytest.fixture
def dim(make_frame):
    """A 16 bit camera with a signal of 100 to 900 counts and one hot pixel."""
    pixels = np.random.default_rng(1).integers(100, 901, (300, 400)).astype(np.uint16)
    pixels[7, 9] = 65535
    return make_frame(pixels, bit_depth=16)


def test_whole_counts_are_counted_exactly():
    values = np.random.default_rng(0).integers(0, 200, 5000).astype(np.uint16)
    bins = bins_over(0, 199, whole=True)
    assert bins == Bins(-0.5, 1.0, 200)
    np.testing.assert_array_equal(count_in(bins, values), np.bincount(values, minlength=200))


@pytest.mark.parametrize(("low", "high"), [(0, 255), (3, 1000), (17, 65535), (5, 5)])
def test_bins_of_whole_counts_hold_equally_many_of_them(low, high):
    bins = bins_over(low, high, whole=True)
    assert bins.number <= 256
    assert bins.width == int(bins.width)
    assert bins.low < low < bins.high
    assert bins.low < high < bins.high
    all_counts = np.arange(low, high + 1)
    assert count_in(bins, all_counts).sum() == len(all_counts)
    assert set(count_in(bins, all_counts)[:-1]) <= {int(bins.width)}


def test_float_counts_agree_with_numpy():
    values = np.random.default_rng(0).normal(0.0, 1.0, 20_000).astype(np.float32)
    bins = bins_over(-2.0, 2.0, whole=False)
    expected, _ = np.histogram(values, np.linspace(-2, 2, 257))
    found = count_in(bins, values)
    # float32 puts a value that lies on an edge to either side of it.
    assert np.abs(found - expected).sum() <= 20
    assert found.sum() < values.size, "what is outside counts nowhere"


def test_a_sample_is_bounded_spread_and_finite():
    pixels = np.zeros((2048, 2048), np.float32)
    pixels[::2, ::2] = np.nan
    sample, every = sample_of(pixels + 1)
    assert sample.size <= MAX_SAMPLES
    assert every == 6
    small, every = sample_of(np.array([[1.0, np.nan], [np.inf, 2.0]]))
    assert (list(small), every) == ([1.0, 2.0], 1)
    assert span_of(small[:0]) is None


def test_a_hot_pixel_does_not_make_the_histogram_a_spike(dim):
    picture = HistogramMeter().update(dim, None, ((100, 900), None), 0.0)
    low, high = picture.axis
    assert 0 <= low <= 100
    assert 900 <= high <= 1100
    assert picture.raw.highest == 65535
    assert picture.saturation == 65535
    assert picture.raw.above == pytest.approx(1 / dim.pixels.size)


def test_the_whole_range_is_that_of_the_camera(dim):
    meter = HistogramMeter()
    meter.whole_range = True
    assert meter.update(dim, None, NO_LEVELS, 0.0).axis == (0.0, 65535.0)


def test_shares_outside_of_the_levels_are_of_each_image(make_frame, make_restored):
    raw = make_frame(np.arange(100, dtype=np.uint16).reshape(10, 10))
    restored = make_restored(raw, raw.pixels + 100)
    picture = HistogramMeter().update(raw, restored, ((10, 89), (120, 199)), 0.0)
    assert (picture.raw.below, picture.raw.above) == pytest.approx((0.10, 0.10))
    assert (picture.restored.below, picture.restored.above) == pytest.approx((0.20, 0.0))
    assert picture.raw.counts.sum() == picture.restored.counts.sum() == 100


def test_it_measures_at_its_own_rate_and_only_what_is_new(dim, make_frame):
    meter = HistogramMeter()
    first = meter.update(dim, None, NO_LEVELS, 0.0)
    other = make_frame(dim.pixels + 1)
    assert meter.update(other, None, NO_LEVELS, 0.1) is first, "too early"
    second = meter.update(other, None, NO_LEVELS, 0.2)
    assert second is not first
    assert meter.update(other, None, NO_LEVELS, 5.0) is second, "nothing is new"
    assert meter.update(other, None, ((1, 2), None), 6.0) is not second
    assert meter.update(None, None, NO_LEVELS, 9.0) is not None


def test_an_image_of_nothing_finite_keeps_the_last_histogram(make_frame):
    meter = HistogramMeter()
    empty = make_frame(np.full((5, 5), np.nan, np.float32))
    assert meter.update(empty, None, NO_LEVELS, 0.0) is None
    flat = make_frame(np.full((5, 5), 3.0, np.float32))
    picture = meter.update(flat, None, NO_LEVELS, 1.0)
    assert picture.axis[0] <= 3.0 <= picture.axis[1]
    assert picture.raw.counts.sum() == 25
    assert picture.saturation is None
    assert meter.update(empty, None, NO_LEVELS, 2.0) is picture


def test_the_axis_does_not_tremble_but_follows():
    axis = AxisFollower()
    first = axis.update((100.0, 900.0), [])
    assert axis.update((110.0, 890.0), []) == first
    wider = axis.update((100.0, 2000.0), [])
    assert wider[1] > 2000
    assert axis.update((100.0, 300.0), [])[1] < 400
    assert axis.update((0.0, 10.0), [])[0] == 0.0, "no camera counts below zero"


def test_a_level_far_away_does_not_squeeze_the_data():
    near = AxisFollower().update((100.0, 900.0), [(50.0, 1200.0)])
    assert near[0] <= 50
    assert near[1] >= 1200
    far = AxisFollower().update((100.0, 900.0), [(-1e6, 60_000.0)])
    assert far[1] - far[0] < 4 * 800


def test_while_held_the_axis_stays(dim, make_frame):
    meter = HistogramMeter()
    first = meter.update(dim, None, NO_LEVELS, 0.0)
    brighter = make_frame(dim.pixels * 3)
    held = meter.update(brighter, None, NO_LEVELS, 1.0, hold_axis=True)
    assert held.axis == first.axis
    assert meter.update(brighter, None, ((0, 9), None), 2.0).axis != first.axis


def test_heights_end_at_the_top():
    counts = np.array([0, 9, 99])
    np.testing.assert_allclose(heights(counts, 99, log=False), [0, 9 / 99, 1])
    np.testing.assert_allclose(heights(counts, 99, log=True), [0, 0.5, 1])
    assert not heights(counts, 0, log=True).any()


@pytest.mark.parametrize(("low", "high"), [(0, 1), (91.3, 822.9), (-4, 65_600), (0.1, 0.11)])
def test_ticks_are_few_and_inside(low, high):
    ticks = round_ticks(low, high, 5)
    assert 2 <= len(ticks) <= 7
    assert all(low - 1e-9 <= t <= high + 1e-9 for t in ticks)
    assert len(set(np.round(np.diff(ticks), 9))) == 1
    assert round_ticks(3, 3, 5) == []
