"""Virtual stacks in the real window: what is asked for, and the panel that shows them."""

import msgspec
import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from liverestore.frame import Restored
from liverestore.movie import open_movie
from liverestore.status import SetZStack
from liverestore.view.depth_colours import DEPTH_COLOURS
from liverestore.view.feed import ShownPair
from liverestore.view.memory import Memory
from liverestore.view.settings import SettingsFile
from liverestore.view.stack_projections import StackView

LEFT = Qt.MouseButton.LeftButton
OPTICS = {
    "dpm": "0",
    "numerical_aperture": 0.8,
    "wavelength_nm": 520.0,
    "immersion_index": 1.0,
    "sample_index": 1.33,
    "depth_um": 0.0,
    "pixel_size_um": 0.5,
}


class Scope:
    """A window with a refocusing engine; planes hold 100 (n + 1) and one bright pixel each."""

    def __init__(self, window, feed, clock, make_frame, make_restored, make_status, settle):
        self.window, self.feed, self.clock, self.settle = window, feed, clock, settle
        self.make_frame, self.make_restored = make_frame, make_restored
        self.status = make_status(engine="refocus", dpm="0", reach_um=10.0)
        self.number = 0
        self.depth_um = 0.0
        self.plane_s = 0.02

    @property
    def tool(self):
        return self.window.stack.tool

    @property
    def pane(self):
        return self.window.stack.pane

    @property
    def show(self):
        return self.window.stack.show

    def planes(self, frame, z_um):
        for n, z in enumerate(z_um):
            pixels = np.full((40, 80), 100 * (n + 1), np.uint16)
            pixels[5 * n + 2, 10 * n + 4] = 5000
            yield self.make_restored(
                frame,
                pixels,
                engine="refocus",
                parameters={**OPTICS, "depth_um": self.depth_um, "virtual_z_um": z},
                finished_ns=frame.header.captured_ns + int(self.plane_s * 1e9),
            )

    def again(self, z_um):
        """The same frame, with its planes."""
        made = self.window.state.restored.image
        whole = Restored(
            made.pixels, made.source, made.provenance, planes=tuple(self.planes(made.source, z_um))
        )
        self.feed.offer(ShownPair(made.source, whole))
        self.step()
        return whole

    def frame(self, z_um=(), **status):
        """A new frame with planes at `z_um`, and a report."""
        self.status = msgspec.structs.replace(self.status, **status)
        self.number += 1
        frame = self.make_frame(
            np.full((40, 80), 500, np.uint16), self.number, captured_ns=self.clock.ns,
            pixel_size_um=0.5,
        )  # fmt: skip
        parameters = {**OPTICS, "depth_um": self.depth_um, "virtual_z_um": 0.0}
        flat = self.make_restored(frame, engine="refocus", parameters=parameters)
        made = Restored(flat.pixels, frame, flat.provenance, planes=tuple(self.planes(frame, z_um)))
        self.feed.report(self.status)
        self.feed.offer(ShownPair(frame, made))
        self.step()

    def step(self, seconds=0.2):
        self.clock.step(seconds)
        self.window.tick()
        self.settle()
        self.window.stack.background.wait()
        self.window.tick()
        self.settle()

    def orders(self):
        return [word.text for word in self.feed.commands() if isinstance(word, SetZStack)]

    def image(self, n=0):
        """What is painted of picture `n`, as (Y, X, 3)."""
        rows = self.pane.canvas.pictures[n].colours
        return np.stack([(rows >> shift) & 255 for shift in (16, 8, 0)], axis=2)

    def at(self, tile, u, v):
        x, y = tile.to_screen(u, v)
        return QPoint(round(x), round(y))

    def turn(self, notches, modifiers=Qt.KeyboardModifier.NoModifier):
        canvas = self.pane.canvas
        at = QPointF(canvas.rect().center())
        event = QWheelEvent(
            at, QPointF(canvas.mapToGlobal(at)), QPoint(), QPoint(0, 120 * notches),
            Qt.MouseButton.NoButton, modifiers, Qt.ScrollPhase.NoScrollPhase, False,
        )  # fmt: skip
        QApplication.sendEvent(canvas, event)


Z_UM = (-2.0, -1.0, 0.0, 1.0, 2.0)


