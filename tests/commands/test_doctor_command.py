"""What `liverestore doctor` finds, says and returns."""

import json
import os
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from liverestore.cli import checks, machine_checks
from liverestore.cli.doctor import doctor
from liverestore.cli.finding import Finding


@pytest.fixture
def app():
    app = typer.Typer()
    app.command()(doctor)
    return app


def found(monkeypatch, *findings):
    monkeypatch.setattr("liverestore.cli.doctor.run_checks", lambda: list(findings))


GOOD = Finding(name="python", state="ok", text="Python 3.11")
NOTE = Finding(name="gpu", state="note", text="none", remedy="buy one", essential=False)
BROKEN = Finding(name="openvino", state="missing", text="it is gone", remedy="pip install it")
VIEWLESS = Finding(name="live view", state="missing", text="no Qt", essential=False)


def test_all_is_well(app, monkeypatch):
    found(monkeypatch, GOOD, NOTE, VIEWLESS)
    result = CliRunner().invoke(app, env={"COLUMNS": "80"})
    assert result.exit_code == 0
    assert "-> buy one" in result.stdout
    assert "Ready:" in result.stdout


def test_main_job_broken(app, monkeypatch):
    found(monkeypatch, GOOD, BROKEN)
    result = CliRunner().invoke(app, env={"COLUMNS": "80"})
    assert result.exit_code == 1
    assert "-> pip install it" in result.stdout
    assert "see openvino" in result.stdout


def test_json(app, monkeypatch):
    found(monkeypatch, GOOD, BROKEN)
    result = CliRunner().invoke(app, ["--json"])
    answer = json.loads(result.stdout)
    assert result.exit_code == 1
    assert answer["ok"] is False
    assert [c["name"] for c in answer["checks"]] == ["python", "openvino"]
    assert answer["checks"][1]["remedy"] == "pip install it"


@pytest.mark.skipif(sys.platform == "win32", reason="terminal width is set through COLUMNS")
def test_no_line_is_wider_than_the_terminal(app, monkeypatch):
    long = Finding(name="micro-manager", state="missing", text="word " * 60, remedy="x" * 150)
    found(monkeypatch, GOOD, long)
    result = CliRunner().invoke(app, env={"COLUMNS": "80"})
    assert max(map(len, result.stdout.splitlines())) <= 80


@pytest.mark.parametrize(
    ("core", "adapters", "state"),
    [
        ("12.5.1.75.0", "75.20261014.post1", "ok"),
        ("12.5.1.74.0", "75.20261014.post1", "missing"),
        (None, "75.20261014.post1", "missing"),
        ("12.5.1.75.0", None, "missing"),
    ],
)
def test_device_interfaces_must_be_the_same(monkeypatch, core, adapters, state):
    versions = {"pymmcore": core, "mm-test-adapters": adapters}
    monkeypatch.setattr(checks, "version", versions.get)
    (finding,) = checks._packages()
    assert finding.state == state
    assert finding.essential


def test_qt_that_crashes_is_named(monkeypatch):
    monkeypatch.setattr(checks, "version", {"PySide6-Essentials": "6.12.0", "pymmcore": "1"}.get)
    assert "PySide6-Essentials 6.12.0 aborts" in checks._packages()[-1].text


@pytest.mark.parametrize(
    ("code", "answer"),
    [
        ("print('{\"a\": 1}')", {"a": 1}),
        ("import nothing_of_this_name", "ModuleNotFoundError: No module named"),
        ("import os; os.abort()", "ended with exit code"),
        ("print('no json')", "ended with exit code 0"),
    ],
)
def test_probe_survives_what_it_probes(code, answer):
    result = checks._probe(code)
    if isinstance(answer, str):
        assert result.startswith(answer)
    else:
        assert result == answer


def test_missing_module_is_a_finding_not_a_crash():
    def _zeromq():
        raise ModuleNotFoundError("No module named 'zmq'", name="zmq")

    (finding,) = checks._outcome(_zeromq)
    assert (finding.name, finding.state) == ("zeromq", "missing")
    assert "zmq is not installed" in finding.text


@pytest.mark.parametrize(
    ("line", "installed", "says"),
    [
        ("", (), "no NVIDIA GPU"),
        ("NVIDIA-SMI has failed because it could not communicate", (), "no NVIDIA GPU"),
        ("NVIDIA RTX 4090, 581.2", ("tensorrt-rtx-cu13-libs",), "with TensorRT"),
        ("NVIDIA RTX 4090, 581.2", (), "tensorrt-cu13"),
        ("NVIDIA RTX 4090, 560.1", (), "tensorrt-cu12"),
    ],
)
def test_gpu(monkeypatch, line, installed, says):
    monkeypatch.setattr(machine_checks.shutil, "which", lambda name: "nvidia-smi")
    monkeypatch.setattr(
        machine_checks.subprocess,
        "run",
        lambda *a, **k: subprocess.CompletedProcess(a, 0, stdout=line, stderr=""),
    )
    monkeypatch.setattr(machine_checks, "version", lambda name: "1" if name in installed else None)
    (finding,) = machine_checks.gpu()
    assert says in f"{finding.text} {finding.remedy}"
    assert not finding.essential


def test_disk_that_is_full(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    usage = machine_checks.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(
        machine_checks.shutil, "disk_usage", lambda path: usage._replace(free=5_000_000)
    )
    (finding,) = machine_checks.disk()
    assert (finding.state, finding.text) == ("missing", f"0.0 GB free in {tmp_path}")


def test_disk_speed_is_measured_and_nothing_is_left(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(machine_checks, "_TRIAL_BYTES", 2**21)
    (finding,) = machine_checks.disk()
    assert finding.state == "ok"
    assert "MB/s" in finding.text
    assert list(tmp_path.iterdir()) == []


def test_folder_that_cannot_be_written_to(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("LIVERESTORE_HOME", str(tmp_path / "file"))
    findings = machine_checks.folders()
    assert {f.state for f in findings} == {"missing"}
    assert "LIVERESTORE_HOME" in findings[0].remedy


def test_broken_rig_is_a_note(monkeypatch, tmp_path):
    folder = tmp_path / "hardware_configs"
    folder.mkdir()
    (folder / "mine.toml").write_text("name = 3\n")
    monkeypatch.setenv("LIVERESTORE_HOME", str(tmp_path))
    notes = [f for f in checks._rigs() if f.text.startswith("mine")]
    assert [f.state for f in notes] == ["note"]


def test_this_machine():
    """The whole command in a process of its own, as a person runs it."""
    result = subprocess.run(
        [sys.executable, "-c", "from liverestore.cli.main import run; run()", "doctor", "--json"],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
    )
    answer = json.loads(result.stdout)
    states = {c["name"]: c["state"] for c in answer["checks"]}
    assert states["micro-manager"] == states["openvino"] == states["zeromq"] == "ok"
    assert result.returncode == 0, result.stdout
