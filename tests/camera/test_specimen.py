import msgspec
import numpy as np
import pytest
from scipy import ndimage

from liverestore.errors import UserError
from liverestore.optics import widefield_psf
from liverestore.rig import CameraConfig, SpecimenConfig, load_rig
from liverestore.rig_optics import optics_of
from liverestore.specimen import Specimen, expose, pixel_dtype
from liverestore.specimen_shapes import SLICES_UM, deposit, place_cells

RIG = load_rig("demo")
OPTICS = optics_of(RIG)
CONFIG = msgspec.structs.replace(RIG.specimen, shape=(128, 160))


@pytest.fixture(scope="module")
def specimen():
    return Specimen(CONFIG, OPTICS)


def sharpness(image):
    return float((image - ndimage.gaussian_filter(image, 3)).std() / image.mean())


def test_same_seed_same_light_other_seed_other_light(specimen):
    image = specimen.render(0.0, 0.0, 10.0)
    assert image.shape == (128, 160)
    assert image.dtype == np.float32
    np.testing.assert_array_equal(image, Specimen(CONFIG, OPTICS).render(0.0, 0.0, 10.0))
    other = Specimen(msgspec.structs.replace(CONFIG, seed=99), OPTICS)
    assert np.abs(other.render(0.0, 0.0, 10.0) - image).max() > 1


def test_photons_follow_the_exposure(specimen):
    short, long = specimen.render(1.0, 0.5, 5.0), specimen.render(1.0, 0.5, 50.0)
    np.testing.assert_allclose(long, 10 * short, rtol=1e-4)


def test_brightness_is_what_the_rig_says():
    large = msgspec.structs.replace(CONFIG, shape=(448, 512))
    image = Specimen(large, OPTICS).render(0.0, 0.0, 40.0)
    background = 40 * large.background_photons_per_ms
    peak = 40 * large.peak_photons_per_ms
    assert np.quantile(image, 0.999) - background == pytest.approx(peak, rel=0.02)
    assert background <= image.min() < background + 0.1 * peak
    assert 20 <= peak <= 40  # dim enough that denoising is worth while


def test_blur_follows_the_stage(specimen):
    sharp = [sharpness(specimen.render(0.0, z, 10.0)) for z in (0.0, 2.0, 4.0, 8.0)]
    assert sharp == sorted(sharp, reverse=True)
    assert sharp[-1] < 0.2 * sharp[0]


def test_defocus_loses_no_light():
    # The whole torus is seen, so that light cannot leave at an edge.
    whole = Specimen(CONFIG, OPTICS)
    whole.shape = whole._canvas
    totals = [whole.render(0.0, z, 10.0).mean() for z in (0.0, 3.0, -6.0)]
    np.testing.assert_allclose(totals, totals[0], rtol=0.02)


def test_a_vesicle_is_imaged_as_the_point_spread_function_says(specimen):
    # One vesicle alone, at a known place: its image is the PSF over a Gaussian of 0.12 um.
    alone = Specimen(CONFIG, OPTICS)
    depth = float(SLICES_UM[3])
    line = np.tile([depth, 64 * OPTICS.pixel_size_um, 80 * OPTICS.pixel_size_um], (50, 1))
    alone._slices[:] = 0
    alone._tracks = [(0, line)]
    for name in ("_track_speed", "_track_phase", "_track_light"):
        setattr(alone, name, np.array([1.0 if name == "_track_light" else 0.0]))
    alone._drift_um = np.full_like(alone._drift_um, 1e-9)
    for z in (depth, depth - 1.5, depth + 2.0):
        image = alone.render(0.0, z, 10.0) - 10 * CONFIG.background_photons_per_ms
        psf = widefield_psf(OPTICS, [depth - z], 63)[0].astype(float)
        expected = ndimage.gaussian_filter(psf, 0.12 / OPTICS.pixel_size_um, truncate=6)
        found = image[64 - 31 : 64 + 32, 80 - 31 : 80 + 32]
        scale = expected.sum() / found.sum()
        np.testing.assert_allclose(found * scale, expected, atol=0.04 * float(expected.max()))


