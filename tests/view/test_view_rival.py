from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtTest import QTest

from liverestore.frame import Restored
from liverestore.view.compare import Mode
from liverestore.view.feed import ShownPair
from liverestore.view.theme import COLOURS

SHAPE = (200, 300)
NUMBERS = {"offset_counts": 0.0, "gain_e_per_count": 1.0, "read_noise_e": 3.0}
RAW, A, B = 180, 100, 140


@pytest.fixture
def pair(make_frame, make_restored):
    def make(number=0, *, rival=True, saturated=0, **facts):
        pixels = np.full(SHAPE, RAW, np.uint16)
        pixels.ravel()[:saturated] = 255
        frame = make_frame(pixels, number, bit_depth=8, **facts)
        first = make_restored(frame, np.full(SHAPE, A, np.uint16), parameters=NUMBERS)
        second = make_restored(
            frame, np.full(SHAPE, B, np.uint16), engine="mean5", version="2.0", runtime="numpy"
        )
        return ShownPair(
            frame,
            Restored(first.pixels, frame, first.provenance, second if rival else None),
        )

    return make


@pytest.fixture
def running(open_window, pair, make_status):
    window, feed = open_window(engines=("denoise", "mean5"))
    feed.report(make_status(rival="mean5"))
    feed.offer(pair())
    window.tick()
    window.display.low.setValue(0)
    window.display.high.setValue(255)
    return window, feed


def _key(window, key):
    QTest.keyClick(window.deck.panes[0].image, key)


def _colour(view, share, height=0.3):
    picture = view.viewport().grab().toImage()
    return picture.pixelColor(int(share * picture.width()), int(height * picture.height()))


def test_the_second_result_stands_where_raw_did_and_is_marked(running):
    window, _ = running
    left, right = window.raw_pane, window.restored_pane
    assert (left.title.text(), left.caption.text()) == ("mean5 2.0", "numpy")
    assert left.frame_label.text() == right.frame_label.text() == "frame 0"
    assert left.image.overlay.badge == "B · mean5"
    assert right.image.overlay.badge == "A · denoise"
    assert _colour(left.image, 0.5).red() == pytest.approx(B, abs=2)
    assert _colour(right.image, 0.5).red() == pytest.approx(A, abs=2)
    marks = {
        pane: pane.image.viewport().grab().toImage().pixelColor(QPoint(13, 14)).name()
        for pane in (left, right)
    }
    assert marks == {left: COLOURS["rival"], right: COLOURS["accent"]}


def test_curtain_and_blink_show_the_second_engine_instead_of_raw(running, clock):
    window, _ = running
    view = window.deck.compare_pane.image
    window.set_mode(Mode.CURTAIN)
    assert _colour(view, 0.4).red() == pytest.approx(A, abs=2)
    assert _colour(view, 0.6).red() == pytest.approx(B, abs=2)
    assert view.overlay.edge_names == ("A · denoise", "B · mean5")
    assert window.deck.compare_pane.title.text() == "denoise 1.0 | mean5 2.0"
    window.set_mode(Mode.BLINK)
    seen = []
    for _ in range(2):
        seen.append((view.overlay.badge, round(_colour(view, 0.5).red(), -1)))
        clock.step(0.55)
        window.tick()
    assert sorted(seen) == [("A · denoise", A), ("B · mean5", B)]


def test_the_difference_is_second_minus_first(running):
    window, _ = running
    window.set_mode(Mode.DIFFERENCE)
    pane = window.deck.compare_pane
    shown = pane.image.item.image
    sd = np.sqrt(A + 9 + 1 / 12)
    np.testing.assert_allclose(shown, (B - A) / sd, rtol=1e-5)
    assert pane.caption.text() == "B · mean5 \u2212 A · denoise, in units of the noise"
    assert pane.scale_bar.words[2] == "B is brighter"
    assert "only noise was removed" not in pane.readout.text()


