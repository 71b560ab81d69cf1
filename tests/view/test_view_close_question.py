"""Closing the window while a recording is being written."""

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt, QTimer
from PySide6.QtTest import QTest

from liverestore.status import SetRecording
from liverestore.view.app import show_window
from liverestore.view.feed import MemoryFeed, ShownPair
from liverestore.view.shortcuts import MEANINGS

FILE = "/data/2026-11-22/run_0001.ome.zarr"


@pytest.fixture
def recording(open_window, make_frame, make_status):
    window, feed = open_window(engines=("denoise",))
    feed.report(make_status(recording=FILE))
    feed.offer(ShownPair(make_frame(np.full((40, 60), 7, np.uint16))))
    window.tick()
    told = []
    window.closed.connect(lambda: told.append(1))
    return window, feed, told


def _click(button):
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


def _ctrl_w(window):
    QTest.keyClick(window.raw_pane.image, Qt.Key.Key_W, Qt.KeyboardModifier.ControlModifier)


@pytest.mark.parametrize("way", ["key", "title bar"])
def test_closing_asks_and_cancel_keeps_the_window(recording, settle, way):
    window, feed, told = recording
    question = window.close_question
    assert question.isHidden()
    if way == "key":
        _ctrl_w(window)
    else:
        # What the system does when its cross is clicked.
        window.windowHandle().close()
    settle()
    assert question.isVisible()
    assert FILE in question.text.text()
    assert "Ctrl-C in the terminal" in question.text.text()
    lines = question.text.height() / question.text.fontMetrics().height()
    assert question.height() < (lines + 7) * question.text.fontMetrics().height(), "no gaps"
    for button in (question.go_on, question.stop, question.cancel):
        place = button.mapTo(window, QPoint(0, 0))
        assert window.rect().contains(place)
        assert window.rect().contains(place + button.rect().bottomRight())
        assert button.fontMetrics().horizontalAdvance(button.text()) + 8 <= button.width()
    _click(question.cancel)
    assert question.isHidden()
    assert window.isVisible()
    assert not feed.closed
    _ctrl_w(window)
    QTest.keyClick(question.go_on, Qt.Key.Key_Escape)
    assert question.isHidden()
    assert (told, feed.commands()) == ([], [])


def test_the_recording_goes_on_without_the_window(recording):
    window, feed, told = recording
    _ctrl_w(window)
    QTest.keyClick(window.close_question.go_on, Qt.Key.Key_Return)
    assert told == [1]
    assert feed.closed
    assert feed.commands() == []


def test_the_window_closes_when_the_recording_has_ended(recording, make_status, clock):
    window, feed, told = recording
    _ctrl_w(window)
    _click(window.close_question.stop)
    assert feed.commands() == [SetRecording(on=False)]
    clock.step(0.5)
    window.tick()
    _ctrl_w(window)
    assert (told, window.isVisible()) == ([], True), "not before the file is closed"
    feed.report(make_status(recording=None))
    window.tick()
    assert told == [1]
    assert feed.closed


def test_a_long_exposure_does_not_hold_the_window(recording, clock):
    window, feed, told = recording
    _ctrl_w(window)
    _click(window.close_question.stop)
    clock.step(6.0)
    window.tick()
    assert told == [1]
    assert feed.commands() == [SetRecording(on=False)]


def test_a_paused_recording_cannot_go_on_and_is_not_offered_to(recording, make_status):
    window, feed, _told = recording
    feed.report(make_status(recording=FILE, live=False))
    window.tick()
    _ctrl_w(window)
    question = window.close_question
    assert question.go_on.isHidden()
    assert "ends the run" in question.text.text()
    feed.report(make_status(recording=FILE))
    window.tick()
    assert question.go_on.isVisible()


def test_a_question_that_is_answered_by_the_run_goes_away(recording, make_status):
    window, feed, told = recording
    _ctrl_w(window)
    feed.report(make_status(recording=None))
    window.tick()
    assert window.close_question.isHidden()
    assert told == []
    _ctrl_w(window)
    assert told == [1], "nothing is being recorded"


@pytest.mark.parametrize("how", ["asked by the run", "the run has ended"])
def test_there_is_no_question_where_nobody_can_answer_it(recording, make_status, how):
    window, feed, told = recording
    if how == "asked by the run":
        window.close_now()
    else:
        feed.report(make_status(state="stopped", recording=FILE))
        window.tick()
        _ctrl_w(window)
    assert told == [1]
    assert feed.closed


def test_a_run_that_ends_takes_its_window_along(
    qt_app, nothing_left, make_status, monkeypatch, tmp_path
):
    monkeypatch.setenv("LIVERESTORE_HOME", str(tmp_path))
    feed, looks = MemoryFeed(), iter([False, False, True])
    feed.report(make_status(recording=FILE))
    # A question would wait for an answer; then the test ends without a closed feed.
    guard = QTimer()
    guard.timeout.connect(qt_app.quit)
    guard.start(20_000)
    show_window(
        feed,
        rig="demo",
        title="live",
        engines=(),
        camera=None,
        ended=lambda: next(looks, True),
        report_rate=lambda _fps: None,
    )
    guard.stop()
    assert feed.closed


def test_the_list_of_keys_says_what_closing_does():
    assert MEANINGS["close"] == "close the view; ends the run unless it is recording"
