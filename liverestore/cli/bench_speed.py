"""`liverestore bench` for speed: runs the cases, shows and keeps what they gave."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.text import Text

from liverestore.errors import LiverestoreError, UserError

if TYPE_CHECKING:
    from liverestore.model_spec import ModelSpec
    from liverestore.speed.gpu_case import GpuCase
    from liverestore.speed.plan import Case, Tell
    from liverestore.speed.records import GpuAnswer, Machine, Peak, SpeedAnswer, SpeedRow

__all__ = ["bench_gpu", "bench_speed"]

_SIZES = (512,)
_SECONDS = 10.0
_GPU_SECONDS = 3.0


@dataclass(slots=True)
class _Found:
    """What was measured so far."""

    machine: Machine
    rows: list[SpeedRow] = field(default_factory=list)
    peaks: dict[str, Peak] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    bandwidth: float | None = None

    def take(self, rows: list[SpeedRow], peaks: list[Peak]) -> None:
        """Rows of a case, and its peaks where they are higher than those before."""
        self.rows += rows
        for peak in peaks:
            known = self.peaks.get(peak.precision)
            if known is None or known.flop_per_s < peak.flop_per_s:
                self.peaks[peak.precision] = peak

    def answer(self, *, complete: bool, gpu: GpuAnswer | None = None) -> SpeedAnswer:
        """All of it, for JSON."""
        from liverestore.speed.machine import versions
        from liverestore.speed.records import SpeedAnswer
        from liverestore.version import __version__

        return SpeedAnswer(
            liverestore=__version__,
            measured_utc=datetime.now(UTC).isoformat(timespec="seconds"),
            complete=complete,
            machine=self.machine,
            versions=versions(),
            peaks=list(self.peaks.values()),
            bandwidth_bytes_per_s=self.bandwidth,
            rows=self.rows,
            left_out=self.left_out,
            gpu=gpu,
        )


def bench_speed(
    names: list[str], sizes: tuple[int, ...], seconds: float | None, json_file: Path | None
) -> None:
    """Measure engines by name, or all packages, at `sizes`; show tables and write JSON.

    Raises `UserError` for names that are not installed, `typer.Exit` 130 after Ctrl-C and 1
    where an engine failed.
    """
    from liverestore.speed.machine import describe
    from liverestore.speed.peak import copy_bandwidth

    specs, skipped = _specs(names)
    found = _Found(describe(), left_out=skipped)
    failed = interrupted = False
    with _status() as tell:
        try:
            tell("memory bandwidth")
            found.bandwidth = copy_bandwidth(found.machine.cores)
            for spec in specs:
                for edge in sizes or _SIZES:
                    failed |= not _measure(spec, edge, seconds or _SECONDS, found, tell)
        except KeyboardInterrupt:
            interrupted = True
    _finish(found.answer(complete=not interrupted and not failed), json_file, interrupted, failed)


def _specs(names: list[str]) -> tuple[list[ModelSpec], list[str]]:
    """Engines by name, or every package; and why not the others."""
    from liverestore.model_spec import BUILT_IN, engine_problems, find_engine, list_engines

    if names:
        return [find_engine(name) for name in dict.fromkeys(names)], []
    problems = engine_problems()
    specs = [spec for spec in list_engines() if spec.name not in {*BUILT_IN, *problems}]
    if not specs:
        raise UserError(
            "bench: no engine package is installed; name a filter (mean5, median5), or install "
            "engines and see them with: liverestore engines"
        )
    return specs, list(problems.values())


def _measure(spec: ModelSpec, edge: int, seconds: float, found: _Found, tell: Tell) -> bool:
    """False where the engine failed; its reason is kept, and so is what was measured before."""
    case = _case(spec, edge, found)
    with case:
        try:
            case.open(tell)
            tell(f"{case.title}: measuring")
            case.race(seconds, lambda spent: tell(f"{case.title}: {spent:.0f} of {seconds:.0f} s"))
        except LiverestoreError as error:
            found.left_out.append(f"{case.title}: {error}")
            return False
        finally:
            found.take(case.rows(), case.peaks())
    return True


def _case(spec: ModelSpec, edge: int, found: _Found) -> Case | GpuCase:
    """Where `live` would run it: on the GPU with a GPU's peers, or on the processor."""
    from liverestore.runtime.table import choose
    from liverestore.speed.gpu_case import GPU_PEERS, GpuCase
    from liverestore.speed.plan import Case

    choice = choose(spec).backend
    if choice is not None and choice.gpu:
        return GpuCase(spec, (edge, edge), GPU_PEERS)
    return Case(spec, (edge, edge), bandwidth=found.bandwidth)


def bench_gpu(
    names: list[str], sizes: tuple[int, ...], seconds: float | None, json_file: Path | None
) -> None:
    """Everything that only a GPU shows.

    Raises `UserError` where there is none, `typer.Exit` 130 after Ctrl-C and 1 where nothing
    could be measured.
    """
    from liverestore.runtime.gpu import find_gpu

    if names:
        raise UserError(
            f"--gpu measures the networks of the papers and denoise-live; got {', '.join(names)}: "
            "leave the names out, or leave --gpu out (engines run on the GPU by themselves)"
        )
    gpu = find_gpu()
    if isinstance(gpu, str):
        raise UserError(f"--gpu: {gpu}; run bench without --gpu, or on a machine with a GPU")

    from liverestore.speed.gpu_plan import SIZES, GpuPlan
    from liverestore.speed.machine import describe

    plan = GpuPlan(seconds or _GPU_SECONDS, sizes or SIZES)
    found = _Found(describe())
    interrupted = False
    with _status() as tell:
        try:
            plan.run(tell)
        except KeyboardInterrupt:
            interrupted = True
    found.left_out += plan.left_out
    found.bandwidth = plan.bandwidth
    found.take(plan.rows, list(plan.peaks.values()))
    answer = found.answer(complete=not interrupted and not plan.left_out, gpu=plan.answer())
    _finish(answer, json_file, interrupted, not plan.rows)


@contextmanager
def _status() -> Iterator[Tell]:
    """What is being done, on one line of the terminal; nothing where there is none."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _line: None
        return
    with console.status("starting") as status:
        yield lambda line: status.update(Text(line))


def _finish(answer: SpeedAnswer, json_file: Path | None, interrupted: bool, failed: bool) -> None:
    from liverestore.cli.bench import INTERRUPTED, write_json
    from liverestore.cli.bench_speed_tables import show_speed

    console = Console(highlight=False)
    show_speed(answer, console)
    if json_file is not None:
        write_json(json_file, answer)
        console.print(Text(f"all figures: {json_file}"), soft_wrap=True)
    if interrupted:
        console.print("interrupted: the figures are of what was measured until then")
        raise typer.Exit(INTERRUPTED)
    if failed:
        raise typer.Exit(1)
