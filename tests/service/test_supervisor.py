import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import fake_processes as fake
import pytest

from liverestore.rig import RigConfig, SourceConfig, SpecimenConfig
from liverestore.service.plan import RunEndpoints, RunPlan
from liverestore.service.supervisor import Supervisor
from liverestore.transport.endpoint import PrivateEndpoints

RIG = RigConfig(name="fake", source=SourceConfig(kind="simulated"), specimen=SpecimenConfig())


@pytest.fixture
def plan_for():
    with PrivateEndpoints() as endpoint:

        def make(**changes):
            ends = RunEndpoints(endpoint("control"), endpoint("raw"), endpoint("restored"))
            return RunPlan(rig=RIG, engine="mean5", endpoints=ends, **changes)

        yield make


def test_a_finite_run_ends_by_itself(plan_for):
    statuses = []
    supervisor = Supervisor(
        plan_for(seconds=0.5),
        {"engine": fake.engine, "capture": fake.capture},
        on_status=statuses.append,
        engine_patience_s=20,
    )
    result = supervisor.run()
    assert (result.exit_code, result.failure, result.interrupted) == (0, None, False)
    assert result.capture.phase == "ended"
    assert result.capture.captured == result.capture.restored + result.capture.dropped == 7
    assert "running" in {status.state for status in statuses}
    assert supervisor.pids() == {}


def test_an_engine_that_dies_is_started_again(plan_for, tmp_path):
    supervisor = Supervisor(
        plan_for(raw_path=tmp_path, seconds=0.5),
        {"engine": fake.engine_killed_once, "capture": fake.capture},
        # The camera waits for the second engine, however long a busy machine takes to start it.
        engine_patience_s=60,
    )
    result = supervisor.run()
    assert result.exit_code == 0
    assert result.engine is not None
    assert result.engine.ready
    assert any("started again" in notice for notice in result.notices)


def test_the_users_mistake_ends_the_run_with_code_2(plan_for):
    targets = {"engine": fake.engine_unknown, "capture": fake.capture}
    result = Supervisor(plan_for(), targets, engine_patience_s=20).run()
    assert result.exit_code == 2
    assert "not installed" in result.failure


@pytest.mark.parametrize(
    ("capture", "text"),
    [(fake.capture_that_fails, "unplugged"), (fake.capture_that_is_killed, "died")],
)
def test_the_end_of_capture_is_the_end_of_the_run(plan_for, capture, text):
    result = Supervisor(plan_for(), {"engine": fake.engine, "capture": capture}).run()
    assert result.exit_code == 1
    assert text in result.failure


def test_closing_the_view_ends_a_run_that_records_nothing(plan_for):
    targets = {"engine": fake.engine, "capture": fake.capture, "view": fake.view_closed_by_its_user}
    result = Supervisor(plan_for(), targets, view_outlives_run=True).run()
    assert result.exit_code == 0
    assert result.capture.phase == "ended"


def test_closing_the_view_does_not_end_a_recording(plan_for, tmp_path):
    targets = {"engine": fake.engine, "capture": fake.capture, "view": fake.view_closed_by_its_user}
    started = time.monotonic()
    plan = plan_for(raw_path=tmp_path, seconds=3.0)
    result = Supervisor(plan, targets, view_outlives_run=True).run()
    assert any("recording goes on" in notice for notice in result.notices)
    assert result.capture.captured == 7
    # the recording had its full length
    assert time.monotonic() - started > 3.0


def test_commands_of_the_view_reach_their_process(plan_for):
    targets = {"engine": fake.engine, "capture": fake.capture, "view": fake.view_that_commands}
    result = Supervisor(plan_for(), targets).run()
    assert result.exit_code == 0
    assert result.engine.engine == "other"


def test_frames_that_wait_for_the_disk_are_waited_for(plan_for, tmp_path):
    targets = {"capture": fake.capture_with_a_slow_disk}
    supervisor = Supervisor(plan_for(raw_path=tmp_path), targets, on_status=told_to_stop)
    result = supervisor.run()
    assert result.interrupted
    assert (result.capture.phase, result.capture.written) == ("ended", 9)
    assert any("writing the last frames" in notice for notice in result.notices)


def test_frames_that_are_given_up_are_reported(plan_for, tmp_path):
    """A second Ctrl-C, well after the first, does not wait for the disk."""
    asked = []

    def impatient(status):
        if status.state == "running" or any("Ctrl-C again" in line for line in status.notices):
            asked.append(status.state)
            signal.raise_signal(signal.SIGINT)

    targets = {"capture": fake.capture_with_a_slow_disk}
    result = Supervisor(plan_for(raw_path=tmp_path), targets, on_status=impatient).run()
    assert len(asked) >= 2
    assert result.exit_code == 1
    assert "9 captured frames were given up" in result.failure


