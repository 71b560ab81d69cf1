"""Reads a recording back, frame by frame: `python benchmarks/load_files.py RAW [RAW ...]`.

One line of JSON for each file. A program of its own, so that what it holds is nobody's in the run.
"""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from liverestore.errors import UserError
from liverestore.frame_record import crc32
from liverestore.movie import open_movie


class ReadBack(msgspec.Struct, frozen=True, kw_only=True):
    """What one raw file holds."""

    file: str
    frames: int
    first: int
    last: int
    missing: list[int]
    """Numbers between the first and the last that it lacks."""
    torn: list[int]
    """Numbers of frames whose pixels do not have the checksum of their record."""
    lost_before: int
    """Numbers that the camera gave and nobody got, from the beginning of the run to its last."""


def read_back(raw: Path) -> ReadBack:
    """Every frame of `raw`, its number and its checksum."""
    numbers, torn, lost = [], [], 0
    with open_movie(raw) as movie:
        for index in range(len(movie)):
            record = movie.record(index)
            assert record is not None
            number = record.header.number
            numbers.append(number)
            lost = max(lost, record.header.lost_before)
            try:
                whole = crc32(movie[index]) == record.crc32
            except UserError:
                whole = False
            torn += [] if whole else [number]
    absent = set(range(numbers[0], numbers[-1] + 1)) - set(numbers)
    return ReadBack(
        file=raw.name,
        frames=len(numbers),
        first=numbers[0],
        last=numbers[-1],
        missing=sorted(absent),
        torn=torn,
        lost_before=lost,
    )


if __name__ == "__main__":
    for name in sys.argv[1:]:
        sys.stdout.write(msgspec.json.encode(read_back(Path(name))).decode() + "\n")
