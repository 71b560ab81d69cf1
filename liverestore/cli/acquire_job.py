"""From the options of `acquire` to an acquisition, its last lines and its report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec
from rich.console import Console
from rich.text import Text

from liverestore.acquisition_plan import HERE, AcquisitionPlan, channels_named, even_times
from liverestore.acquisition_positions import read_positions
from liverestore.camera.open import open_core_source
from liverestore.cli.acquire_light import refuse_acquisition
from liverestore.cli.acquire_words import begin_lines, end_lines, progress_of
from liverestore.cli.interrupt import INTERRUPTED, Interrupt
from liverestore.cli.light_options import light_asked, light_line
from liverestore.cli.refocus_options import Refocusing, refocusing_asked
from liverestore.errors import UserError
from liverestore.model_spec import find_engine
from liverestore.optics import Optics
from liverestore.rig import RigConfig, load_rig
from liverestore.rig_optics import optics_of
from liverestore.runtime.table import open_runtime
from liverestore.service.acquisition import AcquisitionLoop, Outcome
from liverestore.service.acquisition_engine import FrameRestorer, Goal, optics_by_channel
from liverestore.service.acquisition_files import AcquisitionFiles, check_space
from liverestore.service.acquisition_record import (
    AcquisitionRecord,
    Settings,
    last_record,
    new_record_path,
    save_record,
)
from liverestore.service.acquisition_report import acquisition_report
from liverestore.service.camera_knowledge import CameraKnowledge
from liverestore.service.light_open import open_light_of
from liverestore.service.light_sums import light_report
from liverestore.service.metered_camera import MeteredCamera
from liverestore.service.report import check_report, write_report
from liverestore.writer.names import SaveFormat, free_pairs
from liverestore.zstack import refocus_words

__all__ = ["Asked", "run_acquisition"]


@dataclass(frozen=True, slots=True)
class Asked:
    """The options, as they were given."""

    rig: str
    engine: str
    folder: Path
    save_format: SaveFormat = "ome-zarr"
    z: float | None = None
    zstack: str | None = None
    dpm: str | None = None
    time_points: int | None = None
    interval_s: float | None = None
    channels: str | None = None
    positions: tuple[str, ...] = ()
    sequence: Path | None = None
    resume: bool = False
    report: Path | None = None
    dose_budget_j_cm2: float | None = None
    new_sample: bool = False


def plan_of(asked: Asked, rig: RigConfig) -> AcquisitionPlan:
    """What is to be taken. Raises `UserError` for what cannot be, in one line."""
    if asked.sequence is not None:
        from liverestore.acquisition_sequence import read_sequence

        given = {
            "--time-points": asked.time_points is not None,
            "--interval": asked.interval_s is not None,
            "--channels": asked.channels is not None,
            "--positions": bool(asked.positions),
        }
        both = [name for name, there in given.items() if there]
        if both:
            raise UserError(
                f"got --sequence and {' and '.join(both)}; the sequence says all of it: leave out "
                "the one or the other"
            )
        plan = read_sequence(asked.sequence, rig.channels)
        # A sequence that names no channel takes those of the rig, as the options do.
        return plan if plan.channels else plan.with_channels(rig.channels)
    count = 1 if asked.time_points is None else asked.time_points
    times = even_times(count, asked.interval_s or 0.0)
    positions, notes = read_positions(asked.positions)
    channels = rig.channels
    if asked.channels is not None:
        channels = channels_named(asked.channels, rig.channels, rig.name)
    return AcquisitionPlan(times, positions or (HERE,), channels, notes)


def run_acquisition(asked: Asked, console: Console) -> int:
    """Take it, say what came of it, and give the exit code.

    Raises `UserError` and `Failure` for what prevents it, before any exposure.
    """
    rig, spec = load_rig(asked.rig), find_engine(asked.engine)
    refocusing = refocusing_asked(spec, asked.rig, asked.z, asked.zstack, asked.dpm)
    plan = plan_of(asked, rig)
    spending = light_asked(rig, asked.dose_budget_j_cm2, None, new_sample=asked.new_sample)
    if asked.report is not None:
        check_report(asked.report)
    notices = [*plan.notes]
    settings = Settings(
        rig=rig.name,
        engine=asked.engine,
        zstack=asked.zstack,
        dpm=asked.dpm if asked.z is None else f"{asked.z:g}",
        times_s=plan.times_s,
        positions=tuple((position.name, position.xy_um) for position in plan.positions),
        channels=plan.channels,
    )
    pairs, record_path, record, done = _places(asked, settings)
    rig = msgspec.structs.replace(rig, channels=plan.channels)
    source = open_core_source(rig)
    runtime = open_runtime(spec)
    try:
        info = source.start()
        if refocusing is not None:
            refocusing.check_frames(spec, info.shape, info.pixel_size_um)
        plan = plan.with_exposures(rig.camera.exposure_ms or info.exposure_ms)
        goal = _goal(refocusing, rig)
        left = sum(1 for _ in plan.visits(done)) * plan.channel_count
        check_space(record_path.parent, left, goal.pictures, info.shape, info.dtype)
        restorer = FrameRestorer(runtime, CameraKnowledge(rig.camera, notices.append), goal)
        restorer.prepare(info.shape, info.dtype)
        stages = source.stages()
        light = open_light_of(
            rig,
            record_path.parent,
            budget_j_cm2=spending.budget_j_cm2,
            new_sample=spending.new_sample,
        )
        camera = MeteredCamera(source, info, light)
        refuse_acquisition(light, plan, done, rig, rig.camera.exposure_ms or info.exposure_ms)
        for line in begin_lines(plan, left, goal.pictures, info, stages, done):
            console.print(Text(line))
        _say(console, notices)
        said = len(notices)
        save_record(record_path, record)
        files = AcquisitionFiles(
            pairs,
            channels=plan.channel_count,
            stack=None if refocusing is None else refocusing.stack,
            about=_about(refocusing, rig),
        )
        with Interrupt() as interrupt, progress_of(left) as show:
            loop = AcquisitionLoop(
                plan,
                camera,
                stages,
                files,
                restorer.made_of,
                done=done,
                stop=lambda: interrupt.asked,
                show=show,
            )
            outcome = loop.run()
        camera.light.save()
        notices += camera.light.notices
        notices += [f"{text} ({count} pictures)" for text, count in restorer.warnings.items()]
        _say(console, notices[said:])
    finally:
        runtime.close()
        source.stop()
    console.print(Text(light_line(light_report(camera.light.meter))))
    for line in end_lines(left, outcome, goal.pictures, runtime.description):
        console.print(Text(line))
    if asked.report is not None:
        write_report(asked.report, acquisition_report(settings, plan, outcome, notices))
    return _exit_code(outcome)


def _exit_code(outcome: Outcome) -> int:
    errors = Console(stderr=True, highlight=False, soft_wrap=True)
    if outcome.engine_error is not None:
        errors.print(
            Text(
                f"liverestore: frames after the first {outcome.restored} are not restored: "
                f"{outcome.engine_error}; all raw frames are kept: use `liverestore restore`"
            )
        )
    if outcome.error is not None:
        errors.print(Text(f"liverestore: {outcome.error}"))
        return outcome.error.exit_code
    if outcome.interrupted:
        return INTERRUPTED
    return 0 if outcome.engine_error is None else outcome.engine_error.exit_code


def _places(
    asked: Asked, settings: Settings
) -> tuple[list[tuple[Path, Path]], Path, AcquisitionRecord, list[int]]:
    """Files of each position, where the record is kept, the record, and time points done."""
    folder = asked.folder.expanduser().absolute()
    names = [name for name, _ in settings.positions]
    if not asked.resume:
        pairs = free_pairs(folder, names, asked.save_format)
        done = [0] * len(names)
        record = AcquisitionRecord(settings=settings).with_part(pairs, done)
        return pairs, new_record_path(folder), record, done
    path, before = last_record(folder)
    differs = before.settings.difference(settings)
    if differs is not None:
        raise UserError(
            f"--resume: {path.name} is of another acquisition ({differs}); give the options it was "
            "begun with, or leave out --resume"
        )
    done = before.done(folder)
    if min(done) >= len(settings.times_s):
        raise UserError(f"--resume: {path.name} is complete; leave out --resume to take another")
    pairs = free_pairs(folder, names, asked.save_format)
    return pairs, path, before.with_part(pairs, done), done


def _goal(refocusing: Refocusing | None, rig: RigConfig) -> Goal:
    if refocusing is None:
        return Goal()
    stack = refocusing.stack
    return Goal(
        planes_um=() if stack is None else stack.planes_um,
        dpm=refocusing.dpm,
        optics=optics_by_channel(rig),
    )


def _about(refocusing: Refocusing | None, rig: RigConfig) -> dict[str, str]:
    """What the restored files say of their making."""
    if refocusing is None:
        return {}
    if not rig.channels:
        return refocusing.words()
    target = refocusing.words()["refocused_to"]
    optics: dict[str | None, Optics] = {each.name: optics_of(rig, each) for each in rig.channels}
    return refocus_words(target, optics)


def _say(console: Console, notes: list[str]) -> None:
    for note in notes:
        console.print(Text(f"note: {note}", style="yellow"))