def test_a_key_looks_at_raw_and_back(running):
    window, _ = running
    _key(window, Qt.Key.Key_O)
    assert window.raw_pane.title.text() == "raw"
    assert window.raw_pane.image.overlay.badge == "RAW"
    assert _colour(window.raw_pane.image, 0.5).red() == pytest.approx(RAW, abs=2)
    window.set_mode(Mode.DIFFERENCE)
    sd = np.sqrt(A + 9 + 1 / 12)
    np.testing.assert_allclose(window.deck.compare_pane.image.item.image, (RAW - A) / sd, rtol=1e-5)
    _key(window, Qt.Key.Key_O)
    np.testing.assert_allclose(window.deck.compare_pane.image.item.image, (B - A) / sd, rtol=1e-5)


def test_as_long_as_there_is_no_second_result_raw_is_seen_and_said(running, pair):
    window, feed = running
    feed.offer(pair(1, rival=False))
    window.tick()
    assert window.raw_pane.image.overlay.banner == (
        "no result of mean5 yet - this is the raw image"
    )
    assert _colour(window.raw_pane.image, 0.5).red() == pytest.approx(RAW, abs=2)
    window.set_mode(Mode.CURTAIN)
    assert "no result of mean5 yet" in window.deck.compare_pane.image.overlay.banner
    assert window.deck.compare_pane.image.overlay.edge_names == ("A · denoise", "RAW")
    feed.offer(pair(2))
    window.tick()
    assert window.deck.compare_pane.image.overlay.banner == ""


def test_with_raw_chosen_again_all_is_as_before(running, make_status, pair):
    window, feed = running
    feed.report(make_status())
    feed.offer(pair(1))
    window.tick()
    assert window.raw_pane.title.text() == "raw"
    assert window.raw_pane.image.overlay.badge == ""
    assert window.restored_pane.image.overlay.badge == ""


def test_saturation_is_counted_on_raw_all_the_same(running, pair, clock):
    window, feed = running
    clock.step(1.0)
    feed.offer(pair(1, saturated=600, captured_ns=clock.ns))
    window.tick()
    assert window.status.texts()["SATURATED"] == "1.00 %"


def test_the_cursor_names_the_two_engines(running, settle):
    window, _ = running
    window.set_mode(Mode.CURTAIN)
    settle()
    view = window.deck.compare_pane.image
    at = view.box.mapViewToScene(QPointF(100.5, 60.5)).toPoint()
    QTest.mouseMove(view.viewport(), at)
    settle()
    text = window.deck.compare_pane.readout.text()
    assert text.startswith(f"x 100  y 60    B {B} counts    A {A} counts")


def test_a_silent_engine_gives_the_left_side_back_to_raw(running, make_frame, clock):
    window, feed = running
    newest = make_frame(np.full(SHAPE, RAW, np.uint16), 40)
    feed.offer(ShownPair(newest))
    window.tick()
    clock.step(5.0)
    window.tick()
    assert window.raw_pane.frame_label.text() == "frame 40"
    assert window.raw_pane.image.overlay.banner.startswith("engines not answering")
    assert "engine not answering" in window.restored_pane.image.overlay.banner


def test_an_unchanged_pair_is_not_painted_again(running, clock):
    window, _ = running
    for mode in Mode:
        window.set_mode(mode)
        if mode is Mode.BLINK:
            continue
        window.tick()
        handed = []
        for pane in window.deck.panes:
            pane.image.item.sigImageChanged.connect(lambda seen=handed: seen.append(1))
        overlays = [pane.image.overlay for pane in window.deck.panes]
        for _ in range(3):
            clock.step(0.016)
            window.tick()
        assert handed == []
        for pane, overlay in zip(window.deck.panes, overlays, strict=True):
            assert pane.image.overlay is overlay, "a new overlay would be drawn each time"
        assert replace(overlays[0]) == overlays[0]


@pytest.mark.parametrize("size", [(1280, 800), (3840, 2160)])
def test_badges_stay_inside_the_image(running, settle, size):
    window, _ = running
    window.resize(*size)
    settle()
    window.tick()
    view = window.raw_pane.image
    picture = view.viewport().grab().toImage()
    row = [
        picture.pixelColor(x, round(16 * window.look.scale)).name() == COLOURS["rival"]
        for x in range(picture.width())
    ]
    assert any(row)
    assert not row[0]
    assert not row[-1]
