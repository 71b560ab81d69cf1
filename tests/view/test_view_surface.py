"""The surface editor and the points in focus in the real window."""

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, QRectF, Qt
from PySide6.QtGui import QFontMetrics, QTransform
from PySide6.QtTest import QTest

from liverestore.dpm import parse_dpm
from liverestore.rig_surfaces import RigSurfaces
from liverestore.status import SetDpm
from liverestore.view.compare import Mode
from liverestore.view.feed import ShownPair

SHAPE, PIXEL_UM, REACH_UM = (192, 256), 0.5, 10.0


class Microscope:
    """A window whose engine obeys at once."""

    def __init__(self, window, feed, clock, make_frame, make_restored, make_status, settle):
        self.window, self.feed, self.clock, self.settle = window, feed, clock, settle
        self.make = make_frame, make_restored, make_status
        self.number, self.dpm, self.facts = 0, "0", {}
        self.pixels = np.arange(SHAPE[0] * SHAPE[1], dtype=np.uint16).reshape(SHAPE)
        self.obey()
        settle()
        self.feed.commands()

    def obey(self, **facts):
        """A new frame, restored to the DPM asked for last, until nothing more is asked."""
        self.facts |= facts
        while True:
            self._answer()
            asked = [word.spec for word in self.feed.commands() if isinstance(word, SetDpm)]
            if not asked:
                return self.dpm
            self.dpm = asked[-1]

    def _answer(self):
        frame, restored, status = self.make
        asked = [word.spec for word in self.feed.commands() if isinstance(word, SetDpm)]
        self.dpm = asked[-1] if asked else self.dpm
        self.number += 1
        self.clock.step(2)
        known = {"captured_ns": self.clock.ns, "pixel_size_um": PIXEL_UM, **self.facts}
        raw = frame(self.pixels, number=self.number, **known)
        surface = parse_dpm(self.dpm).surface_um(raw.header.shape, PIXEL_UM)
        made = {"dpm": self.dpm, "pixel_size_um": PIXEL_UM}
        made |= {"dpm_min_um": float(surface.min()), "dpm_max_um": float(surface.max())}
        self.feed.report(status(engine="refocus", dpm=self.dpm, reach_um=REACH_UM))
        self.feed.offer(ShownPair(raw, restored(raw, engine="refocus", parameters=made)))
        self.window.tick()
        self.settle()

    @property
    def desk(self):
        return self.window.refocus.surfaces

    @property
    def tool(self):
        return self.desk.tool

    @property
    def points(self):
        return self.window.refocus.points

    def image(self):
        return self.window.deck.panes[-1].image

    def at(self, u, v):
        """The pixel (u, v) of the image in pixels of the viewport."""
        at = self.image().on_screen((u, v))
        return QPoint(round(at.x()), round(at.y()))

    def click(self, u, v):
        QTest.mouseClick(self.image().viewport(), Qt.MouseButton.LeftButton, pos=self.at(u, v))

    def drag(self, start, end):
        viewport = self.image().viewport()
        QTest.mousePress(viewport, Qt.MouseButton.LeftButton, pos=self.at(*start))
        middle = QPointF(start[0] + end[0], start[1] + end[1]) / 2
        for u, v in ((middle.x(), middle.y()), end):
            # The image takes no more than a hundred moves a second.
            QTest.qWait(12)
            QTest.mouseMove(viewport, self.at(u, v))
        QTest.mouseRelease(viewport, Qt.MouseButton.LeftButton, pos=self.at(*end))

    def set_number(self, index, value):
        box = self.tool.fields[index][1]
        box.setFocus()
        box.selectAll()
        QTest.keyClicks(box, f"{value}")
        QTest.keyClick(box, Qt.Key.Key_Return)


@pytest.fixture
def scope(open_window, clock, make_frame, make_restored, make_status, settle):
    window, feed = open_window()
    return Microscope(window, feed, clock, make_frame, make_restored, make_status, settle)


@pytest.fixture
def editor(scope):
    press(scope.window.drawer.button("Surface"))
    scope.obey()
    return scope


@pytest.fixture
def picker(scope):
    press(scope.window.drawer.button("Points"))
    scope.obey()
    return scope


def press(button):
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


def part_names(scope):
    return [button.text() for button in scope.tool.parts]


