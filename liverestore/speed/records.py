"""What a bench of speed writes: the JSON, field by field."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

__all__ = [
    "SCHEMA",
    "Floor",
    "GpuAnswer",
    "Machine",
    "Peak",
    "PeerRow",
    "Ratio",
    "RuntimeWord",
    "SpeedAnswer",
    "SpeedRow",
    "Timing",
]

SCHEMA = 1


class _Record(msgspec.Struct, frozen=True, kw_only=True):
    pass


class Timing(_Record, frozen=True, kw_only=True):
    """Of single frames."""

    frames: int
    fps: float
    """Frames over the sum of their times."""
    p50_ms: float
    p95_ms: float
    p99_ms: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Timing | None:
        """From the seconds of each frame; None without any. Percentiles are interpolated."""
        if not len(seconds):
            return None
        p50, p95, p99 = (float(ms) * 1e3 for ms in np.percentile(seconds, (50, 95, 99)))
        return cls(
            frames=len(seconds),
            fps=len(seconds) / max(sum(seconds), 1e-9),
            p50_ms=p50,
            p95_ms=p95,
            p99_ms=p99,
        )


class Ratio(_Record, frozen=True, kw_only=True):
    """Rate of the pipeline over the rate of another, in the same rounds."""

    median: float
    low: float
    high: float
    """Quartiles over the rounds."""
    rounds: int


class Peak(_Record, frozen=True, kw_only=True):
    """What the device does at its best, as measured."""

    precision: str
    flop_per_s: float
    how: str


class Floor(_Record, frozen=True, kw_only=True):
    """What the network needs at least on this device."""

    flop: float
    """Two for each multiplication and addition of convolutions and matrix products."""
    traffic_bytes: float
    """Convolutions and products, each reading and writing memory once."""
    compute_ms: float | None
    """`flop` over the measured peak; None where there is no peak."""
    traffic_ms: float | None
    """`traffic_bytes` over the measured bandwidth; less where layers stay in the cache."""
    share_of_peak: float | None
    """FLOP per second of the pipeline over the peak of the same rounds."""


class PeerRow(_Record, frozen=True, kw_only=True):
    """The bare network in another runtime: a fixed tensor in, nothing else."""

    name: str
    precision: str
    bare: bool
    """Whether it is what the pipeline itself runs on, in the same precision."""
    timing: Timing | None
    ratio: Ratio | None
    """Above 1: the pipeline is faster, everything around the network included."""
    missing: str | None
    """Why it was not measured."""


class SpeedRow(_Record, frozen=True, kw_only=True):
    """One engine at one frame size and precision, counts in to counts out."""

    engine: str
    version: str
    sha256: str
    task: str
    shape: tuple[int, int]
    """(Y, X) of the frame."""
    dtype: str
    runtime: str
    precision: str
    threads: int | None
    """None: as many as the runtime chooses, which is all."""
    pipeline: Timing | None
    overlapped: Timing | None
    """With several frames under way, where the runtime can."""
    stages: dict[str, Timing]
    """"in": stabilise and pad, or copy to the device's buffer; "compute"; "out": invert, crop
    and round, or copy from the device's buffer; "around": checks and the record."""
    rss_growth_bytes: int | None
    """Of this process, from before the engine was opened to after its first frames."""
    gpu_bytes: int | None
    floor: Floor | None
    peers: list[PeerRow]


class Machine(_Record, frozen=True, kw_only=True):
    """Where it was measured; no name of a host or a user."""

    processor: str
    cores: int
    """That this process may use."""
    system: str
    gpu: str | None
    load_before: float | None
    """Processes that wanted a core in the minute before; above 1: the absolute figures suffer."""


class RuntimeWord(_Record, frozen=True, kw_only=True):
    """Whether a runtime takes this GPU."""

    runtime: str
    engine: str
    accepts: bool
    reason: str | None
    """Why not."""


class GpuAnswer(_Record, frozen=True, kw_only=True):
    """What only `--gpu` measures."""

    runtimes: list[RuntimeWord]
    transfer_in_bytes_per_s: float | None
    """From pinned memory to the device."""
    transfer_out_bytes_per_s: float | None
    live: dict[str, Timing]
    """Engine -> capture to result at 1024x1024 over the link between processes."""
    stack_21_planes: dict[str, Timing]
    """Runtime -> a virtual z-stack of 21 planes of 1024x1024, each of the timed a whole stack."""


class SpeedAnswer(_Record, frozen=True, kw_only=True):
    """Everything that `liverestore bench --json` writes."""

    schema: int = SCHEMA
    liverestore: str
    measured_utc: str
    complete: bool
    machine: Machine
    versions: dict[str, str]
    peaks: list[Peak]
    bandwidth_bytes_per_s: float | None
    """Of copying memory, read and written bytes together."""
    rows: list[SpeedRow]
    left_out: list[str]
    gpu: GpuAnswer | None = None
