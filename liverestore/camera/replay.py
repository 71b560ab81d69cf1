"""A recorded movie played back as if a camera delivered it."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from liverestore.camera.clock import Clock, RealClock
from liverestore.camera.roi import Roi, words
from liverestore.camera.source import SourceInfo
from liverestore.camera.stamp import capture_moment, new_run_id
from liverestore.errors import EndOfStream, Failure, UserError
from liverestore.frame import Frame, FrameHeader, PixelDtype
from liverestore.movie import Movie, open_movie
from liverestore.rig import RigConfig

__all__ = ["DEFAULT_RATE_FPS", "ReplaySource"]

DEFAULT_RATE_FPS = 10.0
"""For a movie that does not state its own rate."""
_DTYPES: dict[str, PixelDtype] = {"uint8": "uint8", "uint16": "uint16", "float32": "float32"}


class ReplaySource:
    """Frames of `rig.source.path` at the rate of the rig, or the movie's own, or 10 fps.

    Frame n is due n intervals after the first call of `next_frame`, pauses not counted. A
    consumer that comes late gets late frames, none is skipped, and the lag is made up while
    it asks quickly; a loop goes on counting.
    What the movie knows of a frame (exposure, z, the camera's tags) goes into its header;
    run, number and capture time are those of the replay.
    """

    def __init__(self, rig: RigConfig, *, clock: Clock | None = None) -> None:
        self._rig = rig
        self._clock = clock or RealClock()
        self._movie: Movie | None = None
        self._indices = range(0)
        self._run_id = ""
        self._number = self._started_at = 0
        self._started_s: float | None = None
        self._interval_s = 0.0

    def start(self) -> SourceInfo:
        """Open the movie. Raises `UserError` where it is missing or is no movie."""
        source = self._rig.source
        if source.path is None:
            raise UserError(f"rig {self._rig.name}: source.path is missing; give a movie to replay")
        self.stop()
        movie = open_movie(source.path)
        self._movie = movie
        # Playing z planes or channels one after the other would show no moving picture.
        self._indices = movie.time_series()
        if len(self._indices) == 1:
            self._indices = range(len(movie))
        interval_ms = movie.interval_ms or 1e3 / DEFAULT_RATE_FPS
        if source.rate_fps is not None:
            interval_ms = 1e3 / source.rate_fps
        self._interval_s = interval_ms / 1e3
        self._run_id = new_run_id()
        self._number = self._started_at = 0
        self._started_s = None
        first = movie.header(self._indices[0])
        return SourceInfo(
            name=Path(source.path).name,
            shape=(movie.shape[1], movie.shape[2]),
            dtype=_DTYPES[movie.dtype.name],
            exposure_ms=first.exposure_ms if first else None,
            pixel_size_um=movie.pixel_size_um or self._rig.optics.pixel_size_um,
            frame_count=None if source.loop else len(self._indices),
            interval_ms=interval_ms,
        )

    def next_frame(self, timeout_s: float) -> Frame | None:
        """The next frame when it is due, or None after `timeout_s`.

        Raises `EndOfStream` after the last one, `UserError` where the file is damaged.
        """
        movie = self._require_movie()
        self._check_end()
        if self._started_s is None:
            self._started_s = self._clock.now()
            self._started_at = self._number
        due_s = self._started_s + (self._number - self._started_at) * self._interval_s
        wait_s = due_s - self._clock.now()
        if wait_s > timeout_s:
            self._clock.sleep(timeout_s)
            return None
        return self._frame(movie, due_s)

    def _require_movie(self) -> Movie:
        if self._movie is None:
            raise Failure("replay: is not running; call start first")
        return self._movie

    def _check_end(self) -> None:
        if self._number >= len(self._indices) and not self._rig.source.loop:
            raise EndOfStream(f"replay: {len(self._indices)} frames played, the movie is over")

    def _frame(self, movie: Movie, due_s: float = -math.inf) -> Frame:
        """The next frame of the movie, not before `due_s` of the clock."""
        self._check_end()
        index = self._indices[self._number % len(self._indices)]
        pixels = np.ascontiguousarray(movie[index])
        recorded = movie.header(index)
        self._clock.sleep(due_s - self._clock.now())
        header = self._header(pixels.shape, recorded, movie, index)
        self._number += 1
        return Frame(pixels, header)

    def _header(
        self, shape: tuple[int, ...], recorded: FrameHeader | None, movie: Movie, index: int
    ) -> FrameHeader:
        captured_ns, captured_utc = capture_moment()
        metadata = dict(recorded.metadata) if recorded else {}
        metadata["ReplayedFrame"] = str(recorded.number if recorded else index)
        if recorded:
            metadata["RecordedAt"] = recorded.captured_utc
        optics, camera = self._rig.optics, self._rig.camera
        return FrameHeader(
            run_id=self._run_id,
            number=self._number,
            shape=(int(shape[0]), int(shape[1])),
            dtype=_DTYPES[movie.dtype.name],
            captured_ns=captured_ns,
            captured_utc=captured_utc,
            camera=recorded.camera if recorded else movie.path.name,
            exposure_ms=recorded.exposure_ms if recorded else None,
            z_um=recorded.z_um if recorded else None,
            pixel_size_um=(recorded.pixel_size_um if recorded else None)
            or movie.pixel_size_um
            or optics.pixel_size_um,
            binning=recorded.binning if recorded else None,
            roi=recorded.roi if recorded else None,
            bit_depth=(recorded.bit_depth if recorded else None) or camera.bit_depth,
            channel=recorded.channel if recorded else None,
            metadata=metadata,
        )

    def configure(self, *, exposure_ms: float | None = None, z_um: float | None = None) -> None:
        """Raises `UserError`: a recorded movie has neither an exposure nor a stage to set."""
        wanted = [
            name for name, value in (("exposure", exposure_ms), ("z", z_um)) if value is not None
        ]
        if wanted:
            raise UserError(
                f"replay: got a new {' and '.join(wanted)}, but a recorded movie cannot be "
                "exposed again; use a rig with a camera"
            )

    def pause(self) -> list[Frame]:
        """Hold the movie; the next frame is due when `next_frame` is called again."""
        self._require_movie()
        self._started_s = None
        return []

    def snap(self) -> Frame:
        """Step to the next frame of the held movie, at once.

        Raises `UserError` while it plays, `EndOfStream` after the last one.
        """
        movie = self._require_movie()
        if self._started_s is not None:
            raise UserError("replay: the movie is playing; pause it before you step")
        return self._frame(movie)

    def set_roi(self, roi: Roi | None) -> None:
        """Raises `UserError`: a recorded movie has no chip to read out differently."""
        raise UserError(
            f"replay: got a ROI of {words(roi) if roi else 'the whole chip'}, but a recorded movie "
            "cannot be read out again; use a rig with a camera"
        )

    def stop(self) -> None:
        """Close the movie; safe to call twice."""
        movie, self._movie = self._movie, None
        if movie is not None:
            movie.close()
