"""The check for growth, and a short run of the load script with clients of all kinds."""

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "benchmarks"

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(sys.platform == "win32", reason="signals and /proc of Linux"),
]


@pytest.fixture(scope="module")
def watch():
    sys.path.insert(0, str(SCRIPTS))
    try:
        import load_watch

        yield load_watch
    finally:
        sys.path.remove(str(SCRIPTS))


# -- the slope ------------------------------------------------------------------------


HOURS = np.linspace(0, 1, 720)
NOISE_MB = np.random.default_rng(4).normal(0, 3.0, 720)


def test_noise_a_warming_up_and_a_few_spikes_are_no_growth(watch):
    values = 200 + NOISE_MB + 80 * (1 - np.exp(-HOURS / 0.03))
    values[[300, 500, 501, 640]] += 400
    found = watch.slope(HOURS, values, 10.0)
    assert found.verdict == "flat"
    assert found.low < 0 < found.high
    assert found.high - found.low < 10


@pytest.mark.parametrize("per_hour", [15.0, 100.0])
def test_a_leak_below_the_noise_is_found(watch, per_hour):
    """A third of a thousandth of it from one sample to the next, at the lesser rate."""
    found = watch.slope(HOURS, 200 + NOISE_MB + per_hour * HOURS, 10.0)
    assert found.verdict == "grows"
    assert found.low < per_hour < found.high
    assert found.last - found.first == pytest.approx(0.76 * per_hour, abs=3)


def test_a_handle_that_stays_open_now_and_then_is_found(watch):
    assert watch.slope(HOURS, [40] * 720, 0.5).verdict == "flat"
    assert watch.slope(HOURS, 40 + np.floor(4 * HOURS), 0.5).verdict == "grows"


def test_what_shrinks_is_flat_and_what_cannot_be_told_is_not(watch):
    assert watch.slope(HOURS, 300 - 50 * HOURS, 10.0).verdict == "flat"
    swings = 200 + 300 * np.sin(40 * HOURS**1.5)
    assert watch.slope(HOURS, swings, 10.0).verdict == "unclear"


def test_too_few_samples_say_nothing(watch):
    with pytest.raises(ValueError, match="40 are needed"):
        watch.slope(HOURS[:49], NOISE_MB[:49], 10.0)


LEAKS = """
import os, sys, time
kept = []
while True:
    time.sleep(0.01)
    if sys.argv[1] == "memory":
        kept.append(bytes(range(256)) * 400)
    elif sys.argv[1] == "handles":
        kept.append(os.open("/dev/null", os.O_RDONLY))
"""


@pytest.mark.parametrize("what", ["memory", "handles", "nothing"])
def test_a_process_that_leaks_is_told_from_one_that_does_not(watch, what):
    process = subprocess.Popen([sys.executable, "-c", LEAKS, what])
    began = time.monotonic()
    hours, seen = [], []
    while len(seen) < 60:
        time.sleep(0.02)
        with contextlib.suppress(ProcessLookupError):
            seen.append(watch.held(process.pid))
            hours.append((time.monotonic() - began) / 3600)
    process.kill()
    process.wait()
    assert watch.held(process.pid) is None
    own = watch.slope(hours, [one.own_mb for one in seen], 2000.0)
    handles = watch.slope(hours, [one.handles for one in seen], 2000.0)
    grows = {"memory": own.verdict == "grows", "handles": handles.verdict == "grows"}
    assert grows == {"memory": what == "memory", "handles": what == "handles"}


# -- a short run ----------------------------------------------------------------------


FRAME_MB = 64 * 64 * 2 / 1e6


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """1,500 small frames in three recordings, and a client of each kind."""
    report = tmp_path_factory.mktemp("load") / "load.json"
    arguments = (
        "--frames 1500 --fps 150 --size 64 --clients 4 --every-s 0.1 --file-frames 500 --json"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, str(SCRIPTS / "load.py"), *arguments.split(), str(report)],
        check=False, timeout=250, capture_output=True, env=environment, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(report.read_text(encoding="utf-8"))


def test_every_frame_is_accounted_for_and_read_back_whole(short):
    assert short["trouble"] == []
    assert short["captured"] == 1500
    assert short["captured"] == short["restored"] + short["dropped"]
    assert short["recorded"] == short["written"]
    files = sorted(short["files"], key=lambda one: one["first"])
    assert len(files) >= 2, "a recording ends and the next one begins"
    assert all(one["missing"] == one["torn"] == [] for one in files)
    assert sum(one["frames"] for one in files) == short["written"]
    assert files[-1]["last"] == short["captured"] + short["lost"] - 1


def test_no_process_keeps_frames_or_handles(short, watch):
    samples = short["samples"]
    frames = [one["captured"] for one in samples]
    for name in ("capture", "engine", "supervisor"):
        seen = [(n, one["held"][name]) for n, one in zip(frames, samples, strict=True)
                if name in one["held"]]  # fmt: skip
        numbers = [n for n, _ in seen]
        own = watch.slope(numbers, [one["own_mb"] for _, one in seen], 0.5 * FRAME_MB, 5)
        assert own.low < 0.5 * FRAME_MB, f"{name} keeps what it gets: {own}"
        assert all(one["shared"] == 0 for _, one in seen), f"{name} has shared memory"
        half = len(seen) // 2
        handles = [one["handles"] for _, one in seen]
        assert min(handles[half:]) <= max(handles[5:half]) + 1, f"{name} keeps handles"


def test_a_slow_a_greedy_and_a_dying_client_slow_no_other(short):
    got = {one["kind"]: one for one in short["accounts"]}
    roles = {one["role"] for one in short["accounts"]}
    assert {role.rsplit("-")[-1] for role in roles} == {"slow", "greedy", "killed", "steady"}
    steady = next(one for one in short["accounts"] if one["role"].endswith("steady"))
    assert steady["received"] > 10
    assert all(one["backwards"] == 0 for one in short["accounts"])
    assert got["greedy"]["received"] == 0
