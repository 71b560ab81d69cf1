"""Every shipped engine: valid, undamaged, reproducible, and worth its place."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from scipy import ndimage

from liverestore.camera_model import estimate_from_frame, estimate_from_movie
from liverestore.frame import Frame, FrameHeader
from liverestore.model_spec import find_engine
from liverestore.restore import restore
from liverestore.runtime.table import open_runtime
from liverestore.tiling import infer_tiled

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data" / "denoise"
PACKAGES = sorted(path.parent for path in (ROOT / "engines").glob("*/rdf.yaml"))
DENOISERS = [path.name for path in PACKAGES if path.name.startswith("denoise")]

needs_data = pytest.mark.skipif(
    not DATA.is_dir(), reason="the real images (../shared/data) are not here"
)


def test_something_is_shipped():
    assert "denoise-live" in DENOISERS


@pytest.mark.parametrize("folder", PACKAGES, ids=lambda path: path.name)
def test_the_package_is_valid(folder):
    pytest.importorskip("torch", reason="checking a package takes the train extra")
    pytest.importorskip("bioimageio.spec")
    from liverestore.training.export import validate_package

    validate_package(folder)
    assert not list(folder.glob("*.partial"))
    assert sum(file.stat().st_size for file in folder.iterdir()) < 40e6


@pytest.mark.parametrize("name", DENOISERS)
def test_the_golden_output_is_reproduced(name):
    spec = find_engine(name)
    given = np.load(spec.folder / "test_input.npy")
    expected = np.load(spec.folder / "test_output.npy")
    assert np.ptp(expected) > 1
    assert abs(expected - given).std() > 0.5
    runtime = open_runtime(spec, threads=1)
    np.testing.assert_allclose(runtime.infer(given), expected, atol=1e-3)
    runtime.close()


@pytest.mark.parametrize("name", DENOISERS)
def test_tiles_with_its_halo_are_exact(name):
    spec = find_engine(name)
    runtime = open_runtime(spec, threads=1)
    batch = np.random.default_rng(0).normal(9, 1, (1, 1, 256, 384)).astype(np.float32)
    whole = runtime.infer(batch).copy()
    pieces = infer_tiled(runtime.infer, batch, 128, spec.halo_px, spec.divisor)
    np.testing.assert_allclose(pieces, whole, atol=2e-3)
    # One step less must show, or the test could not fail.
    short = infer_tiled(runtime.infer, batch, 128, spec.divisor, spec.divisor)
    assert np.abs(short - whole).max() > 1e-3
    runtime.close()


@pytest.mark.parametrize("name", DENOISERS)
def test_an_empty_field_stays_empty(name):
    """No texture is invented where there is only noise, and no grid of the pixel shuffle."""
    spec = find_engine(name)
    runtime = open_runtime(spec, threads=1)
    light = 20.0
    rng = np.random.default_rng(1)
    electrons = rng.poisson(light, (256, 256)) + 1.5 * rng.standard_normal((256, 256))
    z = (2 * np.sqrt(np.maximum(electrons + 0.375 + 1.5**2, 0))).astype(np.float32)
    out = runtime.infer(z[None, None])[0, 0]
    runtime.close()
    assert out[16:-16, 16:-16].std() < 0.25
    phases = [out[y::2, x::2].mean() for y in (0, 1) for x in (0, 1)]
    assert np.ptp(phases) < 0.01


def frame(pixels):
    header = FrameHeader(
        run_id="r", number=0, shape=pixels.shape, dtype=pixels.dtype.name, captured_ns=0,
        captured_utc="", camera="c",
    )  # fmt: skip
    return Frame(pixels.copy(), header)


def affine_psnr(image, reference):
    x, y = image.astype(float).ravel(), reference.astype(float).ravel()
    error = np.polyval(np.polyfit(x, y, 1), x) - y
    return 10 * np.log10(np.ptp(y) ** 2 / np.mean(error**2))


@pytest.fixture(scope="module")
def tirf():
    return tifffile.imread(DATA / "tirf_microtubules" / "TIRF_200Hz.tif")


@needs_data
@pytest.mark.parametrize("name", DENOISERS)
def test_real_microtubules(name, tirf):
    spec = find_engine(name)
    runtime = open_runtime(spec, threads=2)
    camera = estimate_from_movie(tirf)
    restored = [restore(frame(pixels), spec, runtime.infer, camera).pixels for pixels in tirf]
    runtime.close()
    assert restored[0].dtype == tirf.dtype
    assert affine_psnr(restored[0], tirf[1:].mean(0)) > 29.8
    assert np.mean(restored) == pytest.approx(tirf.mean(), rel=0.01)
    # Above the offset too, where the light is.
    dark = camera.offset_counts
    assert np.mean(restored) - dark == pytest.approx(tirf.mean() - dark, rel=0.03)


@needs_data
@pytest.mark.parametrize("name", DENOISERS)
@pytest.mark.parametrize("channel", ["R", "G"])
def test_real_confocal_frames_beat_the_best_gaussian(name, channel):
    """Against the average of 50 frames, which lies about 0.7 px higher than the one frame.

    That drift favours whatever blurs most, so it is taken out, for both, before the scores.
    """
    noisy = tifffile.imread(DATA / "confocal_bpae" / f"BPAE_{channel}_noisy.tif")
    average = tifffile.imread(DATA / "confocal_bpae" / f"BPAE_{channel}_average.tif")
    spec = find_engine(name)
    runtime = open_runtime(spec, threads=2)
    restored = restore(frame(noisy), spec, runtime.infer, estimate_from_frame(noisy))
    runtime.close()
    assert restored.pixels.dtype == np.uint8
    references = [
        ndimage.shift(average.astype(float), (-drift, 0), order=3, mode="reflect")[8:-8, 8:-8]
        for drift in (0.6, 0.65, 0.7)
    ]

    def best(image):
        return max(affine_psnr(image[8:-8, 8:-8], reference) for reference in references)

    blurred = [ndimage.gaussian_filter(noisy.astype(float), s) for s in (0.6, 0.7, 0.85, 1.0)]
    assert best(restored.pixels) > max(best(image) for image in blurred) + 0.1
    # And without that care: not far from it at least.
    assert affine_psnr(restored.pixels, average) > {"R": 30.5, "G": 32.6}[channel]
