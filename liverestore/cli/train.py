"""`liverestore train`: make an engine from simulated specimens or from one's own frames."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["train_app"]

train_app = typer.Typer(
    help="Train an engine and write its package.", no_args_is_help=True, add_completion=False
)


@train_app.callback()
def _train() -> None:
    """Train an engine and write its package."""


@train_app.command("n2n")
def n2n(
    frames: Annotated[
        Path | None,
        typer.Argument(help="Noisy movie, or folder of them; none: simulated specimens."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the new engine.")] = Path(
        "engines/my-denoiser"
    ),
    seconds: Annotated[float | None, typer.Option(min=1, help="Train so long.")] = None,
    iterations: Annotated[int | None, typer.Option(min=1, help="Train so many steps.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same engine.")] = 1,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where it stopped.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace OUT if it exists.")] = False,
    bf16: Annotated[
        bool, typer.Option("--bf16", help="Multiply in bfloat16: faster where the CPU has it.")
    ] = False,
    threads: Annotated[int | None, typer.Option(min=1, help="Processor cores to take.")] = None,
) -> None:
    """Train a live denoiser by Noise2Noise.

    Ctrl-C ends the training early: what is learned so far is kept, exported, and goes on
    with --resume. Without --seconds and --iterations it takes ten minutes.
    """
    import importlib.util

    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from liverestore.errors import UserError

    missing = [
        name
        for name in ("torch", "onnx", "bioimageio.spec")
        if not _installed(importlib.util, name)
    ]
    if missing:
        raise UserError(
            f"training needs {', '.join(missing)}, not installed here; "
            "pip install 'liverestore[train]'"
        )
    from liverestore.training.fit import FitSettings
    from liverestore.training.n2n import N2nJob, train_n2n

    if seconds is None and iterations is None:
        seconds = 600.0
    job = N2nJob(
        out=out,
        settings=FitSettings(iterations=iterations, seconds=seconds, bf16=bf16),
        seed=seed,
        frames=frames,
        resume=resume,
        replace=force,
        threads=threads,
    )
    console = Console(highlight=False, soft_wrap=True)
    bar = Progress(
        TextColumn("training"),
        BarColumn(bar_width=32),
        TextColumn("iteration {task.fields[done]}, loss {task.fields[loss]:.4f}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    smooth = 0.0
    with bar:
        task = bar.add_task("training", total=1.0, done=0, loss=0.0)

        def show(iteration: int, loss: float, progress: float) -> None:
            nonlocal smooth
            smooth = loss if iteration <= 1 or smooth == 0 else 0.98 * smooth + 0.02 * loss
            bar.update(task, completed=min(progress, 1.0), done=iteration, loss=smooth)

        report = train_n2n(job, show)
    ended = "stopped after" if report.interrupted else "trained for"
    console.print(
        f"{ended} {report.iterations} iterations, {report.seconds:.0f} s, loss {smooth:.4f}: {out}"
    )
    if report.interrupted:
        console.print("go on with --resume --force")


def _installed(util: object, name: str) -> bool:
    try:
        return util.find_spec(name) is not None  # type: ignore[attr-defined]
    except ModuleNotFoundError:
        return False
