"""Which frames of a recording have a result, where it lies, and how the others are to be made."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from liverestore.cli.output_file import header_at
from liverestore.errors import UserError
from liverestore.frame import Provenance
from liverestore.frame_record import FrameRecord
from liverestore.movie import Movie, open_movie

__all__ = [
    "BacklogPlan",
    "Held",
    "Part",
    "Results",
    "Step",
    "final_name",
    "of_making",
    "siblings",
    "working_name",
]

_WORKING = "_resuming"
_NAMED = re.compile(r"(?P<stem>.*?)(?P<extension>(\.ome)?\.[^.]*)", re.IGNORECASE)
_OF_LIVE = r"(_\d{3}|_part\d+(_\d{3})?)?"
_ABOUT_THE_FRAME = ("brightest_e", "trust")
"""What the parameters that tell of one frame and its result, not of its making, begin with."""

Kind = tuple[float, ...]
"""Distances of the planes of a virtual stack in um; () for a plain series."""


def working_name(path: Path) -> Path:
    """Where the completed `path` is built."""
    stem, extension = _split(path)
    return path.with_name(f"{stem}{_WORKING}{extension}")


def final_name(path: Path) -> Path:
    """What becomes of `path`, which may be one that `working_name` gave, with a number or not."""
    stem, extension = _split(path)
    return path.with_name(re.sub(rf"{_WORKING}(_\d{{3}})?$", "", stem) + extension)


def siblings(out: Path) -> list[Path]:
    """Files beside `out`, itself included, that may hold results of the same recording.

    Those that a live run made of it (`_001`, `_part2`) and those left by an interrupted
    completion.
    """
    stem, extension = _split(out)
    name = re.compile(
        re.escape(stem) + _OF_LIVE + rf"({_WORKING}(_\d{{3}})?)?" + re.escape(extension)
    )
    if not out.parent.is_dir():
        return []
    return sorted(path for path in out.parent.iterdir() if name.fullmatch(path.name))


def _split(path: Path) -> tuple[str, str]:
    found = _NAMED.fullmatch(path.name)
    return (found["stem"], found["extension"]) if found else (path.name, "")


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """What a file has of one frame: a picture, or the planes of its stack."""

    movie: Movie
    indices: tuple[int, ...]
    kind: Kind

    def records(self) -> list[FrameRecord]:
        """Of the picture, or of each plane."""
        return [_restored_record(self.movie, index)[0] for index in self.indices]

    def provenances(self) -> tuple[Provenance, ...]:
        """Of the picture, or of each plane."""
        return tuple(_restored_record(self.movie, index)[1] for index in self.indices)


class Results:
    """Results of one run in several files, by frame number. Close it."""

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id
        self.held: dict[int, Held] = {}
        self.numbers: dict[Path, frozenset[int]] = {}
        """Frames of each file, in the order in which they were added."""
        self._movies: list[Movie] = []

    def add(self, path: Path, *, sibling: bool = False) -> bool:
        """Take what `path` has and no file before it had; False: it is left as it is.

        A `sibling` is left where it is of another run, where it has a frame of a file before it
        (an engine that was started again has none), and, of an interrupted completion, where its
        frames were made otherwise than the same ones of a file before.

        Raises `UserError` for a file that is damaged or not of this program, and for one of
        another run that is no sibling.
        """
        movie = open_movie(path)
        try:
            found = self._read(movie, quiet=sibling)
        except BaseException:
            movie.close()
            raise
        if found is None or (sibling and not self._belongs(path, found)):
            movie.close()
            return False
        self._movies.append(movie)
        self.numbers[path] = frozenset(found)
        for number, held in found.items():
            self.held.setdefault(number, held)
        return True

    def _belongs(self, path: Path, found: dict[int, Held]) -> bool:
        both = found.keys() & self.held.keys()
        if path == final_name(path):
            return not both
        # Copies, down to the times at which they were restored.
        return all(
            found[number].provenances() == self.held[number].provenances()
            for number in sorted(both)[:1]
        )

    def close(self, paths: Iterable[Path] | None = None) -> None:
        """Close the files `paths`; None: all."""
        wanted = None if paths is None else set(paths)
        for movie in self._movies:
            if wanted is None or movie.path in wanted:
                movie.close()

    def _read(self, movie: Movie, *, quiet: bool) -> dict[int, Held] | None:
        places: dict[int, list[int]] = {}
        z_um: dict[int, list[float]] = {}
        for index in range(len(movie)):
            record, provenance = _restored_record(movie, index)
            if record.header.run_id != self._run_id:
                if quiet:
                    return None
                raise UserError(
                    f"{movie.path}: holds frames of the run {record.header.run_id!r}, but the raw "
                    f"file is of {self._run_id!r}; give the raw file that it was made of"
                )
            number = record.header.number
            places.setdefault(number, []).append(index)
            z_um.setdefault(number, []).append(
                float(provenance.parameters.get("virtual_z_um", 0.0))
            )
        # A stack whose writing was cut off has fewer planes than the others: it is made anew.
        planes = max(map(len, places.values()), default=0)
        return {
            number: Held(movie, tuple(indices), tuple(z_um[number]) if planes > 1 else ())
            for number, indices in places.items()
            if len(indices) == planes
        }


def _restored_record(movie: Movie, index: int) -> tuple[FrameRecord, Provenance]:
    record = movie.record(index)
    if record is None or record.provenance is None:
        raise UserError(
            f"{movie.path}: got a file that does not say what restored its frame {index}; allowed "
            "are files that liverestore restored; give OUT another name and leave out --resume"
        )
    return record, record.provenance


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One raw frame."""

    index: int
    """Position in the raw file."""
    number: int
    channel: str | None
    held: Held | None
    """Its result, where there is one."""
    like: Held
    """What it is made like: its own result, or that of the nearest frame of its channel."""