def test_it_moves_and_no_faster_than_asked(specimen):
    start, later = specimen.render(0.0, 0.0, 10.0), specimen.render(2.0, 0.0, 10.0)
    assert np.abs(later - start).max() > 1
    still = Specimen(msgspec.structs.replace(CONFIG, speed_um_s=0.0), OPTICS)
    np.testing.assert_array_equal(still.render(0.0, 0.0, 10.0), still.render(50.0, 0.0, 10.0))
    times = np.linspace(0, 60, 601)
    drift = np.stack([specimen._drift(t) for t in times])
    speed = np.hypot(*np.moveaxis(np.diff(drift, axis=0), -1, 0)) / (times[1] - times[0])
    assert 0.5 * CONFIG.speed_um_s < speed.max() <= 1.001 * CONFIG.speed_um_s


def test_a_chip_larger_than_the_specimen_sees_it_repeated():
    small = SpecimenConfig(seed=1, shape=(64, 1400))
    image = Specimen(small, OPTICS).render(0.0, 0.0, 10.0)
    assert image.shape == (64, 1400)
    period = Specimen(small, OPTICS)._canvas[1]
    np.testing.assert_array_equal(image[:, :100], image[:, period : period + 100])


@pytest.mark.parametrize("arguments", [(0.0, 0.0, 0.0), (np.nan, 0.0, 1.0), (0.0, np.inf, 1.0)])
def test_nonsense_is_refused(specimen, arguments):
    with pytest.raises(UserError, match="exposure above 0"):
        specimen.render(*arguments)


def test_noise_is_poisson_and_gaussian():
    camera = CameraConfig(offset_counts=100, gain_e_per_count=0.46, read_noise_e=1.6, bit_depth=16)
    rng = np.random.default_rng(5)
    for light in (0.0, 3.0, 40.0):
        counts = expose(np.full((400, 400), light, np.float32), camera, rng).astype(float)
        electrons = (counts - 100) * 0.46
        assert electrons.mean() == pytest.approx(light, abs=0.05)
        # Rounding to whole counts adds a twelfth of a count squared.
        assert electrons.var() == pytest.approx(light + 1.6**2 + 0.46**2 / 12, rel=0.02)


def test_saturation_and_dtype_follow_the_bit_depth():
    rng = np.random.default_rng(5)
    light = np.full((64, 64), 1e6, np.float32)
    for bit_depth, dtype in ((8, "uint8"), (12, "uint16"), (16, "uint16")):
        camera = CameraConfig(
            offset_counts=100, gain_e_per_count=1.0, read_noise_e=0, bit_depth=bit_depth
        )
        counts = expose(light, camera, rng)
        assert counts.dtype == dtype == pixel_dtype(camera)
        assert (counts == 2**bit_depth - 1).all()
    dark = CameraConfig(offset_counts=1, gain_e_per_count=1.0, read_noise_e=5, bit_depth=8)
    assert expose(np.zeros((64, 64), np.float32), dark, rng).min() == 0


def test_a_camera_without_numbers_cannot_be_simulated():
    with pytest.raises(UserError, match="gain_e_per_count"):
        expose(np.ones((4, 4), np.float32), CameraConfig(), np.random.default_rng())


def test_points_keep_their_light_and_place():
    volume = np.zeros((len(SLICES_UM), 20, 30), np.float32)
    deposit(volume, np.array([[0.25, 1.05, 2.95]]), 2.0, 0.1)
    assert volume.sum() == pytest.approx(2.0)
    z, y, x = ndimage.center_of_mass(volume.astype(float))
    assert SLICES_UM[0] + 0.5 * z == pytest.approx(0.25, abs=1e-5)
    assert y == pytest.approx(10.5, abs=1e-4)
    assert volume[..., 29].sum() == pytest.approx(1.0, abs=1e-4)
    assert volume[..., 0].sum() == pytest.approx(1.0, abs=1e-4)  # around the torus
    assert x == pytest.approx(14.5, abs=1e-3)


def test_cells_keep_apart():
    cells = place_cells((62.0, 62.0), np.random.default_rng(3))
    centres = np.array([cell.centre_um for cell in cells])
    apart = np.abs(centres[:, None] - centres[None])
    distance = np.hypot(*np.moveaxis(np.minimum(apart, 62 - apart), -1, 0))
    assert len(cells) == 6
    assert distance[np.triu_indices(6, 1)].min() > 12
