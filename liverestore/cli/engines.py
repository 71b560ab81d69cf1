"""`liverestore engines`: what is installed, for what, how fast here; more of them, or fewer."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import numpy as np
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from liverestore.errors import LiverestoreError

if TYPE_CHECKING:
    from liverestore.model_spec import ModelSpec

__all__ = ["EngineInfo", "engines_app", "installed"]

engines_app = typer.Typer(add_completion=False, invoke_without_command=True)

_TRIAL_SHAPE = (512, 512)
_TRIAL_S = 0.5
_TRIAL_RUNS = 15


class EngineInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One installed engine, as `liverestore engines --json` gives it."""

    name: str
    task: str
    version: str
    description: str
    photon_range_e: tuple[float, float] | None
    """Photoelectrons at the brightest place that it was trained for."""
    pixel_size_range_um: tuple[float, float] | None
    """Edge of a pixel in the sample that it was trained for."""
    reach_um: float | None
    """How far it refocuses to either side; None where it does not."""
    optics: dict[str, tuple[float, float]] | None
    """Microscopes that it was trained for, lowest and highest value of each field; None where
    it depends on none or its card does not say."""
    size_bytes: int
    """Of the weights; 0 for a filter."""
    sha256: str
    folder: str | None
    runtime: str | None
    """What serves it here; None where nothing can."""
    why: dict[str, str]
    """Back ends that come before it, or all, and why they do not serve it."""
    ms_512: float | None
    """Milliseconds from frame to restored frame at 512x512; median of a short warm run."""


class _Answer(msgspec.Struct, frozen=True):
    engines: list[EngineInfo]
    problems: dict[str, str]
    """Packages that cannot be used, with the reason."""


@engines_app.callback()
def engines(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """List the installed engines: for what, how large, what runs them, how fast here.

    `add` installs models of the BioImage Model Zoo, `remove` takes them away again.
    """
    if context.invoked_subcommand is None:
        _list(as_json=as_json)


@engines_app.command("list")
def list_(as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """List the installed engines, as without a command."""
    _list(as_json=as_json)


@engines_app.command("add")
def add(
    package: Annotated[
        Path, typer.Argument(metavar="PATH_OR_ZIP", help="Folder or .zip of the model.")
    ],
    name: Annotated[str | None, typer.Option(help="Its name here; else from its card.")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace your engine of that name.")
    ] = False,
) -> None:
    """Install a model of the BioImage Model Zoo (format 0.4 or 0.5, ONNX weights).

    It must make one picture of one picture. Its test input is put through the
    runtime here first: a model that gives another output than its package
    says is refused, with the figures. Engines that `train` made are taken too.
    """
    from liverestore.cli.engine_add import add_engine

    added = add_engine(package, name, replace=force)
    spec = added.spec
    console = Console(highlight=False, soft_wrap=True)
    console.print(Text(f"engine '{spec.name}' is installed: {spec.folder}"))
    console.print(Text(f"its test on {added.outcome.runtime}: {added.outcome.words()}"))
    for note in added.notes:
        console.print(Text(f"note: {note}", style="yellow"))


@engines_app.command("remove")
def remove(name: Annotated[str, typer.Argument(help="One of your own engines.")]) -> None:
    """Delete an engine that you added or trained; shipped ones stay."""
    from liverestore.cli.engine_add import remove_engine

    typer.echo(f"removed {remove_engine(name)}")


def _list(*, as_json: bool) -> None:
    from liverestore.model_spec import engine_problems

    problems = engine_problems()
    answer = _Answer([info for info in installed() if info.name not in problems], problems)
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(answer), indent=2).decode())
    else:
        _show(answer)


def installed() -> list[EngineInfo]:
    """Every engine that can be read, with the time it takes here (about a second each)."""
    from liverestore.model_spec import list_engines

    return [_info(spec) for spec in list_engines()]


def _info(spec: ModelSpec) -> EngineInfo:
    from liverestore.runtime.table import choose

    choice = choose(spec)
    why = dict(choice.refused)
    runtime, ms = None, None
    if choice.backend is not None:
        try:
            runtime, ms = _time(spec)
        except LiverestoreError as error:
            why[choice.backend.name] = str(error)
    weights = spec.weights
    return EngineInfo(
        name=spec.name,
        task=spec.task,
        version=spec.version,
        description=spec.description,
        photon_range_e=spec.photon_range_e,
        pixel_size_range_um=spec.pixel_size_range_um,
        reach_um=spec.reach_um,
        optics=None if spec.optics is None else spec.optics.ranges(),
        size_bytes=weights.stat().st_size if weights is not None and weights.is_file() else 0,
        sha256=spec.sha256,
        folder=None if spec.folder is None else str(spec.folder),
        runtime=runtime,
        why=why,
        ms_512=ms,
    )


