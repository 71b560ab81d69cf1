import numpy as np
import pytest

from liverestore.frame import Restored
from liverestore.view.feed import ShownPair
from liverestore.view.pairing import EngineSign, Shown
from liverestore.view.status_cells import Ages, Measured, Tone, cells

MS_NS = 1_000_000


def _cells(status=None, measured=None, shown=None, now_ns=0):
    shown = shown or Shown(None, None, EngineSign.WAITING)
    return {c.name: c for c in cells(status, measured or Measured(), shown, now_ns)}


@pytest.fixture
def late(make_frame, make_restored):
    """A result that waited 8 ms and took 20 ms."""

    def make(number=0, captured_ns=1_000 * MS_NS):
        source = make_frame(number=number, captured_ns=captured_ns)
        return make_restored(
            source, started_ns=captured_ns + 8 * MS_NS, finished_ns=captured_ns + 28 * MS_NS
        )

    return make


def test_the_age_is_told_by_stage_and_adds_up(late):
    made = late()
    painted_ns = made.source.header.captured_ns + 41 * MS_NS
    ages = Ages.of(made, painted_ns)
    assert (ages.wait_ms, ages.restore_ms, ages.paint_ms) == (8.0, 20.0, 13.0)
    shown = Shown(made.source, made, EngineSign.ANSWERING)
    cell = _cells(measured=Measured(ages=ages), shown=shown, now_ns=painted_ns)["AGE"]
    assert (cell.value, cell.aside) == ("41 ms", "8\u202f+\u202f20\u202f+\u202f13")
    assert "8 ms until restoring started\n20 ms restoring\n13 ms until painted" in cell.detail


def test_the_first_result_waits_for_the_second(late, make_restored):
    made = late()
    rival = make_restored(made.source, finished_ns=made.provenance.finished_ns + 5 * MS_NS)
    both = Restored(made.pixels, made.source, made.provenance, rival)
    ages = Ages.of(both, made.source.header.captured_ns + 41 * MS_NS)
    assert (ages.restore_ms, ages.paint_ms) == (25.0, 8.0)


def test_the_ages_are_medians_stage_by_stage():
    assert Ages.median([]) is None
    found = Ages.median([Ages(1, 20, 3), Ages(2, 10, 9), Ages(9, 30, 4)])
    assert found == Ages(2, 20, 4)


def test_the_age_on_the_screen_is_measured_when_painted(open_window, late, make_status, clock):
    window, feed = open_window()
    feed.report(make_status())
    for number in range(3):
        made = late(number, clock.ns)
        clock.step(0.041)
        feed.offer(ShownPair(made.source, made))
        window.tick()
        clock.step(0.3)
        window.tick()
    cell = window.status._cells["AGE"]
    assert cell.value.text() == "41 ms", "it does not grow between two frames"
    assert cell.aside.text() == "8\u202f+\u202f20\u202f+\u202f13"
    assert cell.aside.isVisible()
    clock.step(5.0)
    window.tick()
    assert cell.value.text() == "5341 ms"
    assert cell.value.property("tone") == "warn"
    assert not cell.aside.isVisible()


def test_an_old_frame_of_a_paused_camera_is_no_warning(late, make_status):
    made = late()
    shown = Shown(made.source, made, EngineSign.ANSWERING)
    now_ns = made.source.header.captured_ns + 60_000 * MS_NS
    assert _cells(make_status(), shown=shown, now_ns=now_ns)["AGE"].tone is Tone.WARN
    paused = _cells(make_status(live=False), shown=shown, now_ns=now_ns)["AGE"]
    assert paused.tone is Tone.NORMAL


@pytest.mark.parametrize(
    ("left_s", "text", "tone"),
    [
        (12_000.0, "3 h 20 min", Tone.NORMAL),
        (600.0, "10 min", Tone.NORMAL),
        (599.0, "9 min", Tone.WARN),
        (60.0, "1 min", Tone.WARN),
        (59.9, "59 s", Tone.ALARM),
        (0.0, "0 s", Tone.ALARM),
    ],
)
def test_the_disk_left_turns_yellow_and_red(make_status, left_s, text, tone):
    cell = _cells(make_status(disk_left_s=left_s))["DISK"]
    assert (cell.value, cell.tone) == (text, tone)


def test_the_disk_left_is_told_while_recording_only(make_status):
    assert _cells(make_status(disk_left_s=None))["DISK"].value == "\u2013"
    cell = _cells(make_status(recording=None, disk_left_s=50.0))["DISK"]
    assert (cell.value, cell.tone) == ("\u2013", Tone.MUTED)


def test_an_age_without_a_result_is_that_of_the_raw_frame(make_frame):
    raw = make_frame(np.zeros((4, 4), np.uint16), captured_ns=MS_NS)
    shown = Shown(raw, None, EngineSign.WAITING)
    cell = _cells(measured=Measured(ages=Ages(1, 2, 3)), shown=shown, now_ns=31 * MS_NS)["AGE"]
    assert (cell.value, cell.aside) == ("30 ms", "")


def test_the_age_is_that_of_the_engine_in_use(open_window, late, make_restored, clock):
    window, feed = open_window()
    for number in range(10):
        made = late(number, clock.ns)
        clock.step(0.041)
        feed.offer(ShownPair(made.source, made))
        window.tick()
    source = late(10, clock.ns).source
    other = make_restored(
        source,
        engine="mean5",
        started_ns=clock.ns + MS_NS,
        finished_ns=clock.ns + 3 * MS_NS,
    )
    clock.step(0.005)
    feed.offer(ShownPair(source, other))
    window.tick()
    clock.step(0.25)
    window.tick()
    assert window.status._cells["AGE"].aside.text() == "1\u202f+\u202f2\u202f+\u202f2"


@pytest.mark.parametrize("size", [(1280, 800), (3840, 2160)])
def test_the_longest_split_of_an_age_is_not_cut_off(open_window, make_restored, late, clock, size):
    window, feed = open_window(size=size)
    source = late(0, clock.ns).source
    made = make_restored(
        source,
        started_ns=clock.ns + 900 * MS_NS,
        finished_ns=clock.ns + 1800 * MS_NS,
    )
    clock.step(1.999)
    feed.offer(ShownPair(source, made))
    window.tick()
    aside = window.status._cells["AGE"].aside
    assert aside.text() == "900\u202f+\u202f900\u202f+\u202f199"
    assert aside.fontMetrics().horizontalAdvance(aside.text()) <= aside.width()
