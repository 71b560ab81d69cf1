"""Training from the real window: what is gathered, what runs, what the answers do."""

import datetime
import functools
import json
import sys
import threading
import time
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from liverestore.movie import open_movie
from liverestore.paths import user_cache, user_data
from liverestore.rig import CameraConfig
from liverestore.status import SetEngine, SetRival
from liverestore.view import train_desk
from liverestore.view.feed import ShownPair
from liverestore.view.frame_keeper import FrameKeeper, write_frames
from liverestore.view.trainer_child import TrainerChild

RESULT = {
    "new": 1.02, "old": 1.05, "raw": 1.99, "nearer": 0.03, "nearer_error": 0.002, "frames": 12,
    "verdict": "the new engine is nearer to the next frames, by 3 ± 0.2 % of the noise",
}  # fmt: skip
CHILD = """
import json, os, pathlib, sys
arguments = sys.argv[1:]
name = arguments[arguments.index("--name") + 1]
folder = pathlib.Path(os.environ["LIVERESTORE_HOME"], "engines", name)
print("not JSON", flush=True)
print(json.dumps({"say": "noise is independent"}), flush=True)
print(json.dumps({"progress": 0.5, "say": json.dumps(arguments)}), flush=True)
LAST
"""
MADE = f"folder.mkdir(parents=True); print(json.dumps({{'engine': name, **{RESULT!r}}}))"
ENDLESS = "sys.stdin.buffer.read(); print(json.dumps({'engine': 'never'}))"
BROKEN = "print('liverestore: no room', file=sys.stderr); sys.exit(1)"


def until(true, window=None):
    for _ in range(2000):
        if window is not None:
            window.tick()
        if true():
            return
        time.sleep(0.01)
    raise AssertionError("it did not happen within 20 s")


@pytest.fixture
def child_of(monkeypatch):
    def use(last):
        command = [sys.executable, "-c", CHILD.replace("LAST", last)]
        monkeypatch.setattr(
            train_desk, "TrainerChild", functools.partial(TrainerChild, command=command)
        )

    monkeypatch.setattr(train_desk, "_why_not", lambda: "")
    return use


@pytest.fixture
def sitting(open_window, make_frame, make_restored, make_status):
    """A window with its tool open, and what shows it another frame."""
    camera = CameraConfig(offset_counts=100.0, gain_e_per_count=0.5, read_noise_e=1.6)
    window, feed = open_window(
        engines=("denoise", "other"), title="liverestore - Ti2: left", camera=camera
    )
    QTest.mouseClick(window.drawer.button("Train"), Qt.MouseButton.LeftButton)
    feed.report(make_status())

    def show(count, first=0, **facts):
        for number in range(first, first + count):
            frame = make_frame(number=number, **facts)
            feed.offer(ShownPair(frame, make_restored(frame)))
            window.tick()

    return window, feed, show


def click(button):
    assert button.isVisible()
    assert button.isEnabled()
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


def test_an_engine_is_made_compared_used_and_undone(sitting, child_of):
    window, feed, show = sitting
    tool = window.training.tool
    child_of(MADE)
    show(5)
    assert not tool.start_button.isEnabled()
    assert tool.frames.text() == "5 of 16"
    assert tool.said.text() == "gathering frames"
    show(20, first=5)
    assert tool.frames.text() == "25 frames"
    click(tool.start_button)
    until(lambda: tool.answers[0].isVisible(), window)
    assert tool.verdict.text().startswith("The new engine is nearer to the next frames")
    assert "new 1.020 · denoise 1.050 · raw 1.990" in tool.scores.text()
    made = window.acquisition.engines.engine.itemText(2)
    assert made.startswith("Ti2-left-")
    assert (user_data() / "engines" / made).is_dir()
    feed.commands()
    click(tool.answers[1])
    assert feed.commands() == [SetRival(name=made)]
    assert tool.answers[0].isVisible(), "looking is no answer yet"
    click(tool.answers[0])
    assert feed.commands() == [SetEngine(name=made)]
    assert not tool.answers[0].isVisible()
    QTest.mouseClick(window.acquisition.undo, Qt.MouseButton.LeftButton)
    assert feed.commands() == [SetEngine(name="denoise")]