def _ms(value: float) -> str:
    """Three digits, so that a slow machine does not widen the column."""
    return f"{value:.1f}" if value < 99.95 else f"{value:.0f}"


def _time(spec: ModelSpec) -> tuple[str, float]:
    """The runtime that serves `spec` and the ms it takes for one whole frame."""
    from liverestore.camera_model import CameraModel
    from liverestore.frame import Frame, FrameHeader
    from liverestore.optics import Optics
    from liverestore.restore import restore
    from liverestore.runtime.base import whole_of
    from liverestore.runtime.table import open_runtime

    camera = CameraModel(100.0, 0.5, 1.5)
    light = np.random.default_rng(0).poisson(20, _TRIAL_SHAPE)
    header = FrameHeader(
        run_id="trial",
        number=0,
        shape=_TRIAL_SHAPE,
        dtype="uint16",
        captured_ns=0,
        captured_utc="",
        camera="",
    )
    frame = Frame((light / 0.5 + 100).astype(np.uint16), header)
    # As `live` runs it.
    runtime = open_runtime(spec, precision="fast")
    # Any distance and any optics take the same time.
    dpm, optics = (0.0, Optics(0.8, 550.0, 1.0, 1.33, 0.325)) if spec.refocuses else (None, None)
    try:
        runtime.warm_up(_TRIAL_SHAPE)
        way: dict[str, Any] = {"dpm": dpm, "optics": optics, "whole": whole_of(runtime)}
        restore(frame, spec, runtime.infer, camera, **way)
        took: list[float] = []
        while len(took) < _TRIAL_RUNS and sum(took) < _TRIAL_S:
            started = time.perf_counter()
            restore(frame, spec, runtime.infer, camera, **way)
            took.append(time.perf_counter() - started)
        return runtime.description, round(1e3 * statistics.median(took), 2)
    finally:
        runtime.close()


def _show(answer: _Answer) -> None:
    console = Console(highlight=False)
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("engine", overflow="fold")
    table.add_column("task")
    table.add_column("photons", justify="right", no_wrap=True)
    table.add_column("version", no_wrap=True)
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("runs here on")
    table.add_column("ms", justify="right")
    for info in answer.engines:
        table.add_row(
            Text(info.name),
            Text(info.task if info.reach_um is None else f"{info.task} \u00b1{info.reach_um:g} um"),
            "-" if info.photon_range_e is None else "{:g}-{:g}".format(*info.photon_range_e),
            Text(info.version),
            _readable(info.size_bytes),
            Text(info.runtime or "nothing", style="" if info.runtime else "red"),
            "-" if info.ms_512 is None else _ms(info.ms_512),
        )
    console.print(table)
    console.print("ms: one frame of 512x512, counts to counts, on this machine", style="dim")
    for info in answer.engines:
        if info.reach_um is not None:
            console.print(Text(_made_for(info), style="dim"))
    for info in answer.engines:
        if info.runtime is None:
            reasons = "; ".join(f"{name}: {why}" for name, why in info.why.items())
            console.print(Text(f"{info.name} cannot run here: {reasons}", style="red"))
    for text in answer.problems.values():
        console.print(Text(text, style="red"))
    if not any(info.folder for info in answer.engines):
        from liverestore.paths import engine_folders

        folders = " or ".join(map(str, engine_folders()))
        console.print(Text(f"no engine package in {folders}", style="yellow"))


_FIELDS = {
    "numerical_aperture": "NA {}",
    "wavelength_nm": "{} nm",
    "immersion_index": "immersion {}",
    "sample_index": "sample {}",
    "depth_um": "depth {} um",
}


def _made_for(info: EngineInfo) -> str:
    """The microscopes that a refocusing engine was trained for, in one line."""
    parts = [
        text.format(_span(info.optics[name]))
        for name, text in _FIELDS.items()
        if info.optics is not None and name in info.optics
    ]
    if info.pixel_size_range_um is not None:
        parts.append(f"pixels {_span(info.pixel_size_range_um)} um")
    return f"{info.name}: made for {', '.join(parts) or 'one microscope, see its card'}"


def _span(limits: tuple[float, float]) -> str:
    low, high = limits
    return f"{low:g}" if low == high else f"{low:g}-{high:g}"


def _readable(size_bytes: int) -> str:
    if size_bytes == 0:
        return "-"
    return f"{size_bytes / 1e6:.1f} MB" if size_bytes >= 1e5 else f"{size_bytes / 1e3:.1f} kB"
