"""An engine at one frame size on the processor, with everything that it is measured against."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from liverestore.model_spec import ModelSpec
from liverestore.runtime.table import Precision, open_runtime
from liverestore.speed.lanes import Lane, lane_row, measured_peak
from liverestore.speed.machine import resident_bytes
from liverestore.speed.peak import processor_peak
from liverestore.speed.peers import PEERS, Peer, open_peers, openvino_bare
from liverestore.speed.pipeline import CAMERA, Pipeline, counts
from liverestore.speed.race import TURN_S, Contender, Race
from liverestore.speed.records import Peak, SpeedRow

__all__ = ["Case", "RacedCase", "Tell", "network_input"]

Tell = Callable[[str], None]
"""Gets a line about what is being done."""


def network_input(spec: ModelSpec, shape: tuple[int, int]) -> NDArray[np.float32]:
    """What the network of `spec` gets of one frame: (1, C, Y, X), padded to its divisor."""
    outer = spec.padded(shape)
    batch = np.zeros((1, spec.channels, *outer), np.float32)
    pixels = counts(outer)
    batch[0, 0] = CAMERA.stabilise(pixels) if spec.domain == "stabilised" else pixels
    return batch


@dataclass(slots=True)
class RacedCase:
    """An engine at one frame size: `open`, `race`, and what was measured at any time.

    Use it as a context; it closes what it opened.
    """

    spec: ModelSpec
    shape: tuple[int, int]
    peer_names: tuple[str, ...] = PEERS
    bandwidth: float | None = None
    """Of the device's memory, bytes per second, for the floor."""
    lanes: list[Lane] = field(default_factory=list)
    peers: list[Peer] = field(default_factory=list)
    stack: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()

    @property
    def title(self) -> str:
        """For the progress line."""
        return f"{self.spec.name} {self.shape[0]}x{self.shape[1]}"

    def race(self, seconds: float, on_round: Callable[[float], None]) -> None:
        """Turns for all until `seconds` are spent; `on_round` gets the seconds so far."""
        contenders = self._contenders()
        # Ten rounds at least, where the frames are quick enough for that.
        share = seconds / (20 * len(contenders))
        race = Race(contenders, turn_s=min(TURN_S, share))
        while not race.over(seconds):
            race.step()
            on_round(race.spent_s)

    def _contenders(self) -> list[Contender]:
        found = [contender for lane in self.lanes for contender in lane.contenders()]
        # Lanes may share a peak.
        found += list({id(p): p.contender for p in (x.peak for x in self.lanes) if p}.values())
        return found + [peer.contender for peer in self.peers if peer.contender is not None]

    def rows(self) -> list[SpeedRow]:
        """What was measured so far, one row for each lane."""
        rows = []
        for lane in self.lanes:
            if lane.pipeline.contender.rounds:
                others = [o.bare for o in self.lanes if o is not lane and o.bare is not None]
                rows.append(lane_row(lane, [*others, *self.peers], self.bandwidth))
        return rows

    def peaks(self) -> list[Peak]:
        """The rate of matrix products between the frames, for each precision."""
        found = {
            lane.precision: measured_peak(lane.peak, lane.precision)
            for lane in self.lanes
            if lane.peak is not None
        }
        return [peak for peak in found.values() if peak is not None]


class Case(RacedCase):
    """On the processor.

    The pipeline runs in the precision that `live` takes and, where that is another, in f32 too,
    so that peers which only know f32 are met on their own ground.
    """

    def open(self, tell: Tell) -> None:
        """Make every contender ready; `tell` gets what is being made.

        Raises `UserError` for an engine that nothing here can run, `Failure` where it fails.
        """
        spec = self.spec
        for precision in self._precisions():
            tell(f"{self.title}: pipeline {precision}")
            before = resident_bytes()
            runtime = open_runtime(spec, precision=precision)
            self.stack.callback(runtime.close)
            lane = Lane(spec, self.shape, precision, Pipeline(spec, runtime, self.shape))
            after = resident_bytes()
            if before is not None and after is not None:
                lane.rss_growth_bytes = after - before
            self.lanes.append(lane)
        if spec.weights is None:
            return
        batch = network_input(spec, self.shape)
        for lane in self.lanes:
            tell(f"{self.title}: OpenVINO alone, {lane.precision}")
            lane.bare = openvino_bare(spec, batch, lane.precision)
            lane.peak = processor_peak(lane.precision)
        for name in self.peer_names:
            tell(f"{self.title}: {name} alone" + _PATIENCE.get(name, ""))
            self.peers += open_peers(spec, batch, (name,))

    def _precisions(self) -> list[Precision]:
        """What `live` takes first, then f32 where it takes something else."""
        if self.spec.weights is None or importlib.util.find_spec("openvino") is None:
            return ["f32"]
        probe = open_runtime(self.spec, precision="fast")
        word = probe.description.split()[-1]
        probe.close()
        return ["bf16", "f32"] if word == "bf16" else ["f32"]


_PATIENCE = {"torch.compile": " (compiling takes up to a minute)"}
