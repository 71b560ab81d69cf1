"""Frames, and what engines make of them, to be written into files."""

import msgspec
import numpy as np

from liverestore.frame import Frame, FrameHeader, Restored
from liverestore.model_spec import find_engine
from liverestore.movie import open_movie
from liverestore.restore import restore
from liverestore.runtime.table import open_runtime

_RUNTIMES = {}


class FrameMaker:
    """Frames of Poisson noise, 10 ms apart."""

    def __init__(self, shape=(24, 32), run_id="run"):
        self.rng = np.random.default_rng(1)
        self.shape, self.run_id = shape, run_id

    def __call__(self, number, channel=None):
        pixels = (self.rng.poisson(60, self.shape) + 100).astype(np.uint16)
        header = FrameHeader(
            run_id=self.run_id, number=number, shape=self.shape, dtype="uint16",
            captured_ns=5_000_000_000 + number * 10_000_000,
            captured_utc="2026-11-22T20:00:00+00:00", camera="c", pixel_size_um=0.325,
            channel=channel,
        )  # fmt: skip
        return Frame(pixels, header)

    @staticmethod
    def of(movie, index):
        yield Frame(movie[index], movie.header(index))

    @staticmethod
    def result(movie, index):
        """A result as it stands in a file."""
        record = movie.record(index)
        blank = np.zeros(record.header.shape, record.header.dtype)
        return Restored(movie[index], Frame(blank, record.header), record.provenance)


def restored_by(engine, frame, camera, version=None, judged=None):
    """What `engine` makes of `frame`, or an older version of it would have.

    `judged` is what the live view's tests added to the record.
    """
    spec = find_engine(engine)
    if engine not in _RUNTIMES:
        _RUNTIMES[engine] = open_runtime(spec)
    runtime = _RUNTIMES[engine]
    made = restore(frame, spec, runtime.infer, camera, runtime=runtime.description)
    provenance = msgspec.structs.replace(
        made.provenance,
        version=version or made.provenance.version,
        parameters={**made.provenance.parameters, **(judged or {})},
    )
    return Restored(made.pixels, frame, provenance)


def numbers_in(path):
    """Of the frames of a file, in its order."""
    with open_movie(path) as movie:
        return [movie.header(index).number for index in range(len(movie))]
