"""`liverestore train`: make an engine from simulated specimens or from one's own frames."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from liverestore.errors import UserError

if TYPE_CHECKING:
    from liverestore.training.fit import FitReport
    from liverestore.training.noise_diagnosis import NoiseDiagnosis

__all__ = ["train_app"]

_DEFAULT_N2N_S = 600.0
_DEFAULT_N2V_S = 120.0

train_app = typer.Typer(
    help="Train an engine and write its package.", no_args_is_help=True, add_completion=False
)

Out = Annotated[Path, typer.Option(help="Folder of the new engine.")]
Seconds = Annotated[float | None, typer.Option(min=1, help="Train so long.")]
Iterations = Annotated[int | None, typer.Option(min=1, help="Train so many steps.")]
Seed = Annotated[int, typer.Option(min=0, help="Same seed, same engine.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on where it stopped.")]
Force = Annotated[bool, typer.Option("--force", help="Replace OUT if it exists.")]
Bf16 = Annotated[
    bool, typer.Option("--bf16", help="Multiply in bfloat16: faster where the CPU has it.")
]
Threads = Annotated[int | None, typer.Option(min=1, help="Processor cores to take.")]


@train_app.callback()
def _train() -> None:
    """Train an engine and write its package."""


@train_app.command("n2n")
def n2n(
    frames: Annotated[
        Path | None,
        typer.Argument(help="Noisy movie, or folder of them; none: simulated specimens."),
    ] = None,
    out: Out = Path("engines/my-denoiser"),
    seconds: Seconds = None,
    iterations: Iterations = None,
    seed: Seed = 1,
    resume: Resume = False,
    force: Force = False,
    bf16: Bf16 = False,
    threads: Threads = None,
) -> None:
    """Train a live denoiser by Noise2Noise.

    Ctrl-C ends the training early: what is learned so far is kept, exported, and goes on
    with --resume. Without --seconds and --iterations it takes ten minutes.
    """
    _check_installed()
    from liverestore.training.fit import FitSettings
    from liverestore.training.n2n import N2nJob, train_n2n

    if seconds is None and iterations is None:
        seconds = _DEFAULT_N2N_S
    job = N2nJob(
        out=out,
        settings=FitSettings(iterations=iterations, seconds=seconds, bf16=bf16),
        seed=seed,
        frames=frames,
        resume=resume,
        replace=force,
        threads=threads,
    )
    with _progress() as show:
        report = train_n2n(job, show)
    _tell(report, out)


@train_app.command("n2v")
def n2v(
    frames: Annotated[Path, typer.Argument(help="Noisy movie or image, or a folder of them.")],
    out: Out = Path("engines/my-n2v"),
    seconds: Seconds = None,
    iterations: Iterations = None,
    seed: Seed = 1,
    resume: Resume = False,
    force: Force = False,
    bf16: Bf16 = False,
    threads: Threads = None,
) -> None:
    """Train a denoiser on noisy frames alone, by Noise2Void (N2V2).

    The noise is looked at first; where it is correlated along rows or columns, the masks
    follow it, and where whole rows share it, neighbouring frames teach each other. Without
    --seconds and --iterations it takes two minutes.
    """
    _check_installed()
    from liverestore.training.n2v import N2vJob, train_n2v

    if seconds is None and iterations is None:
        seconds = _DEFAULT_N2V_S
    job = N2vJob(
        frames=frames,
        out=out,
        seconds=seconds,
        iterations=iterations,
        seed=seed,
        resume=resume,
        replace=force,
        threads=threads,
        bf16=bf16,
    )

    def say(diagnosis: NoiseDiagnosis) -> None:
        Console(highlight=False, soft_wrap=True).print(diagnosis.words)

    with _progress() as show:
        report = train_n2v(job, show, say)
    _tell(report, out)


def _tell(report: FitReport, out: Path) -> None:
    console = Console(highlight=False, soft_wrap=True)
    ended = "stopped after" if report.interrupted else "trained for"
    console.print(f"{ended} {report.iterations} iterations, {report.seconds:.0f} s: {out}")
    if report.interrupted:
        console.print("go on with --resume --force")


@contextmanager
def _progress() -> Iterator[Callable[[int, float, float], None]]:
    """A bar on stderr; what it yields takes (iteration, loss, progress 0..1)."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    smooth = 0.0
    bar = Progress(
        TextColumn("training"),
        BarColumn(bar_width=32),
        TextColumn("iteration {task.fields[done]}, loss {task.fields[loss]:.4f}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    with bar:
        task = bar.add_task("training", total=1.0, done=0, loss=0.0)

        def show(iteration: int, loss: float, progress: float) -> None:
            nonlocal smooth
            smooth = loss if smooth == 0 else 0.98 * smooth + 0.02 * loss
            bar.update(task, completed=min(progress, 1.0), done=iteration, loss=smooth)

        yield show


def _check_installed() -> None:
    missing = [
        name for name in ("torch", "onnx", "bioimageio") if importlib.util.find_spec(name) is None
    ]
    if missing:
        raise UserError(
            f"training needs {', '.join(missing)}, not installed here; "
            "pip install 'liverestore[train]'"
        )
    # Better said now than after the training, when the package is written.
    spec, pydantic = metadata.version("bioimageio.spec"), metadata.version("pydantic")
    if _numbers(spec) < (0, 5, 13) and _numbers(pydantic) >= (2, 14):
        raise UserError(
            f"bioimageio.spec {spec} cannot check an engine with pydantic {pydantic}; "
            "pip install 'pydantic<2.14'"
        )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:3] if part.isdigit())
