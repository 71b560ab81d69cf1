"""Light of all that is no live run: series, acquisitions, images of other programs, restarts."""

from types import SimpleNamespace

import msgspec
import numpy as np
import pytest
from light_run import EXPOSURE_MS, FRAME_J, in_turn, simulated

from liverestore.acquisition_plan import AcquisitionPlan, Position, even_times
from liverestore.camera.image_hook import ImageHook
from liverestore.camera.open import open_core_source
from liverestore.camera.steady_series import AT_ONCE, SteadySeries
from liverestore.cli.acquire_light import refuse_acquisition
from liverestore.dose_account import account_file, open_account
from liverestore.errors import UserError
from liverestore.service.hook_light import ImageLight
from liverestore.service.light_open import open_light_of
from liverestore.service.metered_camera import MeteredCamera, refuse_beyond


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("LIVERESTORE_HOME", str(tmp_path))


@pytest.fixture
def camera():
    opened = []

    def start(rig):
        source = open_core_source(rig)
        opened.append(source)
        return source, source.start()

    yield start
    for source in opened:
        source.stop()


def stored(rig):
    return open_account(account_file(rig.name, None)).session


def test_a_calibration_series_costs_what_the_core_exposed_and_darks_cost_nothing(camera):
    rig = simulated()
    source, info = camera(rig)
    light = open_light_of(rig)
    light.begin(source, info)
    series = SteadySeries(source, light=light)
    assert len(list(series.frames(5, EXPOSURE_MS, lit=False))) == 5
    dark = source.exposures
    assert light.meter.session.count() == 0
    assert len(list(series.frames(AT_ONCE + 3, EXPOSURE_MS, lit=True))) == AT_ONCE + 3
    flats = source.exposures - dark
    # Each run opens with a frame that is left out, and light all the same.
    assert flats == AT_ONCE + 3 + 2 == light.meter.session.count() == series.lit_frames
    assert light.meter.session.dose_j_cm2 == pytest.approx(flats * FRAME_J, rel=1e-12)
    # After a bounded run the next one is not bounded by it.
    assert len(list(series.frames(AT_ONCE, 2 * EXPOSURE_MS, lit=False))) == AT_ONCE
    light.save()
    assert stored(rig).count() == flats


def test_a_calibration_ends_where_the_budget_does(camera):
    rig = simulated(budget_j_cm2=6.5 * FRAME_J)
    source, info = camera(rig)
    light = open_light_of(rig)
    light.begin(source, info)
    with pytest.raises(UserError, match="no light: the light budget"):
        list(SteadySeries(source, light=light).frames(10, EXPOSURE_MS, lit=True))
    assert source.exposures == light.meter.session.count() == 6


def test_with_a_lamp_of_many_levels_time_is_counted_and_no_dose():
    light = open_light_of(simulated(budget_j_cm2=1.0), measured=False)
    light.meter.charge(light._lamp(None), 40.0)
    assert not light.meter.session.measured
    assert light.meter.session.light_on_s == pytest.approx(0.04)
    assert not light.meter.budget.limited


def test_snaps_of_a_comparison_are_counted_on_after_a_restart(camera):
    rig = simulated(budget_j_cm2=20 * FRAME_J)
    source, info = camera(rig)
    metered = MeteredCamera(source, info, open_light_of(rig))
    for z_um in (0.0, 2.0, 4.0):
        metered.configure(z_um=z_um)
        metered.snap()
    assert source.exposures == metered.light.meter.session.count() == 3
    metered.light.save()
    again = open_light_of(rig)
    again.begin(source, info)
    refuse_beyond(again, "the comparison", 250.0, 17 * EXPOSURE_MS)
    with pytest.raises(UserError, match=r"the comparison takes 0.018 J/cm2, .* holds 0.017 J"):
        refuse_beyond(again, "the comparison", 250.0, 18 * EXPOSURE_MS)
    refuse_beyond(again, "the comparison", None, 1e9)