def told_to_stop(status):
    """Ctrl-C, once, when the run is up."""
    if status.state == "running":
        signal.raise_signal(signal.SIGINT)


SCRIPT = """
import sys, threading
sys.path[:0] = {path!r}
import fake_processes as fake
from liverestore.rig import RigConfig, SourceConfig, SpecimenConfig
from liverestore.service.plan import RunEndpoints, RunPlan
from liverestore.service.supervisor import Supervisor
from liverestore.transport.endpoint import PrivateEndpoints

if __name__ == "__main__":
    rig = RigConfig(name="f", source=SourceConfig(kind="simulated"), specimen=SpecimenConfig())
    with PrivateEndpoints() as endpoint:
        ends = RunEndpoints(endpoint("control"), endpoint("raw"), endpoint("restored"))
        plan = RunPlan(rig=rig, engine="mean5", endpoints=ends)
        def told(status):
            if status.state == "running":
                print(*supervisor.pids().values(), flush=True)
        targets = {{"engine": fake.{engine}, "capture": fake.capture}}
        supervisor = Supervisor(plan, targets, on_status=told, engine_patience_s=20)
        result = supervisor.run()
    sys.exit(0 if result.interrupted else 9)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="process groups of POSIX")
@pytest.mark.parametrize("engine", ["engine", "engine_deaf"])
def test_ctrl_c_ends_every_process(tmp_path, engine):
    """The whole group gets SIGINT, as from a terminal; even a deaf process is gone."""
    script = tmp_path / "run_it.py"
    script.write_text(SCRIPT.format(path=sys.path, engine=engine))
    process = subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    pids = [int(pid) for pid in process.stdout.readline().split()]
    assert len(pids) == 2
    reader = threading.Thread(target=process.stdout.read)
    reader.start()
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(20) == 0
    reader.join()
    process.stdout.close()
    for pid in pids:
        assert not Path(f"/proc/{pid}").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_without_their_supervisor_the_processes_end(tmp_path):
    script = tmp_path / "run_it.py"
    script.write_text(SCRIPT.format(path=sys.path, engine="engine"))
    process = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    pids = [int(pid) for pid in process.stdout.readline().split()]
    process.kill()
    process.wait()
    process.stdout.close()
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline and any(_runs(pid) for pid in pids):
        time.sleep(0.05)
    assert not any(_runs(pid) for pid in pids)


def _runs(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.mark.parametrize(
    "view", [fake.view_closed_while_paused, fake.view_closed_while_paused_and_recording]
)
def test_closing_the_view_while_paused_ends_the_run(plan_for, view):
    """Nobody is left who could switch Live on again."""
    targets = {"capture": fake.capture_with_orders, "view": view}
    result = Supervisor(plan_for(), targets, view_outlives_run=True).run()
    assert (result.exit_code, result.failure) == (0, None)
    assert result.capture.phase == "ended"
    assert not result.capture.live


def test_the_stop_button_ends_no_run_and_a_recording_outlives_its_window(plan_for):
    targets = {
        "capture": fake.capture_with_orders,
        "view": fake.view_closed_after_its_stop_button,
    }
    plan = plan_for(seconds=8.0)
    result = Supervisor(plan, targets, view_outlives_run=True).run()
    assert (result.exit_code, result.failure) == (0, None)
    assert any("recording goes on to /data/raw.ome.zarr" in line for line in result.notices)
    assert result.capture.live


@pytest.mark.skipif(sys.platform == "win32", reason="SIGTERM of POSIX")
def test_sigterm_while_paused_ends_the_run(plan_for):
    asked = []

    def terminate(status):
        if not status.live and not asked:
            asked.append(status.state)
            signal.raise_signal(signal.SIGTERM)

    targets = {"capture": fake.capture_with_orders, "view": fake.view_that_pauses}
    result = Supervisor(plan_for(), targets, on_status=terminate).run()
    assert asked == ["running"]
    assert result.interrupted
    assert (result.exit_code, result.capture.phase) == (0, "ended")


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_an_engine_that_is_started_again_saves_on(plan_for, tmp_path):
    targets = {"capture": fake.capture_that_records, "engine": fake.engine_killed_while_saving}
    result = Supervisor(plan_for(record_folder=tmp_path), targets).run()
    assert any("started again" in notice for notice in result.notices)
    in_plan, told, first = (tmp_path / "heard").read_text().split()
    assert in_plan == told == "/data/restored.ome.zarr"
    assert first == "5"
