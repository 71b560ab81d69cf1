"""What a file says of itself as a whole, gathered while its frames are written."""

from __future__ import annotations

import math
from array import array
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from liverestore.frame import Frame, FrameHeader, Restored
from liverestore.writer.file_light import FileLight
from liverestore.writer.layout import RECORDING, Layout

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
    """Filled by `add`, once for each frame that is on disk.

    A night has millions of frames: of each it keeps the time alone (8 bytes), and that only where
    the file tells it (`times_planes`).
    """

    pixel_size_um: float | None = None
    z_step_um: float | None = None
    interval_ms: float | None = None
    """Time between frames, if stated from outside; else `mean_interval_ms` counts."""
    z_start_um: float | None = None
    """Distance of the first plane of a virtual stack from the plane that was in focus."""
    about: dict[str, str] = field(default_factory=dict)
    """What else is to stand in `made_by`."""
    layout: Layout = RECORDING
    times_planes: bool = True
    """Whether `planes` is to be asked for."""
    frames: int = 0
    """On disk."""
    first: FrameHeader | None = None
    last: FrameHeader | None = None
    light: FileLight = field(default_factory=FileLight)
    failed: bool = False
    """True when a frame could not be kept."""
    _deltas_s: array[float] = field(default_factory=lambda: array("d"))
    """Time of each frame since the first one; NaN where unknown."""
    _changes: list[tuple[int, float | None, float | None]] = field(default_factory=list)
    """Exposure (s) and z (um) from the frame of this index on."""
    _makers: list[tuple[str, str, str, str]] = field(default_factory=list)
    """Engine, version, sha256 and runtime, each set once, in the order of their first frames."""
    _names: list[str] = field(default_factory=list)
    _first_channels: list[str | None] = field(default_factory=list)
    _last_channels: deque[str | None] = field(default_factory=deque)

    def note_first(self, item: Frame | Restored) -> None:
        """Take what holds for all frames from the first one."""
        header = item.source.header if isinstance(item, Restored) else item.header
        if self.pixel_size_um is None:
            self.pixel_size_um = header.pixel_size_um
        self._add_maker(item)

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
        self._add_maker(item)
        self.light.add(header)
        self._add_channel(header.channel)
        if self.times_planes:
            self._add_times(header, self.first, z_um)
        self.frames += 1

    def _add_maker(self, item: Frame | Restored) -> None:
        if isinstance(item, Restored):
            made = item.provenance
            maker = (made.engine, made.version, made.sha256, made.runtime)
            if maker not in self._makers:
                self._makers.append(maker)

    @property
    def made_by(self) -> dict[str, str]:
        """Engine, version, sha256 and runtime of a restored file; empty for a raw one.

        Where the frames were not all made alike (channels in turn, another engine in mid-run),
        each stands there: "mean5, denoise-live", with "-" for the sha256 of a filter.
        """
        if not self._makers:
            return {}
        alike = len(self._makers) == 1
        told = zip(*self._makers, strict=True)
        names = ("engine", "version", "sha256", "runtime")
        each = {
            name: values[0] if alike else ", ".join(value or "-" for value in values)
            for name, values in zip(names, told, strict=True)
        }
        return {**each, **self.about}

    @property
    def channel_name(self) -> str | None:
        """Of a file without an axis for channels: all that its frames have, or None."""
        return ", ".join(self._names) or None

    def _add_channel(self, channel: str | None) -> None:
        if channel is not None and channel not in self._names:
            self._names.append(channel)
        layout = self.layout
        if self.frames < max(layout.group, layout.channels * layout.channel_stride):
            self._first_channels.append(channel)
        self._last_channels.append(channel)
        if len(self._last_channels) > layout.group:
            self._last_channels.popleft()

    def _add_times(self, header: FrameHeader, first: FrameHeader, z_um: float | None) -> None:
        # Without a clock time nobody knows when the frame was taken.
        delta_s = (header.captured_ns - first.captured_ns) * 1e-9
        self._deltas_s.append(delta_s if header.captured_utc else math.nan)
        exposure_s = header.exposure_ms * 1e-3 if header.exposure_ms is not None else None
        if not self._changes or self._changes[-1][1:] != (exposure_s, z_um):
            self._changes.append((self.frames, exposure_s, z_um))

    def planes(self) -> Iterator[PlaneTimes]:
        """Of each frame on disk, in their order; none where `times_planes` is not set."""
        changes = deque(self._changes)
        exposure_s = z_um = None
        for index, delta_s in enumerate(self._deltas_s):
            if changes and changes[0][0] == index:
                _, exposure_s, z_um = changes.popleft()
            yield PlaneTimes(None if math.isnan(delta_s) else delta_s, exposure_s, z_um)

    @property
    def first_channels(self) -> list[str | None]:
        """Of the frames at the first position of the first axis, and of all channels at least."""
        return self._first_channels

    @property
    def channel_before(self) -> str | None:
        """Of the frame at the place of the next one, at the position before on the first axis."""
        full = len(self._last_channels) == self.layout.group
        return self._last_channels[0] if full else None

    def let_go(self) -> None:
        """Forget what was kept for each frame; the file is closed and nobody asks any more."""
        self._deltas_s = array("d")
        self._changes.clear()
        self.light.condense()

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