def test_an_acquisition_that_the_budget_cannot_hold_is_refused_before_its_first_exposure(tmp_path):
    rig = in_turn()
    visit = 1e-6 * (80.0 * 3.0 + 250.0 * 6.0)
    apart = {"a": (0.0, 0.0), "b": (500.0, 0.0)}

    def look(budget=None, session=None, done=(0, 0), places=apart, used=0):
        lit = msgspec.structs.replace(rig.illumination, session_budget_j_cm2=session)
        light = open_light_of(msgspec.structs.replace(rig, illumination=lit), tmp_path,
                              budget_j_cm2=budget)  # fmt: skip
        light.meter.size_um = (100.0, 100.0)
        light.meter.look_at((505.0, 0.0))
        if used:
            light.meter.charge(light._lamp("DAPI"), used * visit / 80e-6)
        plan = AcquisitionPlan(
            even_times(5, 0.0),
            tuple(Position(name, xy_um) for name, xy_um in places.items()),
            rig.channels,
        )
        refuse_acquisition(light, plan, done, rig, None)

    look()
    look(budget=5 * visit)
    with pytest.raises(UserError, match=r"takes 0.0087 J/cm2 on the field of 'a'.*--dose-budget"):
        look(budget=4.9 * visit)
    look(budget=4.9 * visit, done=(1, 1))
    look(session=10 * visit)
    with pytest.raises(UserError, match=r"takes 0.0174 J/cm2 in all"):
        look(session=9.9 * visit)
    # What a place has got before is used up there, and nowhere else.
    look(budget=6 * visit, used=1)
    with pytest.raises(UserError, match=r"on the field of 'b', .*has 0.00696 of 0.0104 J/cm2 left"):
        look(budget=6 * visit, used=2)
    look(budget=6 * visit, used=2, done=(0, 1))
    # Two places within half a field of view share its budget.
    near = {"a": (0.0, 0.0), "b": (20.0, 0.0)}
    look(budget=10 * visit, places=near)
    with pytest.raises(UserError, match=r"takes 0.0174 J/cm2 on the field of 'a' and 'b'"):
        look(budget=9.9 * visit, places=near)
    here = {"": None, "b": (510.0, 0.0)}
    with pytest.raises(UserError, match=r"takes 0.0174 J/cm2 on the field of 'b'"):
        look(budget=9.9 * visit, places=here)


def image(hook, number, exposure_ms=40.0, x_um=0.0):
    tags = {
        "Axes": {"time": number}, "Camera": "c", "Exposure": str(exposure_ms),
        "XPosition_um_Intended": str(x_um), "YPosition_um_Intended": "0",
    }  # fmt: skip
    return hook(np.zeros((32, 32), np.uint16), tags)


def hook_of(rig, aborted):
    hook = ImageHook(lambda _frame: (), pixel_size_um=0.5, light=ImageLight(rig))
    acquisition = SimpleNamespace(
        abort=aborted.append, _image_processor=SimpleNamespace(output_queue=SimpleNamespace())
    )
    hook.attach(acquisition)
    return hook


def test_images_of_pycromanager_are_charged_and_restarts_go_on():
    rig, aborted = simulated(budget_j_cm2=0.075), []
    first = hook_of(rig, aborted)
    for number in range(3):
        _, tags = image(first, number)
    assert msgspec.json.decode(tags["LiverestoreLight"])["field_dose_j_cm2"] == pytest.approx(0.03)
    first.finish()
    assert stored(rig).dose_j_cm2 == pytest.approx(0.03, rel=1e-12)
    again = hook_of(rig, aborted)
    image(again, 0, x_um=300.0)
    for number in range(1, 4):
        image(again, number)
    assert aborted == []
    # Of the sixth and seventh on this field the last fits, and not one more.
    image(again, 4)
    assert str(aborted[0]).startswith("no light: the light budget of 0.075")
    image(again, 5)
    assert len(aborted) == 1
    again.finish()
    session = stored(rig)
    assert session.count("snap") == 3 + 6
    assert session.dose_j_cm2 == pytest.approx(0.09, rel=1e-12)
    assert [one.light.count() for one in open_account(account_file(rig.name, None)).fields] == [
        8,
        1,
    ]
