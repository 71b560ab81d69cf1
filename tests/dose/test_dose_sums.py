"""The account of light: exact sums, fields of view, budgets, and the file it survives in."""

import json
import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liverestore.dose import Lamp, dose_j_cm2, frames_within, nanoseconds
from liverestore.dose_account import account_file, account_text, open_account, save_account
from liverestore.dose_meter import DoseBudget, DoseMeter
from liverestore.errors import UserError

GFP = Lamp("GFP", 250.0)
DAPI = Lamp("DAPI", 81.3)
DARK = Lamp("brightfield", None)


def test_dose_is_irradiance_times_time():
    # 250 mW/cm2 for 40 ms: 0.25 W/cm2 x 0.04 s.
    assert dose_j_cm2(250.0, nanoseconds(40.0)) == pytest.approx(0.01, rel=1e-15)


def test_a_long_day_is_summed_without_drift():
    meter = DoseMeter()
    for _ in range(100_000):
        meter.charge(GFP, 33.3)
    expected = 250.0 * 33.3e-3 * 1e-3 * 100_000
    assert meter.session.dose_j_cm2 == pytest.approx(expected, rel=4e-16)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([GFP, DAPI, Lamp(None, 3.7)]),
            st.floats(0.01, 10_000.0),
            st.sampled_from(["frame", "snap", "reference", "unseen"]),
        ),
        max_size=60,
    )
)
def test_any_mixture_sums_to_irradiance_times_exposure(charges):
    meter = DoseMeter()
    for lamp, exposure_ms, kind in charges:
        meter.charge(lamp, exposure_ms, kind=kind)
    whole_ns = [
        lamp.irradiance_mw_cm2 * 1e-3 * round(exposure_ms * 1e6) * 1e-9
        for lamp, exposure_ms, _ in charges
    ]
    assert meter.session.dose_j_cm2 == pytest.approx(math.fsum(whole_ns), rel=1e-14)
    assert meter.session.count() == len(charges)


def test_light_without_irradiance_is_time_and_no_dose():
    meter = DoseMeter(DoseBudget(field_j_cm2=1e-6))
    light = meter.charge(DARK, 500.0)
    assert light.dose_j_cm2 is None
    assert light.field_dose_j_cm2 is None
    assert meter.session.unmeasured_s == 0.5
    assert meter.frames_left(DARK, 500.0) is None
    assert meter.charge(GFP, 40.0).session_dose_j_cm2 == pytest.approx(0.01)
    assert meter.session.by_channel() == {"GFP": pytest.approx(0.01)}


def test_a_field_reaches_half_its_size_and_the_nearest_counts():
    meter = DoseMeter(size_um=(100.0, 60.0))
    places = [(0, 0), (49, 29), (51, 0), (40, 0), (0, -31), (1000, 1000), (3, 3)]
    numbers = []
    for place in places:
        meter.look_at((float(place[0]), float(place[1])))
        numbers.append(meter.charge(GFP, 1.0).field)
    # (40, 0) is nearer to the field at (51, 0) than to that at (0, 0).
    assert numbers == [1, 1, 2, 2, 3, 4, 1]
    assert meter.session.count() == 7


@pytest.mark.parametrize(("size", "place"), [(None, (500.0, 0.0)), ((10.0, 10.0), None)])
def test_unknown_places_count_as_one_field(size, place):
    meter = DoseMeter(size_um=size)
    meter.look_at((0.0, 0.0) if size is None else None)
    meter.charge(GFP, 1.0)
    assert not meter.look_at(place)
    assert len(meter.fields) == 1


def test_frames_left_follow_the_tighter_budget():
    meter = DoseMeter(DoseBudget(field_j_cm2=0.05, session_j_cm2=0.08), size_um=(10.0, 10.0))
    meter.look_at((0.0, 0.0))
    assert meter.frames_left(GFP, 40.0) == 5
    for left in (4, 3, 2, 1, 0):
        meter.charge(GFP, 40.0)
        assert meter.frames_left(GFP, 40.0) == left
    assert meter.spent_share == pytest.approx(1.0)
    assert meter.look_at((500.0, 0.0))
    assert meter.frames_left(GFP, 40.0) == 3


def test_a_budget_of_tenths_holds_all_its_tenths():
    assert frames_within(1.0, 0.1) == 10
    assert frames_within(1.0 - 0.9, 0.1) == 1
    assert frames_within(0.0999, 0.1) == 0
    assert frames_within(-1e-18, 0.1) == 0


def test_an_account_goes_on_after_a_restart(tmp_path):
    path = tmp_path / "light.json"
    first = open_account(path, size_um=(100.0, 100.0))
    first.look_at((5.0, -7.5))
    for _ in range(3):
        first.charge(GFP, 33.3)
    first.charge(DAPI, 10.0, kind="reference")
    first.look_at((900.0, 0.0))
    first.charge(DARK, 20.0, kind="snap")
    save_account(path, account_text(first, "demo"))

    second = open_account(path, size_um=(100.0, 100.0))
    assert second.began_utc == first.began_utc
    assert second.session.dose_j_cm2 == first.session.dose_j_cm2
    assert second.session.light_on_ns == first.session.light_on_ns
    second.look_at((6.0, -7.0))
    assert second.here.number == 1
    assert second.here.light.dose_j_cm2 == first.fields[0].light.dose_j_cm2
    assert second.charge(GFP, 33.3).field_dose_j_cm2 == pytest.approx(
        250e-3 * 33.3e-3 * 4 + 81.3e-3 * 10e-3, rel=1e-15
    )
    told = json.loads(path.read_text())
    assert told["session_dose_j_cm2"] == first.session.dose_j_cm2
    assert told["fields"][1]["dose_j_cm2"] is None


def test_an_account_ends_over_night_or_when_told(tmp_path):
    path = tmp_path / "rig.json"
    meter = open_account(path)
    meter.charge(GFP, 40.0)
    save_account(path, account_text(meter, "demo"))
    later = datetime.now(UTC) + timedelta(hours=13)
    assert open_account(path, now=later).session.count() == 1
    assert open_account(path, expires=True).session.count() == 1
    assert open_account(path, expires=True, now=later).session.count() == 0
    assert not path.exists()
    (kept,) = tmp_path.glob("rig-*.json")
    assert json.loads(kept.read_text())["session_dose_j_cm2"] == pytest.approx(0.01)
    save_account(path, account_text(meter, "demo"))
    assert open_account(path, anew=True).session.count() == 0
    assert len(list(tmp_path.glob("rig-*.json"))) == 2


@pytest.mark.parametrize("content", [b"", b"{", b'{"about": 1}', b"\xff\xfe"])
def test_a_damaged_account_is_not_forgotten(tmp_path, content):
    path = tmp_path / "light.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match="move it away to begin at zero"):
        open_account(path)
    assert path.read_bytes() == content


def test_negative_light_is_refused(tmp_path):
    path = tmp_path / "light.json"
    meter = DoseMeter()
    meter.charge(GFP, 40.0)
    save_account(path, account_text(meter, "demo").replace(b"40000000", b"-40000000"))
    with pytest.raises(UserError, match="light_on_ns"):
        open_account(path)


def test_the_account_lies_with_the_run_or_with_the_rig(tmp_path, monkeypatch):
    monkeypatch.setenv("LIVERESTORE_HOME", str(tmp_path))
    assert account_file("Inverted 60x/1.4 oil", tmp_path / "run") == tmp_path / "run/light.json"
    assert account_file("Inverted 60x/1.4 oil", None).name == "inverted-60x-1-4-oil.json"
    assert account_file("§", None).parent == tmp_path / "light"
