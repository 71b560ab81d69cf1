"""The DPM of a run: changed between two frames, the last frame again, what is refused."""

import msgspec
import numpy as np
import pytest
from refocus_run import AIR, RIG, WAVES, Engine, frame

from liverestore.errors import UserError
from liverestore.rig_channels import ChannelConfig
from liverestore.service.engine import begin, obey, open_live
from liverestore.service.live_dpm import LiveDpm
from liverestore.service.plan import RunPlan
from liverestore.service.routing import FOR_CAPTURE, FOR_ENGINE
from liverestore.service.run_book import RunBook
from liverestore.status import EngineReport, SetDpm, Word


def test_it_begins_in_focus_and_obeys_between_two_frames(start):
    run = start()
    np.testing.assert_allclose(run.restore(), 0)
    assert (run.loop.report().dpm, run.loop.report().reach_um) == ("0", 10.0)
    obey(run.loop, SetDpm(spec="2.5"))
    np.testing.assert_allclose(run.restore(), 2.5, rtol=1e-5)
    assert run.results[-1].provenance.parameters["virtual_z_um"] == 2.5
    assert run.loop.report().dpm == "2.5"
    obey(run.loop, SetDpm(spec=None))
    np.testing.assert_allclose(run.restore(), 0)
    assert (run.loop.report().dpm, run.loop.report().dpm_asked) == ("0", None)
    assert run.loop.notices == []


def test_a_tilted_plane_is_placed_with_the_pixel_size(start):
    run = start()
    run.loop.refocus("plane:1,0.1,0")
    um = run.restore()
    assert um[0, -1] - um[0, 0] == pytest.approx(0.1 * 23 * 0.325, rel=1e-4)
    assert um.mean() == pytest.approx(1.0, rel=1e-4)
    assert run.results[-1].provenance.parameters["dpm"] == "plane:1,0.1,0"


def test_the_last_frame_again_where_no_newer_one_waits(start):
    run = start()
    run.restore()
    counted = run.loop.report()
    run.loop.refocus("3")
    assert run.idle() == 1
    np.testing.assert_allclose(run.um(), 3, rtol=1e-5)
    first, again = run.results
    assert again.source is first.source
    assert again.provenance.parameters["dpm"] == "3"
    # it counts nowhere, and the file keeps the first result of each frame
    assert run.loop.report().restored == counted.restored == 1
    assert run.loop.report().age_p50_ms == counted.age_p50_ms
    assert [result.provenance.parameters["dpm"] for result in run.files] == ["0"]
    # the same DPM once more is nothing new
    run.loop.refocus("3")
    assert run.idle() == 0


def test_of_many_changes_the_newest_is_made_and_a_newer_frame_comes_first(start):
    run = start()
    run.restore()
    for z in range(1, 9):
        run.loop.refocus(str(z))
    assert run.idle() == 1
    np.testing.assert_allclose(run.um(), 8, rtol=1e-5)
    run.loop.refocus("-4")
    np.testing.assert_allclose(run.restore(), -4, rtol=1e-5)
    assert run.results[-1].source.header.number == 2
    assert run.idle() == 0


REFUSED = {
    "nan": "finite",
    "11": "reaches from -10 to 10 um",
    "magic": "which is no file",
    "plane:1,2": "allowed is plane:z0,dz/dx,dz/dy",
    "sphere:0,2": "radius of at least that",
    "small.npy": "got 3x4 values for frames of 16x24",
    "gaps.npy": "NaN or infinite",
    "plane:30,0.01,0": "everywhere in the frame; stay within",
    "points:0,0,0;9,0,12;0,9,1": "a point lies at 12 um",
}


@pytest.mark.parametrize("spec", REFUSED)
def test_what_is_refused_leaves_the_old_one_and_says_so_once(start, tmp_path, monkeypatch, spec):
    monkeypatch.chdir(tmp_path)
    np.save("small.npy", np.zeros((3, 4)))
    np.save("gaps.npy", np.full((16, 24), np.nan))
    run = start()
    run.loop.refocus("2")
    run.restore()
    run.loop.refocus(spec)
    assert run.idle() == 0
    np.testing.assert_allclose(run.restore(), 2, rtol=1e-5)
    assert run.loop.report().dpm == "2"
    assert len(run.loop.notices) == 1
    assert REFUSED[spec] in run.loop.notices[0]
    assert run.loop.notices[0].endswith("; 2 um stays")
    assert "\n" not in run.loop.notices[0]


def test_a_map_gives_way_to_its_mean_while_frames_have_another_size(start, tmp_path):
    values = np.linspace(0, 4, 16 * 24).reshape(16, 24)
    path = tmp_path / "map.npy"
    np.save(path, values)
    run = start()
    run.loop.refocus(str(path))
    np.testing.assert_allclose(run.restore(), values, atol=1e-4)
    np.testing.assert_allclose(run.restore(shape=(8, 8)), 2.0, atol=1e-3)
    assert run.loop.report().dpm == "2"
    assert run.loop.report().dpm_asked == str(path)
    assert len(run.loop.notices) == 1
    assert "for frames of 8x8" in run.loop.notices[0]
    assert "refocused by its mean, 2 um" in run.loop.notices[0]
    run.restore(shape=(8, 8))
    np.testing.assert_allclose(run.restore(), values, atol=1e-4)
    assert run.loop.report().dpm == str(path)
    assert "fits the frames again" in run.loop.notices[1]
    assert len(run.loop.notices) == 2
    assert run.inlet.failed == 0


