"""`liverestore exposure` through the simulated core: what it asks, spends, says and writes."""

import json
import signal
import threading
import tomllib
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from liverestore.cli import exposure as command
from liverestore.cli import exposure_job
from liverestore.cli.exposure_keep import kept_in
from liverestore.cli.exposure_plan import plan_within
from liverestore.dose import Lamp
from liverestore.dose_account import account_file
from liverestore.errors import Failure, UserError
from liverestore.exposure_series import SeriesPlan
from liverestore.rig import load_rig


def invoke(*arguments, answers=None):
    app = typer.Typer()
    app.command()(command.exposure)
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=answers)


@pytest.fixture
def rig(tmp_path, monkeypatch):
    monkeypatch.setattr("liverestore.dose_account.user_data", lambda: tmp_path / "data")
    text = Path(load_rig("demo").origin).read_text(encoding="utf-8")
    for old, new in (
        ("Demo: simulated cells, 60x/1.2 W", "Small"),
        ("[512, 512]", "[128, 128]"),
        ("exposure_ms = 40.0 ", "exposure_ms = 8.0 "),
        ("peak_photons_per_ms = 0.8 ", "peak_photons_per_ms = 12.0 "),
        ("speed_um_s = 0.25", "speed_um_s = 0.0"),
    ):
        assert old in text, old
        text = text.replace(old, new)
    file = tmp_path / "small.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_the_light_is_told_counted_and_the_exposure_written(tmp_path, rig):
    report, plot = tmp_path / "advice.json", tmp_path / "curve.png"
    result = invoke(
        "--rig", rig, "--engine", "mean5", "--set", "--report", report, "--plot", plot,
        "--shortest", "0.5", answers="y\ny\n",
    )  # fmt: skip
    assert result.exit_code == 0, (result.output, result.exception)
    numbers = json.loads(report.read_text(encoding="utf-8"))
    advised = numbers["advised_ms"]
    assert 0.5 < advised < 8.0
    assert f"Write {advised:g} ms into" in result.output
    camera = tomllib.loads(rig.read_text(encoding="utf-8"))["camera"]
    assert camera["exposure_ms"] == advised
    assert "by liverestore exposure, for mean5" in rig.read_text(encoding="utf-8")
    # What was said beforehand, what the report says, and what the account has are one sum.
    spent = numbers["spent"]
    lit = [level["exposure_ms"] for level in numbers["levels"]]
    rounds = spent["rounds"]
    assert spent["light_ms"] == pytest.approx(rounds * (sum(lit) + len(lit) * 8) + 3 * 8)
    account = json.loads(account_file("Small", None).read_text(encoding="utf-8"))
    lines = [line for field in account["fields"] for line in field["light"]]
    assert {line["kind"] for line in lines} == {"reference"}
    assert sum(line["light_on_ns"] for line in lines) == round(spent["light_ms"] * 1e6)
    assert sum(line["exposures"] for line in lines) == spent["exposures"]
    assert account["session_dose_j_cm2"] == pytest.approx(spent["dose_j_cm2"])
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_without_a_yes_no_light_is_spent_and_nothing_is_written(tmp_path, rig):
    before = rig.read_text(encoding="utf-8")
    result = invoke("--rig", rig, "--engine", "mean5", answers="n\n")
    assert isinstance(result.exception, UserError)
    assert "no light was spent" in str(result.exception)
    assert not account_file("Small", None).exists()
    result = invoke(
        "--rig", rig, "--engine", "mean5", "--set", "--shortest", "0.5", answers="y\nn\n"
    )
    assert result.exit_code == 0, result.exception
    assert "nothing was written" in result.output
    assert rig.read_text(encoding="utf-8") == before


