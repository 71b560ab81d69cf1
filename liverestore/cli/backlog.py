"""What `restore --resume` and `live --restore every` share: complete a recording, and say so."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.text import Text

from liverestore.camera_model import CameraModel
from liverestore.cli.backlog_job import Backlog, Completed
from liverestore.cli.backlog_plan import BacklogPlan, Results, siblings
from liverestore.cli.interrupt import INTERRUPTED
from liverestore.cli.output_file import check_apart, header_at
from liverestore.cli.rate_text import rate_text
from liverestore.dpm import parse_dpm
from liverestore.errors import LiverestoreError, UserError
from liverestore.frame import Provenance
from liverestore.movie import open_movie
from liverestore.service.result import RunResult
from liverestore.zstack import parse_zstack

__all__ = ["Asked", "restore_rest", "resume"]


class Asked:
    """What the options say of an output that is there already; None where they say nothing."""

    def __init__(
        self,
        engine: str | None = None,
        z: float | None = None,
        zstack: str | None = None,
        dpm: str | None = None,
        dtype: str | None = None,
    ) -> None:
        self._engine = engine
        self._planes = None if zstack is None else parse_zstack(zstack).planes_um
        surface = dpm if z is None else str(z)
        self._dpm = None if surface is None else str(parse_dpm(surface))
        self._dtype = dtype

    def check(self, plan: BacklogPlan, out: Path) -> None:
        """Raise `UserError` where the frames that are there were made otherwise."""
        for like in plan.likes():
            self.check_one(like.provenances()[0], like.kind or None, like.movie.dtype.name, out)

    def check_one(
        self, made: Provenance, planes_um: tuple[float, ...] | None, dtype: str, out: Path
    ) -> None:
        """Raise `UserError` where a frame was `made` otherwise; `planes_um` of a virtual stack."""
        dpm = None if planes_um else made.parameters.get("dpm")
        for option, asked, got in (
            ("--engine", self._engine, made.engine),
            ("--zstack", self._planes, planes_um),
            ("--z or --dpm", self._dpm, dpm),
            ("--dtype", self._dtype, dtype),
        ):
            if asked is not None and asked != got:
                raise UserError(
                    f"{out}: got {option} {_words(asked)}, but its frames were made with "
                    f"{_words(got)}; leave out {option}, or give OUT another name"
                )


def resume(
    source: Path, out: Path, asked: Asked, measured: CameraModel | None, console: Console
) -> Completed:
    """Restore what `out` lacks of `source`, in the way its other frames were, and say so.

    Raises `UserError` for an `out` that is not there, is none of this program or not of
    `source`, and where its frames cannot be made as they were.
    """
    out = out.expanduser()
    check_apart(source, out)
    found = siblings(out)
    if not found:
        raise UserError(
            f"{out}: no such file to resume; leave out --resume to restore from the beginning"
        )
    first = out if out.exists() else found[0]
    files = [first, *(path for path in found if path != first)]
    return _complete(source, files, measured, console, asked=asked, siblings_of=first)


def restore_rest(
    result: RunResult, measured: CameraModel | None, console: Console, rig: str
) -> tuple[dict[str, Completed], int]:
    """Complete the restored files of each recording of a run made with `rig`.

    What became of them, by the name of the raw file, and an exit code: 130 after Ctrl-C, and 1
    where one could not be completed, which is told in one line with the command that does it
    later. Nothing is raised.
    """
    done: dict[str, Completed] = {}
    code = 0
    for recording in result.recordings:
        raw = recording.raw
        if recording.frames == 0:
            continue
        files = [Path(f.path) for f in result.restored_of(recording) if Path(f.path).exists()]
        if not files:
            code = 1
            _say(
                console,
                f"no frame of {raw} was restored, so nothing says how; restore them with: "
                f"liverestore restore {raw} OUT --engine NAME",
            )
            continue
        command = f"liverestore restore {raw} {files[0]} --resume --rig {rig}"
        try:
            done[raw] = said = _complete(Path(raw), files, measured, console)
        except LiverestoreError as error:
            code = 1
            _say(console, f"not every frame is restored: {error}; try again with: {command}")
            continue
        if said.interrupted:
            _say(console, f"go on with: {command}")
            return done, INTERRUPTED
    return done, code


def _complete(
    source: Path,
    files: Iterable[Path],
    measured: CameraModel | None,
    console: Console,
    *,
    asked: Asked | None = None,
    siblings_of: Path | None = None,
) -> Completed:
    with open_movie(source) as raw:
        if raw.note is not None:
            _say(console, f"note: {raw.note}")
        results = Results(header_at(raw, 0).run_id)
        try:
            for path in files:
                sibling = siblings_of is not None and path != siblings_of
                if not results.add(path, sibling=sibling):
                    _say(console, f"note: {path} belongs to something else and is left as it is")
            backlog = Backlog(raw, results, measured)
            if asked is not None and siblings_of is not None:
                asked.check(backlog.plan, siblings_of)
            if backlog.plan.missing:
                _say(
                    console,
                    f"restoring {_frames(backlog.plan.missing)} of {source.name} that "
                    f"{'has' if backlog.plan.missing == 1 else 'have'} no result; Ctrl-C keeps "
                    "what is done",
                )
            said = backlog.run()
        finally:
            results.close()
    _tell(said, console)
    return said


def _tell(said: Completed, console: Console) -> None:
    if said.mended:
        were, are = ("was", "is") if said.mended == 1 else ("were", "are")
        _say(console, f"note: {_frames(said.mended)} {were} damaged and {are} restored again")
    if said.left_out:
        _say(
            console,
            f"note: {_frames(said.left_out)} without a stack of each channel beside it, left out "
            "of the stacks",
        )
    if said.unlike:
        _say(console, f"note: {_frames(said.unlike)} of a channel that has no result, not restored")
    if said.interrupted:
        _say(console, f"stopped: {said.restored} of {_frames(said.asked)} are restored")
    elif said.asked:
        rate = said.restored / max(said.seconds, 1e-9)
        _say(
            console,
            f"{_frames(said.restored)} restored after the run in {said.seconds:.1f} s, "
            f"{rate_text(rate)}",
        )
    for path, count in said.files:
        _say(console, f"restored: {path} ({_frames(count)})")


def _say(console: Console, line: str) -> None:
    style = "yellow" if line.startswith("note: ") else ""
    console.print(Text(line, style=style), soft_wrap=True)


def _frames(count: int) -> str:
    return "1 frame" if count == 1 else f"{count} frames"


def _words(value: object) -> str:
    if isinstance(value, tuple):
        return f"{len(value)} planes from {value[0]:g} to {value[-1]:g} um"
    return "none" if value is None else str(value)
