"""What an acquisition was asked for and where its files are, kept beside them to go on with it."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from liverestore.errors import Failure, UserError
from liverestore.movie import open_movie
from liverestore.paths import replace_file
from liverestore.rig_channels import ChannelConfig

__all__ = ["AcquisitionRecord", "Part", "Settings", "last_record", "new_record_path", "save_record"]


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that must be the same for an acquisition to go on."""

    rig: str
    engine: str
    zstack: str | None
    dpm: str | None
    times_s: tuple[float, ...]
    positions: tuple[tuple[str, tuple[float, float] | None], ...]
    channels: tuple[ChannelConfig, ...]

    def difference(self, other: Settings) -> str | None:
        """The first field that differs, with both values, in words; None where none does."""
        for name in self.__struct_fields__:
            mine, theirs = getattr(self, name), getattr(other, name)
            if mine != theirs:
                return f"{name}: was {_short(mine)}, is {_short(theirs)}"
        return None


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """The files of one run; an acquisition that was interrupted and went on has several."""

    begun_utc: str
    first_time: tuple[int, ...]
    """Time point of the first frame of each position's files."""
    raw: tuple[str, ...]
    """Names of the files, one for each position, in the record's folder."""
    restored: tuple[str, ...]


class AcquisitionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Written as `acquisition.json` before the first exposure."""

    version: int = 1
    settings: Settings
    parts: tuple[Part, ...] = ()

    def with_part(self, pairs: list[tuple[Path, Path]], done: list[int]) -> AcquisitionRecord:
        """The same with the files of a run that begins now."""
        part = Part(
            begun_utc=datetime.now(UTC).isoformat(timespec="seconds"),
            first_time=tuple(done),
            raw=tuple(raw.name for raw, _ in pairs),
            restored=tuple(restored.name for _, restored in pairs),
        )
        return msgspec.structs.replace(self, parts=(*self.parts, part))

    def done(self, folder: Path) -> list[int]:
        """Time points of each position whose raw frames of all channels are on the disk.

        Counted in the raw files themselves. Raises `UserError` for one that is damaged.
        """
        channels = max(1, len(self.settings.channels))
        counts = [0] * len(self.settings.positions)
        for part in self.parts:
            for position, name in enumerate(part.raw):
                path = folder / name
                if path.exists():
                    with open_movie(path) as movie:
                        counts[position] = part.first_time[position] + len(movie) // channels
        return counts


def new_record_path(folder: Path) -> Path:
    """`acquisition.json`, or the first `acquisition_002.json` ... that is not there."""
    return next(path for path in _names(folder) if not path.exists())


def last_record(folder: Path) -> tuple[Path, AcquisitionRecord]:
    """The newest record in `folder`. Raises `UserError` where there is none or it is damaged."""
    found = list(itertools.takewhile(lambda path: path.exists(), _names(folder)))
    if not found:
        raise UserError(
            f"--resume: {folder} has no acquisition.json; give --save the folder of the "
            "acquisition that was interrupted, or leave out --resume"
        )
    try:
        return found[-1], msgspec.json.decode(found[-1].read_bytes(), type=AcquisitionRecord)
    except (msgspec.MsgspecError, RecursionError, OSError) as error:
        raise UserError(f"{found[-1]}: cannot be read ({error}); begin a new acquisition") from None


def save_record(path: Path, record: AcquisitionRecord) -> None:
    """Write `record` in one step. Raises `Failure` where the disk refuses."""
    try:
        replace_file(path, msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n")
    except OSError as error:
        raise Failure(f"cannot write {path}: {error.strerror}") from error


def _names(folder: Path) -> itertools.chain[Path]:
    return itertools.chain(
        [folder / "acquisition.json"],
        (folder / f"acquisition_{number:03d}.json" for number in itertools.count(2)),
    )


def _short(value: object) -> str:
    if isinstance(value, tuple):
        return f"{len(value)} of them"
    return "none" if value is None else f"{value}"