def test_a_series_that_supports_no_advice_ends_as_an_error_with_its_numbers(tmp_path, rig):
    report = tmp_path / "advice.json"
    result = invoke(
        "--rig", rig, "--engine", "mean5", "--quality", "70dB", "--yes", "--report", report,
        "--shortest", "0.5", "--set",
    )  # fmt: skip
    assert isinstance(result.exception, UserError)
    assert "no advice: restored pictures of 70 dB" in str(result.exception)
    assert json.loads(report.read_text(encoding="utf-8"))["advised_ms"] is None
    assert tomllib.loads(rig.read_text(encoding="utf-8"))["camera"]["exposure_ms"] == 8.0


def test_what_ends_the_series_still_sets_back_the_exposure_and_saves_the_account(rig, monkeypatch):
    opened = []

    def kept(config):
        source = real(config)
        set_ms = source.configure

        def configure(**changes):
            opened.append(changes.get("exposure_ms"))
            set_ms(**changes)

        source.configure = configure
        snap, taken = source.snap, []

        def failing():
            taken.append(1)
            if len(taken) == 12:
                # As the system ends a program.
                signal.raise_signal(signal.SIGTERM)
            return snap()

        source.snap = failing
        return source

    real = exposure_job.open_source
    monkeypatch.setattr(exposure_job, "open_source", kept)
    assert threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGTERM)
    result = invoke("--rig", rig, "--engine", "mean5", "--yes", "--shortest", "0.5")
    assert result.exit_code != 0
    assert "stopped after 11 exposures" in result.output
    assert opened[-1] == 8.0
    assert signal.getsignal(signal.SIGTERM) is handler
    account = json.loads(account_file("Small", None).read_text(encoding="utf-8"))
    lines = [line for field in account["fields"] for line in field["light"]]
    # The signal came in the twelfth, of which nobody knows how long it was.
    assert {line["kind"]: line["exposures"] for line in lines} == {"reference": 11, "unseen": 1}
    spent_s = sum(line["light_on_ns"] for line in lines) * 1e-9
    assert f"ended early: 11 exposures, {spent_s:.3g} s of light" in result.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--rig", "replay"), "replays a movie"),
        (("--engine", "sted"), "choose an engine that denoises"),
        (("--max-dose", "0.01"), "takes .* J/cm2 at least"),
        (("--channel", "GFP"), "the rig Small has none"),
        (("--out", "new.toml"), "without --set"),
        (("--shortest", "7"), "a factor of 2.6"),
        (("--quality", "good"), "--quality: got"),
    ],
)
def test_a_request_that_cannot_be_met_costs_no_light(rig, arguments, words):
    given = ["--rig", rig, "--yes", *arguments]
    result = invoke(*given)
    with pytest.raises((UserError, Failure), match=words):
        raise result.exception
    assert not account_file("Small", None).exists()


def test_a_budget_that_holds_no_whole_series_costs_no_light(rig):
    text = rig.read_text(encoding="utf-8")
    assert "irradiance_mw_cm2 = 250.0 " in text
    rig.write_text(text.replace("[illumination]", "[illumination]\nbudget_j_cm2 = 0.05"))
    result = invoke("--rig", rig, "--engine", "mean5", "--yes")
    with pytest.raises(UserError, match=r"the light budget holds 0\.05 J/cm2 more here, but"):
        raise result.exception
    assert not account_file("Small", None).exists()


@pytest.mark.parametrize(
    ("most", "left", "rounds"),
    [(None, None, 10), (None, 1e9, 10), (6.1, None, 6), (6.1, 4.2, 4), (4.2, 6.1, 4)],
)
def test_a_series_has_as_many_rounds_as_the_light_allows(most, left, rounds):
    plan, lamp = SeriesPlan(40.0, 1.0), Lamp(None, 250.0)
    one = plan.light_ms(4) * 250e-6 - plan.light_ms(3) * 250e-6
    ends = plan.light_ms(4) * 250e-6 - 4 * one

    def of_rounds(number):
        return None if number is None else number * one + ends

    assert plan_within(plan, lamp, of_rounds(most), of_rounds(left)).rounds == rounds
    assert plan_within(plan, Lamp(None, None), None, 0.0).rounds == 10


