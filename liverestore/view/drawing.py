"""The ROI and the line on the image: how presses and drags make and change them; no Qt."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum

from liverestore.view.line_profile import Line, carried_line
from liverestore.view.roi import BODY, Grip, Place, Rect, carried, dragged, grip_at, rect_between

__all__ = ["Drawing", "Hold", "Point", "Shape"]

Point = tuple[float, float]
"""(x, y) in image pixels."""

_START, _END, _ALL = (0, 1), (1, 0), BODY


class Shape(Enum):
    """What can be drawn; one of each."""

    ROI = "roi"
    LINE = "line"


class Hold(Enum):
    """What a press at a place would do; the cursor shows it."""

    NOTHING = "nothing"
    DRAW = "draw"
    MOVE = "move"
    SIZE_HORIZONTALLY = "size horizontally"
    SIZE_VERTICALLY = "size vertically"
    SIZE_FALLING = "size, upper left or lower right"
    SIZE_RISING = "size, lower left or upper right"
    PULL_END = "pull an end"


class Drawing:
    """Holds both shapes and what the mouse holds of them.

    A shape can be touched while its tool is shown. Handles and outlines can always be taken
    hold of; with a tool `armed`, a drag elsewhere draws anew, and one inside of the ROI
    moves it. All other drags are left to whoever pans the image.
    """

    def __init__(self) -> None:
        self.roi: Rect | None = None
        self.line: Line | None = None
        self.armed: Shape | None = None
        self.touched: Shape | None = None
        """The shape that was drawn or dragged last: the one to be deleted by a key."""
        self._shown: set[Shape] = set()
        self._frame: tuple[int, int] | None = None
        self._place = Place()
        self._held: tuple[Shape, Grip | None] | None = None
        self._from: Point = (0.0, 0.0)
        self._before: tuple[Rect | None, Line | None] = (None, None)
        self._reach = 0.0

    def held(self, shape: Shape) -> bool:
        """Whether `shape` is being dragged."""
        return self._held is not None and self._held[0] is shape

    def shown(self, shape: Shape) -> bool:
        """Whether the tool of `shape` is shown."""
        return shape in self._shown

    def show(self, shape: Shape, shown: bool) -> None:
        """The tool of `shape` is shown, or put away: its shape stays, but is out of reach."""
        if shown:
            self._shown.add(shape)
            return
        self._shown.discard(shape)
        if self.armed is shape:
            self.armed = None
        if self.held(shape):
            self._held = None

    def set_frame(self, shape: tuple[int, int], place: Place) -> None:
        """Frames are of `shape` (Y, X) and lie at `place` on the chip from now on.

        What was drawn stays where it lies on the sample; what is outside now is gone.
        """
        if shape == self._frame and place == self._place:
            return
        old, known = self._place, self._frame is not None
        self._frame, self._place, self._held = shape, place, None
        if not known:
            return
        if self.roi is not None:
            self.roi = carried(self.roi, old, place, shape)
        if self.line is not None:
            self.line = carried_line(self.line, old, place, shape)

    def delete(self, shape: Shape | None = None) -> None:
        """Take `shape` away, or where none is named the one touched last or armed."""
        shape = shape or self.touched or self.armed
        if shape is None or shape not in self._shown:
            return
        self._held = self.touched = None
        if shape is Shape.ROI:
            self.roi = None
        else:
            self.line = None

    def hold_at(self, at: Point, reach: float) -> Hold:
        """What a press at `at` would do; `reach` is the size of a handle, in image pixels."""
        found = self._find(at, reach)
        if found is None:
            drawable = self.armed is not None and self._frame is not None
            return Hold.DRAW if drawable else Hold.NOTHING
        shape, grip = found
        if grip == BODY:
            return Hold.MOVE
        if shape is Shape.LINE:
            return Hold.PULL_END
        if grip[0] == 0:
            return Hold.SIZE_VERTICALLY
        if grip[1] == 0:
            return Hold.SIZE_HORIZONTALLY
        return Hold.SIZE_FALLING if grip[0] == grip[1] else Hold.SIZE_RISING

    def press(self, at: Point, reach: float) -> bool:
        """Begin a drag at `at`; False where there is nothing to be done with it."""
        hold = self.hold_at(at, reach)
        if hold is Hold.NOTHING:
            return False
        found = self._find(at, reach)
        if found is not None:
            self._held = found
        elif self.armed is not None:
            self._held = (self.armed, None)
        self._from, self._before, self._reach = at, (self.roi, self.line), reach
        return True

    def drag(self, at: Point) -> None:
        """The mouse went to `at`."""
        if self._held is None or self._frame is None:
            return
        shape, grip = self._held
        by = (at[0] - self._from[0], at[1] - self._from[1])
        if grip is None and max(abs(by[0]), abs(by[1])) < 0.5 * self._reach:
            # A click is no drawing.
            self.roi, self.line = self._before
            return
        self.touched = shape
        roi, line = self._before
        if shape is Shape.ROI:
            if grip is None:
                self.roi = rect_between(self._from, at, self._frame) or roi
            elif roi is not None:
                self.roi = dragged(roi, grip, by, self._frame)
        elif grip is None:
            drawn = Line(*self._inside(self._from), *self._inside(at))
            self.line = drawn if drawn.length_px >= 1.0 else line
        elif line is not None:
            self.line = self._pulled(line, grip, by)

    def release(self) -> None:
        """The drag is over."""
        self._held = None

    def _find(self, at: Point, reach: float) -> tuple[Shape, Grip] | None:
        order = sorted(self._shown, key=lambda shape: (shape is not self.touched, shape.value))
        for shape in order:
            grip = self._line_grip(at, reach) if shape is Shape.LINE else self._roi_grip(at, reach)
            if grip is not None:
                return shape, grip
        return None

    def _roi_grip(self, at: Point, reach: float) -> Grip | None:
        if self.roi is None:
            return None
        return grip_at(self.roi, at, reach, inside=self.armed is Shape.ROI)

    def _line_grip(self, at: Point, reach: float) -> Grip | None:
        line = self.line
        if line is None:
            return None
        for grip, x, y in ((_END, line.x1, line.y1), (_START, line.x0, line.y0)):
            if max(abs(at[0] - x), abs(at[1] - y)) <= reach:
                return grip
        return _ALL if line.away(at) <= 0.7 * reach else None

    def _pulled(self, line: Line, grip: Grip, by: Point) -> Line:
        height, width = self._frame or (0, 0)
        if grip == _ALL:
            xs, ys = sorted((line.x0, line.x1)), sorted((line.y0, line.y1))
            dx = min(max(by[0], -xs[0]), width - xs[1])
            dy = min(max(by[1], -ys[0]), height - ys[1])
            return Line(line.x0 + dx, line.y0 + dy, line.x1 + dx, line.y1 + dy)
        if grip == _START:
            x, y = self._inside((line.x0 + by[0], line.y0 + by[1]))
            pulled = replace(line, x0=x, y0=y)
        else:
            x, y = self._inside((line.x1 + by[0], line.y1 + by[1]))
            pulled = replace(line, x1=x, y1=y)
        return pulled if pulled.length_px >= 1.0 else line

    def _inside(self, at: Point) -> Point:
        height, width = self._frame or (0, 0)
        return min(max(at[0], 0.0), float(width)), min(max(at[1], 0.0), float(height))
