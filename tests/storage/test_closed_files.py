"""What the account of a closed file holds does not depend on how many frames it had."""

import gc
import tracemalloc

import numpy as np
import pytest

from liverestore.frame import Frame, FrameHeader, FrameLight
from liverestore.writer.ome import OmeSink

FRAMES = 3000


def lit_frame(number):
    pixels = np.zeros((8, 8), np.uint16)
    header = FrameHeader(
        run_id="run",
        number=number,
        shape=(8, 8),
        dtype="uint16",
        captured_ns=number * 10_000_000,
        captured_utc="2026-11-23T12:00:00+00:00",
        camera="Camera",
        light=FrameLight(
            on_ms=10.0 + number * 1e-6,
            irradiance_mw_cm2=250.0,
            dose_j_cm2=2.5e-3 + number * 1e-9,
            field=1,
            field_dose_j_cm2=number * 2.5e-3,
            session_dose_j_cm2=number * 2.5e-3,
            session_began_utc="2026-11-23T12:00:00+00:00",
        ),
    )
    return Frame(pixels, header)


@pytest.mark.parametrize("name", ["movie.ome.zarr", "movie.ome.tif"])
def test_a_closed_file_keeps_no_number_of_each_frame(tmp_path, name):
    """A night has thousands of files, whose accounts stay to its end."""

    def closed(path, frames):
        sink = OmeSink(path)
        for number in range(frames):
            sink.append(lit_frame(number))
        sink.close()
        return sink

    (tmp_path / "before").mkdir()
    closed(tmp_path / "before" / name, 10)  # what libraries keep for themselves
    gc.collect()
    tracemalloc.start()
    try:
        sink = closed(tmp_path / name, FRAMES)
        gc.collect()
        kept_bytes = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert sink.written == FRAMES
    assert kept_bytes < 16 * FRAMES, "two numbers of each frame, and their places in a list"
