"""Surfaces that are kept: by name with the rig, or as a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QInputDialog,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from liverestore.errors import LiverestoreError
from liverestore.view.widgets import ChoiceBox, TickBox, WrappedLabel

if TYPE_CHECKING:
    from collections.abc import Callable

    from liverestore.rig_surfaces import RigSurfaces

__all__ = ["SurfaceShelf"]

_NONE = "none kept yet"


class SurfaceShelf(QWidget):
    """Asks for names and files; what is used or written goes by its signals."""

    used = Signal(str)
    """A SPEC to refocus to."""
    opened = Signal(str)
    """Path of a map."""
    saved = Signal(str)
    """Path of the file to be written: .tif, .npy or .txt."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.surfaces: RigSurfaces | None = None
        self.spec = "0"
        """The surface at hand."""
        self.ask_name: Callable[[], str | None] = self._ask_name
        self.ask_open: Callable[[], str | None] = self._ask_open
        self.ask_save: Callable[[], str | None] = self._ask_save
        self.head = QLabel("kept with this rig", self)
        self.head.setProperty("role", "name")
        self.names = ChoiceBox("surfaceNames", (_NONE,), "Surfaces kept with this rig", self)
        self.use = self._button("Use", "Refocus to the chosen surface")
        self.keep = self._button("Keep\u2026", "Keep the surface with this rig, by a name")
        self.forget = self._button("Forget", "Take the chosen name away; a rig file is not changed")
        self.start = TickBox("Runs begin here", self)
        self.start.setToolTip("A live run of this rig begins refocused to the chosen surface")
        self.open = self._button("Open map\u2026", "Add a .npy or .tif of um, of the frames' size")
        self.save = self._button(
            "Save\u2026", "Write the surface: .tif or .npy of um, .txt its SPEC"
        )
        self.said = WrappedLabel("", self)
        self.said.setObjectName("said")
        self.say("")
        self._rows = [QHBoxLayout() for _ in range(3)]
        self._rows[0].addWidget(self.names, 1)
        self._rows[0].addWidget(self.use)
        self._rows[1].addWidget(self.keep)
        self._rows[1].addWidget(self.forget)
        self._rows[1].addStretch(1)
        self._rows[1].addWidget(self.start)
        self._rows[2].addWidget(self.open, 1)
        self._rows[2].addWidget(self.save, 1)
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.addWidget(self.head)
        for row in self._rows:
            self._column.addLayout(row)
        self._column.addWidget(self.said)
        self.names.currentTextChanged.connect(lambda _: self._show())
        self.use.clicked.connect(self._use)
        self.keep.clicked.connect(self._keep)
        self.forget.clicked.connect(self._forget)
        self.start.clicked.connect(self._set_start)
        self.open.clicked.connect(self._open)
        self.save.clicked.connect(self._save)
        self.offer(None)

    def offer(self, surfaces: RigSurfaces | None, choose: str | None = None) -> None:
        """The surfaces of the rig; None: the rig is not known, and nothing can be kept."""
        self.surfaces = surfaces
        names = () if surfaces is None else surfaces.names
        before = choose or self.names.currentText()
        blocked = self.names.blockSignals(True)
        self.names.clear()
        self.names.addItems(list(names) or [_NONE])
        if before in names:
            self.names.setCurrentText(before)
        self.names.blockSignals(blocked)
        for widget in (self.head, self.names, self.use, self.keep, self.forget, self.start):
            widget.setVisible(surfaces is not None)
        self._show()

    def say(self, text: str) -> None:
        """One line below, or nothing."""
        self.said.setText(text)
        self.said.setVisible(bool(text))

    def rescale(self, scale: float) -> None:
        """Fit to a text that is `scale` times the normal size."""
        for row in (*self._rows, self._column):
            row.setSpacing(round(5 * scale))

    @property
    def _name(self) -> str | None:
        name = self.names.currentText()
        return name if self.surfaces is not None and name in self.surfaces.names else None

    def _show(self) -> None:
        name, surfaces = self._name, self.surfaces
        for widget in (self.names, self.use, self.start):
            widget.setEnabled(name is not None)
        self.forget.setEnabled(surfaces is not None and name in surfaces.own)
        self.start.setChecked(surfaces is not None and name is not None and surfaces.start == name)

    def _use(self) -> None:
        self.say("")
        if self.surfaces is not None and self._name is not None:
            self.used.emit(self.surfaces.spec(self._name) or "0")

    def _keep(self) -> None:
        name = self.ask_name()
        if name and self.surfaces is not None:
            surfaces = self.surfaces
            start = surfaces.start == name
            self._change(lambda: surfaces.kept(name, self.spec, start=start), name)

    def _forget(self) -> None:
        name, surfaces = self._name, self.surfaces
        if name is not None and surfaces is not None:
            self._change(lambda: surfaces.forgotten(name), None)

    def _set_start(self) -> None:
        name, surfaces = self._name, self.surfaces
        if name is not None and surfaces is not None:
            spec, begins = surfaces.spec(name) or "0", self.start.isChecked()
            self._change(lambda: surfaces.kept(name, spec, start=begins), name)

    def _change(self, change: Callable[[], RigSurfaces], name: str | None) -> None:
        try:
            surfaces = change()
        except LiverestoreError as error:
            self.say(str(error))
            self._show()
            return
        self.say("" if name is None else f"kept with the rig {surfaces.rig} as {name}")
        self.offer(surfaces, name)

    def _open(self) -> None:
        path = self.ask_open()
        if path:
            self.say("")
            self.opened.emit(path)

    def _save(self) -> None:
        path = self.ask_save()
        if path:
            self.saved.emit(path)

    def _button(self, text: str, tip: str) -> QPushButton:
        button = QPushButton(text, self)
        button.setToolTip(tip)
        return button

    def _ask_name(self) -> str | None:
        before = self._name or ""
        name, given = QInputDialog.getText(
            self, "Keep the surface", "Name (letters, digits, - and _):", text=before
        )
        return name.strip() if given else None

    def _ask_open(self) -> str | None:
        path, _ = QFileDialog.getOpenFileName(
            self, "Open a map of um", "", "Maps of um (*.tif *.tiff *.npy)"
        )
        return path or None

    def _ask_save(self) -> str | None:
        path, _ = QFileDialog.getSaveFileName(
            self,
            "Save the surface",
            str(Path.home() / "surface.tif"),
            "Map of um (*.tif *.npy);;Text for --dpm (*.txt)",
        )
        return path or None
