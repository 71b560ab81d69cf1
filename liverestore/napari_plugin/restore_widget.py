"""The widget: choose a layer and an engine, restore beside napari's window, get a new layer."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np
from magicgui.widgets import (
    ComboBox,
    Container,
    Label,
    LineEdit,
    ProgressBar,
    PushButton,
)
from napari.layers import Image
from napari.qt.threading import create_worker
from qtpy.QtWidgets import QSizePolicy

from liverestore.errors import LiverestoreError, UserError
from liverestore.model_spec import list_engines
from liverestore.napari_plugin.layers import (
    TARGETS,
    Wanted,
    made_of_layer,
    pixel_size_um,
    pixels_of,
    result_axes,
)
from liverestore.rig import list_rigs, load_rig
from liverestore.service.restorer import Restorer

__all__ = ["RestoreDesk", "RestoreWidget"]

_ESTIMATED = "not known (estimate its noise)"


class RestoreWidget(Container):  # type: ignore[misc]  # napari wants a class
    """What napari docks; see `RestoreDesk`."""

    def __init__(self, napari_viewer: Any) -> None:
        """Called by napari, which knows what to give by the parameter's name."""
        desk = RestoreDesk(napari_viewer)
        super().__init__(widgets=desk.parts)
        self.desk = desk


class RestoreDesk:
    """What the widget does. One restoration at a time, in a thread of its own."""

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer
        # Those that add nothing to a picture come first: one of them is chosen at the start.
        order = sorted(list_engines(), key=lambda spec: (spec.task != "denoise", spec.name))
        self._specs = {spec.name: spec for spec in order}
        self._worker: Any = None
        self.layer = ComboBox(name="layer", label="Layer", choices=self._images, nullable=True)
        self.engine = ComboBox(name="engine", label="Engine", choices=list(self._specs))
        self.rig = ComboBox(name="rig", label="Microscope", choices=[_ESTIMATED, *list_rigs()])
        self.target = ComboBox(name="target", label="Refocus by", choices=list(TARGETS))
        self.where = LineEdit(name="where", label="Refocus to", value="0")
        self.about = Label(name="about", label=" ", value="")
        self.restore = PushButton(name="restore", text="Restore")
        self.cancel = PushButton(name="cancel", text="Cancel", enabled=False)
        self.progress = ProgressBar(name="progress", label=" ", value=0, visible=False)
        self.said = Label(name="said", label=" ", value="")
        buttons = Container(layout="horizontal", widgets=[self.restore, self.cancel], labels=False)
        self.parts = [
            self.layer,
            self.engine,
            self.about,
            self.rig,
            self.target,
            self.where,
            buttons,
            self.progress,
            self.said,
        ]
        """From top to bottom."""
        for label in (self.about, self.said):
            # Long texts take more lines, never a wider window.
            label.native.setWordWrap(True)
            label.native.setSizePolicy(QSizePolicy.Ignored, QSizePolicy.Preferred)
        layers = viewer.layers
        for event in (layers.events.inserted, layers.events.removed):
            event.connect(lambda _event: self.layer.reset_choices())
        layers.selection.events.active.connect(lambda _event: self._follow())
        self.engine.changed.connect(self._show_engine)
        self.restore.changed.connect(self._begin)
        self.cancel.changed.connect(self._stop)
        self._follow()
        self._show_engine()

    def _images(self, _box: Any) -> list[Any]:
        """What there is to choose."""
        return [layer for layer in self._viewer.layers if isinstance(layer, Image)]

    def _follow(self) -> None:
        """Choose the layer that is selected in the viewer."""
        self.layer.reset_choices()
        active = self._viewer.layers.selection.active
        if isinstance(active, Image):
            self.layer.value = active

    def _show_engine(self) -> None:
        spec = self._specs[self.engine.value]
        self.about.value = spec.description
        for part in (self.target, self.where):
            part.visible = spec.refocuses

    def _wanted(self) -> Wanted:
        name = self.engine.value
        return Wanted(
            engine=name,
            rig=None if self.rig.value == _ESTIMATED else self.rig.value,
            refocuses=self._specs[name].refocuses,
            target=self.target.value,
            where=self.where.value,
        )

    def _begin(self) -> None:
        layer = self.layer.value  # None where there is no image
        try:
            if layer is None:
                raise UserError("there is no image layer; open an image first")
            wanted, pixels = self._wanted(), pixels_of(layer)
            rig_um = None if wanted.rig is None else load_rig(wanted.rig).optics.pixel_size_um
            axes = result_axes(layer, wanted.stack, rig_um)
            # All that is read of the layer, while this thread has it.
            size_um = pixel_size_um(layer)
            options = wanted.options()
        except LiverestoreError as error:
            self._say(str(error))
            return
        self._set_running(is_running=True)
        count = int(np.prod(pixels.shape[:-2], dtype=int))
        self.progress.min, self.progress.max, self.progress.value = 0, count, 0
        self._say(f"restoring {count} picture{'s' if count > 1 else ''} of {layer.name}")
        self._worker = create_worker(
            _restored,
            pixels,
            wanted.engine,
            {**options, "pixel_size_um": size_um},
            _ignore_errors=True,
            _connect={
                "yielded": self._count,
                "returned": lambda made: self._add(layer, wanted.engine, axes, made),
                "errored": self._fail,
                "aborted": lambda: self._say("cancelled; no layer is added"),
                "finished": lambda: self._set_running(is_running=False),
            },
        )

    def _stop(self) -> None:
        if self._worker is not None:
            self._say("cancelling after this picture")
            self._worker.quit()

    def _count(self, done: int) -> None:
        self.progress.value = done

    def _add(self, layer: Any, engine: str, axes: dict[str, Any], made: Any) -> None:
        if made is None:
            return
        pixels, restorer = made
        self._viewer.add_image(
            pixels,
            name=f"{layer.name} [{engine}]",
            # The same grey values for both, so that they can be compared.
            contrast_limits=layer.contrast_limits,
            colormap=layer.colormap.name,
            metadata=made_of_layer(layer, restorer.last, restorer.planes_um),
            **axes,
        )
        notes = [
            f"note: {text} ({number} picture{'s' if number > 1 else ''})"
            for text, number in restorer.warnings.items()
        ]
        # What comes next is of the same layer, not of the result.
        self.layer.value = layer
        self._say("\n".join([f"done by {engine} ({restorer.runtime})", *notes]))

    def _fail(self, error: Exception) -> None:
        known = isinstance(error, LiverestoreError)
        self._say(str(error) if known else f"unexpected {type(error).__name__}: {error}")

    def _set_running(self, *, is_running: bool) -> None:
        self.progress.visible = is_running
        self.restore.enabled = not is_running
        self.cancel.enabled = is_running

    def _say(self, text: str) -> None:
        self.said.value = text


def _restored(pixels: Any, engine: str, options: dict[str, Any]) -> Generator[int, None, Any]:
    """Gives the number of pictures done, and returns all of them and what made them.

    The worker that runs it ends it between two pictures, where it is told to.
    """
    out = None
    with Restorer(engine, **options) as restorer:
        for done, (place, made) in enumerate(restorer.each(pixels), start=1):
            if out is None:
                shape = (*pixels.shape[:-2], *made.shape)
                out = np.empty(shape, made.dtype)
            out[place] = made
            yield done
    return out, restorer
