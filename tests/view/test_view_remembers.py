import json

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from liverestore.view import remember
from liverestore.view.compare import Mode
from liverestore.view.feed import MemoryFeed, ShownPair
from liverestore.view.memory import Memory
from liverestore.view.settings import SettingsFile, ViewSettings
from liverestore.view.window import LiveWindow

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def file(tmp_path):
    return SettingsFile(tmp_path / "rigs" / "demo.json")


@pytest.fixture
def open_again(
    qt_app, clock, file, settle, make_frame, make_restored, make_status, nothing_left, monkeypatch
):
    """Opens a window of the rig with a pair on the screen, in front of a large screen."""
    opened = []
    monkeypatch.setattr(remember, "_screens", lambda: [(0, 0, 2560, 1440)])

    def make():
        feed = MemoryFeed()
        window = LiveWindow(
            feed,
            clock_ns=clock,
            live=False,
            engines=("denoise", "mean5"),
            memory=Memory(file),
        )
        opened.append(window)
        window.show()
        settle()
        raw = make_frame(np.arange(200 * 300, dtype=np.uint16).reshape(200, 300))
        feed.report(make_status())
        feed.offer(ShownPair(raw, make_restored(raw)))
        window.tick()
        settle()
        return window, feed

    yield make
    for window in opened:
        window.close_now()
        window.deleteLater()


def _type(box, text):
    box.setFocus()
    box.selectAll()
    QTest.keyClicks(box, text)
    QTest.keyClick(box, Qt.Key.Key_Return)


def _pick(box, text):
    """Choose in a list as its user does: by the keyboard."""
    box.setFocus()
    down = box.findText(text) > box.currentIndex()
    while box.currentText() != text:
        before = box.currentIndex()
        QTest.keyClick(box, Qt.Key.Key_Down if down else Qt.Key.Key_Up)
        assert box.currentIndex() != before, f"{text} is not in the list"


def test_a_window_comes_back_as_it_was_left(open_again, settle):
    window, _ = open_again()
    size = (1300, 720)
    window.resize(*size)
    window.move(30, 40)
    QTest.keyClicks(window.raw_pane.image, "b")
    _type(window.display.compare.rate, "2.5")
    QTest.keyClicks(window.deck.compare_pane.image, "d")
    _type(window.display.compare.limit, "3")
    QTest.keyClicks(window.deck.compare_pane.image, "c")
    for _ in range(5):
        QTest.keyClick(window.deck.compare_pane.image, Qt.Key.Key_Left)
    QTest.keyClicks(window.deck.compare_pane.image, "l")
    _type(window.display.ignore, "1.5")
    _type(window.display.low, "100")
    _type(window.display.high, "900")
    _pick(window.acquisition.z_step, "2")
    QTest.mouseClick(window.look_bar.theme, LEFT)
    QTest.mouseClick(window.look_bar.large_text, LEFT)
    lut = window.display.lut.currentText()
    assert lut != "grey"
    assert window.look.reading_scale > 1.0
    settle()
    window.close_now()

    again, _ = open_again()
    comparison = again.deck.comparison
    assert (again.x(), again.y(), again.width(), again.height()) == (30, 40, *size)
    assert (comparison.mode, comparison.blink.rate_hz) == (Mode.CURTAIN, 2.5)
    assert (comparison.limit_sd, comparison.edge) == (3.0, pytest.approx(0.4))
    assert again.display.lut.currentText() == lut == again.state.lut
    assert not again.display.auto.isChecked()
    assert again.display.ignore.value() == 1.5
    assert again.state.levels == (100.0, 900.0)
    assert again.acquisition.z_step.currentText() == "2"
    assert again.look.theme == "light"
    assert again.look_bar.large_text.isChecked()
    assert again.look.status_scale == window.look.status_scale
    assert again.notices.isHidden()


def test_separate_levels_come_back_each_with_its_image(open_again):
    window, _ = open_again()
    window.display.link.click()
    _type(window.display.low, "100")
    _type(window.display.high, "900")
    _pick(window.display.side, "raw")
    _type(window.display.low, "50")
    _type(window.display.high, "1500")
    window.close_now()
    again, _ = open_again()
    assert not again.display.link.isChecked()
    assert again.state.levels == (100.0, 900.0)
    assert again.state.raw_levels == (50.0, 1500.0)


