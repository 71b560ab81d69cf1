"""Images of pycromanager's `Acquisition` handed over to be restored, and what is made put back.

pycromanager calls an image hook in a thread of its own. There the hook only hands the image over
and gives it back at once, so that raw images reach the disk unhindered; a second thread restores
and puts the planes into the queue that the acquisition saves from.

Which way they take depends on the backend of pycromanager 1.0.2. With the Java backend a hook may
return a list of images. With the Python backend it may return one, so the planes go into the
output queue of the acquisition's image processor (an attribute that has no public name), and the
mark that ends the acquisition is held back until all planes are there.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import msgspec
import numpy as np
from mmpycorex.launcher import TaggedImage, is_pymmcore_active
from numpy.typing import NDArray

from liverestore.camera.mm_image import RunOfImages
from liverestore.errors import Failure, LiverestoreError, UserError
from liverestore.frame import Frame, Restored
from liverestore.rig_channels import ChannelConfig, named_channel

__all__ = ["RAW", "VIRTUAL", "ImageHook"]

RAW, VIRTUAL = "raw", "virtual"
"""Values of the axis "image"."""
_WAITING_BYTES = 256 * 2**20
"""Raw images that may wait for the engine; then the hook, and with it the acquisition, waits."""

Tagged = tuple[NDArray[Any], dict[str, Any]]


class _Puts(Protocol):
    def put(self, item: Any) -> None: ...


class HookLight(Protocol):
    """An account of the light of images that another program takes."""

    def charge(self, frame: Frame) -> Frame:
        """Count the exposure of `frame`; the same frame with its light."""
        ...

    def spent(self) -> str | None:
        """Why one exposure more like the last is not allowed, in words; None where it is."""
        ...

    def close(self) -> None:
        """Write the account; safe to call twice."""
        ...


class ImageHook:
    """An `image_process_fn` that adds virtual planes to each image, along the axis "z".

    Every image gets an axis "image": the raw one is "raw", at the z of the plane nearest to the
    focus; the planes are "virtual", z from 0 on, the shallowest first. With the Python backend
    `attach` it to the acquisition before `acquire`. For one acquisition.
    """

    def __init__(
        self,
        made_of: Callable[[Frame], Iterable[Restored]],
        *,
        planes_um: tuple[float, ...] = (),
        pixel_size_um: float | None = None,
        channels: tuple[ChannelConfig, ...] = (),
        light: HookLight | None = None,
    ) -> None:
        """`made_of` gives the pictures of a frame; called from one thread. `light` counts that of
        each raw image; where its budget ends, the acquisition is aborted.
        """
        self._light = light
        self._stopped = False
        self._made_of = made_of
        distances = [abs(um) for um in planes_um]
        self._in_focus = distances.index(min(distances)) if distances else None
        self._images = RunOfImages("camera", pixel_size_um)
        self._channels = channels
        self._acquisition: Any = None
        self._output: _Puts | None = None
        self._waiting: deque[tuple[Frame, dict[str, Any]]] = deque()
        self._waiting_bytes = 0
        self._changed = threading.Condition()
        self._ending = False
        self._thread: threading.Thread | None = None
        self.images = 0
        """Raw images that came."""
        self.restored = 0
        """Of these, those whose pictures are handed to the acquisition."""
        self.error: LiverestoreError | None = None
        """Why no more are restored; raw images still go on."""

    def attach(self, acquisition: Any) -> None:
        """Say which acquisition this hook is in; needed with the Python backend, before images.

        Raises `Failure` for a pycromanager that is built otherwise than 1.0.2.
        """
        processor = getattr(acquisition, "_image_processor", None)
        output = getattr(processor, "output_queue", None)
        if processor is None or output is None:
            raise Failure(
                "pycromanager: the acquisition has no image processor with a queue; give the hook "
                "as image_process_fn, with pycromanager 1.0.2 and its Python backend"
            )
        self._acquisition, self._output = acquisition, output
        processor.output_queue = _EndHeldBack(output, self.finish)
        self._thread = threading.Thread(target=self._work, name="image hook", daemon=True)
        self._thread.start()

    def __call__(self, image: NDArray[Any], metadata: dict[str, Any]) -> Tagged | list[Tagged]:
        """Called by pycromanager with (Y, X) pixels and tags; the tags get the axis "image".

        Raises `UserError` for an event that moves z, and where `attach` was forgotten.
        """
        axes = dict(metadata["Axes"])
        if "z" in axes:
            raise UserError(
                "got an event with the axis z, which moves the focus drive; planes are virtual: "
                "leave z out of the events"
            )
        frame = self._charged(self._frame(image, metadata, axes))
        self.images += 1
        lit = frame.header.light
        if lit is not None:
            metadata = metadata | {"LiverestoreLight": msgspec.json.encode(lit).decode()}
        raw = (image, metadata | {"Axes": self._axes(axes, RAW, self._in_focus)})
        if self._output is None:
            if is_pymmcore_active():
                raise UserError(
                    "the image hook is not attached; call its attach(acquisition) before acquire"
                )
            return [raw, *self._pictures(frame, metadata)]
        self._hand_over(frame, metadata)
        return raw

    def finish(self) -> None:
        """Wait until all that came is restored; safe to call twice."""
        with self._changed:
            self._ending = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()
        if self._light is not None:
            self._light.close()

    def _charged(self, frame: Frame) -> Frame:
        if self._light is None:
            return frame
        charged = self._light.charge(frame)
        spent = self._light.spent()
        if spent is not None and not self._stopped and self._acquisition is not None:
            # Images that are exposed already still come, and are kept and restored.
            self._stopped = True
            self._acquisition.abort(UserError(f"no light: {spent}"))
        return charged

    def _frame(self, image: NDArray[Any], tags: dict[str, Any], axes: dict[str, Any]) -> Frame:
        self._images.camera = str(tags.get("Camera", "camera"))
        exposure = tags.get("Exposure")
        self._images.exposure_ms = None if exposure is None else float(exposure)
        name = None if axes.get("channel") is None else str(axes["channel"])
        self._images.channel = named_channel(self._channels, name)
        # Without the core's own count, which begins anew with every sequence of an acquisition.
        plain = {key: str(value) for key, value in tags.items() if key != "ImageNumber"}
        if name is not None:
            plain["Channel"] = name
        return self._images.frame(np.array(image), plain)

    def _axes(self, axes: dict[str, Any], image: str, z: int | None) -> dict[str, Any]:
        return axes | {"image": image} | ({} if z is None else {"z": z})

    def _hand_over(self, frame: Frame, tags: dict[str, Any]) -> None:
        with self._changed:
            while self._waiting and self._waiting_bytes > _WAITING_BYTES:
                self._changed.wait()
            self._waiting.append((frame, tags))
            self._waiting_bytes += frame.header.nbytes
            self._changed.notify_all()

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._ending:
                    self._changed.wait()
                if not self._waiting:
                    return
                frame, tags = self._waiting.popleft()
                self._waiting_bytes -= frame.header.nbytes
                self._changed.notify_all()
            if self.error is None:
                self._put_pictures(frame, tags)

    def _put_pictures(self, frame: Frame, tags: dict[str, Any]) -> None:
        assert self._output is not None, "this thread runs from attach on"
        try:
            for pixels, own in self._pictures(frame, tags):
                self._output.put(TaggedImage(own, pixels))
        except Exception as error:
            # A thread that ends here would leave the acquisition waiting for ever.
            failure = error if isinstance(error, LiverestoreError) else None
            self.error = failure or Failure(f"unexpected {type(error).__name__}: {error}")
            self._acquisition.abort(self.error)
        else:
            self.restored += 1

    def _pictures(self, frame: Frame, tags: dict[str, Any]) -> list[Tagged]:
        made: list[Tagged] = []
        for number, picture in enumerate(self._made_of(frame)):
            z = None if self._in_focus is None else number
            own = tags | {
                "Axes": self._axes(dict(tags["Axes"]), VIRTUAL, z),
                "Liverestore": msgspec.json.encode(picture.provenance).decode(),
            }
            if "virtual_z_um" in picture.provenance.parameters:
                own["ZPosition_um_Virtual"] = picture.provenance.parameters["virtual_z_um"]
            made.append((picture.pixels, own))
        return made


class _EndHeldBack:
    """The queue, but the mark that ends the acquisition passes after `finish` alone."""

    def __init__(self, queue: _Puts, finish: Callable[[], None]) -> None:
        self._queue = queue
        self._finish = finish

    def put(self, item: Any) -> None:
        if item.tags is None and item.pix is None:
            self._finish()
        self._queue.put(item)
