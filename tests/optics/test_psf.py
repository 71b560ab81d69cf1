import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liverestore.errors import UserError
from liverestore.optics import Optics, radial_psf, widefield_psf, zernike
from liverestore.rig import load_rig
from liverestore.rig_optics import optics_of

WATER = Optics(
    numerical_aperture=1.2,
    wavelength_nm=525.0,
    immersion_index=1.333,
    sample_index=1.333,
    pixel_size_um=0.02,
)


def fwhm(x, values):
    half = values.max() / 2
    above = np.flatnonzero(values >= half)
    first, last = above[0], above[-1]
    left = np.interp(half, values[first - 1 : first + 1], x[first - 1 : first + 1])
    right = np.interp(-half, -values[last : last + 2], x[last : last + 2])
    return right - left


def replace(optics, **changes):
    fields = {name: getattr(optics, name) for name in optics.__slots__}
    return Optics(**{**fields, **changes})


@pytest.mark.parametrize("aperture", [0.3, 0.75, 1.2])
def test_lateral_width_is_that_of_an_airy_disc(aperture):
    optics = replace(WATER, numerical_aperture=aperture)
    psf = widefield_psf(optics, [0.0], 201)[0]
    x = (np.arange(201) - 100) * optics.pixel_size_um
    assert fwhm(x, psf[100]) == pytest.approx(0.51 * 0.525 / aperture, rel=0.02)
    assert np.unravel_index(psf.argmax(), psf.shape) == (100, 100)


@pytest.mark.parametrize("aperture", [0.3, 0.75, 1.2])
def test_axial_width(aperture):
    optics = replace(WATER, numerical_aperture=aperture, pixel_size_um=0.05)
    expected = 0.886 * 0.525 / (1.333 - np.sqrt(1.333**2 - aperture**2))
    z = np.linspace(-1.5 * expected, 1.5 * expected, 121)
    axis = widefield_psf(optics, z, 33)[:, 16, 16]
    assert fwhm(z, axis) == pytest.approx(expected, rel=0.06)


def test_symmetric_about_focus_without_mismatch_at_any_depth():
    psf = widefield_psf(replace(WATER, depth_um=20.0), [-2.0, 2.0], 65)
    np.testing.assert_allclose(psf[0], psf[1], atol=1e-7)


def test_mismatch_breaks_the_symmetry_more_the_deeper():
    def asymmetry(depth):
        optics = replace(WATER, sample_index=1.40, depth_um=depth, pixel_size_um=0.1)
        below, above = widefield_psf(optics, [-1.0, 1.0], 65)
        return float(np.abs(below - above).max() / above.max())

    assert asymmetry(0.0) < 1e-6
    assert 0.02 < asymmetry(2.0) < asymmetry(10.0)


def test_mismatched_plane_in_focus_is_the_sharpest_one():
    z = np.linspace(-1, 1, 41)
    optics = replace(WATER, sample_index=1.38, depth_um=8.0, pixel_size_um=0.1)
    peaks = widefield_psf(optics, z, 33).max((1, 2))
    assert abs(z[peaks.argmax()]) <= 0.1
    ideal = widefield_psf(replace(optics, depth_um=0.0), [0.0], 33).max()
    assert 0.3 * ideal < peaks.max() < 0.98 * ideal


def test_light_is_conserved_over_planes():
    optics = Optics(0.6, 600.0, 1.0, 1.33, 0.25)
    z = np.linspace(-12, 12, 7)
    sums = widefield_psf(optics, z, 301).sum((1, 2))
    np.testing.assert_allclose(sums, 1.0, atol=0.01)


def test_no_plane_is_normalised_by_itself():
    far, near = widefield_psf(replace(WATER, pixel_size_um=0.1), [15.0, 0.0], 65)
    assert near.sum() > 0.97
    assert 0.05 < far.sum() < 0.4  # most of the cone is outside the window
    assert far[0].mean() < 3 * far[32].mean()  # and does not come back at its edge


def test_agrees_with_quadrature_of_the_same_pupil():
    optics = replace(WATER, sample_index=1.40, depth_um=5.0, zernike_waves=((11, 0.05),))
    z = np.array([-2.0, -0.3, 0.0, 0.7, 2.0])
    r = np.arange(100) * optics.pixel_size_um
    image = widefield_psf(optics, z, 201)[:, 100, 100:200]
    radial = radial_psf(optics, z, r) * optics.pixel_size_um**2
    # The quadrature knows neither the area of a pixel nor the rim of a sampled pupil.
    np.testing.assert_allclose(image, radial, atol=0.01 * float(radial.max()))


