"""A series that looks for the exposure, taken snap by snap, restored, and scored."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from liverestore.camera_model import CameraModel
from liverestore.errors import Failure, LiverestoreError, UserError
from liverestore.exposure_advice import Advice, Evidence, advise
from liverestore.exposure_fidelity import Fidelity, fidelity
from liverestore.exposure_products import FrameProducts
from liverestore.exposure_quality import Quality
from liverestore.exposure_series import LEAST_ROUNDS, SeriesPlan, Shot
from liverestore.frame import Frame, Restored
from liverestore.model_spec import ModelSpec
from liverestore.restore import brightest_e
from liverestore.service.light_hold import structure_e
from liverestore.service.light_keeper import LightKeeper
from liverestore.service.lit_snap import lit_snap

__all__ = ["ExposureRun", "Restorer", "SnapSource"]


class SnapSource(Protocol):
    """What a series needs of a camera; as in `FrameSource`, paused."""

    def configure(self, *, exposure_ms: float) -> None:
        """Expose for so long from the next snap on."""
        ...

    def snap(self) -> Frame:
        """One exposure, waited for."""
        ...


Restorer = Callable[[Frame], Restored]

_JUDGED_PX = 1024
_SATURATED_SHARE = 1e-3
_OFF_SHARE = 0.1
"""What a camera may round an exposure by; beyond it the frame is another one's."""
_SPAN = (0.001, 0.999)


