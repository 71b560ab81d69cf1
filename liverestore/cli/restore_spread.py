"""`liverestore restore --workers` and `--dask`: big movies, restored by many workers at once."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import typer
from rich.console import Console
from rich.text import Text

from liverestore.camera_model import CameraModel
from liverestore.cli.backlog_recipe import camera_from, dpm_from, engine_from, optics_from
from liverestore.cli.interrupt import INTERRUPTED
from liverestore.cli.output_file import Made, header_at, open_output, replace_old
from liverestore.cli.rate_text import rate_text
from liverestore.cli.refocus_options import Refocusing
from liverestore.cli.spread_cluster import open_cluster
from liverestore.cli.spread_job import Spread, SpreadReport, job_name
from liverestore.cli.spread_worker import SpreadJob
from liverestore.errors import UserError
from liverestore.frame import Provenance
from liverestore.frame_record import FrameRecord
from liverestore.model_spec import ModelSpec
from liverestore.movie import Movie, open_movie
from liverestore.writer.layout import file_kind
from liverestore.zstack import ZStack

__all__ = ["How", "Where", "check_kind", "restore_spread", "resumed"]


@dataclass(frozen=True, slots=True)
class Where:
    """The workers: `workers` processes of this machine, or the cluster at `address`."""

    workers: int | None
    address: str | None


@dataclass(frozen=True, slots=True)
class How:
    """With what each frame is restored."""

    spec: ModelSpec
    camera: CameraModel
    refocusing: Refocusing | None
    dtype: str
    held: tuple[FrameRecord, ...] = ()
    """Records of the pictures that OUT has already."""

    @property
    def planes(self) -> int:
        """Pictures that are made of each frame."""
        stack = None if self.refocusing is None else self.refocusing.stack
        return 1 if stack is None else stack.count

    @property
    def planes_um(self) -> tuple[float, ...] | None:
        """Distances of a virtual stack; None without one."""
        stack = None if self.refocusing is None else self.refocusing.stack
        return None if stack is None else stack.planes_um

    @property
    def made(self) -> Provenance:
        """How the first of the pictures that are there was made."""
        made = self.held[0].provenance
        assert made is not None, "checked when they were read"
        return made


def check_kind(out: Path) -> None:
    """Raise `UserError` for a file that several workers cannot write."""
    if file_kind(out) != "ome-zarr":
        raise UserError(
            f"{out}: got a TIFF, which one process alone can write; give OUT the ending .ome.zarr, "
            "or leave out --workers and --dask"
        )


def restore_spread(
    movie: Movie, out: Path, how: How, where: Where, console: Console, *, force: bool = False
) -> SpreadReport:
    """Restore `movie` into the OME-Zarr `out` on all workers, and say what became of it.

    Raises `typer.Exit` with 130 after Ctrl-C, and `LiverestoreError` where a frame cannot be
    restored or written; then the frames before it are kept.
    """
    refocusing, about = how.refocusing, Made()
    if refocusing is not None:
        about = Made(refocusing.words(), refocusing.optics.pixel_size_um)
    sink, order = open_output(
        movie,
        out.expanduser(),
        force=force,
        planes=None if refocusing is None else refocusing.stack,
        about=about,
        held=len(how.held) if how.held else None,
    )
    what = "frames" if how.planes == 1 else "planes"
    with open_cluster(where.workers, where.address) as client:
        threads = None
        if where.workers is not None:
            threads = max(1, (os.cpu_count() or 1) // where.workers)
        job = SpreadJob(
            name=job_name(),
            source=movie.path.resolve(),
            out=sink.path.resolve(),
            layout=sink.layout,
            spec=how.spec,
            camera=how.camera,
            refocusing=refocusing,
            dtype=how.dtype,
            threads=threads,
        )
        client.wait_for_workers(1, timeout=60)
        count = len(client.nthreads())
        console.print(f"restoring on {count} {'worker' if count == 1 else 'workers'}")
        report, notes = Spread(client, job, sink, held=how.held).run(
            [int(index) for index in order], how.planes
        )
    notes.say(console, what)
    total = len(order) * how.planes
    if report.interrupted:
        console.print(
            f"stopped: {report.frames} of {total} {what} are restored, in {report.path}; go on "
            "with --resume"
        )
        raise typer.Exit(INTERRUPTED)
    path = report.path if how.held else replace_old(report.path, out.expanduser())
    _say(console, report, how, what, path)
    return report


def _say(console: Console, report: SpreadReport, how: How, what: str, path: Path) -> None:
    if report.mended:
        were = "1 frame was" if report.mended == 1 else f"{report.mended} frames were"
        console.print(Text(f"note: {were} damaged, and restored again", style="yellow"))
    if len(report.runtimes) > 1:
        console.print(
            Text(
                f"note: workers differ: {', '.join(report.runtimes)}; each frame's record says "
                "which it was",
                style="yellow",
            )
        )
    new = report.frames - len(how.held)
    what = what if new != 1 else what[:-1]
    seconds = max(report.seconds, 1e-9)
    console.print(
        f"{new} {what} restored by {how.spec.name} ({', '.join(report.runtimes)}) in "
        f"{seconds:.1f} s, {rate_text(new / seconds)}: {path}"
    )


# -- going on with a file ---------------------------------------------------------------


def resumed(movie: Movie, out: Path, measured: CameraModel | None) -> How | None:
    """How the pictures in `out` were made; None where none is missing.

    Raises `UserError` where `out` is not of `movie`, or does not say enough.
    """
    out = out.expanduser()
    if not out.is_dir():
        raise UserError(
            f"{out}: no such OME-Zarr to resume; leave out --resume to restore from the beginning"
        )
    with open_movie(out) as there:
        dtype = there.dtype.name
        records = _records(there)
    if not records:
        raise UserError(f"{out}: has no restored frame; replace it with --force")
    first = records[0].provenance
    assert first is not None, "checked when they were read"
    spec = engine_from(first)
    planes = _planes(records)
    refocusing = None
    if spec.refocuses:
        refocusing = Refocusing(
            dpm=None if planes is not None else dpm_from(first),
            stack=planes,
            optics=optics_from(first),
            confocal=spec.sections,
        )
    camera = camera_from(first, spec, measured)
    how = How(spec, camera, refocusing, dtype)
    whole = len(records) // how.planes * how.planes
    how = How(spec, camera, refocusing, dtype, tuple(records[:whole]))
    _check_same(movie, out, how)
    return None if whole == len(movie) * how.planes else how


def _records(there: Movie) -> list[FrameRecord]:
    found = []
    for index in range(len(there)):
        record = there.record(index)
        if record is None:
            break
        if record.provenance is None:
            raise UserError(
                f"{there.path}: got a file of raw frames; allowed are files that liverestore "
                "restored; give OUT another name and leave out --resume"
            )
        found.append(record)
    return found


def _planes(records: list[FrameRecord]) -> ZStack | None:
    """The virtual stack that each frame was made into."""
    z_um = []
    for record in records:
        told = record.provenance.parameters.get("virtual_z_um") if record.provenance else None
        if told is None or record.header.number != records[0].header.number:
            break
        z_um.append(float(told))
    if len(z_um) < 2:
        return None
    return ZStack(z_um[0], round(z_um[1] - z_um[0], 6), len(z_um))


def _check_same(movie: Movie, out: Path, how: How) -> None:
    """Refuse an `out` of another movie."""
    stack = None if how.refocusing is None else how.refocusing.stack
    _, order = open_output(movie, out, force=False, planes=stack, held=0)
    count = len(how.held) // how.planes
    for frame, index in list(enumerate(order))[:count]:
        record = how.held[frame * how.planes]
        header = header_at(movie, int(index))
        if (header.run_id, header.number) != (record.header.run_id, record.header.number):
            raise UserError(
                f"{out}: its frame {frame} is frame {record.header.number} of "
                f"{record.header.run_id!r}, but IN has frame {header.number} of "
                f"{header.run_id!r} there; give the movie that it was made of"
            )
