"""`liverestore bench`: tables, JSON, interruption, mistakes."""

import io
import json
import re

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from liverestore.cli import bench as command
from liverestore.cli.bench_tables import best_of, show_test
from liverestore.errors import Failure, UserError
from liverestore.quality import plan as planning
from liverestore.quality.plan import Measured, Plan, measure
from liverestore.quality.records import QualityTest, Sample, Tally


@pytest.fixture
def app():
    app = typer.Typer()
    app.command()(command.bench)
    return app


def steps():
    for condition in ("5 e", "20 e"):
        yield [
            Sample(condition, "frame as recorded", {"psnr_db": 20.0, "ssim": 0.5}),
            Sample(condition, "best Gaussian", {"psnr_db": 25.0, "ssim": 0.7}, 1.25),
            Sample(condition, "net", {"psnr_db": 30.0, "ssim": 0.6}),
        ]


def a_test(run=steps, columns="metrics", shown=("psnr_db", "ssim"), key="one"):
    return QualityTest(key, f"test {key}", ("How it was done.",), columns, shown, 2, run)


def interrupted():
    yield [Sample("5 e", "net", {"psnr_db": 30.0})]
    raise KeyboardInterrupt


def failing():
    yield [Sample("5 e", "net", {"psnr_db": 30.0})]
    raise Failure("engine 'net': it broke")


@pytest.fixture
def plan_of(monkeypatch):
    def use(*tests, left_out=()):
        monkeypatch.setattr(planning, "plan", lambda *_: Plan(list(tests), list(left_out)))

    return use


def invoke(app, *arguments, columns="100"):
    return CliRunner().invoke(app, [*arguments], env={"COLUMNS": columns})


def test_tables_and_json_hold_the_same(app, plan_of, tmp_path):
    plan_of(a_test(), a_test(key="two"), left_out=["this and that"])
    file = tmp_path / "f.json"
    result = invoke(app, "mean5", "--quality", "--json", str(file))
    assert result.exit_code == 0, result.output
    assert "test one" in result.stdout
    assert "test two" in result.stdout
    assert "left out: this and that" in result.stdout
    assert "1.25 px" in result.stdout
    answer = json.loads(file.read_text())
    assert answer["complete"] is True
    assert answer["left_out"] == ["this and that"]
    assert [test["key"] for test in answer["tests"]] == ["one", "two"]
    scores = answer["tests"][0]["scores"]
    assert scores[1]["method"] == "best Gaussian"
    assert scores[1]["metrics"] == {"psnr_db": 25.0, "ssim": 0.7}
    assert {engine["name"] for engine in answer["engines"]} == {"mean5", "median5"}
    assert "psnr_db" in answer["metrics"]
    assert list(tmp_path.iterdir()) == [file]


def test_interruption_keeps_what_was_measured(app, plan_of, tmp_path):
    plan_of(a_test(interrupted), a_test(key="two"))
    file = tmp_path / "f.json"
    result = invoke(app, "mean5", "--quality", "--json", str(file))
    assert result.exit_code == 130
    assert "1 of 2 steps" in result.stdout
    assert "test two" not in result.stdout
    answer = json.loads(file.read_text())
    assert answer["complete"] is False
    assert answer["tests"][0]["steps_done"] == 1
    assert answer["tests"][0]["scores"][0]["metrics"] == {"psnr_db": 30.0}


def test_a_failing_engine_is_named_and_the_next_test_runs(app, plan_of):
    plan_of(a_test(failing), a_test(key="two"))
    result = invoke(app, "mean5", "--quality")
    assert result.exit_code == 1
    assert "ended early: engine 'net': it broke" in result.stdout
    assert "test two" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--quality", "--size", "512"], "measures no speed"),
        (["--data", "."], "--data is for bench --quality"),
        (["--quality", "nothing-like-this"], "not installed"),
        (["--quality", "--json", "no/such/folder/f.json"], "is missing; make it"),
        (["--quality", "--json", "."], "got a folder"),
        (["--quality", "--data", "no/such/folder"], "there is no such folder"),
    ],
)
def test_mistakes_are_said_before_any_work(app, plan_of, arguments, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plan_of(a_test(failing))
    result = invoke(app, *arguments)
    assert isinstance(result.exception, UserError)
    assert said in str(result.exception)
    assert "\n" not in str(result.exception)


@pytest.mark.parametrize("names", [["mean5"], ["mean5", "median5"], ["median5", "mean5"]])
def test_filters_stand_beside_and_are_not_measured_twice(app, monkeypatch, names):
    seen = {}

    def look(engines, filters, data):
        seen.update(engines=[e.name for e in engines], filters=[e.name for e in filters])
        return Plan([], [])

    monkeypatch.setattr(planning, "plan", look)
    assert invoke(app, *names, "--quality").exit_code == 0
    assert seen == {"engines": [], "filters": ["mean5", "median5"]}


def shown(test, width):
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system="standard")
    measured = Measured(test, Tally(test.key))
    measure(measured, lambda: None)
    show_test(measured, console)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [80, 100, 160])
@pytest.mark.parametrize("columns", ["metrics", "conditions"])
def test_the_best_is_bold_and_nothing_runs_over(width, columns):
    text = shown(a_test(columns=columns), width)
    assert re.search(r"\x1b\[1m\s*30\.00", text)
    assert re.search(r"\x1b\[1m\s*0\.700", text)
    assert not re.search(r"\x1b\[1m\s*(25\.00|20\.00|0\.500)", text)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert max(map(len, plain.splitlines())) <= width
    assert "PSNR: peak signal-to-noise ratio" in text


def test_distances_leave_room_for_the_names_of_the_methods():
    distances = [f"{z:+d} um" for z in (-8, -5, -3, -2, -1, 1, 2, 3, 5, 8)]

    def by_distance():
        for distance in distances:
            methods = ("frame as recorded", "Richardson-Lucy")
            yield [Sample(distance, method, {"psnr_db": 25.0}) for method in methods]

    test = a_test(by_distance, columns="conditions", shown=("psnr_db",))
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in shown(test, 80).splitlines()]
    heads = next(line for line in lines if line.startswith("method, at um"))
    assert heads.split()[3:] == [distance.removesuffix(" um") for distance in distances]
    (row,) = (line for line in lines if line.startswith("frame as recorded"))
    assert row.split()[3:] == ["25.00"] * 10
    assert "-8 um" in shown(test, 160)


def test_the_best_width_is_the_one_nearest_to_the_truth():
    widths = {("truth", "c"): 0.1, ("a", "c"): 0.05, ("b", "c"): 0.12, ("c", "c"): float("inf")}
    assert best_of("fwhm_um", ["truth", "a", "b", "c"], "c", widths) == "b"
    del widths["truth", "c"]
    assert best_of("fwhm_um", ["a", "b"], "c", widths) is None


def test_one_method_alone_is_not_the_best():
    assert best_of("psnr_db", ["a"], "c", {("a", "c"): 1.0}) is None


def test_noise_free_row_is_never_the_best():
    values = {("the same without noise", "c"): 50.0, ("a", "c"): 1.0, ("b", "c"): 2.0}
    assert best_of("psnr_db", ["the same without noise", "a", "b"], "c", values) == "b"
    assert best_of("nrmse", ["the same without noise", "a", "b"], "c", values) == "a"