@pytest.fixture
def make_scope(open_window, clock, make_frame, make_restored, make_status, settle):
    def make(**settings):
        window, feed = open_window(**settings)
        scope = Scope(window, feed, clock, make_frame, make_restored, make_status, settle)
        scope.frame()
        feed.commands()
        return scope

    return make


@pytest.fixture
def scope(make_scope):
    return make_scope()


@pytest.fixture
def on(scope):
    """With a stack of five planes."""
    scope.frame(Z_UM, zstack="-2:2:1")
    return scope


def test_it_is_off_at_first_and_a_click_asks_for_a_stack(scope):
    assert scope.pane.isHidden()
    QTest.keyClick(scope.window, Qt.Key.Key_V, Qt.KeyboardModifier.ShiftModifier)
    assert scope.tool.isVisible()
    assert "11 planes, about 220 ms a stack (20 ms a plane, measured)" in scope.tool.words.text()
    QTest.mouseClick(scope.tool.on, LEFT, pos=QPoint(8, scope.tool.on.height() // 2))
    assert scope.orders() == ["-5:5:1"]
    assert scope.pane.isVisible()
    scope.step(0.02)
    assert scope.pane.canvas.overlay.waiting == "waiting for the first stack"
    scope.frame(Z_UM, zstack="-5:5:1")
    assert scope.pane.canvas.overlay.waiting == ""
    control_shift = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier
    QTest.keyClick(scope.window.raw_pane.image, Qt.Key.Key_V, control_shift)
    assert scope.orders() == [None]
    assert scope.pane.isHidden()


def test_settings_stay_within_the_reach_and_say_what_is_wrong(scope):
    scope.window.drawer.toggle("Stack")
    tool = scope.tool
    tool.start.setFocus()
    tool.start.selectAll()
    QTest.keyClicks(tool.start, "-30")
    assert tool.start.minimum() == -10.0
    QTest.keyClick(tool.start, Qt.Key.Key_Escape)
    tool.stop.setValue(-7.0)
    assert "smaller number" in tool.words.text()
    QTest.mouseClick(tool.on, LEFT, pos=QPoint(8, tool.on.height() // 2))
    assert scope.orders() == []
    assert not tool.on.isChecked()
    tool.stop.setValue(4.0)
    tool.step.setValue(0.25)
    tool.on.click()
    assert scope.orders() == ["-5:4:0.25"]
    tool.start.setValue(-1.0)
    assert scope.orders() == ["-1:4:0.25"]


def test_a_run_that_began_with_a_stack_is_shown(on):
    assert on.pane.isVisible()
    assert (on.tool.start.value(), on.tool.stop.value(), on.tool.step.value()) == (-2, 2, 1)
    assert on.tool.on.isChecked()


def test_a_refused_stack_goes_back(scope):
    scope.tool.on.click()
    assert scope.pane.isVisible()
    scope.step(3.0)
    scope.step(0.1)
    assert scope.pane.isHidden()
    assert not scope.tool.on.isChecked()


def test_an_order_waits_as_long_as_the_stack_before_it_takes(on):
    # as if the one before had taken so long
    on.window.stack._stack_s = 10.0
    on.tool.step.setValue(2.0)
    for seconds in (3.0, 9.0):
        on.step(seconds)
        assert on.tool.step.value() == 2.0
    on.step(9.0)
    on.step(3.0)
    assert on.tool.step.value() == 1.0


def test_while_a_stack_is_computed_the_engine_is_not_said_to_be_silent(on):
    for _ in range(30):
        on.number += 1
        frame = on.make_frame(np.full((40, 80), 500, np.uint16), on.number, captured_ns=on.clock.ns)
        on.feed.offer(ShownPair(frame))
        on.step()
    banner = on.window.state.restored.banner
    assert "older than the raw one\nthe engine is computing a virtual stack" in banner
    assert not on.window.state.restored.dimmed
    on.feed.report(msgspec.structs.replace(on.status, zstack=None))
    on.step()
    assert "engine not answering" in on.window.state.restored.banner


def test_without_an_engine_that_refocuses_the_tool_says_what_to_do(scope, make_scope):
    scope.window.drawer.toggle("Stack")
    scope.frame(dpm=None, reach_um=None)
    assert "choose one that does under Engine" in scope.tool.trouble.text()
    assert not scope.tool.on.isEnabled()
    assert scope.tool.trouble.isVisible()
    other = make_scope(no_optics="rig x: optics.sample_index missing")
    other.frame(dpm=None, reach_um=None)
    assert other.tool.trouble.text() == (
        "Nothing can be refocused: rig x: optics.sample_index missing"
    )
    scope.frame(dpm="0", reach_um=10.0)
    assert not scope.tool.trouble.isVisible()


def test_an_engine_change_hides_the_panel_and_brings_it_back(on):
    on.frame(dpm=None, reach_um=None, zstack=None)
    assert on.pane.isHidden()
    on.frame(Z_UM, dpm="0", reach_um=10.0, zstack="-2:2:1")
    assert on.pane.isVisible()


def test_undo_takes_the_stack_back_and_along(scope):
    scope.tool.on.click()
    scope.clock.step(5)
    scope.tool.step.setValue(2.0)
    assert scope.orders() == ["-5:5:1", "-5:5:2"]
    tip = scope.window.acquisition.undo.toolTip()
    assert "virtual stack -5 to 5 µm, step 1" in tip
    for wanted in ("-5:5:1", None):
        QTest.keyClick(scope.window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
        assert scope.orders() == [wanted]
    assert scope.pane.isHidden()


def test_slices_follow_slider_wheel_and_keys_and_say_their_distance(on):
    assert on.pane.plane.text() == "plane 3 of 5"
    assert on.pane.distance.text() == "0 µm"
    assert on.pane.canvas.overlay.badge == "VIRTUAL"
    assert on.pane.virtual.text() == "computed, not recorded"
    on.turn(1)
    assert on.pane.plane.text() == "plane 4 of 5"
    assert on.pane.canvas.overlay.depth == "+1 µm"
    on.pane.slider.setValue(0)
    assert on.pane.distance.text() == "\u22122 µm"
    on.turn(-3)
    assert on.pane.plane.text() == "plane 1 of 5"
    QTest.keyClick(on.window.raw_pane.image, Qt.Key.Key_Period)
    assert on.pane.plane.text() == "plane 2 of 5"
    QTest.keyClick(on.window.raw_pane.image, Qt.Key.Key_Comma)
    assert on.pane.plane.text() == "plane 1 of 5"
    # the distance stays where planes are others, and the number follows
    on.turn(4)
    on.frame((0.0, 1.0, 2.0), zstack="0:2:1")
    assert (on.pane.plane.text(), on.pane.distance.text()) == ("plane 3 of 3", "+2 µm")


def test_levels_and_lut_are_those_of_the_restored_image(on):
    window = on.window
    window.display.lut.setCurrentText("green")
    window.display.levels_set.emit(0.0, 600.0)
    on.step()
    assert on.image()[0, 0].tolist() == [0, 127, 0]
    on.turn(1)
    assert on.image()[0, 0].tolist() == [0, 170, 0]


def test_the_cross_is_placed_and_dragged_in_any_of_the_three(on):
    on.pane.views.setCurrentText("orthogonal")
    on.step()
    canvas = on.pane.canvas
    xy, xz, yz = (picture.tile for picture in canvas.pictures)
    # 40 x 20 um of sample, planes of 1 um
    assert xz.rect[3] / 5 == pytest.approx(xy.rect[2] / 40)
    QTest.mouseClick(canvas, LEFT, pos=on.at(xy, 24.5, 12.5))
    assert canvas.cross == (24.5, 12.5, 2.5)
    QTest.mousePress(canvas, LEFT, pos=on.at(xz, 10.5, 0.5))
    assert canvas.cross == (10.5, 12.5, 0.5)
    QTest.mouseMove(canvas, on.at(xz, 30.5, 4.5))
    assert canvas.cross == (30.5, 12.5, 4.5)
    QTest.mouseMove(canvas, on.at(xz, -50.0, 40.0))
    assert canvas.cross == (0.5, 12.5, 4.5)
    QTest.mouseRelease(canvas, LEFT, pos=on.at(xz, 30.5, 4.5))
    assert on.pane.plane.text() == "plane 5 of 5"
    QTest.mouseClick(canvas, LEFT, pos=on.at(yz, 3.5, 12.5))
    assert canvas.cross == (0.5, 12.5, 3.5)
    # plane n has its bright pixel at x = 10 n + 4, y = 5 n + 2
    QTest.mouseClick(canvas, LEFT, pos=on.at(xy, 14.5, 7.5))
    on.window.display.levels_set.emit(0.0, 5000.0)
    on.step()
    assert np.argwhere(on.image(1)[..., 0] == 255).tolist() == [[1, 14]]
    assert np.argwhere(on.image(2)[..., 0] == 255).tolist() == [[7, 1]]


def test_projections_are_computed_in_the_background_and_coloured_by_depth(on):
    on.window.display.levels_set.emit(0.0, 5000.0)
    on.show.choose_view(StackView.MAXIMUM)
    on.step()
    on.step()
    bright = np.argwhere(on.image()[..., 0] == 255)
    assert bright.tolist() == [[5 * n + 2, 10 * n + 4] for n in range(5)]
    assert not on.pane.bar.isVisible()
    assert not on.pane.slider.isVisible()
    QTest.keyClick(on.window.raw_pane.image, Qt.Key.Key_M, Qt.KeyboardModifier.ShiftModifier)
    assert on.show.view is StackView.DEPTH
    on.step()
    assert on.pane.bar.isVisible()
    assert on.pane.bar.ends == ("\u22122 µm", "+2 µm deeper")
    assert on.image()[2, 4].tolist() == DEPTH_COLOURS[0].tolist()
    assert on.image()[22, 44].tolist() == DEPTH_COLOURS[255].tolist()
    on.turn(1)
    assert on.show.plane == 2, "a projection has no plane to be left"


def test_all_in_focus_takes_each_point_from_its_plane_and_says_which(on):
    on.show.choose_view(StackView.IN_FOCUS)
    on.step()
    on.step()
    canvas = on.pane.canvas
    for n, distance in enumerate(("\u22122 µm", "\u22121 µm", "0 µm", "+1 µm", "+2 µm")):
        QTest.mouseMove(canvas, on.at(canvas.pictures[0].tile, 10 * n + 4.5, 5 * n + 2.5))
        assert on.pane.readout.text() == (
            f"x {10 * n + 4}  y {5 * n + 2}  z {distance}    5000 counts"
        )


def test_projections_come_at_most_ten_times_a_second_and_only_when_shown(on, monkeypatch):
    made = []
    real = on.show._newest.ask
    monkeypatch.setattr(
        on.show._newest, "ask", lambda work, now_s: (made.append(now_s), real(work, now_s))
    )
    for _ in range(5):
        on.frame(Z_UM)
    assert made == [], "slices compute nothing of the whole stack"
    on.show.choose_view(StackView.DEPTH)
    for _ in range(40):
        on.clock.step(-0.18)
        on.frame(Z_UM)
    assert 4 <= len(made) <= 9, "in 0.8 s"
    on.tool.on.click()
    asked = len(made)
    for _ in range(3):
        on.frame()
    assert len(made) == asked


def test_the_panel_follows_the_zoom_of_the_images_and_moves_it(on):
    whole = on.pane.canvas.pictures[0].tile.span
    assert whole == (0.0, 0.0, 80.0, 40.0)
    on.turn(4, Qt.KeyboardModifier.ControlModifier)
    on.step()
    near = on.pane.canvas.pictures[0].tile.span
    assert near[2] - near[0] < 70
    assert on.pane.plane.text() == "plane 3 of 5"
    canvas = on.pane.canvas
    middle = canvas.rect().center()
    QTest.mousePress(canvas, LEFT, pos=middle)
    QTest.mouseMove(canvas, middle + QPoint(30, 0))
    QTest.mouseRelease(canvas, LEFT, pos=middle + QPoint(30, 0))
    moved = canvas.pictures[0].tile.span
    assert moved[0] < near[0]
    QTest.mouseDClick(canvas, LEFT, pos=middle)
    on.step()
    assert on.pane.canvas.pictures[0].tile.span == whole


def test_a_stack_that_is_not_renewed_says_so(on):
    assert on.pane.canvas.overlay.banner == ""
    for _ in range(8):
        on.frame()
    assert on.pane.canvas.overlay.banner == "no newer stack than of frame 2"
    on.frame(Z_UM)
    assert on.pane.canvas.overlay.banner == ""


def test_the_panel_keeps_the_last_stack_while_the_next_one_is_at_work(on):
    before, header = on.pane.canvas.pictures, on.pane.header.frame_label.text()
    estimate = on.tool.words.text()
    on.frame()
    assert on.pane.canvas.pictures is before
    assert on.pane.header.frame_label.text() == header
    assert "frame 2" in header
    # a picture alone says nothing of how long a stack takes
    assert on.tool.words.text() == estimate
    made = on.again(Z_UM)
    assert on.show.made is made
    assert "frame 3" in on.pane.header.frame_label.text()
    assert on.pane.canvas.overlay.banner == ""


def test_a_slow_stack_is_missed_only_after_three_times_its_time(scope):
    scope.plane_s = 1.0
    scope.frame(Z_UM, zstack="-2:2:1")
    for _ in range(12):
        scope.frame()
    assert scope.pane.canvas.overlay.banner == ""
    scope.step(3.0)
    assert scope.pane.canvas.overlay.banner == "no newer stack than of frame 2"


def test_the_sign_of_z_stands_in_the_panel_and_in_both_tools_all_the_time(on):
    on.window.drawer.toggle("Stack")
    on.window.drawer.toggle("Refocus")
    on.step()
    labels = (on.tool.sign, on.window.refocus.tool.sign, on.pane.sign)
    for label in labels:
        assert label.isVisible()
        assert "+z and \u2212z cannot be told apart" in label.text()
        assert "calibrate --psf" in label.text()
        assert "second plane" in label.text()
        assert label.property("tone") == "warn"
    on.depth_um = 20.0
    on.frame(Z_UM, reach_um=5.0)
    on.step()
    assert not on.pane.sign.isVisible()
    assert on.tool.sign.property("tone") == ""
    assert "told apart at 0.49 to 5 µm" in on.tool.sign.text()


def test_a_snapshot_keeps_the_stack_with_what_made_it(make_scope, tmp_path):
    scope = make_scope(snapshot_folder=tmp_path)
    scope.frame(Z_UM, zstack="-2:2:1")
    QTest.keyClick(scope.window, Qt.Key.Key_S, Qt.KeyboardModifier.ControlModifier)
    scope.window.snapshots._writer.close()
    scope.window.tick()
    (path,) = tmp_path.glob("*virtual_stack.ome.tif")
    with open_movie(path) as movie:
        assert movie.axes == "ZYX"
        assert movie.z_step_um == 1.0
        assert movie[3].max() == 5000
        assert movie[3][0, 0] == 400
    text = path.read_bytes().decode("latin-1")
    assert '"virtual_z_um":-2.0' in text
    assert "with its virtual stack" in scope.window.toast.text()
    # the picture as seen has the panel
    (picture,) = tmp_path.glob("*view.png")
    assert picture.stat().st_size > 0


def test_a_snapshot_while_the_next_stack_is_at_work_keeps_the_one_on_the_screen(
    make_scope, tmp_path
):
    scope = make_scope(snapshot_folder=tmp_path)
    scope.frame(Z_UM, zstack="-2:2:1")
    scope.frame()
    QTest.keyClick(scope.window, Qt.Key.Key_S, Qt.KeyboardModifier.ControlModifier)
    scope.window.snapshots._writer.close()
    scope.window.tick()
    (path,) = tmp_path.glob("*frame000003_refocus_of_frame000002_virtual_stack.ome.tif")
    with open_movie(path) as movie:
        assert movie.axes == "ZYX"
    assert "with its virtual stack" in scope.window.toast.text()


def test_it_is_remembered_for_the_rig_but_not_whether_it_was_on(make_scope, tmp_path):
    file = SettingsFile(tmp_path / "rig.json")
    one = make_scope(memory=Memory(file))
    one.tool.step.setValue(2.0)
    one.tool.start.setValue(-3.0)
    one.tool.on.click()
    one.show.choose_view(StackView.DEPTH)
    one.window.images.set_share(0.3)
    one.window.close_now()
    two = make_scope(memory=Memory(file))
    assert two.window.stack.plan.text == "-3:5:2"
    assert two.show.view is StackView.DEPTH
    assert two.pane.views.currentText() == "depth colour"
    assert two.window.images.share == 0.3
    assert two.pane.isHidden()
    assert two.orders() == []
