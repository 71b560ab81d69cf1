"""The time of capture beside the frame number."""

import time

import numpy as np
import pytest

from liverestore.rig_channels import ChannelConfig
from liverestore.view.channels import looks_of
from liverestore.view.compare import Mode
from liverestore.view.feed import ShownPair
from liverestore.view.moment import moment_of, moments_together

UTC = "2026-11-22T23:30:07.123456+00:00"
TIME, DATE = "00:30:07.123", "2026-11-23"


@pytest.fixture(autouse=True)
def in_vienna(monkeypatch):
    """An hour ahead of UTC: there it is the next day already."""
    if not hasattr(time, "tzset"):
        pytest.skip("this system cannot change the zone of one process")
    monkeypatch.setenv("TZ", "CET-1")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def pair(make_frame, make_restored):
    def make(number=1_234_567, captured_utc=UTC, **facts):
        pixels = np.arange(200 * 300, dtype=np.uint16).reshape(200, 300)
        frame = make_frame(pixels, number, captured_utc=captured_utc, **facts)
        made = make_restored(
            frame, engine="denoise-confocal-v3", runtime="openvino 2026.4.1 CPU bf16"
        )
        return ShownPair(frame, made)

    return make


def _panes(window):
    return [pane for pane in window.deck.panes if pane.isVisible()]


def _whole(label):
    return label.fontMetrics().horizontalAdvance(label.text()) <= label.contentsRect().width()


@pytest.mark.parametrize(
    ("utc", "text"),
    [
        (UTC, f"{DATE}  {TIME}"),
        ("2026-11-22T20:00:00+00:00", "2026-11-22  21:00:00.000"),
        ("2026-11-22T20:00:00Z", "2026-11-22  21:00:00.000"),
        ("2026-11-22T20:00:00.9999+02:00", "2026-11-22  19:00:00.999"),
    ],
)
def test_the_moment_is_in_local_time_to_the_millisecond(make_frame, utc, text):
    moment = moment_of(make_frame(captured_utc=utc).header)
    assert moment.forms == (text, text.split("  ")[1])
    assert "UTC+01:00" in moment.detail


@pytest.mark.parametrize("utc", ["", "yesterday"])
def test_a_frame_that_does_not_say_when_has_no_moment(make_frame, utc):
    assert moment_of(make_frame(captured_utc=utc).header) is None


def test_channels_have_each_their_own_moment(make_frame):
    one, two = (
        moment_of(make_frame(captured_utc=f"2026-11-22T20:00:0{n}+00:00").header) for n in (3, 2)
    )
    both = moments_together({"DAPI": one, "GFP": two, "RFP": None})
    assert both.forms[1:] == ("21:00:03.000 · 21:00:02.000", "21:00:03.000")
    assert "GFP: captured 2026-11-22 21:00:02.000" in both.detail
    assert moments_together({"DAPI": None}) is None


@pytest.mark.parametrize("tools", [False, True], ids=["alone", "beside the tools"])
def test_every_image_says_when_it_was_captured(open_window, pair, settle, tools):
    window, feed = open_window(size=(1280, 800), engines=("denoise-confocal-v3",))
    if tools:
        window.drawer.toggle("Histogram")
    feed.offer(pair())
    window.tick()
    for mode in Mode:
        window.set_mode(mode)
        settle()
        for pane in _panes(window):
            assert TIME in pane.time.text(), mode
            assert f"captured {DATE} {TIME}" in pane.time.toolTip()
            for label in (pane.time, pane.frame_label, pane.title):
                assert _whole(label), (mode, label.text(), label.width())
            if not tools:
                assert _whole(pane.caption), (mode, pane.caption.text())


def test_the_date_is_written_where_there_is_room(open_window, pair, settle):
    window, feed = open_window(size=(1280, 800))
    feed.offer(pair())
    window.tick()
    settle()
    assert window.restored_pane.time.text() == TIME
    window.set_mode(Mode.DIFFERENCE)
    settle()
    assert window.deck.compare_pane.time.text() == f"{DATE}  {TIME}"
    window.set_mode(Mode.SIDE_BY_SIDE)
    window.look_bar.large_text.click()
    settle()
    for pane in _panes(window):
        assert pane.time.text() == TIME
        assert _whole(pane.time)
        assert _whole(pane.frame_label)


def test_the_time_is_written_into_the_picture_and_never_into_the_data(open_window, pair, settle):
    window, feed = open_window()
    feed.offer(pair())
    window.tick()
    settle()
    shown = window.state.raw_frame.pixels
    label = window.raw_pane.time
    where = label.rect().translated(label.mapTo(window.deck, label.rect().topLeft()))
    with_time = window.deck.grab(where).toImage()
    inks = {
        with_time.pixelColor(x, y).lightness()
        for x in range(with_time.width())
        for y in range(with_time.height())
    }
    assert max(inks) > min(inks) + 60, "the time is on the picture of a snapshot"
    np.testing.assert_array_equal(shown, np.arange(200 * 300, dtype=np.uint16).reshape(200, 300))


def test_a_frame_without_a_time_leaves_no_gap_behind(open_window, pair, settle):
    window, feed = open_window()
    feed.offer(pair())
    window.tick()
    feed.offer(pair(2, captured_utc=""))
    window.tick()
    settle()
    assert all(pane.time.isHidden() for pane in _panes(window))


def test_a_composite_says_when_each_channel_was_captured(open_window, pair, settle):
    looks = looks_of([ChannelConfig(name="DAPI"), ChannelConfig(name="GFP")])
    window, feed = open_window(channels=looks)
    for number, name in enumerate(("DAPI", "GFP")):
        feed.offer(pair(number, captured_utc=f"2026-11-22T20:00:0{number}+00:00", channel=name))
        window.tick()
    window.channels.show_composite(True)
    settle()
    assert window.raw_pane.time.text().endswith("21:00:01.000")
    assert "DAPI: captured 2026-11-22 21:00:00.000" in window.raw_pane.time.toolTip()
