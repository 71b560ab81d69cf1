"""`liverestore engines`: the list, its numbers and its problems."""

import json

import pytest
import typer
from typer.testing import CliRunner

from liverestore.cli import engines as command


@pytest.fixture
def app(monkeypatch):
    monkeypatch.setattr(command, "_TRIAL_RUNS", 1)
    app = typer.Typer()
    app.command()(command.engines)
    return app


def test_json_names_every_engine(app):
    result = CliRunner().invoke(app, ["--json"])
    assert result.exit_code == 0
    found = {engine["name"]: engine for engine in json.loads(result.stdout)["engines"]}
    assert {"mean5", "median5"} <= set(found)
    assert found["mean5"]["task"] == "denoise"
    assert "scipy" in found["mean5"]["runtime"]
    assert all(engine["ms_512"] > 0 for engine in found.values())
    for engine in found.values():
        assert (engine["folder"] is None) == (engine["size_bytes"] == 0)


def test_table_fits_80_columns(app):
    result = CliRunner().invoke(app, env={"COLUMNS": "80"})
    assert result.exit_code == 0
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert "median5" in result.stdout


def test_broken_package_is_named_and_the_others_are_listed(app, monkeypatch, tmp_path):
    package = tmp_path / "engines" / "mine"
    package.mkdir(parents=True)
    (package / "rdf.yaml").write_text("name: [")
    monkeypatch.setenv("LIVERESTORE_HOME", str(tmp_path))
    result = CliRunner().invoke(app, ["--json"])
    answer = json.loads(result.stdout)
    assert "mine" in answer["problems"]
    assert "mine" not in [engine["name"] for engine in answer["engines"]]
    assert "mean5" in [engine["name"] for engine in answer["engines"]]
    result = CliRunner().invoke(app, env={"COLUMNS": "80"})
    assert "is no YAML" in result.stdout.replace("\n", " ")


@pytest.mark.parametrize(("size", "text"), [(0, "-"), (900, "0.9 kB"), (1_250_000, "1.2 MB")])
def test_sizes(size, text):
    assert command._readable(size) == text
