"""A measure of the exposure that is disturbed: by a hand at the microscope, or its own engine."""

import threading

import pytest
from exposure_session import NOW_MS, cells, ended, sessions

from liverestore.model_spec import find_engine
from liverestore.runtime.table import open_runtime
from liverestore.status import SetEngine, SetExposure, SetLive, SetRoi, SetZ, Stop, StopMeasuring


@pytest.fixture
def opened(tmp_path):
    with sessions(tmp_path) as make:
        yield make


def at_work(session):
    """Watches what every exposure is snapped with; waits until some are."""
    snap, taken = session.source.snap, []

    def snapping():
        frame = snap()
        header = frame.header
        taken.append((header.z_um, header.shape))
        return frame

    session.source.snap = snapping
    session.ask()
    session.until(lambda _counts, search: search.done >= 2)
    return taken


def test_focus_roi_and_exposure_that_are_set_meanwhile_hold_afterwards(opened):
    session = opened(cells())
    taken = at_work(session)
    for word in (SetZ(z_um=1.0), SetZ(z_um=3.0), SetRoi(roi=(0, 0, 64, 48))):
        session.obey(word)
    session.obey(SetExposure(exposure_ms=5.0))
    _, search = session.until(ended)
    assert search.failed is None
    assert search.result.present_ms == NOW_MS
    # Nothing of it spoilt one exposure of the series.
    assert len(taken) == search.done
    assert set(taken) == {(0.0, (128, 128))}
    session.until(lambda counts, _: counts.shape == (48, 64))
    session.until(lambda *_: session.loop._last.header.exposure_ms == 5.0)
    assert session.loop._last.header.z_um == 3.0
    # And while Live goes on the focus moves at once again.
    session.obey(SetZ(z_um=0.5))
    assert session.source._core.get_position() == 0.5
    assert session.sent == []


def test_a_focus_that_is_turned_while_the_engine_loads_waits_for_nothing(opened):
    begun, on = threading.Event(), threading.Event()

    def open_engine(name):
        begun.set()
        assert on.wait(20)
        return open_runtime(find_engine(name), threads=1)

    session = opened(cells(), open_engine=open_engine)
    session.ask()
    assert begun.wait(20)
    assert session.report()[1].state == "loading"
    session.obey(SetZ(z_um=2.0))
    assert session.source._core.get_position() == 2.0
    # Stopped now, no light is spent: Live is not even paused.
    session.obey(StopMeasuring())
    on.set()
    counts, search = session.until(ended)
    assert search.failed == "broken off before any light was spent"
    session.until(lambda after, _: after.captured > counts.captured + 2)
    session.loop.order(SetLive(on=False))
    session.until(lambda after, _: not after.live)
    kinds = {kind: n for _, kind, n, _ in session.meter.session.lines()}
    assert set(kinds) <= {"frame", "unseen"}
    # The pause just now broke one off, and nothing before it.
    assert kinds.get("unseen", 0) <= 1


def test_an_engine_that_is_chosen_meanwhile_is_not_the_one_that_was_judged(opened):
    session = opened(cells())
    at_work(session)
    session.obey(SetEngine(name="median5"))
    _, search = session.until(ended)
    assert search.failed is None
    assert search.result.engine == "mean5"


@pytest.mark.parametrize("word", [SetLive(on=False), SetLive(on=True), Stop()])
def test_who_switches_live_or_ends_the_run_does_not_wait_for_the_series(opened, word):
    session = opened(cells())
    at_work(session)
    session.obey(word)
    counts, search = session.until(ended)
    assert search.failed.startswith("broken off after ")
    assert search.done < search.total
    assert session.stopping.is_set() == isinstance(word, Stop)
    # The light that it has cost is in the account, and the exposure is as before.
    ((_, shots, ns),) = session.spent()
    assert shots == search.done
    assert ns == round(search.spent_ms * 1e6)
    if word == SetLive(on=False):
        session.until(lambda after, _: not after.live)
        session.obey(SetLive(on=True))
    session.until(lambda after, _: after.live and after.captured > counts.captured + 1)
    assert session.loop._last.header.exposure_ms == NOW_MS


def test_a_size_that_is_set_from_elsewhere_ends_the_series_and_live_goes_on(opened):
    session = opened(cells())
    snap, taken = session.source.snap, []

    def snapping():
        taken.append(None)
        if len(taken) == 9:
            session.source._core.set_roi(8, 0, 64, 96)
        return snap()

    session.source.snap = snapping
    session.ask()
    counts, search = session.until(ended)
    assert search.failed.endswith(
        "the frames were 128 x 128 px and are 64 x 96 px now; somebody else has set its ROI or its "
        "binning: measure again"
    )
    # The exposure that told is charged like the others.
    ((_, shots, ns),) = session.spent()
    assert shots == 9
    assert ns == round(search.spent_ms * 1e6)
    session.until(lambda after, _: after.live and after.captured > counts.captured + 2)
    assert session.loop._last.header.exposure_ms == NOW_MS
    assert session.loop._last.header.shape == (96, 64)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), "the memory of this computer is at its end"),
        (
            RuntimeError("CUDA error:\n illegal access"),
            "unexpected RuntimeError: CUDA error: illeg",
        ),
    ],
)
def test_whatever_the_engine_raises_live_goes_on_and_says_so(opened, error, words):
    left = []

    def open_engine(name):
        runtime = open_runtime(find_engine(name), threads=1)
        infer, calls = runtime.infer, []

        def failing(*args, **more):
            calls.append(None)
            if len(calls) > 2 and not left:
                raise error
            return infer(*args, **more)

        def closing():
            left.append(name)
            raise RuntimeError("the device is lost")

        runtime.infer, runtime.close = failing, closing
        return runtime

    session = opened(cells(), open_engine=open_engine)
    session.ask()
    counts, search = session.until(ended)
    assert words in search.failed
    assert search.failed.startswith("the series with engine 'mean5' failed: ")
    assert search.result is None
    session.until(lambda *_: any("series" in line for line in session.loop.notices))
    (line,) = [line for line in session.loop.notices if "series" in line]
    assert line == f"exposure: {search.failed}"
    # What it has cost is kept.
    shots = session.meter.session.count("reference")
    assert shots > 0
    assert sum(ns for *_, ns in session.spent()) == round(search.spent_ms * 1e6)
    session.until(lambda after, _: after.live and after.captured > counts.captured + 2)
    assert session.loop._last.header.exposure_ms == NOW_MS
    assert left == ["mean5"]
    # And it can be tried again.
    session.ask()
    _, search = session.until(lambda *said: ended(*said) and said[1].result is not None)
    assert search.failed is None
    assert session.meter.session.count("reference") == shots + search.done