@dataclass(slots=True)
class Part:
    """What goes into one file: all frames of one kind, in the order of the raw file."""

    kind: Kind
    path: Path
    steps: list[Step] = field(default_factory=list)
    sources: list[Path] = field(default_factory=list)
    """Files that hold results of these frames; they are replaced by the one that is whole."""
    whole: bool = False
    """It has every frame of the raw file."""

    @property
    def missing(self) -> int:
        """Frames that have no result."""
        return sum(step.held is None for step in self.steps)

    @property
    def done(self) -> bool:
        """One file has all of it, in order."""
        if self.missing or self.sources != [self.path]:
            return False
        first = [step.held.indices[0] for step in self.steps if step.held is not None]
        return first == sorted(first)


class BacklogPlan:
    """For each frame of `raw` its result or how to make it, and the files that are to be."""

    def __init__(self, raw: Movie, results: Results) -> None:
        """Raises `UserError` for a raw file in which a number stands for several frames."""
        self.unlike: list[int] = []
        """Numbers of frames that no result of their channel tells how to make."""
        steps = _steps(raw, results, self.unlike)
        self.parts: list[Part] = []
        for kind in dict.fromkeys(step.like.kind for step in steps):
            of_kind = [step for step in steps if step.like.kind == kind]
            sources = _sources(of_kind, results)
            _check_sources(raw, of_kind, results, sources)
            part = Part(kind, _first_final(sources), of_kind, sources)
            part.whole = len(of_kind) == len(raw)
            self.parts.append(part)

    @property
    def missing(self) -> int:
        """Frames that are to be restored."""
        return sum(part.missing for part in self.parts)

    def likes(self) -> Iterable[Held]:
        """One of the results for each way in which frames were made."""
        seen: dict[object, Held] = {}
        for part in self.parts:
            for step in part.steps:
                seen.setdefault(signature(step.like.provenances()), step.like)
        return seen.values()


def of_making(made: Provenance) -> dict[str, float | int | str]:
    """The parameters that say how a frame was made; not those that judge it."""
    return {
        name: value
        for name, value in made.parameters.items()
        if not name.startswith(_ABOUT_THE_FRAME)
    }


def signature(provenances: Sequence[Provenance]) -> object:
    """Equal for frames that were made in the same way."""
    return tuple(
        (
            made.engine,
            made.version,
            made.sha256,
            tuple(sorted((name, str(value)) for name, value in of_making(made).items())),
        )
        for made in provenances
    )


def _steps(raw: Movie, results: Results, unlike: list[int]) -> list[Step]:
    found: list[tuple[int, int, str | None]] = []
    for index in range(len(raw)):
        header = header_at(raw, index)
        found.append((index, header.number, header.channel))
    if len({number for _, number, _ in found}) < len(found):
        raise UserError(
            f"{raw.path}: holds several pictures of the same frame number, so that nobody can tell "
            "which of them are restored; restore it anew, without --resume"
        )
    before = _likes(found, results)
    after = _likes(reversed(found), results)
    steps = []
    for index, number, channel in found:
        like = before.get(index) or after.get(index)
        if like is None:
            unlike.append(number)
        else:
            steps.append(Step(index, number, channel, results.held.get(number), like))
    return steps


def _likes(found: Iterable[tuple[int, int, str | None]], results: Results) -> dict[int, Held]:
    """For each position the last result of its channel that was come by."""
    last: dict[str | None, Held] = {}
    likes: dict[int, Held] = {}
    for index, number, channel in found:
        held = results.held.get(number)
        if held is not None:
            last[channel] = held
        if channel in last:
            likes[index] = last[channel]
    return likes


def _sources(steps: Sequence[Step], results: Results) -> list[Path]:
    """Files with results of `steps`, of all that were given, also where another has them too."""
    numbers = {step.number for step in steps if step.held is not None}
    return [path for path, has in results.numbers.items() if not has.isdisjoint(numbers)]


def _check_sources(
    raw: Movie, steps: Sequence[Step], results: Results, sources: Iterable[Path]
) -> None:
    """Refuse a file that would lose frames by being replaced."""
    numbers = {step.number for step in steps}
    for path in sources:
        beyond = results.numbers[path] - numbers
        if beyond:
            raise UserError(
                f"{path}: holds {len(beyond)} frames that {raw.path} lacks, such as frame "
                f"{min(beyond)}; give the raw file that it was made of"
            )


def _first_final(sources: Sequence[Path]) -> Path:
    return min(map(final_name, sources), key=lambda path: (len(path.name), path.name))