@dataclass(slots=True)
class ExposureRun:
    """Takes `plan` from `source`, which has been started and is paused.

    Every exposure is a snap: the light is on for it alone, and no exposure that began before
    the change can be taken for it. `light` is asked before each and charged after it. Frames
    larger than 1024 px are judged by their middle.
    """

    source: SnapSource
    plan: SeriesPlan
    restorer: Restorer
    spec: ModelSpec
    camera: Callable[[Frame], CameraModel]
    """The model for a frame."""
    light: LightKeeper | None = None
    channel: str | None = None
    """Of the frames; None: the only one, or that of the frame before."""
    on_shot: Callable[[int], None] = lambda _done: None
    before_ms: float | None = None
    """Exposure to set back at the end; None: that of the references."""
    shots: int = 0
    light_ms: float = 0.0
    """Exposure of everything that was taken."""
    rounds: int = 0
    products: FrameProducts = field(default_factory=FrameProducts)
    _exposures: list[list[float]] = field(default_factory=list)
    _levels: list[int] = field(default_factory=list)
    _restored: list[int] = field(default_factory=list)
    _raw: list[int] = field(default_factory=list)
    _signal_e: list[float] = field(default_factory=list)
    _structure_e: list[float] = field(default_factory=list)
    _models: list[CameraModel] = field(default_factory=list)
    _set_ms: float | None = None
    _shape: tuple[int, int] | None = None

    def run(self, quality: Quality) -> tuple[Advice, tuple[Fidelity, ...]]:
        """Rounds until the exposure is known well enough, or all that are planned.

        The exposure is as before afterwards, whatever happens. Raises `UserError` for frames
        that saturate and where the budget of light ends, `Failure` for a camera that fails.
        """
        try:
            advice = self._rounds(quality)
            self._take_all(self.plan.last())
        except LiverestoreError as error:
            try:
                self._set_back()
            except LiverestoreError as also:
                # What failed first is the reason, and must not be hidden by what follows.
                raise Failure(f"{error}; nor could the exposure be set back: {also}") from error
            raise
        except BaseException:
            self._set_back()
            raise
        self._set_back()
        if advice.moving:
            # The last frame has its second neighbour now.
            advice = advise(self._evidence(), quality)
        levels = [self._of_level(n) for n in range(len(self.plan.exposures_ms))]
        return advice, fidelity(self.products, levels, moving=advice.moving)

    def _set_back(self) -> None:
        self.source.configure(exposure_ms=self.before_ms or self.plan.reference_ms)

    def _rounds(self, quality: Quality) -> Advice:
        while True:
            self._take_all(self.plan.round(self.rounds))
            self.rounds += 1
            if self.rounds < min(LEAST_ROUNDS, self.plan.rounds):
                continue
            advice = advise(self._evidence(), quality)
            # Twice as sure as it must be, where light for it was allowed.
            unsure = advice.needs_more or (advice.refusal is None and advice.doubt > 0.05)
            if self.rounds >= self.plan.rounds or not unsure:
                return advice

    def _take_all(self, shots: Any) -> None:
        for shot in shots:
            self._take(shot)
            self.shots += 1
            self.on_shot(self.shots)

    def _take(self, shot: Shot) -> None:
        upcoming = (shot.exposure_ms, self.channel)
        refused = self.light.refusal(upcoming) if self.light is not None else None
        if refused is not None:
            raise UserError(f"exposure: {refused}")
        if self._set_ms != shot.exposure_ms:
            self.source.configure(exposure_ms=shot.exposure_ms)
            self._set_ms = shot.exposure_ms
        # Counted before, for an exposure of which no frame comes.
        before_ms = self.light_ms
        self.light_ms = math.fsum([before_ms, shot.exposure_ms])
        frame = lit_snap(self.source, self.light, upcoming)
        if self.light is not None:
            frame = self.light.took(frame, kind="reference")
        taken_ms = frame.header.exposure_ms or shot.exposure_ms
        self.light_ms = math.fsum([before_ms, taken_ms])
        if not abs(taken_ms / shot.exposure_ms - 1) <= _OFF_SHARE:
            raise Failure(
                f"camera {frame.header.camera}: was told to expose for {shot.exposure_ms:g} ms and "
                f"exposed for {taken_ms:g} ms; begin at a longer exposure"
            )
        self._same_size(frame)
        model = self.camera(frame).for_frame(frame.header)
        if shot.level is None:
            self._refer(frame, model)
        else:
            self._judge(frame, shot.level, taken_ms)

    def _same_size(self, frame: Frame) -> None:
        before, now = self._shape or frame.header.shape, frame.header.shape
        self._shape = now
        if now != before:
            raise Failure(
                f"camera {frame.header.camera}: the frames were {before[1]} x {before[0]} px and "
                f"are {now[1]} x {now[0]} px now; somebody else has set its ROI or its binning: "
                "measure again"
            )

    def _refer(self, frame: Frame, model: CameraModel) -> None:
        pixels = frame.pixels
        depth = frame.header.bit_depth or 8 * pixels.dtype.itemsize
        if pixels.dtype.kind == "u":
            share = float(np.mean(pixels >= 2**depth - 1))
            if share > _SATURATED_SHARE:
                raise UserError(
                    f"exposure: {100 * share:.2g} % of the pixels are saturated at "
                    f"{self.plan.reference_ms:g} ms, which is no reference; begin at a shorter "
                    "exposure"
                )
        light_e = model.to_electrons(pixels)
        self._signal_e.append(float(light_e.mean(dtype=np.float64)))
        self._structure_e.append(structure_e(pixels, model))
        self._models.append(model.without_maps())
        self.products.add_reference(_middle(light_e))

    def _judge(self, frame: Frame, level: int, taken_ms: float) -> None:
        while len(self._exposures) <= level:
            self._exposures.append([])
        self._exposures[level].append(taken_ms)
        restored = _middle(self.restorer(frame).pixels)
        self._levels.append(level)
        self._restored.append(self.products.add_frame(restored))
        if level == 0:
            self._raw.append(self.products.add_frame(_middle(frame.pixels)))

    def _evidence(self) -> Evidence:
        mean = np.mean(self.products.references, axis=0)
        low, high = np.quantile(mean, _SPAN)
        return Evidence(
            exposures_ms=tuple(float(np.mean(taken)) for taken in self._exposures),
            products=self.products,
            levels=self._levels,
            restored=self._restored,
            raw=self._raw,
            signal_e=self._signal_e,
            structure_e=self._structure_e,
            span=float(high - low),
            guess=np.mean([self.products.image(n) for n in self._of_level(0)], axis=0),
            gain=self._models[-1].gain_e_per_count,
            floor_ms=self._floor_ms(mean),
        )

    def _of_level(self, level: int) -> list[int]:
        return [n for n, at in zip(self._restored, self._levels, strict=True) if at == level]

    def _floor_ms(self, mean_e: NDArray[np.floating[Any]]) -> float | None:
        """Where the brightest places have as little light as the engine was trained for."""
        span, model = self.spec.photon_range_e, self._models[-1]
        if span is None or model.origin == "assumed":
            return None
        whole = mean_e + np.mean(self._signal_e)
        counts = model.to_counts(whole.astype(np.float32))
        brightest = brightest_e(counts, model)
        return self.plan.reference_ms * span[0] / brightest if brightest > 0 else math.inf


def _middle(pixels: NDArray[np.generic]) -> NDArray[np.generic]:
    rows, columns = (
        slice(max(0, (size - _JUDGED_PX) // 2), (size + _JUDGED_PX) // 2) for size in pixels.shape
    )
    return pixels[rows, columns]
