import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtTest import QTest

from liverestore.rig import CameraConfig
from liverestore.view.compare import Mode
from liverestore.view.feed import ShownPair
from liverestore.view.shortcuts import MEANINGS, SHORTCUTS

SHAPE = (200, 300)
NUMBERS = {"offset_counts": 0.0, "gain_e_per_count": 1.0, "read_noise_e": 3.0}


@pytest.fixture
def pair(make_frame, make_restored):
    def make(number=0, *, raw=180, restored=100, parameters=None, **facts):
        frame = make_frame(np.full(SHAPE, raw, np.uint16), number, **facts)
        pixels = np.full(SHAPE, restored, np.uint16)
        return ShownPair(
            frame, make_restored(frame, pixels, parameters=NUMBERS if parameters is None else {})
        )

    return make


@pytest.fixture
def running(open_window, pair, make_status):
    window, feed = open_window(engines=("denoise",))
    feed.report(make_status())
    feed.offer(pair())
    window.tick()
    window.display.low.setValue(0)
    window.display.high.setValue(255)
    return window, feed


def _viewport(window):
    return window.deck.compare_pane.image.viewport()


def _colour(window, share, height=0.3):
    """Colour on the screen at `share` of the width of the one image area."""
    picture = _viewport(window).grab().toImage()
    return picture.pixelColor(int(share * picture.width()), int(height * picture.height()))


def _drag(viewport, start, end):
    QTest.mousePress(viewport, Qt.MouseButton.LeftButton, pos=start)
    for i in range(1, 6):
        QTest.mouseMove(viewport, start + (end - start) * (i / 5))
    QTest.mouseRelease(viewport, Qt.MouseButton.LeftButton, pos=end)


def _key(window, key):
    QTest.keyClick(window.deck.panes[0].image, key)


@pytest.mark.parametrize(
    ("key", "mode"),
    [
        (Qt.Key.Key_C, Mode.CURTAIN),
        (Qt.Key.Key_B, Mode.BLINK),
        (Qt.Key.Key_D, Mode.DIFFERENCE),
    ],
)
def test_keys_choose_the_mode_and_s_goes_back(running, key, mode):
    window, _ = running
    _key(window, key)
    assert window.deck.comparison.mode is mode
    assert window.display.compare.mode.currentText() == mode.value
    assert window.deck.compare_pane.isVisible()
    assert not window.raw_pane.isVisible()
    _key(window, Qt.Key.Key_S)
    assert window.raw_pane.isVisible()
    assert window.restored_pane.isVisible()
    assert not window.deck.compare_pane.isVisible()


def test_the_chooser_and_m_go_through_all_modes(running):
    window, _ = running
    seen = []
    for _ in Mode:
        _key(window, Qt.Key.Key_M)
        seen.append(window.deck.comparison.mode)
    assert seen == [Mode.CURTAIN, Mode.BLINK, Mode.DIFFERENCE, Mode.SIDE_BY_SIDE]
    chooser = window.display.compare.mode
    chooser.setFocus()
    QTest.keyClick(chooser, Qt.Key.Key_Down)
    assert window.deck.comparison.mode is Mode.CURTAIN


def test_the_curtain_shows_restored_left_of_its_edge_and_raw_right(running):
    window, _ = running
    window.set_mode(Mode.CURTAIN)
    assert _colour(window, 0.4).red() == pytest.approx(100, abs=2)
    assert _colour(window, 0.6).red() == pytest.approx(180, abs=2)


