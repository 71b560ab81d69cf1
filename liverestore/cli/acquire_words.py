"""What `acquire` says: before, while and after."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from liverestore.acquisition_plan import AcquisitionPlan
from liverestore.camera.source import SourceInfo
from liverestore.service.acquisition import Outcome
from liverestore.service.acquisition_report import mean_interval_s
from liverestore.service.stage_watch import Stages

__all__ = ["begin_lines", "end_lines", "progress_of"]


def begin_lines(
    plan: AcquisitionPlan,
    left: int,
    pictures: int,
    info: SourceInfo,
    stages: Stages,
    done: Sequence[int],
) -> list[str]:
    """What is about to be taken: `left` exposures, each to become so many `pictures`."""
    sizes = [
        _count(len(plan.times_s), "time point"),
        _count(len(plan.positions), "position"),
        _count(plan.channel_count, "channel"),
    ]
    lines = []
    if any(done):
        lines.append(f"going on with time point {min(done) + 1} of {len(plan.times_s)}")
    planes = f", {pictures} virtual planes of each" if pictures > 1 else ""
    lines.append(
        f"{' x '.join(sizes)}: {_count(left, 'exposure')} of {info.shape[1]}x{info.shape[0]} px"
        f"{planes}"
    )
    focus = stages.focus_um()
    if focus is not None:
        lines.append(f"focus drive {stages.focus} stays at {focus:g} um")
    elif pictures > 1:
        lines.append("there is no focus drive whose position could be read")
    return lines


def end_lines(left: int, outcome: Outcome, pictures: int, runtime: str) -> list[str]:
    """What came of the `left` exposures that were to be taken."""
    stop = f"stopped before the last {left - outcome.exposures:,}: "
    stop = stop if outcome.exposures < left else ""
    planes = f" ({outcome.restored * pictures:,} planes)" if pictures > 1 else ""
    lines = [
        f"{stop}{_count(outcome.exposures, 'exposure')}, {outcome.light_s:.2f} s of light; "
        f"{outcome.restored:,} restored{planes} by {runtime}"
    ]
    interval_s = mean_interval_s(outcome)
    if interval_s is not None:
        late = outcome.late_s
        said = f"; {max(late):.2f} s late at most" if late else ""
        lines.append(f"from time point to time point {interval_s:.2f} s{said}")
    for label, drive in outcome.drives.items():
        span = f"{drive.lowest_um:g}"
        if drive.highest_um != drive.lowest_um:
            span += f" to {drive.highest_um:g}"
        lines.append(f"{label}: {span} um in {drive.readings} readings")
    for files in outcome.files:
        if files.raw.frames:
            lines.append(f"raw: {files.raw.path} ({_count(files.raw.frames, 'frame')})")
        if files.restored.frames:
            what = "plane" if pictures > 1 else "frame"
            count = _count(files.restored.frames, what)
            lines.append(f"restored: {files.restored.path} ({count})")
    if stop and outcome.exposures:
        lines.append("go on with the same options and --resume")
    return lines


@contextmanager
def progress_of(exposures: int) -> Iterator[Callable[[Outcome, str], None]]:
    """A bar on the terminal; what is given is called with the state and what is being done."""
    console = Console(stderr=True)
    with Progress(
        TextColumn("acquiring"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[doing]}"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:
        task = progress.add_task("", total=exposures, doing="")

        def show(outcome: Outcome, doing: str) -> None:
            progress.update(task, completed=outcome.exposures, doing=doing)

        yield show


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
