"""What `live` and `demo` share: from a rig and an engine to a finished run."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from liverestore.cli.engine_at import refuse_file, refuse_references
from liverestore.cli.light_options import LightAsked, light_line
from liverestore.cli.rate_text import rate_text
from liverestore.cli.refocus_options import live_dpm_asked, live_zstack_asked
from liverestore.model_spec import find_engine
from liverestore.rig import RigConfig
from liverestore.service.capture import capture_process
from liverestore.service.engine import engine_process
from liverestore.service.plan import CAMERA_PATIENCE_S, FarMachine, RunEndpoints, RunPlan
from liverestore.service.remote_engine import remote_engine_process
from liverestore.service.result import RunResult
from liverestore.service.spawn import Target
from liverestore.service.supervisor import Supervisor
from liverestore.status import EngineReport, RestoredReport, RunStatus
from liverestore.transport.endpoint import PrivateEndpoints
from liverestore.trust.reference_report import score_words
from liverestore.writer.names import SaveFormat

__all__ = ["DEFAULT_ENGINE", "run_plan", "summarise"]

DEFAULT_ENGINE = "denoise-live"

_ENGINE_PATIENCE_S = 30.0


def run_plan(
    rig: RigConfig,
    engine: str,
    *,
    view: Target | None,
    frames: int | None = None,
    save: tuple[Path, Path] | None = None,
    save_format: SaveFormat = "ome-zarr",
    seconds: float | None = None,
    view_outlives_run: bool = False,
    z: float | None = None,
    dpm: str | None = None,
    zstack: str | None = None,
    light: LightAsked | None = None,
    server: FarMachine | None = None,
    show_in_micro_manager: bool = False,
    camera_patience_s: float = CAMERA_PATIENCE_S,
    console: Console,
) -> tuple[RunPlan, RunResult]:
    """Run to the end, with a line of progress on `console` where there is no window.

    `save` names the raw and the restored file that are recorded from the first frame on;
    recordings that begin while live go beside them, else to the user's documents.

    `z` (um) or `dpm` is where refocusing engines begin, and `zstack` the virtual stack that they
    make of each frame as well. `light` is what the command line asks of the light, `server` the
    machine that restores instead of this one. `show_in_micro_manager` shows results there too.
    Without a window the run ends after `camera_patience_s` without a camera, or without a frame of
    it.

    Raises `UserError` for an engine that is not installed, for one that refocuses with a rig
    that leaves out its optics, and for a `z`, `dpm` or `zstack` that does not fit, before anything
    starts.
    """
    engines = {channel.name: channel.engine for channel in rig.channels if channel.engine}
    specs = {name: find_engine(name) for name in (engine, *engines.values())}
    # Where every channel has an engine of its own, the one for all others has nothing to do.
    at_work = {engines.get(channel.name, engine) for channel in rig.channels} or {engine}
    used = [spec for name, spec in specs.items() if name in at_work]
    refuse_file(server, dpm)
    target = live_dpm_asked(used, rig, z, dpm)
    stack = live_zstack_asked(used, rig, zstack)
    asked = light or LightAsked()
    refuse_references(server, asked.references)
    with PrivateEndpoints() as endpoint:
        plan = RunPlan(
            rig=rig,
            engine=engine,
            engines=engines,
            endpoints=RunEndpoints(endpoint("control"), endpoint("raw"), endpoint("restored")),
            frames=frames,
            raw_path=save[0] if save else None,
            restored_path=save[1] if save else None,
            record_folder=save[0].parent if save else None,
            save_format=save_format,
            stop_on_write_error=view is None,
            seconds=seconds,
            dpm=target,
            zstack=stack,
            dose_budget_j_cm2=asked.budget_j_cm2,
            new_sample=asked.new_sample,
            interval_s=asked.interval_s,
            hold_light_ms=asked.hold_light_ms,
            references=asked.references,
            end_at_budget=view is None,
            engine_server=server,
            show_in_micro_manager=show_in_micro_manager,
            camera_patience_s=camera_patience_s if view is None else None,
        )
        restores = engine_process if server is None else remote_engine_process
        targets: dict[str, Target] = {"engine": restores, "capture": capture_process}
        if view is not None:
            targets["view"] = view
        with _Progress(console, frames) as progress:
            supervisor = Supervisor(
                plan,
                targets,
                on_status=progress.show,
                engine_patience_s=_ENGINE_PATIENCE_S,
                view_outlives_run=view_outlives_run,
            )
            result = supervisor.run()
    return plan, result


class _Progress:
    """One line that follows the run; nothing where the output is no terminal."""

    def __init__(self, console: Console, frames: int | None) -> None:
        self._bar = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[text]}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._console = console
        self._task = self._bar.add_task("starting", total=frames, text="")
        self._noticed: tuple[str, ...] = ()
        self._told: tuple[str, ...] = ()

    def __enter__(self) -> _Progress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, status: RunStatus) -> None:
        for lines, told, style in (
            (status.notices, self._noticed, "yellow"),
            (status.events, self._told, "dim"),
        ):
            for line in lines:
                if line not in told:
                    self._console.print(
                        line, style=style, markup=False, highlight=False, soft_wrap=True
                    )
        self._noticed, self._told = status.notices, status.events
        rate = "" if status.restore_fps is None else f" at {rate_text(status.restore_fps)}"
        text = f"{status.captured} captured, {status.lost} lost, {status.restored} restored{rate}"
        paused = status.state == "running" and not status.live
        state: str = "paused" if paused else status.state
        if status.absence is not None:
            state = "no camera"
        self._bar.update(self._task, description=state, completed=status.captured, text=text)


def summarise(plan: RunPlan, result: RunResult, console: Console) -> None:
    """The end of a run in a few lines."""
    capture, engine = result.capture, result.engine
    if result.failure is not None and capture.captured == 0:
        return  # the reason says it all
    lost = f"[red]{capture.lost} lost[/red]" if capture.lost else "0 lost"
    if capture.unseen is not None:
        lost = f"{capture.unseen} more of Micro-Manager's not seen between two looks"
    failed = f", {engine.failed} of them not restorable" if engine and engine.failed else ""
    written = f", {capture.written} written" if plan.raw_path or result.recordings else ""
    console.print(
        f"{capture.captured} frames captured, {lost}{written}; "
        f"{capture.restored} restored, {capture.dropped} dropped (a newer one was there){failed}",
        highlight=False,
        soft_wrap=True,
    )
    if engine is not None and engine.age_p50_ms is not None and capture.fps is not None:
        console.print(
            f"camera {rate_text(capture.fps)}, {_engines(plan, engine)} "
            f"{rate_text(engine.fps or 0)} "
            f"({engine.runtime}), capture to result {engine.age_p50_ms:.0f} ms "
            f"(p95 {engine.age_p95_ms or 0:.0f} ms)",
            highlight=False,
            soft_wrap=True,
        )
    if capture.light is not None and capture.light.exposures > 0:
        console.print(light_line(capture.light), highlight=False, soft_wrap=True, markup=False)
    if engine is not None and engine.reference is not None:
        words = f"reference shot {engine.reference.number}: {score_words(engine.reference)}"
        console.print(words, highlight=False, soft_wrap=True, markup=False)
    for recording in result.recordings:
        more = f", {recording.lost} not" if recording.lost else ""
        console.print(
            f"raw: {recording.raw} ({recording.frames} frames written{more})",
            highlight=False,
            soft_wrap=True,
            markup=False,
        )
        for file in result.restored_of(recording):
            console.print(
                f"restored: {file.path} ({_content(file)})",
                highlight=False,
                soft_wrap=True,
                markup=False,
            )


def _content(file: RestoredReport) -> str:
    if not file.closed:
        return "not closed, because the engine died: has what was written until then"
    if file.planes == 1:
        return f"{file.frames} frames"
    stacks = file.frames // file.planes
    return f"{stacks} virtual stack{'s' if stacks != 1 else ''} of {file.planes} planes"


def _engines(plan: RunPlan, engine: EngineReport) -> str:
    """The engine of the run, or that of every channel where they differ."""
    if not engine.engines:
        return engine.engine
    # A replayed movie may have channels that the rig does not name.
    names = [channel.name for channel in plan.rig.channels]
    names += [name for name in engine.engines if name not in names]
    parts = [f"{name} {engine.engines.get(name, engine.engine)}" for name in names]
    if not plan.rig.channels:
        parts.insert(0, engine.engine)
    return ", ".join(parts) + ":"
