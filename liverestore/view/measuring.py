"""The measuring tools of the window: hands frames to the ROI and to the line profile."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from liverestore.errors import UserError
from liverestore.frame import Frame, Restored
from liverestore.measure.profile_peak import Peak, highest_peak
from liverestore.view.drawing import Drawing, Shape
from liverestore.view.line_profile import profile, profile_interval_s
from liverestore.view.marks import Marks
from liverestore.view.profile_tool import ProfileTool
from liverestore.view.roi import place_of
from liverestore.view.roi_stats import mean_of, stats_interval_s, stats_of
from liverestore.view.roi_tool import RoiTool
from liverestore.view.trace import Trace, TracePoint

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray
    from PySide6.QtWidgets import QWidget

    from liverestore.rig import CameraConfig
    from liverestore.status import RunStatus
    from liverestore.view.deck import ImageDeck
    from liverestore.view.display import DisplayState
    from liverestore.view.drawer import ToolDrawer

__all__ = ["Measuring"]

_NAMES = {Shape.ROI: "ROI", Shape.LINE: "Profile"}
_KEYS = {Shape.ROI: "roi", Shape.LINE: "line_profile"}
_TRACE_EVERY_S = 0.2


class _Rate:
    """Says when something is due again, of which other numbers are known already."""

    def __init__(self) -> None:
        self._at_s: float | None = None
        self._of: tuple[object, ...] = ()

    def due(self, of: tuple[object, ...], every_s: float, now_s: float) -> bool:
        """Whether `of` is news and `every_s` have passed since the last time."""
        if len(of) == len(self._of) and all(a is b for a, b in zip(of, self._of, strict=True)):
            return False
        if self._at_s is not None and 0.0 <= now_s - self._at_s < every_s:
            return False
        self._at_s, self._of = now_s, of
        return True

    def forget(self) -> None:
        """Due at once, and no frame is held."""
        self._at_s, self._of = None, ()


class Measuring(QObject):
    """Owns both tools; they work only while they are shown in `drawer`."""

    command = Signal(object)
    """A `Command` that the user asked for."""

    def __init__(
        self, deck: ImageDeck, drawer: ToolDrawer, camera: CameraConfig | None, parent: QWidget
    ) -> None:
        super().__init__(parent)
        self._deck, self._drawer = deck, drawer
        self.drawing = Drawing()
        self.marks = Marks(self.drawing, self)
        self.trace = Trace()
        self.roi_tool = RoiTool(camera, self.trace, parent)
        self.profile_tool = ProfileTool(parent)
        self._stats_rate, self._trace_rate, self._profile_rate = _Rate(), _Rate(), _Rate()
        self._state: DisplayState | None = None
        self._status: RunStatus | None = None
        self._now_s = 0.0
        for shape, tool in ((Shape.ROI, self.roi_tool), (Shape.LINE, self.profile_tool)):
            drawer.add_tool(_NAMES[shape], tool, key_action=_KEYS[shape])
            tool.buttons.draw.clicked.connect(partial(self._draw_clicked, shape))
            tool.buttons.delete.clicked.connect(partial(self._delete, shape))
        deck.add_marks(self.marks)
        drawer.toggled.connect(self._toggled)
        self.marks.changed.connect(self._changed)
        self.profile_tool.width_chosen.connect(self._set_width)
        self.roi_tool.camera_roi.command.connect(self.command)
        self._changed()

    @property
    def actions(self) -> dict[str, Callable[[], None]]:
        """Actions of `shortcuts.SHORTCUTS` to what they start."""
        return {
            "roi": partial(self.take_up, Shape.ROI),
            "line_profile": partial(self.take_up, Shape.LINE),
            "delete_shape": self._delete,
        }

    def take_up(self, shape: Shape) -> None:
        """Show the tool and let drags draw; put it away where they do already."""
        shown = self.drawing.shown(shape)
        if shown and self.drawing.armed is not shape:
            self._arm(shape)
            return
        self._drawer.toggle(_NAMES[shape])
        if not shown:
            self._arm(shape)

    def disarm(self) -> None:
        """Let drags pan the image again."""
        self._arm(None)

    def follow(self, state: DisplayState, status: RunStatus | None, now_s: float) -> None:
        """Measure what `state` shows, each number at its own rate."""
        self._state, self._status, self._now_s = state, status, now_s
        raw, restored = self._images()
        if raw is not None:
            before = (self.drawing.roi, self.drawing.line)
            self.drawing.set_frame(raw.header.shape, place_of(raw.header))
            if before != (self.drawing.roi, self.drawing.line):
                self._changed()
        for tool in (self.roi_tool, self.profile_tool):
            tool.table.show_words(state.measured_words)
        if self.drawing.shown(Shape.ROI):
            self._measure_roi(raw, restored)
        if self.drawing.shown(Shape.LINE):
            self._measure_line(raw, restored)

    def _images(self) -> tuple[Frame | None, Restored | None]:
        if self._state is None:
            return None, None
        raw, right = self._state.raw_frame, self._state.restored.image
        if raw is None or not isinstance(right, Restored) or not _same_place(right.source, raw):
            return raw, None
        return raw, right

    def _measure_roi(self, raw: Frame | None, restored: Restored | None) -> None:
        roi = self.drawing.roi
        header = None if raw is None else raw.header
        self.roi_tool.camera_roi.follow(roi, header, self._status, self._now_s)
        if roi is None or raw is None:
            return
        if not self.drawing.held(Shape.ROI):
            # Means of ROIs on the way to the wanted one would only stretch the axis.
            self._add_point(raw, restored)
        if self._stats_rate.due((raw, restored, roi), stats_interval_s(roi), self._now_s):
            self.roi_tool.show_stats(
                stats_of(raw.pixels, roi),
                stats_of(restored.pixels, roi) if restored is not None else None,
            )
            self.roi_tool.show_frames(*_numbers(raw, restored))
        if self._trace_rate.due((raw, restored, roi), _TRACE_EVERY_S, self._now_s):
            self.roi_tool.show_trace()

    def _add_point(self, raw: Frame, restored: Restored | None) -> None:
        """One point for each frame; its restored mean may come later than its raw one."""
        roi, header = self.drawing.roi, raw.header
        if roi is None:
            return
        channels = 1 if self._state is None else self._state.channels
        self.trace.begin(header.run_id, header.channel, channels)
        chip = place_of(header).on_chip(roi)
        made = restored if _numbers(raw, restored)[1] == header.number else None
        point = self.trace.point(header.number)
        if point is None or point.chip != chip:
            point = TracePoint(header.number, header.captured_ns, chip, mean_of(raw.pixels, roi))
        elif made is None or not math.isnan(point.restored):
            return
        if made is not None:
            point = TracePoint(
                point.number, point.captured_ns, chip, point.raw, mean_of(made.pixels, roi)
            )
        self.trace.put(point)

    def _measure_line(self, raw: Frame | None, restored: Restored | None) -> None:
        line, width = self.drawing.line, self.marks.line_width_px
        if line is None or raw is None:
            return
        every_s = profile_interval_s(line, width)
        # Widths are small integers: equal ones are the same object.
        if not self._profile_rate.due((raw, restored, line, width), every_s, self._now_s):
            return
        distance, of_raw = profile(raw.pixels, line, width)
        of_restored = None
        if restored is not None:
            _, of_restored = profile(restored.pixels, line, width)
        size_um = raw.header.pixel_size_um
        self.profile_tool.show_profiles(distance, of_raw, of_restored, size_um)
        self.profile_tool.show_peaks(_peak(of_raw), _peak(of_restored), size_um)
        self.profile_tool.show_frames(*_numbers(raw, restored))

    def _toggled(self, name: str, shown: bool) -> None:
        for shape, of_shape in _NAMES.items():
            if of_shape == name:
                self.drawing.show(shape, shown)
                drawn = self.drawing.roi if shape is Shape.ROI else self.drawing.line
                if shown and drawn is None:
                    self.drawing.armed = shape
                self._changed()

    def _draw_clicked(self, shape: Shape) -> None:
        self._arm(None if self.drawing.armed is shape else shape)

    def _arm(self, shape: Shape | None) -> None:
        self.drawing.armed = shape
        self._changed()

    def _delete(self, shape: Shape | None = None) -> None:
        self.drawing.delete(shape)
        self._changed()

    def _set_width(self, width_px: int) -> None:
        self.marks.line_width_px = width_px
        self._changed()

    def _changed(self) -> None:
        """Say and paint what is drawn now; the numbers follow with the next step."""
        roi, line, armed = self.drawing.roi, self.drawing.line, self.drawing.armed
        size_um = None if self._state is None else self._state.pixel_size_um
        self.roi_tool.buttons.show_armed(armed is Shape.ROI, drawn=roi is not None)
        self.profile_tool.buttons.show_armed(armed is Shape.LINE, drawn=line is not None)
        self.roi_tool.show_roi(roi, size_um)
        self.profile_tool.show_line(line, size_um)
        if roi is None or not self.drawing.shown(Shape.ROI):
            self._stats_rate.forget()
            self._trace_rate.forget()
        if line is None or not self.drawing.shown(Shape.LINE):
            self._profile_rate.forget()
        self._deck.repaint_marks()


def _same_place(one: Frame, other: Frame) -> bool:
    """Whether a pixel of both is of the same place; a late result may be of another ROI."""
    a, b = one.header, other.header
    return (a.shape, a.roi, a.run_id) == (b.shape, b.roi, b.run_id)


def _numbers(raw: Frame, restored: Restored | None) -> tuple[int, int | None]:
    made_of = None if restored is None else restored.source.header.number
    return raw.header.number, made_of


def _peak(values: NDArray[np.float64] | None) -> Peak | None:
    if values is None:
        return None
    try:
        return highest_peak(values)
    except UserError:
        # Too short a line to fit anything to.
        return None