def test_a_map_that_never_fitted_gives_way_too(start, tmp_path):
    path = tmp_path / "map.npy"
    np.save(path, np.full((3, 4), 1.5))
    run = start()
    run.loop.refocus(str(path))
    np.testing.assert_allclose(run.restore(), 1.5, rtol=1e-4)
    assert "for frames of 16x24" in run.loop.notices[0]


def test_a_surface_beyond_the_reach_is_clipped_and_says_so(start):
    run = start()
    run.loop.refocus("plane:9,1,0")
    assert run.restore().max() == pytest.approx(10, rel=1e-4)
    made = run.results[-1].provenance
    assert made.parameters["dpm_clipped_px"] > 0
    assert "clipped to -10 to 10 um" in made.warnings[0]


def test_frames_of_another_size_tell_what_is_clipped_in_them():
    told = []
    dpm = LiveDpm(RIG, told.append)
    dpm.ask("plane:9,0.5,0", [Engine("refocus", True).spec])
    dpm.at(frame(0).header)
    dpm.at(frame(1).header)
    assert [line.partition(":9,0.5,0 ")[2][:14] for line in told] == ["goes from 7.13"]
    assert "% of the frame lies beyond the engine's reach and is clipped to -10 to 10 um" in told[0]
    dpm.at(frame(2, shape=(8, 8)).header)
    assert len(told) == 1
    dpm.at(frame(3, shape=(8, 40)).header)
    assert len(told) == 2


def test_each_channel_has_its_own_waves_and_its_own_last_frame(start):
    red = ChannelConfig(name="red", group="g", preset="p", exposure_ms=5.0, wavelength_nm=650.0)
    green = msgspec.structs.replace(red, name="green", preset="q", wavelength_nm=None)
    run = start(rig=msgspec.structs.replace(RIG, channels=(green, red)))
    run.restore(channel="green")
    run.restore(channel="red")
    run.loop.refocus("2")
    assert run.idle() == 2
    per_um = [result.provenance.parameters["waves_per_um"] for result in run.results[-2:]]
    names = [result.source.header.channel for result in run.results[-2:]]
    assert names == ["green", "red"]
    assert per_um[0] == pytest.approx(per_um[1] * 650 / 550, rel=1e-5)


def test_only_what_refocuses_is_made_again(start):
    run = start(engine="denoise", rival="refocus")
    run.restore()
    assert run.loop.report().dpm == "0"
    run.loop.refocus("4")
    assert run.idle() == 1
    assert run.opened["denoise"].inferred == 1
    first, again = run.results
    assert again.pixels is first.pixels
    np.testing.assert_allclose(again.rival.pixels / WAVES, 4, rtol=1e-5)


def test_without_an_engine_that_refocuses_it_is_kept_for_one(start):
    run = start(engine="denoise")
    run.restore()
    run.loop.refocus("4")
    assert run.idle() == 0
    assert "no engine in use refocuses" in run.loop.notices.pop()
    assert (run.loop.report().dpm, run.loop.report().reach_um) == (None, None)
    run.loop.use("refocus")
    np.testing.assert_allclose(run.restore(), 4, rtol=1e-5)


def test_an_engine_that_fails_on_the_last_frame_is_told_of(start):
    run = start()
    run.restore()
    run.opened["refocus"].breaks = True
    run.loop.refocus("4")
    assert run.idle() == 0
    assert run.loop.notices == ["frame 1 not restored again: the GPU fell off"]
    assert run.inlet.failed == 0


def test_a_rig_without_na_refuses_the_engine_and_the_dpm(make_package):
    make_package()
    rig = msgspec.structs.replace(RIG, optics=msgspec.structs.replace(AIR, numerical_aperture=None))
    dpm = LiveDpm(rig)
    with pytest.raises(UserError, match=r"'bend' refocuses: .*optics.numerical_aperture missing"):
        open_live("bend", 1, dpm=dpm)
    with pytest.raises(UserError, match=r"optics.numerical_aperture missing"):
        dpm.ask("3", [])
    assert dpm.used == "0"


def test_a_restarted_engine_begins_where_the_last_one_was(start):
    run = start(engine="denoise")
    begin(run.loop, RunPlan(rig=RIG, engine="refocus", endpoints=None, dpm="-1.5"))
    np.testing.assert_allclose(run.restore(), -1.5, rtol=1e-5)


def test_a_run_hands_the_dpm_on_and_remembers_what_was_asked():
    word = msgspec.json.decode(msgspec.json.encode(SetDpm(spec="2+map.npy")), type=Word)
    assert word == SetDpm(spec="2+map.npy")
    assert isinstance(word, FOR_ENGINE)
    assert not isinstance(word, FOR_CAPTURE)
    book = RunBook(RunPlan(rig=RIG, engine="refocus", endpoints=None))
    assert book.status("running").dpm is None
    book.hear(
        "engine",
        EngineReport(
            engine="refocus", runtime="fake", dpm="2.5", dpm_asked="2+map.npy", reach_um=10.0
        ),
    )
    status = book.status("running")
    assert (status.dpm, status.reach_um) == ("2.5", 10.0)
    # an engine that is started again tries the map, not the plane that stood in for it
    assert book.plan.dpm == "2+map.npy"