def undo(scope):
    QTest.keyClick(scope.window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    return scope.obey()


ADDED = {
    "sphere": "sphere:0,1590,0,0",
    "cylinder": "cylinder:0,1590,0,0",
    "sinusoid": "sine:0,1,63.75,0,0",
    "quadratic": "quadratic:0,0,0,0.0004921184,0,0",
}


def test_a_part_is_added_and_taken_away(editor):
    for kind, text in ADDED.items():
        editor.tool.kind.setCurrentText(kind)
        press(editor.tool.add)
        assert editor.obey() == text
        assert part_names(editor)[0] == "plane"
        assert len(part_names(editor)) == 2
        assert editor.image().contours is not None
        press(editor.tool.removers[1])
        assert editor.obey() == "0"
        assert undo(editor) == text
        press(editor.tool.removers[1])
        editor.obey()


def test_numbers_are_set_in_boxes_and_undone(editor):
    editor.set_number(0, 2)
    assert editor.obey() == "2"
    # 255 pixels of 0.5 um from the middle of the first to that of the last
    editor.set_number(1, 5.1)
    assert editor.obey() == "plane:2,0.04,0"
    editor.tool.kind.setCurrentText("quadratic")
    press(editor.tool.add)
    editor.obey()
    assert [label.text() for label, box, _ in editor.tool.fields if box.isVisible()] == [
        "bow across the width", "bow across the height", "twist",
    ]  # fmt: skip
    editor.set_number(0, 0)
    editor.set_number(2, 3)
    text = editor.obey()
    corner = parse_dpm(text).surface_um(SHAPE, PIXEL_UM)[-1, -1]
    assert corner == pytest.approx(2 + 5.1 / 2 + 3, abs=0.01)
    assert undo(editor).startswith("plane:2,0.04,0+quadratic:0,0,0,")
    press(editor.tool.parts[0])
    assert editor.tool.fields[1][1].value() == 5.1


def test_parts_are_summed_and_listed(editor):
    for kind in ("sinusoid", "sphere"):
        editor.tool.kind.setCurrentText(kind)
        press(editor.tool.add)
        editor.obey()
    assert part_names(editor) == ["plane", "sinusoid of 1 µm", "sphere of radius 1590 µm"]
    press(editor.tool.parts[1])
    editor.set_number(0, 0.5)
    assert editor.obey() == "sine:0,0.5,63.75,0,0+sphere:0,1590,0,0"


def test_what_does_not_fit_is_refused_in_one_line(editor):
    press(editor.tool.add)
    before = editor.obey()
    editor.set_number(0, 20)
    assert "radius 20 um, but the frame reaches" in editor.tool.caution.text()
    assert editor.obey() == before
    assert "radius 20 um" in editor.tool.caution.text()
    assert editor.tool.fields[0][1].value() == 1590
    editor.set_number(0, 0)
    assert "allowed is any radius but 0" in editor.tool.caution.text()
    assert editor.obey() == before
    editor.set_number(0, 2000)
    assert editor.obey() == "sphere:0,2000,0,0"
    assert editor.tool.caution.text() == ""


def test_what_lies_beyond_the_reach_is_marked(editor):
    editor.set_number(0, 8)
    editor.set_number(1, 10)
    editor.obey()
    # once, in the tool that the editor lies in
    assert (
        "% of the frame lies beyond the engine's reach and is clipped to -10 to 10 µm"
        in editor.window.refocus.tool.caution.text()
    )
    assert editor.tool.caution.text() == ""


def test_labels_of_lines_keep_clear_of_the_handles(editor):
    editor.set_number(1, 6)
    editor.obey()
    view = editor.image()
    layer, handles = view.contours, editor.desk.handles
    assert layer is not None
    covered = handles.areas(view)
    assert len(covered) >= 3
    zoom, origin = view.zoom(), view.on_screen((0.0, 0.0))
    to_screen = QTransform(zoom, 0.0, 0.0, zoom, origin.x(), origin.y())
    seen = QRectF(view.viewport().rect())
    labels = layer.labels(QFontMetrics(view.font()), view, seen, to_screen)
    assert labels
    assert not any(box.intersects(other) for _, box in labels for other in covered)


def test_handles_lift_and_tilt(editor):
    width, height = SHAPE[1], SHAPE[0]
    zoom = editor.image().zoom()
    scale = editor.image().overlay.scale
    # 300 px of the mouse are the reach
    way = 60 * scale / zoom
    middle = (width / 2, height / 2)
    editor.drag(middle, (middle[0], middle[1] - way))
    assert float(editor.obey()) == pytest.approx(2.0, abs=0.1)
    right = (width * 0.93, height / 2)
    editor.drag(right, (right[0], right[1] + way))
    surface = parse_dpm(editor.obey()).surface_um(SHAPE, PIXEL_UM)
    assert surface[0, -1] - surface[0, 0] == pytest.approx(-4.0, abs=0.2)
    assert surface.mean() == pytest.approx(2.0, abs=0.1)
    lower = (width / 2, height * 0.93)
    editor.drag(lower, (lower[0], lower[1] - way))
    surface = parse_dpm(editor.obey()).surface_um(SHAPE, PIXEL_UM)
    assert surface[-1, 0] - surface[0, 0] == pytest.approx(4.0, abs=0.2)
    undo(editor)
    assert parse_dpm(undo(editor)).uniform_um == pytest.approx(2.0, abs=0.1)


def test_the_apex_of_a_sphere_is_dragged(editor):
    press(editor.tool.add)
    editor.obey()
    image = editor.image()
    stem = 34 * image.overlay.scale / image.zoom()
    grip = (SHAPE[1] / 2, SHAPE[0] / 2 - stem)
    editor.drag(grip, (grip[0] + 40, grip[1] - 20))
    numbers = parse_dpm(editor.obey()).terms[0].numbers
    assert numbers[2:] == pytest.approx((20, -10), abs=1)


def test_without_handles_a_drag_pans(editor):
    editor.tool.handles.click()
    before = editor.image().view()
    editor.drag((SHAPE[1] / 2, SHAPE[0] / 2), (SHAPE[1] / 2 + 20, SHAPE[0] / 2 + 20))
    assert editor.obey() == "0"
    assert editor.image().view() != before


def test_maps_are_opened_and_saved(editor, tmp_path):
    surface = np.linspace(-3, 3, SHAPE[0] * SHAPE[1]).reshape(SHAPE).astype(np.float32)
    np.save(tmp_path / "map.npy", surface)
    shelf = editor.tool.shelf
    shelf.ask_open = lambda: str(tmp_path / "map.npy")
    press(shelf.open)
    assert editor.obey() == str(tmp_path / "map.npy")
    assert part_names(editor) == ["plane", "map map.npy"]
    press(editor.tool.parts[0])
    editor.set_number(0, 1)
    editor.obey()
    for name in ("saved.tif", "saved.npy"):
        shelf.ask_save = lambda name=name: str(tmp_path / name)
        press(shelf.save)
        assert shelf.said.text() == f"saved {tmp_path / name}"
        read = parse_dpm(str(tmp_path / name)).surface_um(SHAPE)
        np.testing.assert_allclose(read, surface + 1, atol=1e-5)
    shelf.ask_save = lambda: str(tmp_path / "spec.txt")
    press(shelf.save)
    assert (tmp_path / "spec.txt").read_text(encoding="utf-8").strip() == editor.dpm
    shelf.ask_save = lambda: str(tmp_path / "spec.png")
    press(shelf.save)
    assert "allowed are .tif and .npy" in shelf.said.text()


def test_a_map_that_is_none_is_refused(editor, tmp_path):
    shelf = editor.tool.shelf
    np.save(tmp_path / "small.npy", np.zeros((4, 5)))
    np.save(tmp_path / "gaps.npy", np.full(SHAPE, np.nan))
    np.save(tmp_path / "deep.npy", np.full(SHAPE, 30.0))
    for name, says in (
        ("small.npy", "4x5 values for frames of 192x256"),
        ("gaps.npy", "NaN or infinite"),
        ("deep.npy", "beyond ±10 µm everywhere"),
        ("none.npy", "which is no file"),
    ):
        shelf.ask_open = lambda name=name: str(tmp_path / name)
        press(shelf.open)
        assert says in editor.tool.caution.text()
        assert editor.obey() == "0"


def test_surfaces_are_kept_with_the_rig(editor, tmp_path, monkeypatch):
    monkeypatch.setenv("LIVERESTORE_HOME", str(tmp_path))
    shelf = editor.tool.shelf
    assert not shelf.keep.isVisible()
    shelf.offer(RigSurfaces("demo", {"dish": "plane:0,0.02,0"}, {}))
    assert not shelf.forget.isEnabled()
    press(shelf.use)
    assert editor.obey() == "plane:0,0.02,0"
    editor.set_number(0, 1)
    editor.obey()
    shelf.ask_name = lambda: "a b"
    press(shelf.keep)
    assert "allowed are a letter" in shelf.said.text()
    shelf.ask_name = lambda: "mine"
    press(shelf.keep)
    assert shelf.names.currentText() == "mine"
    shelf.start.click()
    assert (shelf.surfaces.spec("mine"), shelf.surfaces.start) == ("plane:1,0.02,0", "mine")
    file = tmp_path / "surfaces" / "demo.toml"
    assert file.read_text(encoding="utf-8") == 'mine = "plane:1,0.02,0"\nstart = "mine"\n'
    assert shelf.start.isChecked()
    shelf.start.click()
    assert shelf.surfaces.start is None
    press(shelf.forget)
    assert shelf.surfaces.names == ("dish",)


def test_points_are_picked_fitted_and_used(picker):
    for z, u, v in ((0, 30, 40), (2, 220, 30), (-1, 60, 160)):
        picker.window.refocus.set_z(z)
        picker.obey()
        picker.click(u, v)
        picker.obey()
    found = np.array(picker.points.points_um)
    np.testing.assert_allclose(found[:, 2], [0, 2, -1])
    np.testing.assert_allclose(found[0, :2], [(30 - 128) * PIXEL_UM, (40 - 96) * PIXEL_UM], atol=1)
    tool = picker.points.tool
    assert [row[3].text() for row in tool.rows] == ["0.00", "2.00", "\u22121.00"]
    # three points fix a plane: a residual of zero would say nothing
    assert tool.said.text() == "3 points are met exactly; one more says how good"
    assert [row[4].text() for row in tool.rows] == ["\u2013"] * 3
    press(tool.use)
    text = picker.obey()
    assert text.startswith("points:plane;")
    surface = parse_dpm(text).surface_um(SHAPE, PIXEL_UM)
    assert (surface[40, 30], surface[30, 220]) == pytest.approx((0, 2), abs=0.1)
    assert picker.window.refocus.tool.more.text() == "and plane through 3 points"
    # what is seen at a place now is the surface there
    picker.click(220, 160)
    picker.obey()
    assert picker.points.points_um[3][2] == pytest.approx(surface[160, 220], abs=0.1)
    assert tool.said.text().startswith("residual 0.0")
    undo(picker)
    assert len(picker.points.points_um) == 3
    assert undo(picker) == "-1"


def test_the_fit_says_what_is_missing_and_points_are_deleted(picker):
    tool = picker.points.tool
    for n, (u, v) in enumerate(((30, 40), (60, 70), (90, 100), (200, 40))):
        picker.click(u, v)
        # two quick clicks would be a double click, which shows the whole frame
        picker.obey()
        QTest.qWait(1)
        assert len(picker.points.points_um) == n + 1
        if n == 1:
            assert tool.said.text() == "1 more for a plane surface"
            assert not tool.use.isEnabled()
        if n == 2:
            assert "on a line" in tool.said.text()
    tool.fit.setCurrentText("quadratic")
    assert tool.said.text() == "2 more for a quadratic surface"
    press(tool.removers[1])
    picker.settle()
    assert len(tool.rows) == 3
    press(tool.clear)
    assert picker.points.points_um == ()


def test_a_drag_pans_and_picks_nothing_and_unarmed_a_click_does_nothing(picker):
    before = picker.image().view()
    picker.drag((100, 100), (120, 120))
    assert picker.image().view() != before
    assert picker.points.points_um == ()
    picker.window.deck.fit()
    image = picker.image()
    QTest.mouseMove(image.viewport(), picker.at(40, 40))
    assert image.viewport().cursor().shape() == Qt.CursorShape.CrossCursor
    QTest.keyClick(image, Qt.Key.Key_Escape)
    assert not picker.points.tool.pick.isChecked()
    picker.click(50, 50)
    assert picker.points.points_um == ()


def test_points_are_picked_in_the_curtain_too_and_not_beside_the_image(picker):
    picker.window.set_mode(Mode.CURTAIN)
    picker.settle()
    picker.click(50, 50)
    assert len(picker.points.points_um) == 1
    picker.obey()
    picker.click(50, -20)
    assert len(picker.points.points_um) == 1


def test_points_of_another_roi_wait_for_it(picker):
    for u, v in ((30, 40), (220, 30), (60, 160)):
        picker.click(u, v)
        picker.obey()
    assert picker.points.tool.use.isEnabled()
    picker.obey(roi=(10, 0, 256, 192))
    assert not picker.points.tool.use.isEnabled()
    assert "another ROI" in picker.points.tool.said.text()
    picker.click(100, 100)
    assert len(picker.points.points_um) == 3
    picker.obey(roi=None)
    assert picker.points.tool.use.isEnabled()


def test_both_tools_are_there_only_while_an_engine_refocuses(scope, make_status):
    buttons = [scope.window.drawer.button(name) for name in ("Surface", "Points")]
    assert all(button.isVisible() for button in buttons)
    scope.feed.report(make_status(engine="denoise"))
    scope.clock.step(5)
    scope.window.tick()
    assert not any(button.isVisible() for button in buttons)
