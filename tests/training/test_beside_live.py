"""Two engines told apart from noisy frames alone, and an engine made beside a live run."""

import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest
import tifffile
import yaml
from scipy.ndimage import gaussian_filter

from liverestore.camera_model import CameraModel
from liverestore.cli.train_beside_live import _words
from liverestore.errors import UserError
from liverestore.model_spec import find_engine
from liverestore.paths import user_cache, user_data
from liverestore.training.beside_live import BesideLiveJob, train_beside_live
from liverestore.training.fit import FitSettings, _clock
from liverestore.training.held_out import compare, distances

CAMERA = CameraModel(100.0, 0.5, 1.6)


def sample(count, seed=0, shape=(96, 96)):
    """Frames (T, Y, X) uint16 of something that stands still, and its light in electrons."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    light = 30 + 25 * np.sin(x / 4.0) * np.sin(y / 5.0)
    rng = np.random.default_rng(seed)
    electrons = rng.poisson(light, (count, *shape)) + 1.6 * rng.standard_normal((count, *shape))
    return np.rint(electrons / 0.5 + 100).clip(0).astype(np.uint16), light


def counts(light):
    return lambda _frame: (light / 0.5 + 100).astype(np.float32)


def test_the_score_is_one_plus_the_error_that_an_engine_makes():
    frames, light = sample(12)
    variance = light + 1.6**2
    perfect = distances(frames, CAMERA, counts(light))
    assert perfect.mean() == pytest.approx(1.0, abs=0.02)
    off = 2 * np.random.default_rng(3).standard_normal(light.shape)
    wrong = distances(frames, CAMERA, counts(light + off))
    assert wrong.mean() - perfect.mean() == pytest.approx(np.mean(off**2 / variance), rel=0.1)
    assert distances(frames, CAMERA, None).mean() == pytest.approx(2.0, abs=0.05)
    with pytest.raises(UserError, match="got 1 held-out frames"):
        distances(frames[:1], CAMERA, None)


def test_a_difference_is_said_only_where_there_is_one():
    frames, _ = sample(12)
    raw = distances(frames, CAMERA, None)
    good = distances(frames, CAMERA, lambda f: gaussian_filter(f.astype(np.float32), 1.0))
    worse = distances(frames, CAMERA, lambda f: gaussian_filter(f.astype(np.float32), 4.0))
    assert compare(good, worse, raw).verdict.startswith("the new engine is nearer to")
    assert compare(worse, good, raw).verdict.startswith("the new engine is farther from")
    assert "no engine in use" in compare(good, None, raw).verdict
    rng = np.random.default_rng(1)
    told = 0
    for _ in range(200):
        a, b = 1 + 0.01 * rng.standard_normal((2, 12))
        told += "no difference" not in compare(a, b, a).verdict
    assert told < 20


def test_an_engine_comes_with_scores_and_a_card_or_not_at_all(tmp_path):
    frames, _ = sample(16)
    movie = tmp_path / "16 frames of mine, 2026-11-23.ome.tif"
    tifffile.imwrite(movie, frames, photometric="minisblack", metadata={"axes": "TYX"})
    job = BesideLiveJob(
        frames=movie,
        out=user_data() / "engines" / "made-here",
        scratch=tmp_path / "scratch",
        against="mean5",
        camera=CAMERA,
        seconds=None,
        iterations=20,
    )
    found = train_beside_live(job)
    assert found.frames == 3
    # A mean over five pixels: known without any training.
    assert 1.02 < found.old < 1.3
    assert found.nearer == pytest.approx(found.old - found.new)
    assert found.raw == pytest.approx(2.0, abs=0.1)
    assert not job.scratch.exists()
    assert find_engine("made-here").task == "denoise"
    card = yaml.safe_load((job.out / "rdf.yaml").read_text(encoding="utf-8"))
    assert "16 frames of mine, 2026-11-23" in json.dumps(card)
    with pytest.raises(UserError, match="exists already"):
        train_beside_live(job)
    tifffile.imwrite(movie, frames[:8], photometric="minisblack", metadata={"axes": "TYX"})
    few = BesideLiveJob(frames=movie, out=tmp_path / "other", scratch=tmp_path / "scratch")
    with pytest.raises(UserError, match="got 8 frames, at least 12"):
        train_beside_live(few)
    assert not few.out.exists()


PRIORITY = """
import json, os, sys
from liverestore.training.low_priority import give_way
words = give_way()
policy = os.sched_getscheduler(0) if sys.platform == "linux" else None
print(json.dumps([words, policy]))
"""


def test_it_gives_way_to_everything_else():
    done = subprocess.run([sys.executable, "-c", PRIORITY], capture_output=True, check=True)
    words, policy = json.loads(done.stdout)
    if sys.platform == "linux":
        assert (words, policy) == ("idle scheduling", os.SCHED_IDLE)
    else:
        assert words in ("idle priority class", "nice 19")


def test_the_length_is_counted_in_processor_time():
    clock = _clock(FitSettings(seconds=1.0, processor_threads=2))
    before = clock()
    time.sleep(0.3)
    asleep = clock() - before
    used = time.process_time()
    while time.process_time() - used < 0.4:
        sum(range(1000))
    assert asleep < 0.1
    assert 0.15 < clock() - before - asleep < 0.3


def test_the_command_ends_when_its_starter_does(tmp_path):
    frames, _ = sample(16)
    movie = tmp_path / "movie.ome.tif"
    tifffile.imwrite(movie, frames, photometric="minisblack", metadata={"axes": "TYX"})
    code = "from liverestore.cli.main import run; run()"
    call = [sys.executable, "-c", code, "train", "beside-live", str(movie), "--name", "never"]
    process = subprocess.Popen(
        [*call, "--seconds", "300", "--camera", "100,0.5,1.6", "--child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    first = json.loads(process.stdout.readline())
    assert "thread" in first["say"]
    process.stdin.close()
    assert process.wait(60) == 1
    process.stdout.close()
    assert not (user_data() / "engines" / "never").exists()
    assert user_cache().parent == user_data()


def test_a_person_sees_it_learn_and_a_file_does_not(capsys, monkeypatch):
    _words(progress=0.371, iteration=5, loss=0.1)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    _words(progress=0.371, iteration=5, loss=0.1)
    assert capsys.readouterr().err == "learning: 37 %\r"
