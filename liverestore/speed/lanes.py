"""One pipeline in a race, what it is measured against, and the row that comes of it."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass

from liverestore.model_spec import ModelSpec
from liverestore.speed.peers import Peer
from liverestore.speed.pipeline import Pipeline
from liverestore.speed.race import Contender, ratio, timing
from liverestore.speed.records import Floor, Peak, PeerRow, SpeedRow

__all__ = ["Lane", "Matmul", "lane_row", "measured_peak"]


@dataclass(frozen=True, slots=True)
class Matmul:
    """A contender that multiplies matrices: what the device does at its best."""

    contender: Contender
    flop: float
    """Of one run."""
    how: str


@dataclass(slots=True)
class Lane:
    """The pipeline of one engine in one precision."""

    spec: ModelSpec
    shape: tuple[int, int]
    precision: str
    pipeline: Pipeline
    overlapped: Contender | None = None
    bare: Peer | None = None
    peak: Matmul | None = None
    rss_growth_bytes: int | None = None
    gpu_bytes: int | None = None

    def contenders(self) -> list[Contender]:
        """All of its own, the pipeline first."""
        bare = None if self.bare is None else self.bare.contender
        return [c for c in (self.pipeline.contender, self.overlapped, bare) if c is not None]


def lane_row(lane: Lane, others: Sequence[Peer], bandwidth: float | None) -> SpeedRow:
    """What was measured so far; `bandwidth` in bytes per second, of the device."""
    spec, pipeline = lane.spec, lane.pipeline
    peers = [] if lane.bare is None else [_peer_row(lane, lane.bare, bare=True)]
    peers += [_peer_row(lane, peer, bare=False) for peer in others]
    return SpeedRow(
        engine=spec.name,
        version=spec.version,
        sha256=spec.sha256,
        task=spec.task,
        shape=lane.shape,
        dtype="uint16",
        runtime=pipeline.runtime.description,
        precision=lane.precision,
        threads=None,
        pipeline=timing(pipeline.contender),
        overlapped=None if lane.overlapped is None else timing(lane.overlapped),
        stages=pipeline.stages(),
        rss_growth_bytes=lane.rss_growth_bytes,
        gpu_bytes=lane.gpu_bytes,
        floor=_floor(lane, bandwidth),
        peers=peers,
    )


def measured_peak(peak: Matmul, precision: str) -> Peak | None:
    """The fastest of all products between the frames; None before the first."""
    best_s = _fastest_s(peak.contender)
    if best_s is None:
        return None
    return Peak(precision=precision, flop_per_s=peak.flop / best_s, how=peak.how)


def _fastest_s(contender: Contender) -> float | None:
    """The best of all: what the device does when nobody else wants it."""
    return min((seconds for turn in contender.rounds for seconds in turn), default=None)


def _floor(lane: Lane, bandwidth: float | None) -> Floor | None:
    spec = lane.spec
    if spec.weights is None or importlib.util.find_spec("onnx") is None:
        return None
    from liverestore.speed.cost import network_cost

    cost = network_cost(spec.weights, (1, spec.channels, *spec.padded(lane.shape)))
    traffic = cost.traffic_bytes(lane.precision)
    compute_ms = share = None
    if lane.peak is not None:
        best_s = _fastest_s(lane.peak.contender)
        compute_ms = None if best_s is None else 1e3 * best_s * cost.flop / lane.peak.flop
        ours = lane.overlapped or lane.pipeline.contender
        paired = ratio(ours, lane.peak.contender)
        share = None if paired is None else paired.median * cost.flop / lane.peak.flop
    return Floor(
        flop=cost.flop,
        traffic_bytes=traffic,
        compute_ms=compute_ms,
        traffic_ms=None if bandwidth is None else 1e3 * traffic / bandwidth,
        share_of_peak=share,
    )


def _peer_row(lane: Lane, peer: Peer, *, bare: bool) -> PeerRow:
    contender = peer.contender
    # A device's rate is that of frames under way together, for us and for its bare loop alike
    # only where both run that way; so the single frame is compared.
    return PeerRow(
        name=peer.name,
        precision=peer.precision,
        bare=bare,
        timing=None if contender is None else timing(contender),
        ratio=None if contender is None else ratio(lane.pipeline.contender, contender),
        missing=peer.missing,
    )
