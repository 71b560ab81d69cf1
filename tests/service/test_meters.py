import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liverestore.meters import AgeMeter, RateMeter


def test_the_rate_of_an_even_stream():
    meter = RateMeter()
    for index in range(100):
        meter.tick(index * 0.04)
    assert meter.rate(99 * 0.04) == pytest.approx(25)
    assert meter.mean() == pytest.approx(25)


def test_a_slow_stream_keeps_its_rate_between_events_and_a_dead_one_loses_it():
    meter = RateMeter(window_s=2.0)
    for index in range(4):
        meter.tick(index * 5.0)
    assert meter.rate(16.0) == pytest.approx(0.2)
    assert meter.rate(1000.0) < 0.01
    assert meter.mean() == pytest.approx(0.2)


def test_one_event_has_no_rate():
    meter = RateMeter()
    meter.tick(0.0)
    assert meter.rate(1.0) is None
    assert meter.mean() is None


@given(st.lists(st.floats(0.02, 60_000), min_size=1, max_size=300), st.floats(1, 99))
def test_percentiles_agree_with_numpy_to_one_percent(ages, percent):
    meter = AgeMeter()
    for age in ages:
        meter.add(age)
    exact = np.percentile(ages, percent, method="inverted_cdf")
    assert meter.percentile(percent) == pytest.approx(exact, rel=0.0101)


def test_no_age_no_percentile():
    assert AgeMeter().percentile(50) is None
    assert AgeMeter().recent_median() is None


def test_pauses_count_neither_in_the_rate_nor_in_the_mean():
    meter = RateMeter()
    for now in (0.0, 0.1, 0.2):
        meter.tick(now)
    meter.pause()
    assert meter.rate(0.3) is None
    assert meter.mean() == pytest.approx(10)
    for now in (60.0, 60.05, 60.1):
        meter.tick(now)
    assert meter.rate(60.1) == pytest.approx(20)
    assert meter.mean() == pytest.approx(4 / 0.3)


def test_frames_of_one_tick_of_the_clock_have_no_rate():
    """The clock of Windows steps by 16 ms: two frames at 100 fps are of one moment."""
    meter = RateMeter()
    meter.tick(5.0)
    meter.tick(5.0)
    assert meter.rate(5.0) is None
    assert meter.mean() is None
    meter.tick(5.016)
    assert meter.rate(5.016) == pytest.approx(2 / 0.016)
    assert meter.mean() == pytest.approx(2 / 0.016)