def test_discarded_it_is_gone(sitting, child_of):
    window, feed, show = sitting
    tool, engines = window.training.tool, window.acquisition.engines
    child_of(MADE)
    show(16)
    click(tool.start_button)
    until(lambda: tool.answers[0].isVisible(), window)
    made = engines.engine.itemText(2)
    click(tool.answers[1])
    feed.commands()
    click(tool.answers[2])
    assert feed.commands() == [SetRival(name=None)]
    assert not (user_data() / "engines" / made).exists()
    assert engines.engine.findText(made) == engines.rival.findText(made) == -1
    window.tick()
    assert tool.start_button.isVisible()


def test_two_made_within_a_second_have_names_of_their_own(sitting, child_of, monkeypatch):
    window, _, show = sitting
    tool, engines = window.training.tool, window.acquisition.engines

    class Noon(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.datetime(2026, 3, 4, 12, 0, 5, tzinfo=tz)

    monkeypatch.setattr(train_desk, "datetime", Noon)
    child_of(MADE)
    for _ in range(2):
        show(17)
        click(tool.start_button)
        until(lambda: tool.answers[0].isVisible(), window)
        click(tool.answers[0])
    made = [engines.engine.itemText(row) for row in range(2, engines.engine.count())]
    assert made == ["Ti2-left-0304-120005", "Ti2-left-0304-120005-2"]


def test_the_process_is_told_what_to_learn_from_and_cancelled(sitting, child_of):
    window, _, show = sitting
    tool = window.training.tool
    child_of(ENDLESS)
    show(17)
    click(tool.start_button)
    until(lambda: tool.progress.value() == 500, window)
    assert "1.0 min left" in tool.said.text()
    arguments = json.loads(window.training._word)
    movie = Path(arguments[2])
    assert arguments[:2] == ["train", "beside-live"]
    assert arguments[arguments.index("--against") + 1] == "denoise"
    assert arguments[arguments.index("--camera") + 1] == "100,0.5,1.6"
    assert arguments[arguments.index("--seconds") + 1] == "120"
    assert movie.name.startswith("17 frames of Ti2 left, 20")
    with open_movie(movie) as frames:
        assert len(frames) == 17
    click(tool.cancel_button)
    until(lambda: tool.start_button.isVisible(), window)
    assert not movie.parent.exists()
    assert "never" not in [window.acquisition.engines.engine.itemText(n) for n in range(3)]


def test_a_failure_is_said_and_it_can_be_tried_again(sitting, child_of):
    window, _, show = sitting
    tool = window.training.tool
    child_of(BROKEN)
    show(16)
    click(tool.start_button)
    until(lambda: tool.start_button.isVisible(), window)
    assert tool.said.text() == "no room"
    show(16, first=100)
    assert tool.start_button.isEnabled()


def test_a_closed_window_ends_the_training(sitting, child_of):
    window, _, show = sitting
    child_of(ENDLESS)
    show(16)
    click(window.training.tool.start_button)
    child = window.training._child
    until(lambda: window.training.tool.progress.value() == 500, window)
    window.close_now()
    assert child._process.poll() is not None
    assert "trainer" not in [thread.name for thread in threading.enumerate()]
    assert list((user_cache() / "training").iterdir()) == []


def test_without_torch_the_remedy_is_said(sitting, monkeypatch):
    window, _, show = sitting
    monkeypatch.setattr(train_desk, "_NEEDED", ("torch_that_nobody_has",))
    window.training._why_not = None
    show(20)
    assert not window.training.tool.start_button.isEnabled()
    assert "pip install 'liverestore[train]'" in window.training.tool.said.text()


def test_nothing_is_kept_while_the_tool_is_away(sitting):
    window, _, show = sitting
    show(16)
    assert len(window.training._keeper) == 16
    QTest.mouseClick(window.drawer.button("Train"), Qt.MouseButton.LeftButton)
    show(3, first=16)
    assert len(window.training._keeper) == 0


def test_frames_are_bounded_of_one_kind_and_each_once(make_frame):
    keeper = FrameKeeper(most_frames=8, most_bytes=5 * make_frame().pixels.nbytes)
    for number in range(12):
        for _ in range(2):
            keeper.add(make_frame(number=number))
    assert [frame.header.number for frame in keeper.frames()] == [7, 8, 9, 10, 11]
    keeper.add(make_frame(number=12, exposure_ms=20.0))
    assert [frame.header.number for frame in keeper.frames()] == [12]


def test_frames_are_written_as_they_are(make_frame, tmp_path):
    frames = tuple(make_frame(number=n) for n in range(3))
    write_frames(frames, tmp_path / "a" / "b.ome.tif")
    with open_movie(tmp_path / "a" / "b.ome.tif") as movie:
        assert all((movie[n] == frames[n].pixels).all() for n in range(3))
