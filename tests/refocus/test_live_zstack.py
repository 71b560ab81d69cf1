"""Virtual stacks of a run: made with each frame, made again when asked for, and refused."""

import threading

import msgspec
import numpy as np
import pytest
from refocus_run import AIR, RIG, WAVES

from liverestore.rig_channels import ChannelConfig
from liverestore.service import frame_work
from liverestore.service.engine import _hear, begin, obey
from liverestore.service.plan import RunPlan
from liverestore.service.routing import FOR_CAPTURE, FOR_ENGINE
from liverestore.service.run_book import RunBook
from liverestore.service.trust_keeper import TrustKeeper
from liverestore.status import EngineReport, SetDpm, SetEngine, SetLive, SetZStack, Stop, Word


def um(result):
    """Where each plane lies, read from its picture, and checked against what it says."""
    told = [plane.provenance.parameters["virtual_z_um"] for plane in result.planes]
    for plane, z_um in zip(result.planes, told, strict=True):
        np.testing.assert_allclose(plane.pixels / WAVES, z_um, rtol=1e-5, atol=1e-6)
        assert plane.source is result.source
        assert plane.planes == ()
    return told


def test_each_frame_gets_a_picture_at_the_dpm_and_a_stack(start):
    run = start()
    run.restore()
    assert run.results[-1].planes == ()
    obey(run.loop, SetDpm(spec="2.5"))
    obey(run.loop, SetZStack(text="-1:1:0.5"))
    np.testing.assert_allclose(run.restore(), 2.5, rtol=1e-5)
    assert um(run.results[-1]) == [-1, -0.5, 0, 0.5, 1]
    assert run.loop.report().zstack == run.loop.report().zstack_asked == "-1:1:0.5"
    # the planes went through as one batch
    assert run.opened["refocus"].batches == [1, 1, 5]
    obey(run.loop, SetZStack(text=None))
    run.restore()
    assert run.results[-1].planes == ()
    assert (run.loop.report().zstack, run.loop.report().zstack_asked) == (None, None)
    assert run.loop.notices == []


def test_the_last_frame_gets_its_stack_where_no_newer_one_waits(start):
    run = start()
    run.restore()
    run.loop.stack("0:2:1")
    assert run.idle() == 1
    first, again = run.results
    assert um(again) == [0, 1, 2]
    assert again.pixels is first.pixels
    assert run.opened["refocus"].batches == [1, 3]
    assert run.loop.report().restored == 1
    assert [result.planes for result in run.files] == [()]
    # the wheel makes another picture; the stack, which does not follow it, is not made again
    run.loop.refocus("3")
    assert run.idle() == 1
    assert um(run.results[-1]) == [0, 1, 2]
    assert run.opened["refocus"].batches == [1, 3, 1]
    run.loop.stack("0:2:1")
    assert run.idle() == 0
    run.loop.stack(None)
    assert run.idle() == 1
    assert run.results[-1].planes == ()
    assert run.opened["refocus"].batches == [1, 3, 1]


