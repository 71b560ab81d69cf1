"""The picture of a frame does not wait for its virtual stack, nor does the wheel."""

import numpy as np
import pytest
from refocus_run import WAVES

from liverestore.service import frame_work
from liverestore.service.engine import obey
from liverestore.status import SetDpm, SetZStack


@pytest.fixture
def slow(start, monkeypatch):
    """A run whose stacks count as slow, plane by plane; `meanwhile` happens between two planes."""
    monkeypatch.setattr("liverestore.restore._BATCH_PX", 1)
    monkeypatch.setattr(frame_work, "_AT_ONCE_S", -1.0)

    def make(meanwhile=lambda _run, _planes: None, engine="refocus", **asked):
        planes = []

        def refocused():
            planes.append(None)
            before = run.dpm.asked
            meanwhile(run, len(planes))
            return run.dpm.asked != before

        run = start(refocused=refocused, engine=engine, **asked)
        run.loop.stack("-1:1:0.5")
        run.planes = planes
        return run

    return make


def planes_um(result):
    return [plane.pixels.mean() / WAVES for plane in result.planes]


def test_the_picture_comes_first_and_counts_once(slow):
    seen = []
    run = slow(lambda run, _planes: seen.append((len(run.results), run.loop.report().restored)))
    run.restore()
    first, whole = run.results
    assert first.planes == ()
    assert planes_um(whole) == pytest.approx([-1, -0.5, 0, 0.5, 1])
    assert whole.pixels is first.pixels
    assert whole.source is first.source
    # the picture was there, and counted, before the first plane
    assert seen[0] == (1, 1)
    assert run.loop.report().restored == 1
    (kept,) = run.files
    assert (kept.pixels is first.pixels, len(kept.planes)) == (True, 5)


def test_a_stack_that_is_quick_comes_with_its_picture(slow, monkeypatch):
    run = slow()
    monkeypatch.setattr(frame_work, "_AT_ONCE_S", 1e9)
    run.restore()
    assert len(run.results) == 1
    assert len(run.results[0].planes) == 5


def test_a_stack_that_turns_out_slow_shows_its_picture_meanwhile(slow, monkeypatch):
    def meanwhile(run, planes):
        seen.append(len(run.results))
        if planes == 2:
            monkeypatch.setattr(frame_work, "_AT_ONCE_S", -1.0)

    seen = []
    run = slow(meanwhile)
    monkeypatch.setattr(frame_work, "_AT_ONCE_S", 1e9)
    run.restore()
    assert seen == [0, 0, 1, 1, 1]
    assert [len(result.planes) for result in run.results] == [0, 5]


def test_the_wheel_is_obeyed_in_the_middle_of_a_stack_which_goes_on(slow):
    def turn(run, planes):
        if planes == 2:
            obey(run.loop, SetDpm(spec="3"))

    run = slow(turn)
    run.restore()
    first, turned, whole = run.results
    at = [result.pixels.mean() / WAVES for result in run.results]
    assert at == pytest.approx([0, 3, 3], abs=1e-6)
    assert (first.planes, turned.planes) == ((), ())
    assert planes_um(whole) == pytest.approx([-1, -0.5, 0, 0.5, 1])
    # the picture, two planes, the other picture, and the rest: no plane was made twice
    assert len(run.opened["refocus"].batches) == 1 + 5 + 1
    assert run.loop.report().restored == 1
    assert run.loop.report().dpm == "3"
    # of each raw frame the first result is kept, with its one stack
    (kept,) = run.files
    assert (kept.pixels is first.pixels, kept.planes == whole.planes) == (True, True)
    # and it is not made again for a wheel that has been obeyed
    assert run.idle() == 0


def test_the_second_engine_follows_the_wheel_too(slow):
    def turn(run, planes):
        if planes == 1:
            obey(run.loop, SetDpm(spec="3"))

    run = slow(turn, rival="refocus-b")
    run.restore()
    rivals = [result.rival.pixels.mean() / WAVES for result in run.results]
    assert rivals == pytest.approx([0, 3, 3], abs=1e-6)
    assert all(result.rival is None for result in run.files)


def test_a_wheel_beyond_the_reach_shows_nothing_new(slow):
    def turn(run, planes):
        if planes == 2:
            obey(run.loop, SetDpm(spec="12"))

    run = slow(turn)
    run.restore()
    assert len(run.results) == 2
    assert "reaches from -10 to 10 um" in run.loop.notices[0]


def test_an_engine_that_fails_at_the_wheel_costs_neither_picture_nor_planes(slow):
    def turn(run, planes):
        run.opened["refocus"].breaks = planes == 2
        if planes == 2:
            obey(run.loop, SetDpm(spec="3"))

    run = slow(turn)
    engine = run.opened["refocus"]
    infer = engine.infer

    def recovers(batch):
        try:
            return infer(batch)
        finally:
            engine.breaks = False

    engine.infer = recovers
    run.restore()
    assert len(run.results[-1].planes) == 5
    assert run.results[-1].pixels is run.results[0].pixels
    assert run.loop.notices == ["frame 1 not restored again: the GPU fell off"]
    assert run.idle() == 0


def test_on_the_frame_on_screen_the_wheel_need_not_wait_for_a_new_stack_either(slow):
    def turn(run, planes):
        if run.turns and planes == run.turns:
            obey(run.loop, SetDpm(spec="3"))

    run = slow(turn)
    run.turns = 0
    run.restore()
    run.turns = len(run.planes) + 2
    before = len(run.results)
    obey(run.loop, SetZStack(text="0:2:1"))
    assert run.idle() == 2
    turned, whole = run.results[before:]
    assert (turned.planes, planes_um(whole)) == ((), pytest.approx([0, 1, 2], abs=1e-6))
    assert turned.pixels.mean() / WAVES == pytest.approx(3)
    assert whole.pixels is turned.pixels
    assert len(run.files) == 1


def test_batches_are_short_enough_for_the_wheel_and_of_one_size(start, monkeypatch):
    run = start()
    run.loop.stack("-5:5:1")
    monkeypatch.setattr(frame_work, "_picture_s", lambda _made: 0.11)
    run.restore()
    assert run.opened["refocus"].batches == [1, 2, 2, 2, 2, 2, 1]
    # chosen once: a network is compiled for each number
    monkeypatch.setattr(frame_work, "_picture_s", lambda _made: 0.06)
    run.restore()
    assert run.opened["refocus"].batches[7:] == [1, 2, 2, 2, 2, 2, 1]
    run.inlet.frames.append(run.frame(3, shape=(16, 32)))
    assert run.loop.step(0)
    assert run.opened["refocus"].batches[14:] == [1, 4, 4, 3]


def test_a_stack_that_is_given_up_leaves_the_picture_counted(slow):
    run = slow(ends=lambda: len(run.planes) > 1)
    run.inlet.frames.append(run.frame(1))
    assert not run.loop.step(0)
    assert [result.planes for result in run.results] == [()]
    assert run.loop.report().restored == 1
    assert run.inlet.failed == 0
    assert run.files == []


def test_a_stack_that_fails_leaves_the_picture_to_the_file(slow):
    run = slow()
    run.opened["refocus"].breaks_at = 3
    run.restore()
    assert [result.planes for result in run.results] == [(), ()]
    assert [result.planes for result in run.files] == [()]
    np.testing.assert_array_equal(run.files[0].pixels, run.results[0].pixels)
    assert run.loop.notices == ["frame 1 has no virtual stack: the GPU fell off"]