def test_coarse_pixels_gather_all_the_light_of_fine_ones():
    z = [0.0, 1.5]
    fine = widefield_psf(replace(WATER, pixel_size_um=0.05), z, 155)
    coarse = widefield_psf(replace(WATER, pixel_size_um=0.25), z, 31)
    binned = fine.reshape(2, 31, 5, 31, 5).sum((2, 4))
    np.testing.assert_allclose(coarse, binned, atol=2e-4 * binned.max())


def test_cutoff_frequency():
    optics = replace(WATER, pixel_size_um=0.08)
    psf = widefield_psf(optics, [0.0], 255)[0]
    transfer = np.abs(np.fft.fftshift(np.fft.fft2(psf)))
    frequency = np.fft.fftshift(np.fft.fftfreq(255, 0.08))
    k = np.hypot(frequency[:, None], frequency[None, :])
    assert optics.cutoff_per_um == pytest.approx(2 * 1.2 / 0.525)
    assert transfer[k > 1.05 * optics.cutoff_per_um].max() < 2e-3
    assert transfer[k < 0.5 * optics.cutoff_per_um].min() > 0.1


def test_coma_moves_light_to_one_side_and_astigmatism_turns_with_focus():
    optics = replace(WATER, pixel_size_um=0.05)
    coma = widefield_psf(replace(optics, zernike_waves=((8, 0.15),)), [0.0], 65)[0]
    np.testing.assert_allclose(coma, coma[::-1], atol=1e-6)
    assert np.abs(coma[:, 1:] - coma[:, :0:-1]).max() > 0.1 * coma.max()
    below, above = widefield_psf(replace(optics, zernike_waves=((6, 0.1),)), [-0.6, 0.6], 65)
    np.testing.assert_allclose(below, above.T, atol=1e-6)
    assert np.abs(below - above).max() > 0.1 * below.max()


def test_zernike_polynomials_are_orthonormal():
    rho, phi = np.meshgrid(np.sqrt((np.arange(400) + 0.5) / 400), np.arange(128) * np.pi / 64)
    basis = np.stack([zernike(j, rho, phi).ravel() for j in range(1, 23)])
    np.testing.assert_allclose(basis @ basis.T / basis.shape[1], np.eye(22), atol=2e-3)


@settings(max_examples=25, deadline=None)
@given(
    aperture=st.floats(0.1, 1.45),
    sample=st.floats(1.0, 1.6),
    depth=st.floats(0, 20),
    pixel=st.floats(0.05, 1.0),
    z=st.floats(-5, 5),
    size=st.integers(1, 48),
)
def test_any_microscope_gives_light_between_nothing_and_all(
    aperture, sample, depth, pixel, z, size
):
    psf = widefield_psf(Optics(aperture, 550.0, 1.515, sample, pixel, depth), [z], size)
    assert psf.shape == (1, size, size)
    assert psf.dtype == np.float32
    assert np.isfinite(psf).all()
    assert psf.min() >= 0
    assert psf.sum() <= 1.001


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"numerical_aperture": 1.4}, "immersion_index"),
        ({"numerical_aperture": 0.0}, "numerical_aperture"),
        ({"wavelength_nm": float("nan")}, "wavelength_nm"),
        ({"pixel_size_um": -1.0}, "pixel_size_um"),
        ({"sample_index": 0.9}, "sample_index"),
        ({"depth_um": -1.0}, "depth_um"),
        ({"zernike_waves": ((0, 0.1),)}, "Noll"),
    ],
)
def test_impossible_optics_are_refused(change, word):
    with pytest.raises(UserError, match=word):
        replace(WATER, **change)


@pytest.mark.parametrize("z", [[], [[0.0]], [float("inf")]])
def test_impossible_distances_are_refused(z):
    with pytest.raises(UserError, match="z_um"):
        widefield_psf(WATER, z, 9)


def test_quadrature_refuses_what_has_no_axis():
    with pytest.raises(UserError, match="not symmetric"):
        radial_psf(replace(WATER, zernike_waves=((8, 0.1),)), [0.0], [0.0])


def test_optics_of_a_rig_name_what_is_missing():
    optics = optics_of(load_rig("demo"))
    assert optics.numerical_aperture == 1.2
    with pytest.raises(UserError, match=r"optics\.numerical_aperture"):
        optics_of(load_rig("mmcore_demo"))
