"""`live --engine-at` and `engine serve` as processes, and as two machines with a cable."""

import json
import os
import shutil
import signal
import subprocess
import sys
import uuid

import pytest
from bad_cable import BadCable, why_no_cable
from far_machine import free_port
from typer.testing import CliRunner

from liverestore.cli.commands import app
from liverestore.cli.engine_at import engine_server, refuse_file
from liverestore.errors import LiverestoreError, UserError
from liverestore.movie import open_movie
from liverestore.rig import load_rig
from liverestore.transport.machine_keys import KeyFolder

pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.skipif(sys.platform == "win32", reason="signals of Linux"),
]


class TwoMachines:
    def __init__(self, start, folder):
        self._start, self._folder = start, folder
        keys = {name: KeyFolder(folder / name / "keys") for name in ("scope", "gpu")}
        self.keys = {name: str(keys[name].own_or_new(name).public) for name in keys}
        keys["gpu"].authorise(self.keys["scope"])

    def home(self, name):
        return os.environ | {"LIVERESTORE_HOME": str(self._folder / name)}

    def serve(self, address, within=()):
        return self._start(
            "engine", "serve", "--bind", address, "--threads", 1,
            env=self.home("gpu"), within=within,
        )  # fmt: skip

    def live_arguments(self, rig, address):
        return (
            "live", "--rig", rig, "--engine", "mean5", "--headless",
            "--engine-at", address, "--key", self.keys["gpu"],
            "--report", "report.json", "--save", "out",
        )  # fmt: skip

    def live(self, *arguments, within=()):
        return self._start(*self.live_arguments(*arguments), env=self.home("scope"), within=within)


@pytest.fixture
def two(start, tmp_path):
    return TwoMachines(start, tmp_path)


def so_far(folder, name):
    return (folder / "out" / f"{name}.ome.zarr" / "0" / "frames.jsonl").read_bytes().count(b"\n")


def check_account(folder, at_least):
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    counts = report["frames"]
    frames = counts["captured"]
    assert frames >= at_least
    assert (counts["lost"], counts["written"]) == (0, frames)
    assert counts["restored"] + counts["dropped"] == frames
    assert report["runtime"].endswith(" on gpu")
    with open_movie(folder / "out" / "raw.ome.zarr") as raw:
        assert len(raw) == frames
    with open_movie(folder / "out" / "restored.ome.zarr") as restored:
        assert len(restored) == counts["restored"]
    return report


@pytest.mark.slow
def test_an_engine_that_is_killed_there_costs_no_raw_frame(two, small_rig, tmp_path):
    address = f"tcp://127.0.0.1:{free_port()}"
    server = two.serve(address)
    run = two.live(small_rig, address)
    run.wait_for_frames(5, "restored.ome.zarr")
    os.killpg(server.process.pid, signal.SIGKILL)
    server.process.communicate()
    before = so_far(tmp_path, "restored")
    again = two.serve(address)
    run.wait_for_frames(before + 20, "restored.ome.zarr")
    code, errors = run.end()
    assert code == 0, errors
    assert "the connection was lost; capture goes on" in errors
    assert "back after" in errors
    check_account(tmp_path, 25)
    code, errors = again.end()
    assert code == 0
    assert f"{two.keys['gpu']}" in errors


@pytest.fixture
def at_home(tmp_path, monkeypatch):
    """Run the command line in this process, as on machine `name`."""

    def run(name, *arguments):
        monkeypatch.setenv("LIVERESTORE_HOME", str(tmp_path / name))
        done = CliRunner().invoke(app, list(arguments))
        if isinstance(done.exception, LiverestoreError):
            return str(done.exception), done.exception.exit_code
        assert done.exception is None, done.exception
        return done.stdout, done.exit_code

    return run


def test_without_keys_nothing_is_served_on_any_network(at_home):
    serve = "engine", "serve", "--bind", "tcp://0.0.0.0:5571"
    said, code = at_home("gpu", *serve)
    assert (code, "make one with `liverestore keys`" in said) == (2, True)
    assert at_home("gpu", "keys", "--name", "gpu")[1] == 0
    said, code = at_home("gpu", *serve)
    assert (code, "no machine is authorised" in said) == (2, True)


