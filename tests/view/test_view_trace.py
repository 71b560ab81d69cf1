import numpy as np
import pytest

from liverestore.view.trace import CSV_HEAD, Trace, TracePoint

CHIP = (10, 20, 30, 40)


def _point(number, seconds, raw=1.0, restored=np.nan, chip=CHIP):
    return TracePoint(number, round((1000 + seconds) * 1e9), chip, raw, restored)


def test_a_frame_counts_once_and_points_stand_in_the_order_of_their_numbers():
    trace = Trace()
    for number in (4, 5, 7, 5, 6):
        trace.put(_point(number, number / 10, raw=number))
    columns = trace.columns()
    assert columns.number.tolist() == [4, 5, 6, 7]
    assert columns.time_s == pytest.approx([0.0, 0.1, 0.2, 0.3])
    assert columns.raw.tolist() == [4, 5, 6, 7]


def test_lines_join_only_neighbours_of_the_same_roi():
    trace = Trace()
    for number in (1, 2, 4, 5):
        trace.put(_point(number, number))
    trace.put(_point(6, 6, chip=(0, 0, 5, 5)))
    assert trace.columns().joined.tolist() == [True, False, True, False, False]


def test_old_points_make_room():
    trace = Trace(capacity=5, span_s=2.0)
    for number in range(8):
        trace.put(_point(number, number * 0.1))
    assert trace.columns().number.tolist() == [3, 4, 5, 6, 7]
    trace.put(_point(8, 2.55))
    assert trace.columns().number.tolist() == [6, 7, 8]
    assert trace.columns().time_s[0] == pytest.approx(0.6), "time goes on from the first frame"
    trace.clear()
    assert len(trace) == 0
    assert trace.columns().joined.shape == (0,)
    trace.put(_point(9, 9.0))
    assert trace.columns().time_s.tolist() == [0.0]


def test_another_run_begins_another_trace():
    trace = Trace()
    trace.begin("a")
    trace.put(_point(1, 1))
    trace.begin("a")
    assert len(trace) == 1
    trace.begin("b")
    assert len(trace) == 0


def test_csv_has_one_line_per_frame_and_nothing_where_nothing_was_restored():
    trace = Trace()
    trace.put(_point(3, 0.0, 101.25, 99.5))
    trace.put(_point(5, 0.04, 102.0))
    assert trace.csv().splitlines() == [
        CSV_HEAD,
        "3,0.000000,101.25,99.5,10,20,30,40",
        "5,0.040000,102,,10,20,30,40",
    ]
