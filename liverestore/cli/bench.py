"""`liverestore bench`: how fast engines are, or how well they restore, beside others."""

from __future__ import annotations

import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.console import Console
from rich.text import Text

from liverestore.errors import UserError
from liverestore.file_moves import move_over

if TYPE_CHECKING:
    from liverestore.quality.methods import Engine
    from liverestore.quality.plan import Measured, Plan
    from liverestore.quality.records import Score

__all__ = ["INTERRUPTED", "bench", "measure_plan", "open_engines", "write_json"]

INTERRUPTED = 130
"""Exit code of a program that Ctrl-C ended (128 + SIGINT)."""


class PartAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One test in the JSON."""

    key: str
    title: str
    notes: tuple[str, ...]
    columns: str
    """What stands side by side in the table: "metrics" or "conditions"."""
    shown: tuple[str, ...]
    """Metrics that the table has; the scores have all."""
    seconds: float
    steps_done: int
    steps: int
    """Fewer done than there are: the scores are means over what was measured."""
    problem: str | None
    scores: list[Score]


class EngineAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One engine in the JSON."""

    name: str
    task: str
    version: str
    sha256: str
    runtime: str


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What `--json` writes."""

    liverestore: str
    measured_utc: str
    complete: bool
    engines: list[EngineAnswer]
    metrics: dict[str, str]
    """Key -> what it means. An infinite width or period is null."""
    left_out: list[str]
    tests: list[PartAnswer]


def bench(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="ENGINE", help="Installed names or package folders; else all."),
    ] = None,
    quality: Annotated[
        bool, typer.Option("--quality", help="Measure how well engines restore.")
    ] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write all figures there.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="With --quality: folder of real test images."),
    ] = None,
    size: Annotated[
        list[int] | None,
        typer.Option(metavar="PX", min=16, max=8192, help="Edge of the frames; may be repeated."),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(min=0.1, max=3600, help="Spent on measuring each engine at each size."),
    ] = None,
    gpu: Annotated[
        bool, typer.Option("--gpu", help="Everything that only a GPU shows, in one run.")
    ] = False,
    refocus: Annotated[
        bool, typer.Option("--refocus", help="Refocus what the stage of --rig moved out of focus.")
    ] = False,
    rig: Annotated[
        str | None, typer.Option(help="With --refocus: a .toml file, or a name.")
    ] = None,
    z: Annotated[
        list[float] | None,
        typer.Option(metavar="UM", help="With --refocus: stage from focus; may be repeated."),
    ] = None,
    frames: Annotated[
        int | None,
        typer.Option(min=1, max=100, help="With --refocus: at each stage position; else 4."),
    ] = None,
    real: Annotated[
        bool, typer.Option("--real", help="With --refocus: move a stage that is not simulated.")
    ] = False,
) -> None:
    """Measure how fast engines are beside bare runtimes and the machine's own limits; with
    --quality, how well they restore beside classical methods; with --refocus, how well they
    bring back what the stage moved out of focus.

    Ctrl-C shows and keeps what was measured so far.
    """
    speed = size is not None or seconds is not None or gpu
    if refocus:
        if quality or speed or data is not None:
            raise UserError(
                "--refocus is a measurement of its own: leave out --quality, --data, --size, "
                "--seconds and --gpu"
            )
        if rig is None:
            raise UserError(
                "--refocus needs the microscope: give --rig, a simulated one such as demo_refocus"
            )
        from liverestore.cli.bench_refocus import StageAsked, bench_refocus

        if json_file is not None:
            _check_json(json_file)
        asked = StageAsked(rig, tuple(z or ()), frames or 4, real)
        bench_refocus(names or [], asked, json_file)
        return
    if rig is not None or z is not None or frames is not None or real:
        raise UserError("--rig, --z, --frames and --real are for bench --refocus")
    if quality and speed:
        raise UserError(
            "--quality measures no speed: leave out --size, --seconds and --gpu, or run bench twice"
        )
    if data is not None and not quality:
        raise UserError("--data is for bench --quality; speed is measured on made-up frames")
    if json_file is not None:
        _check_json(json_file)
    if not quality:
        from liverestore.cli.bench_speed import bench_gpu, bench_speed

        if gpu:
            bench_gpu(names or [], tuple(size or ()), seconds, json_file)
        else:
            bench_speed(names or [], tuple(size or ()), seconds, json_file)
        return
    if data is not None and not data.is_dir():
        raise UserError(
            f"--data {data}: there is no such folder; give one that is laid out as "
            "docs/quality.md says, or leave it out"
        )
    from liverestore.quality.plan import FILTERS, default_data, plan

    with ExitStack() as stack:
        engines, skipped = open_engines(names or [], stack, beside=tuple(FILTERS))
        filters, _ = open_engines(list(FILTERS), stack, beside=())
        made = plan(engines, filters, data or default_data())
        made.left_out[:0] = skipped
        measure_plan(made, [*engines, *filters], json_file)


def _check_json(file: Path) -> None:
    if file.is_dir():
        raise UserError(f"--json {file}: got a folder; give the name of a file")
    if not file.resolve().parent.is_dir():
        raise UserError(
            f"--json {file}: the folder {file.resolve().parent} is missing; make it, or give "
            "another name"
        )


def open_engines(
    names: list[str], stack: ExitStack, beside: tuple[str, ...]
) -> tuple[list[Engine], list[str]]:
    """Engines by name, or all that are installed but the filters; and why not the others.

    Those called `beside` are measured anyway, and not opened here.
    """
    from liverestore.model_spec import BUILT_IN, engine_problems, find_engine, list_engines
    from liverestore.quality.methods import Engine

    skipped: list[str] = []
    if not names:
        problems = engine_problems()
        specs = {s.name: s for s in list_engines() if s.name not in {*BUILT_IN, *problems}}
        skipped += problems.values()
    else:
        specs = {}
        for name in dict.fromkeys(name for name in names if name not in beside):
            spec = find_engine(name)
            specs[name if spec.name in specs else spec.name] = spec
    engines = [stack.enter_context(Engine(spec, name)) for name, spec in specs.items()]
    return engines, skipped


def measure_plan(made: Plan, engines: list[Engine], json_file: Path | None) -> None:
    """Run every test, show its table, and write the figures of `engines` where asked.

    Leaves the program with 130 after Ctrl-C and with 1 where a test ended early.
    """
    from liverestore.cli.bench_tables import show_test
    from liverestore.quality.plan import Measured
    from liverestore.quality.records import Tally

    console = Console(highlight=False)
    results: list[tuple[Measured, float]] = []
    interrupted = False
    for number, test in enumerate(made.tests, start=1):
        measured = Measured(test, Tally(test.key))
        started = time.monotonic()
        try:
            _with_bar(measured, f"{number} of {len(made.tests)}")
        except KeyboardInterrupt:
            interrupted = True
        results.append((measured, time.monotonic() - started))
        show_test(measured, console)
        if interrupted:
            break
    for reason in made.left_out:
        console.print(Text(f"left out: {reason}", style="yellow"))
    if json_file is not None:
        write_json(json_file, _answer(made, engines, results, interrupted))
        console.print(Text(f"all figures: {json_file}"), soft_wrap=True)
    if interrupted:
        console.print("interrupted: the figures are means over what was measured")
        raise typer.Exit(INTERRUPTED)
    failed = [m.test.title for m, _ in results if m.problem is not None]
    if failed:
        raise typer.Exit(1)


def _with_bar(measured: Measured, place: str) -> None:
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from liverestore.quality.plan import measure

    console = Console(stderr=True)
    with Progress(
        TextColumn(f"{place}, {measured.test.title}", markup=False),
        BarColumn(bar_width=24),
        TextColumn("{task.completed:.0f}/{task.total:.0f}"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:
        task = progress.add_task("", total=measured.test.steps)
        measure(measured, lambda: progress.advance(task))


def _answer(
    made: Plan,
    engines: list[Engine],
    results: list[tuple[Measured, float]],
    interrupted: bool,
) -> Answer:
    from liverestore.quality.records import METRICS
    from liverestore.version import __version__

    return Answer(
        liverestore=__version__,
        measured_utc=datetime.now(UTC).isoformat(timespec="seconds"),
        complete=not interrupted and all(m.problem is None for m, _ in results),
        engines=[
            EngineAnswer(
                name=engine.name,
                task=engine.spec.task,
                version=engine.spec.version,
                sha256=engine.spec.sha256,
                runtime=engine.runtime,
            )
            for engine in engines
        ],
        metrics={key: metric.explained for key, metric in METRICS.items()},
        left_out=made.left_out,
        tests=[
            PartAnswer(
                key=measured.test.key,
                title=measured.test.title,
                notes=measured.test.notes,
                columns=measured.test.columns,
                shown=measured.test.shown,
                seconds=round(seconds, 1),
                steps_done=measured.done,
                steps=measured.test.steps,
                problem=measured.problem,
                scores=measured.scores,
            )
            for measured, seconds in results
        ],
    )


def write_json(file: Path, answer: msgspec.Struct) -> None:
    """Write `answer`, whole or not at all. Raises `UserError`."""
    part = file.with_name(f"{file.name}.part")
    try:
        part.write_bytes(msgspec.json.format(msgspec.json.encode(answer), indent=2) + b"\n")
        move_over(part, file)
    except OSError as error:
        raise UserError(
            f"--json {file}: cannot be written: {error.strerror}; give another name"
        ) from error
