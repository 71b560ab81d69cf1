"""Arrays through an engine: shapes, dtypes, the camera's numbers, and what is refused."""

import numpy as np
import pytest

from liverestore import CameraModel, Dpm, LiverestoreError, Optics, Restorer, restore_array
from liverestore.frame import Frame, FrameHeader
from liverestore.model_spec import find_engine
from liverestore.restore import restore
from liverestore.runtime.table import open_runtime

CAMERA = CameraModel(100.0, 0.5, 1.5)
AIR = Optics(0.8, 550.0, 1.0, 1.35, 0.325, depth_um=20.0)


def cells(*leading, seed=0):
    """(..., 64, 80) uint16 counts of a blob on an even background."""
    y, x = np.mgrid[:64, :80]
    light = 8 + 60 * np.exp(-((y - 30) ** 2 + (x - 40) ** 2) / 120)
    noisy = np.random.default_rng(seed).poisson(light, (*leading, 64, 80))
    return (noisy / 0.5 + 100).astype(np.uint16)


def test_an_array_keeps_its_shape_and_dtype_and_loses_noise():
    movie = cells(5)
    made = restore_array(movie, "denoise-live")
    assert (made.shape, made.dtype) == (movie.shape, movie.dtype)
    corner = np.s_[:, :16, :16]
    assert made[corner].std() < 0.4 * movie[corner].std()
    assert abs(made.mean() - movie.mean()) < 0.02 * movie.mean()


def test_it_is_what_restore_makes_of_each_frame():
    movie = cells(2, 3)
    made = restore_array(movie, "denoise-live", camera=CAMERA)
    spec = find_engine("denoise-live")
    runtime = open_runtime(spec)
    header = FrameHeader(
        run_id="r", number=0, shape=(64, 80), dtype="uint16", captured_ns=0, captured_utc="",
        camera="",
    )  # fmt: skip
    try:
        for place in np.ndindex(2, 3):
            one = restore(Frame(movie[place].copy(), header), spec, runtime.infer, CAMERA)
            np.testing.assert_array_equal(made[place], one.pixels)
    finally:
        runtime.close()


@pytest.mark.parametrize(
    ("given", "made_as"),
    [("uint8", "uint8"), ("float32", "float32"), ("float64", "float32"), ("int32", "float32")],
)
def test_other_numbers_become_float32(given, made_as):
    picture = np.minimum(cells(), 255).astype(given)
    assert restore_array(picture, "mean5").dtype == made_as


def test_the_array_given_is_left_alone():
    movie = cells(2)
    before = movie.copy()
    restore_array(movie, "mean5")
    assert movie.flags.writeable
    np.testing.assert_array_equal(movie, before)


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.zeros(5), "allowed are pictures"),
        (np.zeros((0, 8, 8)), "allowed are pictures"),
        (np.zeros((8, 8), bool), "got an array of bool"),
        (np.zeros((8, 8), complex), "got an array of complex128"),
        (np.full((32, 32), np.nan, np.float32), "NaN"),
        (np.full((32, 32), 2**30), "got the value 1073741824"),
    ],
)
def test_what_is_no_picture_is_refused_in_one_line(array, said):
    with pytest.raises(LiverestoreError, match=said) as caught:
        restore_array(array, "mean5")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("engine", "options", "said"),
    [
        ("nothing", {}, "is not installed"),
        ("denoise-live", {"z_um": 2.0}, "does not refocus; leave out z_um"),
        ("refocus-deepz", {"optics": AIR}, "got no distance"),
        ("refocus-deepz", {"optics": AIR, "z_um": 1.0, "dpm": "2"}, "z_um and dpm"),
        ("refocus-deepz", {"z_um": 2.0}, "needs the optics"),
        ("refocus-deepz", {"optics": AIR, "z_um": 99.0}, "reaches from"),
        ("refocus-deepz", {"optics": AIR, "zstack": "3:1:1"}, "zstack: got '3:1:1'"),
    ],
)
def test_options_that_do_not_fit_are_one_line(engine, options, said):
    with pytest.raises(LiverestoreError, match=said):
        Restorer(engine, **options)


def test_a_stack_is_an_axis_before_y_and_x():
    movie = cells(2)
    with Restorer("refocus-deepz", optics=AIR, camera=CAMERA, zstack="-2:2:2") as restorer:
        planes = restorer(movie)
        assert restorer.planes_um == (-2.0, 0.0, 2.0)
        assert restorer.last.provenance.parameters["virtual_z_um"] == 2.0
    assert planes.shape == (2, 3, 64, 80)
    with Restorer("refocus-deepz", optics=AIR, camera=CAMERA, z_um=2.0) as restorer:
        np.testing.assert_array_equal(restorer(movie), planes[:, 2])


def test_a_surface_may_be_a_dpm_its_text_or_an_array():
    picture, slope = cells(), 0.05
    text = f"plane:1,{slope},0"
    x_um = (np.arange(80) - 39.5) * 0.325
    distances = np.broadcast_to(1 + slope * x_um, (64, 80)).astype(np.float32)
    made = [
        restore_array(picture, "refocus-deepz", optics=AIR, camera=CAMERA, dpm=dpm)
        for dpm in (text, Dpm.plane(1.0, slope, 0.0), distances)
    ]
    np.testing.assert_array_equal(made[0], made[1])
    np.testing.assert_allclose(made[0], made[2].astype(float), atol=1.0)


def test_the_rig_gives_the_camera_and_the_optics():
    with Restorer("refocus-deepz", rig="demo_refocus", z_um=1.0) as restorer:
        restorer(cells())
        told = restorer.last.provenance.parameters
    assert (told["camera_model_origin"], told["numerical_aperture"]) == ("rig", 0.8)


def test_a_stack_is_read_picture_by_picture_and_the_camera_stays_the_same():
    class Lazy:
        shape, dtype = (6, 64, 80), np.dtype(np.uint16)

        def __init__(self):
            self.read = []

        def __getitem__(self, place):
            self.read.append(place)
            return cells(seed=place[0])

    lazy, gains = Lazy(), []
    with Restorer("denoise-live") as restorer:
        for place, picture in restorer.each(lazy):
            assert lazy.read[-1] == place
            assert picture.shape == (64, 80)
            gains.append(restorer.last.provenance.parameters["gain_e_per_count"])
    assert len(gains) == 6
    assert len(set(gains)) == 1
