"""What is said of all channels of a composite: saturation, rates, badges."""

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from liverestore.frame import Restored
from liverestore.rig_channels import ChannelConfig
from liverestore.view.channels import looks_of
from liverestore.view.compare import Mode
from liverestore.view.feed import ShownPair
from liverestore.view.status_cells import Tone
from liverestore.view.theme import COLOURS

RIG = (ChannelConfig(name="DAPI", colour="#0000ff"), ChannelConfig(name="GFP", colour="#00ff00"))
SHAPE = (64, 96)


@pytest.fixture
def show(open_window, make_frame, make_restored, clock, settle):
    """A window with two channels, and a way to bring frames into it."""
    window, feed = open_window(channels=looks_of(RIG), engines=("denoise", "mean5"))

    def bring(channel, number, *, engine="denoise", rival=None, saturated=0):
        pixels = np.full(SHAPE, 300, np.uint16)
        pixels[:, :10] = 100
        pixels.ravel()[:saturated] = 65_535
        frame = make_frame(pixels, number, channel=channel, captured_ns=clock.ns)
        made = make_restored(frame, engine=engine)
        second = make_restored(frame, engine=rival) if rival else None
        feed.offer(ShownPair(frame, Restored(made.pixels, frame, made.provenance, second)))
        window.tick()

    return window, feed, bring


def _cells(window):
    return {cell.name: cell for cell in window.state.cells}


def test_saturation_of_a_channel_that_does_not_lead_raises_the_alarm(show, clock):
    window, _feed, bring = show
    bring("DAPI", 0)
    bring("GFP", 1, saturated=SHAPE[0] * SHAPE[1] // 2)
    window.channels.show_composite(True)
    clock.step(0.3)
    window.tick()
    assert window.state.header.channel == "DAPI"
    cell = _cells(window)["SATURATED"]
    assert (cell.value, cell.tone) == ("50.00 %", Tone.ALARM)
    assert "GFP: 50.00 %" in cell.detail
    assert "DAPI: 0.00 %" in cell.detail
    assert "most of them in GFP" in cell.detail
    assert window.status.texts()["SATURATED"] == "50.00 %"
    QTest.keyClick(window, Qt.Key.Key_1, Qt.KeyboardModifier.ControlModifier)
    clock.step(0.3)
    window.tick()
    assert window.status.texts()["SATURATED"] == "0.00 %", "of DAPI alone"


def test_the_rate_of_the_view_is_that_of_all_channels_together(show, clock):
    window, _feed, bring = show
    window.channels.show_composite(True)
    for number in range(40):
        bring(("DAPI", "GFP")[number % 2], number)
        clock.step(0.05)
    window.tick()
    assert window.shown_fps == pytest.approx(20, rel=0.1)
    value = window.status.texts()["VIEW"]
    assert float(value.removesuffix(" fps")) == pytest.approx(20, rel=0.1)


def test_numbers_of_a_composite_change_no_more_often_than_others(show, clock):
    window, _feed, bring = show
    window.channels.show_composite(True)
    bring("DAPI", 0)
    bring("GFP", 1)
    clock.step(0.3)
    window.tick()
    before = window.state.cells
    for number in range(2, 6):
        bring(("DAPI", "GFP")[number % 2], number)
        clock.step(0.01)
    assert window.state.cells is before


def test_a_badge_names_no_engine_that_only_one_channel_has(show, make_status, clock, settle):
    window, feed, bring = show
    feed.report(make_status(rival="mean5"))
    window.tick()
    bring("DAPI", 0, engine="confocal", rival="mean5")
    bring("GFP", 1, engine="denoise-live", rival="mean5")
    window.channels.show_composite(True)
    settle()
    overlay = window.restored_pane.image.overlay
    assert overlay.badge == "A"
    assert window.raw_pane.image.overlay.badge == "B · mean5"
    assert "confocal" in window.restored_pane.caption.text()
    assert "denoise-live" in window.restored_pane.caption.text()
    corner = window.restored_pane.image.viewport().grab().toImage().pixelColor(12, 15).name()
    assert corner == COLOURS["accent"], "a letter alone has its engine's colour"
    window.set_mode(Mode.CURTAIN)
    assert window.deck.compare_pane.image.overlay.edge_names == ("A", "B · mean5")
    bring("GFP", 3, engine="denoise-live")
    clock.step(0.1)
    window.set_mode(Mode.SIDE_BY_SIDE)
    window.tick()
    assert window.raw_pane.image.overlay.badge == "B / RAW"
    bring("GFP", 5, engine="confocal", rival="mean5")
    assert window.restored_pane.image.overlay.badge == "A · confocal"
