"""Frames to store."""

import numpy as np
import pytest

from liverestore.frame import Frame, FrameHeader, Provenance, Restored


class FrameMaker:
    """Frames with random pixels, 10 ms apart, and all that a camera can say of them."""

    def __init__(self, shape=(24, 32), dtype="uint16", run_id="run"):
        self.rng = np.random.default_rng(1)
        self.shape, self.dtype, self.run_id = shape, dtype, run_id

    def __call__(self, number, *, shape=None, dtype=None, clock=True):
        shape, dtype = shape or self.shape, dtype or self.dtype
        pixels = self.rng.integers(0, 200, shape).astype(dtype)
        if dtype == "float32":
            pixels -= np.float32(0.5)
        header = FrameHeader(
            run_id=self.run_id,
            number=number,
            shape=shape,
            dtype=dtype,
            captured_ns=5_000_000_000 + number * 10_000_000,
            captured_utc="2026-11-22T20:00:00+00:00" if clock else "",
            camera="Kamera µ",
            exposure_ms=8.0,
            z_um=1.5 + number,
            pixel_size_um=0.065,
            binning=1,
            roi=(0, 0, shape[1], shape[0]),
            bit_depth=12,
            channel="GFP",
            lost_before=number // 3,
            metadata={"ImageNumber": str(number), "Größe": 'µ "quoted" <&>\n'},
        )
        return Frame(pixels, header)

    def restored(self, number, **kwargs):
        source = self(number, **kwargs)
        made_by = Provenance(
            engine="denoise-live",
            version="1.2",
            sha256="ab" * 32,
            runtime="openvino 2026.4 CPU f32",
            parameters={"offset_counts": 100.0, "odd": float("nan"), "order": 3, "kind": "x"},
            started_ns=1,
            finished_ns=2,
            warnings=("too dark",),
        )
        return Restored(source.pixels[::-1].copy(), source, made_by)


@pytest.fixture
def frames():
    return FrameMaker()
