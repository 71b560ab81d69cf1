"""The panel of the virtual stack, beside the images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from liverestore.view.depth_bar import DepthBar
from liverestore.view.pane_header import PaneHeader
from liverestore.view.refocus_tool import ReachSlider
from liverestore.view.stack_canvas import StackCanvas
from liverestore.view.stack_projections import StackView
from liverestore.view.trust_words import NOT_JUDGED_PLANES
from liverestore.view.um_text import signed_um
from liverestore.view.widgets import ChoiceBox, ElidedLabel, WrappedLabel, set_tone

if TYPE_CHECKING:
    from liverestore.view.display import PaneState

__all__ = ["StackPane"]


class StackPane(QWidget):
    """Header over chooser over pictures over slider, with room around. It shows what it is told."""

    view_chosen = Signal(object)
    """A `StackView`."""
    plane_chosen = Signal(int)
    """From 0, the shallowest."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("deck")
        self._frame = QFrame(self)
        self._frame.setObjectName("pane")
        self._around = QVBoxLayout(self)
        self._around.addWidget(self._frame)
        self.header = PaneHeader(self)
        self.views = ChoiceBox(
            "stackView",
            tuple(view.value for view in StackView),
            "How the stack is looked at ({stack_view}: next)",
            self,
        )
        self.virtual = QLabel("computed, not recorded", self)
        set_tone(self.virtual, "warn")
        self.canvas = StackCanvas(self)
        self.slider = ReachSlider(Qt.Orientation.Horizontal, self)
        self.slider.setObjectName("refocusSlider")
        self.slider.setAccessibleName("Plane of the stack")
        self.slider.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.plane = QLabel("", self)
        self.distance = QLabel("", self)
        self.bar = DepthBar(self)
        self.sign = WrappedLabel("", self)
        set_tone(self.sign, "warn")
        self.readout = ElidedLabel(self)
        self.readout.setObjectName("paneReadout")
        self._top = QHBoxLayout()
        self._top.addWidget(self.views)
        self._top.addStretch(1)
        self._top.addWidget(self.virtual)
        self._planes = QHBoxLayout()
        self._planes.addWidget(self.plane)
        self._planes.addWidget(self.slider, 1)
        self._planes.addWidget(self.distance)
        self._column = QVBoxLayout(self._frame)
        self._column.addWidget(self.header)
        self._column.addLayout(self._top)
        self._column.addWidget(self.canvas, 1)
        self._column.addLayout(self._planes)
        for widget in (self.bar, self.sign, self.readout):
            self._column.addWidget(widget)
        self.sign.setVisible(False)
        self.scale = 1.0
        """How much larger than normal the text is."""
        self.views.currentIndexChanged.connect(lambda n: self.view_chosen.emit([*StackView][n]))
        self.slider.valueChanged.connect(self.plane_chosen)
        self.show_view(StackView.SLICES)

    def show_header(self, state: PaneState) -> None:
        """Write over the pictures what `state` says."""
        self.header.show_state(state)
        self.header.show_light(NOT_JUDGED_PLANES if state.image is not None else None)

    def show_view(self, view: StackView) -> None:
        """Have the controls that `view` needs."""
        self.views.show_choice(view.value)
        for widget in (self.plane, self.slider, self.distance):
            widget.setVisible(not view.projects)
        self.bar.setVisible(view.coloured)

    def show_plane(self, plane: int, z_um: tuple[float, ...]) -> None:
        """Say which of the planes at `z_um` is shown."""
        blocked = self.slider.blockSignals(True)
        self.slider.setRange(0, len(z_um) - 1)
        self.slider.setPageStep(max(1, len(z_um) // 10))
        if not self.slider.isSliderDown():
            self.slider.setValue(plane)
        self.slider.blockSignals(blocked)
        self.plane.setText(f"plane {plane + 1} of {len(z_um)}")
        self.distance.setText(signed_um(z_um[plane]))
        # The widest text decides, so that the slider stays as long as it is.
        metrics = self.distance.fontMetrics()
        self.distance.setMinimumWidth(
            max(metrics.horizontalAdvance(signed_um(z)) for z in z_um) + 2
        )
        self.bar.show_depths(z_um[0], z_um[-1])

    def show_sign(self, text: str) -> None:
        """Say under the pictures what the data cannot tell."""
        self.sign.setText(text)
        self.sign.setVisible(bool(text))

    def show_readout(self, text: str) -> None:
        """Show `text` under the pictures."""
        self.readout.setText(text)

    def rescale(self, scale: float) -> None:
        """Fit to a text that is `scale` times the normal size."""
        self.scale = scale
        edge, gap = round(8 * scale), round(5 * scale)
        # The images leave room at their right side; the splitter's handle adds to it.
        self._around.setContentsMargins(0, edge, edge, edge)
        self._column.setContentsMargins(edge, gap, edge, gap)
        self._column.setSpacing(gap)
        for row in (self._top, self._planes):
            row.setSpacing(round(8 * scale))
        self.header.rescale(scale)
        self.bar.rescale(scale)
        self.canvas.resized.emit()