def test_ctrl_c_tells_what_was_spent_and_that_the_exposure_is_back(rig, monkeypatch):
    real = exposure_job.open_source

    def interrupted(config):
        source = real(config)
        snap, taken = source.snap, []

        def snapping():
            taken.append(1)
            if len(taken) == 4:
                raise KeyboardInterrupt
            return snap()

        source.snap = snapping
        return source

    monkeypatch.setattr(exposure_job, "open_source", interrupted)
    result = invoke("--rig", rig, "--engine", "mean5", "--yes", "--shortest", "0.5")
    assert result.exit_code == 130
    assert "ended early: 3 exposures, " in result.output
    assert "the exposure is 8 ms again" in result.output


def test_what_failed_first_is_not_hidden_by_what_follows(rig, monkeypatch):
    real = exposure_job.open_source

    def unplugged(config):
        source = real(config)
        snap, set_ms, taken = source.snap, source.configure, []

        def snapping():
            taken.append(1)
            if len(taken) == 4:
                raise Failure("camera Cam: the cable is out")
            return snap()

        def configure(**changes):
            if len(taken) == 4:
                raise Failure("camera Cam: does not answer")
            set_ms(**changes)

        source.snap, source.configure = snapping, configure
        return source

    monkeypatch.setattr(exposure_job, "open_source", unplugged)
    result = invoke("--rig", rig, "--engine", "mean5", "--yes", "--shortest", "0.5")
    with pytest.raises(Failure, match=r"cable is out; nor could the exposure be set back"):
        raise result.exception
    assert "ended early: 3 exposures" in result.output
    assert "again" not in result.output


def test_of_a_rig_with_channels_the_exposure_goes_into_that_channel(tmp_path, rig):
    channels = """
[[channels]]
name = "DAPI"
group = "Channel"
preset = "nuclei"
exposure_ms = 5.0     # of the nuclei

[[channels]]
name = "GFP"
group = "Channel"
preset = "filaments"
exposure_ms = 8.0     # of the filaments
"""
    text = rig.read_text(encoding="utf-8") + channels
    rig.write_text(text, encoding="utf-8")
    folder = tmp_path / "sample"
    result = invoke(
        "--rig", rig, "--engine", "mean5", "--channel", "GFP", "--set", "--yes", "--shortest",
        "0.5", "--save", folder,
    )  # fmt: skip
    assert result.exit_code == 0, (result.output, result.exception)
    numbers = json.loads((folder / "exposure.json").read_text(encoding="utf-8"))
    written = tomllib.loads(rig.read_text(encoding="utf-8"))
    assert [one["exposure_ms"] for one in written["channels"]] == [5.0, numbers["advised_ms"]]
    assert written["camera"]["exposure_ms"] == 8.0
    assert "# of the nuclei" in rig.read_text(encoding="utf-8")
    # The folder is the sample: its account, the numbers and the curve.
    assert (folder / "exposure.png").read_bytes().startswith(b"\x89PNG")
    account = json.loads((folder / "light.json").read_text(encoding="utf-8"))
    assert account["session_light_on_s"] == pytest.approx(numbers["spent"]["light_ms"] / 1e3)
    assert not account_file("Small", None).exists()
    assert kept_in(folder) == (folder / "exposure_2.json", folder / "exposure_2.png")
    # No uncertainty of three frames is said to be nothing.
    assert "0.00" not in result.output.partition("raw frames")[0].partition("frames")[2]


def test_a_folder_that_cannot_be_made_costs_no_light(tmp_path, rig):
    (tmp_path / "taken").write_text("a file")
    result = invoke("--rig", rig, "--engine", "mean5", "--yes", "--save", tmp_path / "taken")
    with pytest.raises(UserError, match=r"--save .*taken: cannot be made"):
        raise result.exception
    assert not account_file("Small", None).exists()