def test_the_switches_of_the_histogram_come_back(open_again):
    window, _ = open_again()
    QTest.keyClicks(window.raw_pane.image, "h")
    for switch in (window.histogram.log, window.histogram.whole_range, window.histogram.mark):
        switch.click()
    window.close_now()
    again, _ = open_again()
    assert not again.histogram.log.isChecked()
    assert again.histogram.whole_range.isChecked()
    assert again.histogram.meter.whole_range
    assert again.histogram.mark.isChecked()
    assert again.state.mark_saturated


def test_nothing_is_written_where_nothing_changed(open_again, file):
    window, _ = open_again()
    window.close_now()
    first = file.path.read_bytes()
    stamp = file.path.stat().st_mtime_ns
    again, _ = open_again()
    again.close_now()
    assert (file.path.read_bytes(), file.path.stat().st_mtime_ns) == (first, stamp)


def test_a_change_is_on_the_disk_before_the_window_is_closed(open_again, file, clock):
    window, _ = open_again()
    QTest.keyClicks(window.raw_pane.image, "l")
    for _ in range(4):
        clock.step(1.1)
        window.tick()
    writer = window._memory._writer
    writer.join(timeout=20.0)
    assert file.load()[0].lut == window.display.lut.currentText() != "grey"


def test_a_window_on_a_screen_that_is_gone_comes_back_onto_one_that_is_there(open_again, file):
    file.save(ViewSettings(place=(90_000, 90_000, 1300, 700)))
    window, _ = open_again()
    assert (window.x(), window.y(), window.width(), window.height()) == (1260, 740, 1300, 700)


def test_full_screen_and_maximised_keep_the_size_of_the_window(open_again, file, settle):
    window, _ = open_again()
    window.resize(1300, 680)
    settle()
    window.showMaximized()
    settle()
    window.close_now()
    settings = file.load()[0]
    assert settings.maximised
    assert settings.place[2:] == (1300, 680)
    again, _ = open_again()
    assert again.isMaximized()


def test_a_broken_file_is_one_notice_and_a_normal_window(open_again, file):
    file.path.parent.mkdir(parents=True)
    file.path.write_text('{"version": 1, "theme": "pink"}', encoding="utf-8")
    window, _ = open_again()
    text = window.notices.label.text()
    assert str(file.path) in text
    assert "pink" in text
    assert "\n" not in text
    assert window.look.theme == "dark"
    QTest.mouseClick(window.look_bar.theme, LEFT)
    window.close_now()
    kept = file.path.with_name("demo.json.kept-1")
    assert "pink" in kept.read_text(encoding="utf-8")
    again, _ = open_again()
    assert again.notices.isHidden()
    assert again.look.theme == "light"


def test_an_engine_is_remembered_when_it_was_chosen_and_not_when_it_was_given(
    open_again, file, make_status
):
    window, _ = open_again()
    window.close_now()
    assert file.load()[0].engine is None, "the run began with it"
    window, feed = open_again()
    feed.report(make_status(engine="mean5"))
    window.tick()
    window.close_now()
    assert file.load()[0].engine == "mean5"
    window, _ = open_again()
    window.close_now()
    assert file.load()[0].engine == "mean5", "a run with --engine changes nothing"
    window, feed = open_again()
    for engine in ("mean5", "denoise"):
        feed.report(make_status(engine=engine))
        window.tick()
    window.close_now()
    assert file.load()[0].engine == "denoise", "changed and changed back"


def test_tools_that_were_shown_are_shown_again_and_strange_ones_are_not_missed(open_again, file):
    window, _ = open_again()
    names = window.drawer.names
    file.save(ViewSettings(tools=(*names[:1], "a tool of another version")))
    again, _ = open_again()
    assert [name for name in names if again.drawer.shown(name)] == list(names[:1])


def test_the_last_of_two_windows_wins_with_a_whole_file(open_again, file):
    one, _ = open_again()
    QTest.keyClicks(one.raw_pane.image, "d")
    two, _ = open_again()
    QTest.keyClicks(two.raw_pane.image, "b")
    two.close_now()
    one.close_now()
    assert json.loads(file.path.read_bytes())["compare"] == "difference"
    assert [path.name for path in file.path.parent.iterdir()] == ["demo.json"]
