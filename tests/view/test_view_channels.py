import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest

from liverestore.rig_channels import ChannelConfig
from liverestore.status import SetEngine, SetExposure
from liverestore.view.channels import looks_of
from liverestore.view.compare import Mode
from liverestore.view.feed import ShownPair
from liverestore.view.level_keeper import Side

RIG = (
    ChannelConfig(name="DAPI", colour="#0000ff", exposure_ms=30.0),
    ChannelConfig(name="GFP", colour="#00ff00", exposure_ms=50.0),
)
ENGINES = ("denoise-live", "mean5")
SHAPE = (64, 96)


def steps(low, high):
    """Left half `low`, right half `high` counts, and both tails for the autostretch."""
    pixels = np.full(SHAPE, low, np.uint16)
    pixels[:, SHAPE[1] // 2 :] = high
    return pixels


@pytest.fixture
def show(open_window, make_frame, make_restored, settle, clock):
    """A window with two channels, and a way to bring frames into it."""
    window, feed = open_window(channels=looks_of(RIG), engines=ENGINES)

    def bring(channel, number, raw, restored, *, engine="mean5", **facts):
        exposure_ms = next((c.exposure_ms for c in RIG if c.name == channel), 10.0)
        frame = make_frame(
            raw, number, channel=channel, exposure_ms=exposure_ms, captured_ns=clock.ns, **facts
        )
        feed.offer(ShownPair(frame, make_restored(frame, restored, engine=engine)))
        window.tick()
        settle()

    # Raw and restored have the same levels: blue bright on the left, green on the right.
    bring("DAPI", 0, steps(400, 100), steps(400, 100))
    bring("GFP", 1, steps(1000, 3000), steps(1000, 3000), engine="denoise-live")
    return window, feed, bring


def press(window, key):
    QTest.keyClick(window, key, Qt.KeyboardModifier.ControlModifier)


def click(widget):
    QTest.mouseClick(widget, Qt.MouseButton.LeftButton)


def colours(pane):
    """(r, g, b) left and right of the middle of what the pane's image area shows."""
    view = pane.image
    picture = view.grab().toImage()
    found = []
    for x in (SHAPE[1] * 0.3, SHAPE[1] * 0.7):
        at = view.mapFromScene(view.box.mapViewToScene(pane_point(x, SHAPE[0] * 0.35)))
        colour = picture.pixelColor(at)
        found.append((colour.red(), colour.green(), colour.blue()))
    return found


def pane_point(x, y):
    from PySide6.QtCore import QPointF

    return QPointF(x, y)


def test_one_channel_alone_is_as_ever(show):
    window, _feed, _bring = show
    bar = window.channels.bar
    assert bar.isVisible()
    assert [c.button.text() for c in bar.channels.values()] == ["DAPI", "GFP"]
    assert window.state.header.channel == "DAPI"
    assert window.state.composite is None
    # Grey, by the LUT that is chosen.
    assert colours(window.raw_pane) == [(255, 255, 255), (0, 0, 0)]
    click(bar.channels["GFP"].button)
    assert window.state.header.channel == "GFP"
    assert window.state.header.number == 1
    assert colours(window.raw_pane) == [(0, 0, 0), (255, 255, 255)]


def test_composite_adds_the_colours_in_both_panes(show, settle):
    window, _feed, _bring = show
    click(window.channels.bar.composite)
    settle()
    for pane in (window.raw_pane, window.restored_pane):
        assert colours(pane) == [(0, 0, 255), (0, 255, 0)]
        assert pane.title.text().endswith("composite")
    assert "DAPI" in window.raw_pane.caption.text()
    assert "mean5" in window.restored_pane.caption.text()
    assert "denoise-live" in window.restored_pane.caption.text()


def test_overlapping_channels_mix(show, settle):
    window, _feed, bring = show
    bring("DAPI", 2, steps(100, 400), steps(100, 400))
    window.channels.show_composite(True)
    # At once: the smoothed autostretch has both levels from the first frames.
    settle()
    assert colours(window.raw_pane) == [(0, 0, 0), (0, 255, 255)]


@pytest.mark.parametrize("mode", [Mode.CURTAIN, Mode.BLINK])
def test_composite_in_one_area(show, settle, mode):
    window, _feed, _bring = show
    window.channels.show_composite(True)
    window.set_mode(mode)
    settle()
    assert colours(window.deck.compare_pane) == [(0, 0, 255), (0, 255, 0)]


def test_blinking_composite_shows_restored_too(show, settle):
    window, _feed, bring = show
    bring("GFP", 3, steps(1000, 3000), steps(3000, 1000), engine="denoise-live")
    window.channels.show_composite(True)
    window.set_mode(Mode.BLINK)
    window.display.compare.swap()
    settle()
    assert colours(window.deck.compare_pane) == [(0, 255, 255), (0, 0, 0)]


def test_difference_asks_for_one_channel(show, settle):
    window, _feed, _bring = show
    window.channels.show_composite(True)
    window.set_mode(Mode.DIFFERENCE)
    settle()
    overlay = window.deck.compare_pane.image.overlay
    assert "one channel" in overlay.waiting
    press(window, Qt.Key.Key_2)
    settle()
    assert window.deck.compare_pane.image.overlay.waiting == ""
    assert window.state.header.channel == "GFP"


def test_keys_choose_channels_and_the_composite(show, settle):
    window, _feed, _bring = show
    press(window, Qt.Key.Key_2)
    assert window.state.header.channel == "GFP"
    press(window, Qt.Key.Key_1)
    assert window.state.header.channel == "DAPI"
    press(window, Qt.Key.Key_9)
    assert window.state.header.channel == "DAPI"
    press(window, Qt.Key.Key_0)
    assert window.state.composite is not None
    press(window, Qt.Key.Key_0)
    assert window.state.composite is None


def test_ticks_take_channels_out_of_the_composite(show, settle):
    window, _feed, _bring = show
    bar = window.channels.bar
    press(window, Qt.Key.Key_0)
    tick = bar.channels["DAPI"].tick
    QTest.mouseClick(tick, Qt.MouseButton.LeftButton, pos=QPoint(6, tick.height() // 2))
    settle()
    assert colours(window.raw_pane) == [(0, 0, 0), (0, 255, 0)]
    last = bar.channels["GFP"].tick
    QTest.mouseClick(last, Qt.MouseButton.LeftButton, pos=QPoint(6, last.height() // 2))
    assert last.isChecked(), "the last channel stays"
    assert window.state.header.channel == "GFP"


def test_engine_of_a_channel(show):
    window, feed, bring = show
    chooser = window.channels.bar.channels["GFP"].engine
    assert chooser.currentText() == "denoise-live"
    chooser.setFocus()
    QTest.keyClick(chooser, Qt.Key.Key_Down)
    assert feed.commands() == [SetEngine(name="mean5", channel="GFP")]
    # The request shows until results agree.
    window.tick()
    assert chooser.currentText() == "mean5"
    bring("GFP", 3, steps(1000, 3000), steps(1000, 3000), engine="mean5")
    assert chooser.currentText() == "mean5"
    assert window.channels.bar.channels["DAPI"].engine.currentText() == "mean5"


def test_exposure_is_that_of_the_channel_that_is_seen(show):
    window, feed, _bring = show
    assert window.acquisition.exposure.value() == 30.0
    press(window, Qt.Key.Key_2)
    assert window.acquisition.exposure.value() == 50.0
    window.acquisition.exposure.setValue(20.0)
    assert feed.commands() == [SetExposure(exposure_ms=20.0, channel="GFP")]


def undo(window):
    QTest.keyClick(window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)


def test_an_exposure_is_undone_in_the_channel_that_it_was_changed_of(show, clock):
    window, feed, _bring = show
    window.acquisition.exposure.setValue(20.0)
    press(window, Qt.Key.Key_2)
    assert window.acquisition.exposure.value() == 50.0, "that of GFP, though 20 ms was asked for"
    window.acquisition.exposure.setValue(60.0)
    press(window, Qt.Key.Key_1)
    assert "GFP" in window.acquisition.undo.toolTip()
    undo(window)
    assert window.acquisition.exposure.value() == 20.0, "what was asked for DAPI, still"
    undo(window)
    assert feed.commands() == [
        SetExposure(exposure_ms=20.0, channel="DAPI"),
        SetExposure(exposure_ms=60.0, channel="GFP"),
        SetExposure(exposure_ms=50.0, channel="GFP"),
        SetExposure(exposure_ms=30.0, channel="DAPI"),
    ]


def levels_of(window):
    return [presenter.levels.by_hand(Side.RESTORED) for presenter in window.channels.all]


def test_autostretch_of_the_composite_is_undone_in_every_channel(show):
    window, _feed, _bring = show
    click(window.channels.bar.composite)
    window.display.auto.click()
    by_hand = levels_of(window)
    assert by_hand == [(100.0, 400.0), (1000.0, 3000.0)]
    window.display.auto.click()
    assert levels_of(window) == [None, None]
    press(window, Qt.Key.Key_2)
    undo(window)
    assert levels_of(window) == by_hand
    undo(window)
    assert levels_of(window) == [None, None]


def test_levels_changed_at_once_in_two_channels_are_two_changes(show):
    window, _feed, _bring = show
    window.display.high.setValue(600.0)
    press(window, Qt.Key.Key_2)
    window.display.high.setValue(6000.0)
    undo(window)
    assert levels_of(window) == [(100.0, 600.0), None]
    undo(window)
    assert levels_of(window) == [None, None]


def test_unlinking_is_undone_after_another_channel_was_chosen(show, settle):
    window, _feed, bring = show
    window.display.link.click()
    press(window, Qt.Key.Key_2)
    undo(window)
    bring("GFP", 3, steps(1000, 3000), steps(1000, 3000))
    press(window, Qt.Key.Key_1)
    assert window.display.link.isChecked()
    assert [presenter.levels.linked for presenter in window.channels.all] == [True, True]


def test_levels_are_each_channels_own(show, settle):
    window, _feed, _bring = show
    display = window.display
    assert (display.low.value(), display.high.value()) == (100.0, 400.0)
    press(window, Qt.Key.Key_2)
    window.display.low.setValue(0.0)
    window.display.high.setValue(6000.0)
    settle()
    assert not display.auto.isChecked()
    press(window, Qt.Key.Key_1)
    assert display.auto.isChecked(), "the other channel still follows its image"
    assert window.state.levels == (100.0, 400.0)
    # In the composite each has its own: half of 6000 counts is half green.
    press(window, Qt.Key.Key_0)
    settle()
    assert colours(window.raw_pane) == [(0, 42, 255), (0, 128, 0)]


def test_read_out_lists_every_channel(show, settle):
    window, _feed, _bring = show
    press(window, Qt.Key.Key_0)
    window.deck._hovered(window.raw_pane, (10.0, 20.0))
    text = window.raw_pane.readout.text()
    assert text.startswith("x 10  y 20")
    assert "DAPI 400 counts" in text
    assert "GFP 1000 counts" in text
    window.set_mode(Mode.CURTAIN)
    window.deck._hovered(window.deck.compare_pane, (80.0, 20.0))
    text = window.deck.compare_pane.readout.text()
    assert "DAPI raw 100 counts restored 100 counts" in " ".join(text.split())
    assert "GFP raw 3000 counts restored 3000 counts" in " ".join(text.split())


def test_a_hidden_channel_is_current_when_it_is_chosen(show):
    window, _feed, bring = show
    bring("GFP", 3, steps(5, 6), steps(5, 6))
    assert window.state.header.channel == "DAPI"
    press(window, Qt.Key.Key_2)
    assert window.state.header.number == 3


def test_raw_and_restored_of_a_channel_stay_together(show):
    window, _feed, bring = show
    for number in range(2, 12):
        bring("DAPI" if number % 2 == 0 else "GFP", number, steps(9, 99), steps(9, 99))
        state = window.state
        assert state.header.channel == "DAPI"
        assert state.restored.image.source is state.raw.image


def test_a_frame_of_another_size_is_left_out_and_said(show, settle):
    window, _feed, bring = show
    press(window, Qt.Key.Key_0)
    small = np.full((32, 48), 7, np.uint16)
    bring("GFP", 3, small, small)
    assert any("GFP: another frame size" in c for c in window.raw_pane.image.overlay.cautions)
    assert colours(window.raw_pane)[0] == (0, 0, 255)


def test_one_channel_rigs_have_no_row(open_window, make_frame, make_restored, settle):
    window, feed = open_window(engines=ENGINES)
    frame = make_frame(steps(100, 400), 0)
    feed.offer(ShownPair(frame, make_restored(frame)))
    window.tick()
    settle()
    assert not window.channels.bar.isVisible()
    press(window, Qt.Key.Key_0)
    press(window, Qt.Key.Key_2)
    assert window.state.composite is None
    assert window.state.header.number == 0
    window.acquisition.exposure.setValue(20.0)
    assert feed.commands() == [SetExposure(exposure_ms=20.0)]


def test_channels_of_a_replay_bring_their_row(open_window, make_frame, make_restored, settle):
    window, feed = open_window(engines=ENGINES)
    window.display.lut.setCurrentText("green")
    for number, channel in enumerate(("a", "b")):
        frame = make_frame(steps(100, 400), number, channel=channel)
        feed.offer(ShownPair(frame, make_restored(frame)))
        window.tick()
        settle()
    assert window.channels.bar.isVisible()
    assert window.state.header.channel == "a"
    assert window.state.lut == "green"
    press(window, Qt.Key.Key_2)
    assert window.state.lut == "green"


@pytest.mark.parametrize("size", [(1280, 800), (3840, 2160)])
def test_nine_channels_fit(open_window, make_frame, make_restored, settle, size):
    names = ("DAPI", "GFP", "YFP", "mCherry", "Cy5", "Cy7", "CFP", "brightfield", "FRET of CFP")
    rig = [ChannelConfig(name=name) for name in names]
    window, feed = open_window(size=size, channels=looks_of(rig), engines=ENGINES)
    frame = make_frame(steps(100, 400), 0, channel="DAPI")
    feed.offer(ShownPair(frame, make_restored(frame)))
    window.tick()
    settle()
    bar = window.channels.bar
    assert window.width() == size[0]
    rights = [c.mapTo(bar, c.rect().topRight()).x() for c in bar.channels.values()]
    assert rights == sorted(rights)
    assert rights[-1] <= bar.width()
    assert [c.name for c in bar.channels.values() if c.engine.isVisible()] == ["DAPI"]
    assert bar.channels["brightfield"].button.text() == "bright\u2026"
    assert "brightfield" in bar.channels["brightfield"].button.toolTip()
    for controls in bar.channels.values():
        assert controls.button.width() >= controls.button.sizeHint().width()
