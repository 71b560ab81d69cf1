"""Takes a multi-dimensional acquisition frame by frame; its z axis is virtual.

Each frame is one exposure: the XY stage and the channel are set, the focus drive is read, one
image is snapped, the focus drive is read again, the raw frame is written, and the engine makes
its planes beside the camera. Between two snaps there is no light.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from liverestore.acquisition_plan import AcquisitionPlan, Visit
from liverestore.camera.clock import Clock, RealClock
from liverestore.errors import LiverestoreError
from liverestore.frame import Frame, Restored
from liverestore.rig_channels import ChannelConfig
from liverestore.service.acquisition_engine import EngineBeside
from liverestore.service.acquisition_files import AcquisitionFiles, PositionFiles
from liverestore.service.stage_watch import DriveAccount, Stages, StageWatch

__all__ = ["AcquisitionLoop", "Camera", "Outcome"]

_LOOK_UP_S = 0.05
"""While waiting for a time point, look so often whether to stop."""


class Camera(Protocol):
    """What is asked of a source (`camera.micromanager.MicroManagerSource`)."""

    def snap(self) -> Frame:
        """One exposure."""
        ...

    def select(self, channel: ChannelConfig) -> None:
        """Set the light path and the exposure."""
        ...


@dataclass(slots=True)
class Outcome:
    """What came of an acquisition; grows while it runs."""

    exposures: int = 0
    """Images snapped: light that the sample got."""
    light_s: float = 0.0
    """Sum of their exposure times, as far as the camera tells them."""
    restored: int = 0
    """Frames whose planes are made and written."""
    visits: int = 0
    """Positions whose channels were all taken, over all time points."""
    started_s: list[float] = field(default_factory=list)
    """When each time point was begun, since the first one."""
    late_s: list[float] = field(default_factory=list)
    """How much later than due; empty without an interval."""
    drives: dict[str, DriveAccount] = field(default_factory=dict)
    visited_um: list[tuple[float, float] | None] = field(default_factory=list)
    """Where the XY stage stood at each position, the last time; None without one."""
    files: list[PositionFiles] = field(default_factory=list)
    interrupted: bool = False
    error: LiverestoreError | None = None
    """Why it ended before its time."""
    engine_error: LiverestoreError | None = None
    """Why frames from some moment on are not restored; their raw frames are kept."""


class AcquisitionLoop:
    """Runs `plan` once. Belongs to one thread; a second one restores."""

    def __init__(
        self,
        plan: AcquisitionPlan,
        camera: Camera,
        stages: Stages,
        files: AcquisitionFiles,
        made_of: Callable[[Frame], list[Restored]],
        *,
        done: Sequence[int] = (),
        clock: Clock | None = None,
        stop: Callable[[], bool] = lambda: False,
        show: Callable[[Outcome, str], None] = lambda _outcome, _doing: None,
    ) -> None:
        """`made_of` gives the pictures of a frame (`FrameRestorer.made_of`).

        `done` time points of each position are left out. `stop` is asked between two
        positions and while waiting; `show` gets the state and what is being done.
        """
        self._plan = plan
        self._camera = camera
        self._stages = stages
        self._files = files
        self._made_of = made_of
        self._done = done
        self._clock: Clock = clock or RealClock()
        self._stop = stop
        self._show = show
        self._begin_s: float | None = None
        self._time = -1
        self.outcome = Outcome(visited_um=[None] * len(plan.positions))

    def run(self) -> Outcome:
        """Take all frames, or those before an error or Ctrl-C; all files are closed then.

        Nothing is raised for a device, disk or engine that fails: see `Outcome`.
        """
        outcome, give_up = self.outcome, False
        beside = EngineBeside(self._made_of, self._files.keep_restored)
        try:
            watch = StageWatch(self._stages)
            outcome.drives = watch.drives
            self._visit_all(watch, beside)
        except LiverestoreError as error:
            outcome.error = error
        except KeyboardInterrupt:
            outcome.interrupted = give_up = True
        try:
            self._show(outcome, "restoring the last frames")
            beside.finish(give_up=give_up)
        except KeyboardInterrupt:
            outcome.interrupted = True
            beside.finish(give_up=True)
        finally:
            outcome.files, errors = self._files.close()
        outcome.restored = beside.restored
        if outcome.error is None and errors:
            outcome.error = errors[0]
        if beside.error is not None and beside.left:
            outcome.engine_error = beside.error
        return outcome

    def _visit_all(self, watch: StageWatch, beside: EngineBeside) -> None:
        for visit in self._plan.visits(self._done):
            self._await(visit)
            if self._stop():
                self.outcome.interrupted = True
                break
            self._visit(visit, watch, beside)
        watch.check_all("at the end")

    def _await(self, visit: Visit) -> None:
        """Wait until the time point is due; the light is off."""
        if self._begin_s is None:
            self._begin_s = self._clock.now()
        while not self._stop():
            left_s = self._begin_s + visit.due_s - self._clock.now()
            if left_s <= 0:
                return
            self._show(self.outcome, f"next in {left_s:.0f} s" if left_s >= 1 else "waiting")
            self._clock.sleep(min(left_s, _LOOK_UP_S))

    def _visit(self, visit: Visit, watch: StageWatch, beside: EngineBeside) -> None:
        position = self._plan.positions[visit.position]
        place = self._stages.xy_um()
        if position.xy_um is not None and position.xy_um != place:
            place = self._stages.go_to(*position.xy_um)
        self.outcome.visited_um[visit.position] = place
        if visit.time != self._time:
            watch.check_all(f"at time point {visit.time}")
            self._note_time(visit)
        tags = {"TimeIndex": str(visit.time), "PositionIndex": str(visit.position)}
        if position.name:
            tags["PositionName"] = position.name
        if place is not None:
            # Names that Micro-Manager itself uses.
            tags |= {"XPositionUm": f"{place[0]:.3f}", "YPositionUm": f"{place[1]:.3f}"}
        channels: Sequence[ChannelConfig | None] = self._plan.channels or (None,)
        for number, channel in enumerate(channels):
            frame = self._expose(visit, number, channel, tags, watch)
            self._show(self.outcome, f"time point {visit.time + 1}")
            beside.give(visit.position, frame)
        self.outcome.visits += 1

    def _note_time(self, visit: Visit) -> None:
        assert self._begin_s is not None, "the first time point has begun"
        self._time = visit.time
        since_s = self._clock.now() - self._begin_s
        self.outcome.started_s.append(since_s)
        if self._plan.times_s[-1] > 0:
            self.outcome.late_s.append(max(0.0, since_s - visit.due_s))

    def _expose(
        self,
        visit: Visit,
        number: int,
        channel: ChannelConfig | None,
        tags: dict[str, str],
        watch: StageWatch,
    ) -> Frame:
        if channel is not None:
            self._camera.select(channel)
        where = f"exposure {self.outcome.exposures + 1}"
        watch.check_focus(f"before {where}")
        self.outcome.exposures += 1
        snapped = self._camera.snap()
        header = msgspec.structs.replace(snapped.header, metadata=snapped.header.metadata | tags)
        frame = Frame(snapped.pixels, header)
        self.outcome.light_s += (header.exposure_ms or 0.0) / 1e3
        self._files.keep_raw(visit.position, number, frame)
        # After the frame is safe: what was exposed is kept, whatever the drive did.
        watch.check_focus(f"after {where}")
        return frame
