"""`liverestore bench --refocus`: the stage moves out of focus, the engine brings the picture back.

The rig's own camera and focus drive, opened as a live run opens them. A simulated specimen is
made to stand still, so that the frames differ in nothing but focus and noise.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from rich.console import Console
from rich.text import Text

from liverestore.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from liverestore.camera.micromanager import MicroManagerSource
    from liverestore.frame import Frame
    from liverestore.model_spec import ModelSpec
    from liverestore.quality.methods import Engine
    from liverestore.quality.refocusing_by_stage import ByStage, Truth
    from liverestore.rig import RigConfig
    from liverestore.service.light_keeper import LightKeeper
    from liverestore.service.metered_camera import MeteredCamera

__all__ = ["StageAsked", "bench_refocus"]

_REFERENCE_FRAMES = 32


@dataclass(frozen=True, slots=True)
class StageAsked:
    """What the command line says."""

    rig: str
    stage_um: tuple[float, ...]
    """From the plane in focus; empty: as many of the usual ones as the engines reach."""
    frames: int
    real: bool
    """Whether a stage that is not simulated may be moved."""


def bench_refocus(names: list[str], asked: StageAsked, json_file: Path | None) -> None:
    """Measure, show, and write where asked; the stage goes back whatever happens.

    Raises `UserError` for a rig, an engine or distances that do not go together, before any
    light is spent.
    """
    from liverestore.cli.bench import measure_plan, open_engines
    from liverestore.quality.plan import Plan
    from liverestore.quality.refocusing_by_stage import stage_planes, stage_tilt, tilt_swing_um
    from liverestore.rig import load_rig
    from liverestore.rig_camera import camera_of
    from liverestore.rig_optics import optics_of

    rig = _still(load_rig(asked.rig), real=asked.real)
    optics_of(rig)
    if camera_of(rig.camera) is None:
        raise UserError(
            f"rig {rig.origin or rig.name}: does not say offset, gain and read noise of its "
            "camera; measure them with liverestore calibrate"
        )
    chosen, left_out = _chosen(names)
    reach_um = min(float(spec.reach_um or 0.0) for spec in chosen)
    stage_um = _stage_um(asked.stage_um, reach_um, chosen)
    console = Console(highlight=False, soft_wrap=True)
    with ExitStack() as stack:
        engines, _ = open_engines([str(spec.folder) for spec in chosen], stack, beside=())
        source, truth, focus_um = _opened(rig, stack, console)
        _look_at_budget(source, rig, asked.frames * len(stage_um))
        run = _run(source, truth, focus_um, rig, asked.frames)
        stack.callback(_finish, run, console)
        swing_um = tilt_swing_um(reach_um)
        tilted = tuple(z for z in stage_um if abs(z) + swing_um <= reach_um)
        tests = [stage_planes(run, engines, stage_um)]
        if tilted:
            tests.append(stage_tilt(run, engines, tilted, swing_um))
        if len(tilted) < len(stage_um):
            over = ", ".join(f"{z:+g}" for z in stage_um if z not in tilted)
            left_out.append(
                f"tilted, at {over} um: parts of the surface lie beyond {reach_um:g} um, where "
                "the engine ends"
            )
        _say(console, rig, engines, run, stage_um[0])
        measure_plan(Plan(tests, left_out), engines, json_file)


def _still(rig: RigConfig, *, real: bool) -> RigConfig:
    """`rig` with its specimen at rest. Raises `UserError` for a rig that cannot be measured."""
    where = rig.origin or rig.name
    if rig.source.kind == "replay":
        raise UserError(
            f"rig {where}: replays a file and has no stage; give a simulated rig such as "
            "demo_refocus, or one with a microscope and --real"
        )
    if len(rig.channels) > 1:
        raise UserError(
            f"rig {where}: takes {len(rig.channels)} channels in turn; allowed is one: leave the "
            "others out of a copy of the rig"
        )
    if rig.specimen is not None and rig.source.kind == "simulated":
        still = msgspec.structs.replace(rig.specimen, speed_um_s=0.0)
        return msgspec.structs.replace(rig, specimen=still)
    if not real:
        raise UserError(
            f"rig {where}: is a real microscope, whose stage would be moved and whose sample "
            "would be lit; give --real to allow it, with the sample in focus and room for the "
            "objective, or a simulated rig"
        )
    return rig


def _chosen(names: list[str]) -> tuple[list[ModelSpec], list[str]]:
    """Engines to measure, and why others are left out. Raises `UserError` where none is left."""
    from liverestore.model_spec import engine_problems, find_engine, list_engines

    if names:
        chosen = [find_engine(name) for name in dict.fromkeys(names)]
        left_out: list[str] = []
        others = [spec for spec in chosen if spec.task != "refocus"]
        if others:
            raise UserError(
                f"bench --refocus: got {others[0].name!r}, whose task is {others[0].task}; allowed "
                "are engines of the task refocus: a camera has a true frame for those alone"
            )
        return chosen, left_out
    problems = engine_problems()
    found = [spec for spec in list_engines() if spec.name not in problems]
    chosen = [spec for spec in found if spec.task == "refocus"]
    left_out = list(problems.values())
    left_out += [
        f"{spec.name}: goes to a confocal picture, of which a camera has no true frame; see "
        "bench --quality"
        for spec in found
        if spec.refocuses and spec.task != "refocus"
    ]
    if not chosen:
        raise UserError(
            "bench --refocus: no engine of the task refocus is installed; train one with "
            "liverestore train deepz"
        )
    return chosen, left_out


def _stage_um(
    asked: tuple[float, ...], reach_um: float, engines: list[ModelSpec]
) -> tuple[float, ...]:
    """Raises `UserError` beyond the reach."""
    from liverestore.quality.refocusing_by_stage import STAGE_UM
    from liverestore.refocus import check_reach

    if not asked:
        return tuple(z for z in STAGE_UM if abs(z) <= reach_um)
    for z_um in asked:
        for spec in engines:
            check_reach(-z_um, spec, f"--z {z_um:g}")
    return tuple(dict.fromkeys(asked))


def _opened(
    rig: RigConfig, stack: ExitStack, console: Console
) -> tuple[MeteredCamera, Truth | None, float]:
    """The camera, its light without noise where it has one, and where its focus is, in um."""
    if rig.source.kind == "simulated":
        from liverestore.camera.simulated_core import SimulatedCoreSource

        simulated = SimulatedCoreSource(rig)

        def truth(frame: Frame) -> NDArray[np.float32]:
            return simulated.microscope.truth(int(frame.header.metadata["SimulatedFrame"]))

        return _metered(simulated, rig, stack, console), truth, 0.0
    from liverestore.camera.open import open_core_source

    camera = _metered(open_core_source(rig), rig, stack, console)
    z_um = camera.snap().header.z_um
    if z_um is None:
        raise UserError(
            f"rig {rig.origin or rig.name}: has no focus drive; set source.focus_device or the "
            "core's Focus device"
        )
    return camera, None, z_um


def _metered(
    source: MicroManagerSource, rig: RigConfig, stack: ExitStack, console: Console
) -> MeteredCamera:
    """`source`, started; every exposure goes to the account of the rig."""
    from liverestore.service.light_open import open_light_of
    from liverestore.service.metered_camera import MeteredCamera

    light = open_light_of(rig)
    stack.callback(source.stop)
    camera = MeteredCamera(source, source.start(), light)
    stack.callback(_end_light, light, console)
    return camera


def _end_light(light: LightKeeper, console: Console) -> None:
    light.save()
    for notice in light.notices:
        console.print(Text(notice, style="yellow"))


def _look_at_budget(camera: MeteredCamera, rig: RigConfig, frames: int) -> None:
    from liverestore.rig_light import lamp_of
    from liverestore.service.metered_camera import refuse_beyond

    channel = next((one.name for one in rig.channels), None)
    lamp = lamp_of(rig.illumination, rig.channels, channel)
    lit_ms = frames * (camera.exposure_ms or 0.0)
    refuse_beyond(camera.light, "the comparison", lamp.irradiance_mw_cm2, lit_ms)


def _run(
    source: MeteredCamera, truth: Truth | None, focus_um: float, rig: RigConfig, frames: int
) -> ByStage:
    from liverestore.quality.refocusing_by_stage import ByStage
    from liverestore.rig_camera import camera_of
    from liverestore.rig_optics import optics_of

    camera = camera_of(rig.camera)
    assert camera is not None, "checked before anything was opened"
    return ByStage(
        source=source,
        focus_um=focus_um,
        camera=camera,
        optics=optics_of(rig),
        frames=frames,
        truth=truth,
        reference_frames=_REFERENCE_FRAMES,
        # A real stage was asked where it stands by a snap.
        exposures=0 if truth is not None else 1,
    )


def _say(
    console: Console, rig: RigConfig, engines: list[Engine], run: ByStage, first_um: float
) -> None:
    from liverestore.refocus import aim

    header = run.taken(first_um)[0].header
    height, width = header.shape
    console.print(
        Text(
            f"{rig.name}: {width}x{height} px of {run.optics.pixel_size_um:g} um, "
            f"{header.exposure_ms:g} ms; focus at {run.focus_um:g} um of the stage"
            + (", the specimen at rest" if run.truth is not None else "")
        )
    )
    for engine in engines:
        for words in aim(0.0, header, engine.spec, run.optics).warnings:
            console.print(Text(f"note: {words}", style="yellow"))


def _finish(run: ByStage, console: Console) -> None:
    run.back()
    console.print(
        Text(f"light: {run.exposures} exposures in all; the stage is back at {run.focus_um:g} um")
    )