def test_the_edge_follows_the_mouse_and_the_image_stays(running, settle):
    window, _ = running
    window.set_mode(Mode.CURTAIN)
    settle()
    viewport = _viewport(window)
    before = window.deck.compare_pane.view()
    start = QPoint(viewport.width() // 2 + 3, viewport.height() // 2)
    _drag(viewport, start, QPoint(int(0.75 * viewport.width()), 200))
    assert window.deck.comparison.edge == pytest.approx(0.75, abs=0.01)
    assert window.deck.compare_pane.view() == before
    assert _colour(window, 0.6).red() == pytest.approx(100, abs=2)
    assert window.deck.fitted


def test_a_drag_beside_the_edge_pans(running, settle):
    window, _ = running
    window.set_mode(Mode.CURTAIN)
    window.zoom(4.0)
    settle()
    viewport = _viewport(window)
    before = window.deck.compare_pane.view()
    _drag(viewport, QPoint(200, 200), QPoint(100, 200))
    assert window.deck.compare_pane.view()[0] > before[0] + 1
    assert window.deck.comparison.edge == 0.5


def test_the_edge_moves_by_keys_and_stays_in_the_image(running):
    window, _ = running
    _key(window, Qt.Key.Key_Right)
    assert window.deck.comparison.edge == 0.5, "only where there is a curtain"
    window.set_mode(Mode.CURTAIN)
    _key(window, Qt.Key.Key_Right)
    _key(window, Qt.Key.Key_Right)
    _key(window, Qt.Key.Key_Left)
    assert window.deck.comparison.edge == pytest.approx(0.52)
    for _ in range(40):
        _key(window, Qt.Key.Key_Left)
    assert window.deck.comparison.edge == 0.0
    assert _colour(window, 0.3).red() == pytest.approx(180, abs=2)


def test_the_mouse_shows_that_the_edge_can_be_moved(running, settle):
    window, _ = running
    window.set_mode(Mode.CURTAIN)
    settle()
    viewport = _viewport(window)
    QTest.mouseMove(viewport, QPoint(viewport.width() // 2, 100))
    assert viewport.cursor().shape() == Qt.CursorShape.SplitHCursor
    QTest.mouseMove(viewport, QPoint(viewport.width() // 4, 100))
    assert viewport.cursor().shape() != Qt.CursorShape.SplitHCursor


def test_a_sharp_edge_between_pixels_when_zoomed_in(running):
    window, _ = running
    window.set_mode(Mode.CURTAIN)
    window.zoom(40.0)
    assert _colour(window, 0.47).red() == pytest.approx(100, abs=2)
    assert _colour(window, 0.53).red() == pytest.approx(180, abs=2)


def test_blink_takes_turns_pauses_and_swaps(running, clock):
    window, _ = running
    window.set_mode(Mode.BLINK)
    pane = window.deck.compare_pane
    assert pane.image.overlay.badge == "RAW"
    assert _colour(window, 0.5).red() == pytest.approx(180, abs=2)
    clock.step(0.55)
    window.tick()
    assert pane.image.overlay.badge == "RESTORED"
    assert pane.title.text() == "denoise 1.0"
    assert _colour(window, 0.5).red() == pytest.approx(100, abs=2)
    QTest.mouseClick(window.display.compare.pause, Qt.MouseButton.LeftButton)
    clock.step(3.0)
    window.tick()
    assert pane.image.overlay.badge == "RESTORED"
    _key(window, Qt.Key.Key_X)
    assert pane.image.overlay.badge == "RAW"
    assert window.display.compare.pause.text() == "Go on"
    _key(window, Qt.Key.Key_P)
    clock.step(0.55)
    window.tick()
    assert pane.image.overlay.badge == "RESTORED"


def test_the_blink_rate_is_typed(running, clock):
    window, _ = running
    window.set_mode(Mode.BLINK)
    box = window.display.compare.rate
    box.setFocus()
    box.selectAll()
    QTest.keyClicks(box, "5")
    QTest.keyClick(box, Qt.Key.Key_Return)
    clock.step(0.11)
    window.tick()
    assert window.deck.compare_pane.image.overlay.badge == "RESTORED"


def test_the_difference_is_in_units_of_the_noise(running):
    window, _ = running
    window.set_mode(Mode.DIFFERENCE)
    pane = window.deck.compare_pane
    sigma = np.sqrt(100 + 9 + 1 / 12)
    assert pane.image.item.image[0, 0] == pytest.approx(80 / sigma, rel=1e-5)
    assert tuple(pane.image.item.levels) == (-5.0, 5.0)
    assert pane.scale_bar.isVisible()
    assert pane.scale_bar.words == ("\u22125 \u03c3", "+5 \u03c3", "raw is brighter")
    assert pane.readout.text() == "spread 0.00 \u03c3 (1 \u03c3 where only noise was removed)"
    bright = _colour(window, 0.5)
    assert bright.red() > bright.blue() + 50


def test_the_spread_is_that_of_the_image_on_the_screen(running, make_frame, make_restored, clock):
    window, feed = running

    def bring(number, scatter):
        noise = np.random.default_rng(number).normal(0, scatter, SHAPE)
        raw = make_frame(np.full(SHAPE, 500.0, np.float32) + noise.astype(np.float32), number)
        made = make_restored(raw, np.full(SHAPE, 500.0, np.float32), parameters=NUMBERS)
        feed.offer(ShownPair(raw, made))
        window.tick()

    bring(1, 10.0)
    # Paused: nothing arrives and no number is due.
    window.set_mode(Mode.DIFFERENCE)
    pane = window.deck.compare_pane
    assert pane.spread > 0.1
    first = pane.readout.text()
    assert f"{pane.spread:.2f}" in first
    clock.step(1.0)
    bring(2, 40.0)
    assert f"{pane.spread:.2f}" in pane.readout.text() != first


def test_the_range_of_the_difference_is_typed(running):
    window, _ = running
    window.set_mode(Mode.DIFFERENCE)
    box = window.display.compare.limit
    box.setFocus()
    box.selectAll()
    QTest.keyClicks(box, "10")
    QTest.keyClick(box, Qt.Key.Key_Return)
    assert tuple(window.deck.compare_pane.image.item.levels) == (-10.0, 10.0)
    assert window.deck.compare_pane.scale_bar.words[1] == "+10 \u03c3"


def test_an_unknown_camera_gives_counts_and_says_so(open_window, pair):
    window, feed = open_window()
    feed.offer(pair(parameters={}))
    window.set_mode(Mode.DIFFERENCE)
    window.tick()
    pane = window.deck.compare_pane
    assert pane.image.item.image[0, 0] == 80.0
    assert "not known" in pane.image.overlay.cautions[0]
    assert pane.scale_bar.words[1].endswith(" counts")
    assert not window.display.compare.limit.isEnabled()
    assert pane.caption.text() == "raw \u2212 restored, in counts"


def test_the_rig_gives_the_noise_where_the_filter_needed_none(open_window, pair):
    camera = CameraConfig(offset_counts=0.0, gain_e_per_count=1.0, read_noise_e=3.0)
    window, feed = open_window(camera=camera)
    feed.offer(pair(parameters={}))
    window.set_mode(Mode.DIFFERENCE)
    window.tick()
    assert window.deck.compare_pane.scale_bar.words[1] == "+5 \u03c3"
    assert window.display.compare.limit.isEnabled()


def test_the_difference_is_never_of_two_moments(running, make_frame, clock):
    window, feed = running
    window.set_mode(Mode.DIFFERENCE)
    clock.step(0.2)
    feed.offer(ShownPair(make_frame(np.full(SHAPE, 1000, np.uint16), 1)))
    window.tick()
    clock.step(5.0)
    feed.offer(ShownPair(make_frame(np.full(SHAPE, 1000, np.uint16), 2)))
    window.tick()
    pane = window.deck.compare_pane
    assert "engine not answering" in pane.image.overlay.banner
    assert pane.image.item.image[0, 0] == pytest.approx(80 / np.sqrt(109 + 1 / 12), rel=1e-5)


def test_modes_follow_new_frames(running, pair):
    window, feed = running
    window.set_mode(Mode.CURTAIN)
    feed.offer(pair(1, raw=60, restored=30))
    window.tick()
    assert _colour(window, 0.4).red() == pytest.approx(30, abs=2)
    assert _colour(window, 0.6).red() == pytest.approx(60, abs=2)
    assert window.deck.compare_pane.frame_label.text() == "frame 1"


def test_the_cursor_reads_both_images(running, settle):
    window, _ = running
    window.set_mode(Mode.CURTAIN)
    settle()
    view = window.deck.compare_pane.image
    QTest.mouseMove(view.viewport(), view.box.mapViewToScene(QPointF(10.5, 20.5)).toPoint())
    settle()
    assert window.deck.compare_pane.readout.text() == (
        "x 10  y 20    raw 180 counts    restored 100 counts"
    )


def test_zoom_and_centre_survive_a_change_of_mode(running, settle):
    window, _ = running
    window.zoom(6.0)
    zoom = window.deck.zoom_now()
    for _ in range(8):
        _key(window, Qt.Key.Key_M)
        settle()
        assert window.deck.zoom_now() == pytest.approx(zoom, rel=1e-3)
        x0, y0, x1, y1 = window.deck.panes[0].view()
        assert ((x0 + x1) / 2, (y0 + y1) / 2) == pytest.approx((150, 100), abs=0.5)


def test_a_fitted_image_is_fitted_in_each_mode(running, settle):
    window, _ = running
    for _ in range(4):
        _key(window, Qt.Key.Key_M)
        settle()
        x0, y0, x1, y1 = window.deck.panes[0].view()
        assert min(x1 - x0 - SHAPE[1], y1 - y0 - SHAPE[0]) == pytest.approx(0, abs=1e-6)


def test_the_settings_of_a_mode_are_kept_while_running(running):
    window, _ = running
    window.set_mode(Mode.CURTAIN)
    window.deck.move_edge(0.25)
    window.set_mode(Mode.SIDE_BY_SIDE)
    window.set_mode(Mode.CURTAIN)
    assert window.deck.compare_pane.image.overlay.edge == 0.25


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("size", [(1280, 800), (3840, 2160)])
def test_the_controls_of_every_mode_fit(running, settle, mode, size):
    window, _ = running
    window.resize(*size)
    window.set_mode(mode)
    settle()
    assert window.display.minimumSizeHint().width() <= window.display.width()
    assert window.display.compare.mode.isVisible()
    if mode is Mode.DIFFERENCE:
        bar = window.deck.compare_pane.scale_bar
        words = sum(bar.fontMetrics().horizontalAdvance(text) for text in bar.words)
        assert words < 0.75 * bar.width()


def test_the_question_mark_lists_every_key(running, settle):
    window, _ = running
    assert set(MEANINGS) == set(SHORTCUTS)
    QTest.keyClicks(window.raw_pane.image, "?")
    settle()
    assert window.keys.isVisible()
    assert window.keys.rows["next_lut"].meaning.text() == "next LUT"
    assert window.rect().contains(window.keys.geometry())
    QTest.keyClick(window.raw_pane.image, Qt.Key.Key_Escape)
    assert not window.keys.isVisible()
    QTest.keyClicks(window.raw_pane.image, "?")
    QTest.mouseClick(window.keys.close_button, Qt.MouseButton.LeftButton)
    assert not window.keys.isVisible()


def test_the_state_of_a_run_with_a_long_name_is_not_cut_off(running, make_status, settle):
    window, feed = running
    feed.report(make_status(rig="Demo: simulated cells, 60x/1.2 W"))
    window.tick()
    settle()
    label = window.acquisition.run_label
    assert label.text() == "running", "the state alone where both do not fit"
    assert "Demo: simulated cells" in label.toolTip()
    assert label.fontMetrics().horizontalAdvance(label.text()) <= label.width()