REFUSED = {
    "0:11:1": "asks for 11 um; the engine 'refocus' reaches from -10 to 10 um",
    "-10.5:0:1": "asks for -10.5 um",
    "magic": "allowed is START:STOP:STEP in um",
    "1:0:1": "START below STOP",
    "0:1:nan": "finite",
    "-9:9:0.05": "361 planes; allowed while live are up to 200",
    "-5:5:0.01": "1,001 planes; allowed are up to 1,000",
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_refused_leaves_the_stack_before(start, text):
    run = start()
    run.loop.stack("-1:1:1")
    run.restore()
    run.loop.stack(text)
    assert run.idle() == 0
    run.restore()
    assert um(run.results[-1]) == [-1, 0, 1]
    assert run.loop.report().zstack == "-1:1:1"
    (line,) = run.loop.notices
    assert REFUSED[text] in line
    assert line.startswith("no such virtual stack: ")
    assert line.endswith("; -1:1:1 um stays")
    assert "\n" not in line
    assert "--" not in line


def test_without_an_engine_that_refocuses_it_is_kept_for_one(start):
    run = start(engine="denoise")
    run.loop.stack("0:2:1")
    run.restore()
    assert run.results[-1].planes == ()
    assert run.loop.report().zstack is None
    assert run.loop.report().zstack_asked == "0:2:1"
    assert "no engine in use refocuses" in run.loop.notices.pop()
    run.loop.use("refocus")
    run.restore()
    assert um(run.results[-1]) == [0, 1, 2]


def test_a_rig_without_na_is_told(start):
    rig = msgspec.structs.replace(RIG, optics=msgspec.structs.replace(AIR, numerical_aperture=None))
    run = start(engine="denoise", rig=rig)
    run.loop.stack("0:2:1")
    (line,) = run.loop.notices
    assert "optics.numerical_aperture missing" in line
    assert run.loop.report().zstack_asked is None


def test_an_engine_that_reaches_less_makes_no_stack_and_says_so_once(start):
    run = start()
    run.loop.stack("-5:5:1")
    run.restore()
    run.loop.use("refocus-near")
    for _ in range(3):
        run.restore()
        assert run.results[-1].planes == ()
    assert run.loop.report().zstack is None
    (line,) = run.loop.notices
    assert "'refocus-near' reaches from -3 to 3 um" in line
    run.loop.stack("-3:3:1")
    run.restore()
    assert len(run.results[-1].planes) == 7


def test_an_engine_that_fails_within_a_stack_costs_neither_frame_nor_picture(start, monkeypatch):
    monkeypatch.setattr("liverestore.restore._BATCH_PX", 2 * 16 * 24)
    run = start()
    run.loop.stack("0:5:1")
    run.restore()
    engine = run.opened["refocus"]
    assert engine.batches == [1, 2, 2, 2]
    engine.breaks_at = 6  # in the second batch of the next stack
    run.restore()
    assert run.results[-1].source.header.number == 2
    assert run.results[-1].planes == ()
    assert run.loop.notices == ["frame 2 has no virtual stack: the GPU fell off"]
    assert run.inlet.failed == 0
    engine.breaks_at = None
    run.restore()
    assert len(run.results[-1].planes) == 6


def test_planes_that_no_message_holds_are_refused(start, monkeypatch):
    monkeypatch.setattr(frame_work, "MAX_IMAGE_BYTES", 3 * 16 * 24 * 4 - 1)
    run = start()
    run.loop.stack("0:2:1")
    run.restore()
    assert run.results[-1].planes == ()
    assert "3 planes of 16x24 are" in run.loop.notices[0]
    assert "take a larger step or a smaller ROI" in run.loop.notices[0]
    run.loop.stack("0:1:1")
    run.restore()
    assert len(run.results[-1].planes) == 2


def test_only_the_first_of_two_engines_makes_a_stack(start):
    run = start(engine="refocus", rival="refocus-b")
    run.loop.stack("0:2:1")
    run.restore()
    assert um(run.results[-1]) == [0, 1, 2]
    assert run.results[-1].rival.planes == ()
    assert run.opened["refocus-b"].batches == [1]
    other = start(engine="denoise", rival="refocus")
    other.loop.stack("0:2:1")
    other.restore()
    assert other.results[-1].planes == ()
    assert other.loop.report().zstack is None


def test_an_engine_that_is_its_own_rival_has_one_stack(start):
    run = start(engine="refocus", rival="refocus")
    run.loop.stack("0:2:1")
    run.restore()
    run.loop.refocus("1")
    assert run.idle() == 1
    assert um(run.results[-1]) == [0, 1, 2]
    assert run.results[-1].rival.planes == ()
    np.testing.assert_array_equal(run.results[-1].rival.pixels, run.results[-1].pixels)


def test_each_channel_has_its_own_stack_in_its_own_waves(start):
    red = ChannelConfig(name="red", group="g", preset="p", exposure_ms=5.0, wavelength_nm=650.0)
    green = msgspec.structs.replace(red, name="green", preset="q", wavelength_nm=None)
    run = start(rig=msgspec.structs.replace(RIG, channels=(green, red)))
    run.restore(channel="green")
    run.restore(channel="red")
    run.loop.stack("1:2:1")
    assert run.idle() == 2
    assert [result.source.header.channel for result in run.results[-2:]] == ["green", "red"]
    ratio = run.results[-2].planes[1].pixels / run.results[-1].planes[1].pixels
    np.testing.assert_allclose(ratio, 650 / 550, rtol=1e-5)
    assert all(run.loop.makes_stack(name) for name in ("green", "red"))
    run.loop.use("denoise", "red")
    assert [run.loop.makes_stack(name) for name in ("green", "red")] == [True, False]


def test_an_engine_changed_while_the_camera_is_paused_restores_the_frame_on_the_screen(start):
    run = start(engine="denoise")
    run.loop.stack("0:2:1")
    run.restore()
    obey(run.loop, SetEngine(name="refocus"))
    settle(run)
    assert run.idle() == 0  # a frame is to come, and would wait
    obey(run.loop, SetLive(on=False))
    assert run.idle() == 1
    assert run.results[-1].provenance.engine == "refocus"
    assert um(run.results[-1]) == [0, 1, 2]
    obey(run.loop, SetEngine(name="denoise"))
    settle(run)
    assert run.idle(1) + len(run.results) > 2
    assert run.results[-1].provenance.engine == "denoise"
    assert run.results[-1].planes == ()
    assert run.loop.report().restored == 1
    assert len(run.files) == 1


def settle(run):
    """Until what was asked for serves."""
    for _ in range(10_000):
        run.loop.lineup.settle()
        if run.loop.report().loading is None:
            return
    raise AssertionError("it never came")


def test_an_engine_that_cannot_restore_the_last_frame_is_told_of_once(start):
    run = start(engine="denoise")
    run.restore()
    run.loop.follow_live(False)
    run.loop.use("refocus")
    run.opened["refocus"].breaks = True
    assert run.idle() == 0
    assert run.loop.notices == ["frame 1 not restored again: the GPU fell off"]


def test_a_stack_is_given_up_when_the_run_ends(start, monkeypatch):
    monkeypatch.setattr("liverestore.restore._BATCH_PX", 1)
    asked = []

    def ends():
        asked.append(True)
        return len(asked) > 3

    run = start(ends=ends)
    run.loop.stack("0:9:1")
    run.inlet.frames.append(None)
    assert run.loop.step(0)
    run.inlet.frames.append(run.frame(1))
    assert not run.loop.step(0)
    assert run.inlet.failed == 1
    assert run.results == run.files == []
    # the picture, and a plane more than were asked about
    assert len(run.opened["refocus"].batches) == 5


def test_a_stack_is_left_when_another_one_is_asked_for(start, monkeypatch):
    monkeypatch.setattr("liverestore.restore._BATCH_PX", 1)
    words = []
    run = start(other_stack=lambda: bool(words))
    run.loop.stack("0:9:1")
    words.append(SetZStack(text="0:2:1"))
    np.testing.assert_allclose(run.restore(), 0.0, atol=1e-6)
    assert run.results[-1].planes == ()
    # the picture, and the one plane that was at work
    assert len(run.opened["refocus"].batches) == 2
    assert run.inlet.failed == 0
    run.loop.follow_live(False)
    obey(run.loop, words.pop())
    assert run.idle() == 1
    assert um(run.results[-1]) == [0, 1, 2]
    assert run.results[-1].source is run.results[0].source
    assert run.loop.notices == []
    # also one that is made again of the frame on the screen
    obey(run.loop, SetZStack(text="0:9:1"))
    words.append(SetZStack(text=None))
    assert run.idle(1) == 1
    assert run.results[-1].planes == ()
    obey(run.loop, words.pop())
    assert run.idle() == 0
    assert len(run.opened["refocus"].batches) == 2 + 3 + 1


def test_what_was_asked_for_is_reported_before_the_next_frame(start):
    """A stack can take long, and be the last thing that a process does."""
    run, stop = start(), threading.Event()
    words = [SetZStack(text="0:2:1"), Stop()]
    assert _hear(words, run.loop, run.files, stop, TrustKeeper(run.dpm.optics))
    assert words == []
    assert run.loop.report().zstack_asked == "0:2:1"
    assert not _hear([Stop()], run.loop, run.files, stop, TrustKeeper(run.dpm.optics))


def test_a_restarted_engine_makes_the_stack_that_was_asked_for(start):
    run = start(engine="denoise")
    plan = RunPlan(rig=RIG, engine="refocus", endpoints=None, zstack="0:2:1")
    begin(run.loop, plan)
    run.restore()
    assert um(run.results[-1]) == [0, 1, 2]
    book = RunBook(plan)
    book.hear("engine", EngineReport(engine="denoise", runtime="fake", zstack_asked="0:3:1"))
    assert book.plan.zstack == "0:3:1"
    assert book.status("running").zstack is None
    book.hear(
        "engine",
        EngineReport(engine="refocus", runtime="fake", zstack="0:3:1", zstack_asked="0:3:1"),
    )
    assert book.status("running").zstack == "0:3:1"


def test_the_order_goes_to_the_engine_alone():
    word = msgspec.json.decode(msgspec.json.encode(SetZStack(text="0:2:1")), type=Word)
    assert word == SetZStack(text="0:2:1")
    assert isinstance(word, FOR_ENGINE)
    assert not isinstance(word, FOR_CAPTURE)