def test_keys_are_made_pasted_and_forgotten(at_home):
    scope, _ = at_home("scope", "keys", "--name", "scope")
    gpu, _ = at_home("gpu", "keys", "--name", "gpu", "--allow", scope)
    assert at_home("gpu", "keys")[0] == gpu
    said, code = at_home("gpu", "keys", "--allow", "hello")
    assert (code, "no key of a machine" in said) == (2, True)
    assert at_home("gpu", "keys", "--forget", "scope")[1] == 0
    assert at_home("gpu", "keys", "--forget", "scope")[1] == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--key", "gpu"), "goes with --engine-at"),
        (("--engine-at", "tcp://gpu:5571"), "needs --key"),
        (("--engine-at", "gpu", "--key", "{key}"), "tcp://HOST:PORT"),
        (("--engine-at", "tcp://gpu:5571", "--key", "gpu"), "no key of a machine"),
    ],
)
def test_what_is_wrong_with_another_machine_is_said_before_anything_starts(at_home, options, said):
    key, _ = at_home("scope", "keys")
    options = [option.format(key=key) for option in options]
    line, code = at_home("scope", "live", "--rig", "demo", "--headless", *options)
    assert (code, said in line) == (2, True), line


def test_a_rig_names_its_engines_machine(small_rig, at_home):
    key, _ = at_home("scope", "keys")
    table = f'[engine_server]\naddress = "tcp://gpu:5571"\nkey = "{key.strip()}"\n'
    small_rig.write_text(small_rig.read_text() + table)
    rig = load_rig(small_rig)
    told = engine_server(rig, None, None)
    assert (told.address, str(told.key)) == ("tcp://gpu:5571", key.strip())
    assert engine_server(rig, "tcp://other:1", key).address == "tcp://other:1"
    assert engine_server(load_rig("demo"), None, None) is None
    with pytest.raises(UserError, match="does not travel"):
        refuse_file(told, "map.npy")


def ip(*words):
    return subprocess.run(["ip", *words], capture_output=True, text=True, check=False)


@pytest.fixture
def cable():
    """Two network namespaces with a cable between them: (run words in it, names of the ends)."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("needs root and the program ip, for two network namespaces")
    name = f"lr{uuid.uuid4().hex[:6]}"
    spaces, ends = (f"{name}-a", f"{name}-b"), (f"{name}x", f"{name}y")
    try:
        for space in spaces:
            if (made := ip("netns", "add", space)).returncode:
                pytest.skip(f"no network namespaces here: {made.stderr.strip()}")
        joined = ip(
            "link", "add", ends[0], "netns", spaces[0], "type", "veth",
            "peer", "name", ends[1], "netns", spaces[1],
        )  # fmt: skip
        if joined.returncode:
            pytest.skip(f"no cable between namespaces here: {joined.stderr.strip()}")
        for number, (space, end) in enumerate(zip(spaces, ends, strict=True), 1):
            ip("-n", space, "addr", "add", f"10.213.7.{number}/24", "dev", end)
            ip("-n", space, "link", "set", end, "up")
            ip("-n", space, "link", "set", "lo", "up")
        yield spaces, ends
    finally:
        for space in spaces:
            ip("netns", "del", space)


def far_run(two, rig, within):
    """A server at one end and a run at the other, once some frames were restored."""
    address = "tcp://10.213.7.2:5571"
    server = two.serve(address, within=within[1])
    run = two.live(rig, address, within=within[0])
    run.wait_for_frames(5, "restored.ome.zarr")
    return server, run


@pytest.mark.slow
def test_two_machines_whose_cable_is_pulled(two, small_rig, tmp_path, cable):
    spaces, ends = cable
    server, run = far_run(two, small_rig, [("ip", "netns", "exec", space) for space in spaces])
    # Longer than it takes to be noticed; nobody hangs up, the packets just stop.
    ip("-n", spaces[1], "link", "set", ends[1], "down")
    # At 50 frames a second: twice as long as it takes to notice.
    run.wait_for_frames(so_far(tmp_path, "raw") + 300)
    ip("-n", spaces[1], "link", "set", ends[1], "up")
    run.wait_for_frames(so_far(tmp_path, "restored") + 20, "restored.ome.zarr")
    code, errors = run.end()
    assert code == 0, errors
    check_account(tmp_path, 25)
    assert "the connection was lost; capture goes on" in errors
    assert "back after" in errors
    assert server.end()[0] == 0


@pytest.mark.slow
def test_two_machines_on_a_cable_that_delays_and_loses_packets(two, small_rig, tmp_path):
    if (reason := why_no_cable()) is not None:
        pytest.skip(reason)
    with BadCable(delay_s=0.01, loss=0.02) as cable:
        server, run = far_run(two, small_rig, [cable.within(0), cable.within(1)])
        run.wait_for_frames(so_far(tmp_path, "restored") + 20, "restored.ome.zarr")
        code, errors = run.end()
        assert code == 0, errors
        assert server.end()[0] == 0
        assert cable.lost > 5
    report = check_account(tmp_path, 25)
    assert report["age_ms"]["p50"] >= 19
