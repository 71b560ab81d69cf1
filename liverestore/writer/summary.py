"""What a file says of itself as a whole, gathered while its frames are written."""

from __future__ import annotations

from dataclasses import dataclass, field

from liverestore.frame import Frame, FrameHeader, Restored
from liverestore.writer.file_light import FileLight

__all__ = ["PlaneTimes", "RunSummary"]


@dataclass(frozen=True, slots=True)
class PlaneTimes:
    """Of one frame, for the OME metadata; None where unknown."""

    delta_s: float | None
    """Time since the first frame of the file."""
    exposure_s: float | None
    z_um: float | None


@dataclass(slots=True)
class RunSummary:
    """Filled by `add`, once for each frame that is on disk."""

    pixel_size_um: float | None = None
    z_step_um: float | None = None
    interval_ms: float | None = None
    """Time between frames, if stated from outside; else `mean_interval_ms` counts."""
    z_start_um: float | None = None
    """Distance of the first plane of a virtual stack from the plane that was in focus."""
    about: dict[str, str] = field(default_factory=dict)
    """What else is to stand in `made_by`."""
    made_by: dict[str, str] = field(default_factory=dict)
    """Engine, version, sha256 and runtime of a restored file; empty for a raw one."""
    planes: list[PlaneTimes] = field(default_factory=list)
    channels: list[str | None] = field(default_factory=list)
    """Of each frame on disk."""
    first: FrameHeader | None = None
    last: FrameHeader | None = None
    light: FileLight = field(default_factory=FileLight)
    failed: bool = False
    """True when a frame could not be kept."""

    def note_first(self, item: Frame | Restored) -> None:
        """Take what holds for all frames from the first one."""
        header = item.source.header if isinstance(item, Restored) else item.header
        if self.pixel_size_um is None:
            self.pixel_size_um = header.pixel_size_um
        if isinstance(item, Restored):
            made_by = item.provenance
            self.made_by = {
                "engine": made_by.engine,
                "version": made_by.version,
                "sha256": made_by.sha256,
                "runtime": made_by.runtime,
                **self.about,
            }

    def add(self, item: Frame | Restored) -> None:
        """Count a frame that is on disk.

        In a virtual stack the z of a plane is its distance from the plane that was in focus;
        where the stage was stays in the plane's own record.
        """
        header, z_um = _place(item)
        if self.z_start_um is None:
            z_um = header.z_um
        if self.first is None:
            self.first = header
        self.last = header
        self.light.add(header)
        self.channels.append(header.channel)
        self.planes.append(
            PlaneTimes(
                # Without a clock time nobody knows when the frame was taken.
                (header.captured_ns - self.first.captured_ns) * 1e-9
                if header.captured_utc
                else None,
                header.exposure_ms * 1e-3 if header.exposure_ms is not None else None,
                z_um,
            )
        )

    @property
    def frames(self) -> int:
        """Frames on disk."""
        return len(self.planes)

    @property
    def mean_interval_ms(self) -> float | None:
        """Time from one camera frame to the next, lost ones counted; None if unknown."""
        if self.interval_ms is not None:
            return self.interval_ms
        if self.first is None or self.last is None or not self.first.captured_utc:
            return None
        steps = self.last.number - self.first.number
        elapsed_ns = self.last.captured_ns - self.first.captured_ns
        return elapsed_ns * 1e-6 / steps if steps > 0 and elapsed_ns > 0 else None


def _place(item: Frame | Restored) -> tuple[FrameHeader, float | None]:
    """The header, and the distance that the frame was refocused by."""
    if isinstance(item, Frame):
        return item.header, None
    virtual = item.provenance.parameters.get("virtual_z_um")
    return item.source.header, None if virtual is None else float(virtual)
