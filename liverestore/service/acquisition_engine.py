"""Makes the virtual planes of an acquisition beside the camera, every frame, none dropped."""

from __future__ import annotations

import queue
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from liverestore.dpm import Dpm
from liverestore.errors import Failure, LiverestoreError
from liverestore.frame import Frame, Restored
from liverestore.optics import Optics
from liverestore.restore import restore, restore_planes
from liverestore.rig import RigConfig
from liverestore.rig_optics import optics_of
from liverestore.runtime.base import InferenceRuntime, RuntimeChanged, whole_of
from liverestore.service.camera_knowledge import CameraKnowledge

__all__ = ["EngineBeside", "FrameRestorer", "Goal", "optics_by_channel"]

_WAITING_FRAMES = 2
"""So many frames may wait for the engine; then the next exposure waits, with the light off."""
_LOOK_UP_S = 0.1


@dataclass(frozen=True, slots=True)
class Goal:
    """What each frame becomes: one picture, or planes at these distances from the focus."""

    planes_um: tuple[float, ...] = ()
    dpm: Dpm | None = None
    """For an engine that refocuses and no planes."""
    optics: Callable[[str | None], Optics] | None = None
    """Of a channel by its name; needed to refocus."""

    @property
    def pictures(self) -> int:
        """Of each frame."""
        return max(1, len(self.planes_um))


def optics_by_channel(rig: RigConfig) -> Callable[[str | None], Optics]:
    """For `Goal.optics`. Raises `UserError` where the rig leaves out a field."""
    plain = optics_of(rig)
    known = {channel.name: optics_of(rig, channel) for channel in rig.channels}
    return lambda name: known.get(name or "", plain)


class FrameRestorer:
    """One engine for all frames of an acquisition, whatever their channel."""

    def __init__(self, runtime: InferenceRuntime, camera: CameraKnowledge, goal: Goal) -> None:
        self._runtime = runtime
        self._camera = camera
        self.goal = goal
        self.warnings: Counter[str] = Counter()
        """What spoke against the pictures made, and of how many."""

    def prepare(self, shape: tuple[int, int], dtype: str) -> None:
        """Load all that the first frame needs, so that no light is spent before it is there."""
        self._runtime.warm_up(shape, dtype)

    def made_of(self, frame: Frame) -> list[Restored]:
        """The picture, or the planes, shallowest first. Raises as `restore.restore` does."""
        spec = self._runtime.spec
        reason = spec.mismatch(frame.header)
        if reason is not None:
            raise Failure(reason)
        camera = self._camera.model_for(frame)
        optics = self.goal.optics(frame.header.channel) if self.goal.optics is not None else None

        def once() -> Iterator[Restored]:
            whole, infer = whole_of(self._runtime), self._runtime.infer
            said = self._runtime.description
            planes: Sequence[float] = self.goal.planes_um
            if planes:
                return restore_planes(
                    frame, spec, infer, camera, planes, optics=optics, whole=whole, runtime=said
                )
            return iter(
                [
                    restore(
                        frame,
                        spec,
                        infer,
                        camera,
                        self.goal.dpm,
                        optics=optics,
                        whole=whole,
                        runtime=said,
                    )
                ]
            )

        try:
            made = list(once())
        except RuntimeChanged:
            made = list(once())  # by what took its place
        for picture in made:
            self.warnings.update(picture.provenance.warnings)
        return made


class EngineBeside:
    """Restores frames in a thread of its own and gives what it made to `keep`, in order.

    `give` waits while two frames wait already. After an error nothing more is restored, frames
    given are counted in `left`, and `error` says why; `give` goes on taking them, so that the
    camera goes on and no raw frame is missed.
    """

    def __init__(
        self,
        made_of: Callable[[Frame], list[Restored]],
        keep: Callable[[int, list[Restored]], None],
    ) -> None:
        """`keep` gets what `give` got with a frame and what was made of it, in the thread."""
        self._made_of = made_of
        self._keep = keep
        self._waiting: queue.Queue[tuple[int, Frame] | None] = queue.Queue(_WAITING_FRAMES)
        self.restored = 0
        """Frames that are restored and kept."""
        self.left = 0
        """Frames that are not, because of `error`."""
        self.error: LiverestoreError | None = None
        self._thread = threading.Thread(target=self._work, name="engine", daemon=True)
        self._thread.start()

    def give(self, position: int, frame: Frame) -> None:
        """Have `frame` restored; waits until the engine is less than two frames behind."""
        self._put((position, frame))

    def finish(self, *, give_up: bool = False) -> None:
        """Wait until all that was given is restored, or for the present frame alone.

        Safe to call twice.
        """
        if give_up and self.error is None:
            self.error = Failure("given up by Ctrl-C")
        if self._thread.is_alive():
            self._put(None)
            while self._thread.is_alive():
                self._thread.join(_LOOK_UP_S)

    def _put(self, item: tuple[int, Frame] | None) -> None:
        # Never without a time limit: on Windows Ctrl-C does not end such a wait.
        while True:
            try:
                self._waiting.put(item, timeout=_LOOK_UP_S)
            except queue.Full:
                continue
            return

    def _work(self) -> None:
        while (given := self._waiting.get()) is not None:
            if self.error is not None:
                self.left += 1
                continue
            position, frame = given
            try:
                self._keep(position, self._made_of(frame))
            except LiverestoreError as error:
                self._fail(error)
            except Exception as error:
                # A thread that dies of a bug would leave the camera waiting for ever.
                self._fail(Failure(f"unexpected {type(error).__name__}: {error}"))
            else:
                self.restored += 1

    def _fail(self, error: LiverestoreError) -> None:
        self.error = error
        self.left += 1
