"""Restored images in a window of a running Micro-Manager."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from liverestore.camera.bridge_link import MicroManagerLink, find_micromanager
from liverestore.camera.bridge_wire import JavaObject
from liverestore.errors import UserError

__all__ = ["MicroManagerWindow"]

_NAME = "Restored (liverestore)"


class MicroManagerWindow:
    """One window beside Micro-Manager's own preview, which stays as it is.

    Each image takes the place of the one before, of its channel where there are several. An
    image of another size or depth opens another window. For one thread. All methods raise
    `BridgeGone` where Micro-Manager does not answer and `JavaRefusal` where it refuses.
    """

    def __init__(self, first_port: int) -> None:
        """Raises `UserError` where no Micro-Manager with windows answers (see
        `find_micromanager`).
        """
        self._link: MicroManagerLink
        self._link, _ = find_micromanager(first_port)
        wire = self._link.wire
        try:
            if not self._link.has_window():
                raise UserError(
                    f"Micro-Manager on port {self._link.port} has no windows: it was started "
                    "without; start the application"
                )
            studio = wire.instance("org.micromanager.Studio")
            self._data: JavaObject = wire.call(studio, "data")
            self._displays: JavaObject = wire.call(studio, "displays")
            self._metadata = self._built(self._builder("metadataBuilder", "getMetadataBuilder"))
        except BaseException:
            self._link.close()
            raise
        self._store: JavaObject | None = None
        self._display: JavaObject | None = None
        self._like: tuple[tuple[int, ...], str] | None = None
        self._channels: dict[str | None, JavaObject] = {}
        """Channel -> its place in the window."""

    def show(self, pixels: NDArray[np.generic], channel: str | None = None) -> bool:
        """Show (Y, X) uint8 or uint16 `pixels`; False where the person has closed the window.

        Raises `UserError` for other pixels, which Micro-Manager's windows do not show.
        """
        name = pixels.dtype.name
        if name not in ("uint8", "uint16"):
            raise UserError(
                f"got {name} pixels; Micro-Manager's windows show 8 and 16 bit; set the camera's "
                "PixelType to one of them"
            )
        wire = self._link.wire
        like = (pixels.shape, name)
        if self._display is not None and wire.call(self._display, "isClosed"):
            return False
        if self._store is None or like != self._like:
            self._close_window()
            self._store = wire.call(self._data, "createRewritableRAMDatastore")
            if "setName" in self._store.methods:
                wire.call(self._store, "setName", _NAME)
            self._like, self._channels = like, {}
        assert self._store is not None, "it was made"
        height, width = pixels.shape
        # Java has no unsigned numbers: the bits are what counts.
        flat = np.ascontiguousarray(pixels).ravel().view("uint8" if name == "uint8" else "int16")
        place = self._place(channel)
        depth = pixels.dtype.itemsize
        image = wire.call(
            self._data, "createImage", flat, width, height, depth, 1, place, self._metadata
        )
        wire.call(self._store, "putImage", image)
        wire.forget(image)
        if self._display is None:
            # With its first image in it: a window of nothing has no size.
            self._display = wire.call(self._displays, "createDisplay", self._store)
        return True

    def _place(self, channel: str | None) -> JavaObject:
        if channel not in self._channels:
            builder = self._builder("coordsBuilder", "getCoordsBuilder")
            for axis, index in (("t", 0), ("z", 0), ("p", 0), ("c", len(self._channels))):
                same = self._link.wire.call(builder, axis, index)
                self._link.wire.forget(builder)
                builder = same
            self._channels[channel] = self._built(builder)
        return self._channels[channel]

    def _builder(self, now: str, before: str) -> JavaObject:
        """By the name that Micro-Manager 2.0 gives it, or by that of its first versions."""
        name = now if now in self._data.methods else before
        made: JavaObject = self._link.wire.call(self._data, name)
        return made

    def _built(self, builder: JavaObject) -> JavaObject:
        made: JavaObject = self._link.wire.call(builder, "build")
        self._link.wire.forget(builder)
        return made

    def _close_window(self) -> None:
        wire, display, store = self._link.wire, self._display, self._store
        self._display = self._store = None
        if display is not None:
            if "close" in display.methods:
                wire.call(display, "close")
            wire.forget(display)
        if store is not None:
            wire.forget(store)

    def close(self) -> None:
        """Hang up; the window stays with its last image. Safe to call twice."""
        self._link.close()
