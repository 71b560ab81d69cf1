"""Surfaces through points in focus: planes, quadratic and smooth ones, and what is refused."""

import numpy as np
import pytest

from liverestore.dpm import Dpm, parse_dpm
from liverestore.dpm_points import Points
from liverestore.errors import UserError

FRAME = (200, 300)
PIXEL_UM = 0.5


def places(shape=FRAME, pixel_um=PIXEL_UM):
    y, x = ((np.arange(n) - (n - 1) / 2) * pixel_um for n in shape)
    return np.meshgrid(x, y)


def bowl(x, y):
    return 1 + 0.02 * x - 0.01 * y + 3e-4 * x**2 + 1e-4 * x * y - 2e-4 * y**2


def scattered(count, surface, noise_um=0.0, seed=0):
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(-70, 70, count), rng.uniform(-45, 45, count)
    return np.stack([x, y, surface(x, y) + rng.normal(0, noise_um, count)], 1)


def test_a_plane_through_three_points_meets_them():
    points = [(-10, -5, 1.0), (12, 0, 2.5), (0, 9, -1.0)]
    (term,) = Dpm.through(points).terms
    assert term.used_fit == "plane"
    np.testing.assert_allclose(term.residuals_um, 0, atol=1e-9)
    x, y = places()
    # a plane has no second differences
    surface = parse_dpm(str(Dpm.through(points))).surface_um(FRAME, PIXEL_UM)
    assert abs(np.diff(surface, 2, axis=0)).max() < 1e-5
    at = np.unravel_index(np.argmin(np.hypot(x + 10, y + 5)), FRAME)
    assert surface[at] == pytest.approx(1.0, abs=0.2)


def test_more_points_than_a_plane_needs_are_averaged():
    def tilted(x, y):
        return 2 + 0.03 * x - 0.05 * y

    term = Points.of(scattered(40, tilted, 0.2), "plane")
    x, y = places()
    np.testing.assert_allclose(term.at(x, y), tilted(x, y), atol=0.25)
    assert np.std(term.residuals_um) == pytest.approx(0.2, rel=0.3)


def test_a_quadratic_surface_is_found_exactly():
    term = Points.of(scattered(12, bowl), "quadratic")
    x, y = places()
    np.testing.assert_allclose(term.at(x, y), bowl(x, y), atol=1e-9)


@pytest.mark.parametrize(("count", "within_um"), [(25, 0.35), (200, 0.15)])
def test_a_smooth_surface_follows_what_no_quadratic_does(count, within_um):
    def hill(x, y):
        return 4 * np.exp(-(x**2 + y**2) / 40**2) - 0.01 * x

    x, y = places((90, 140))
    wrong = {
        fit: np.sqrt(
            np.mean((Points.of(scattered(count, hill, 0.1), fit).at(x, y) - hill(x, y)) ** 2)
        )
        for fit in ("plane", "quadratic", "smooth")
    }
    assert wrong["smooth"] < within_um
    assert wrong["smooth"] < 0.7 * wrong["quadratic"] < wrong["plane"]


def test_the_smooth_surface_is_the_same_on_a_large_frame():
    dpm = Dpm.through(scattered(30, bowl, 0.1))
    assert dpm.terms[0].used_fit == "smooth"
    x, y = places()
    exact = dpm.terms[0].at(x[::7, ::7], y[::7, ::7])
    np.testing.assert_allclose(dpm.surface_um(FRAME, PIXEL_UM)[::7, ::7], exact, atol=2e-3)


@pytest.mark.parametrize("shape", [(1, 1), (1, 200), (200, 1), (3, 90)])
def test_narrow_frames_have_a_surface_too(shape):
    surface = Dpm.through(scattered(9, bowl)).surface_um(shape, PIXEL_UM)
    assert surface.shape == shape
    assert np.isfinite(surface).all()


@pytest.mark.parametrize(
    "text",
    [
        "points:0,0,1;10,0,1.5;0,10,-2",
        "points:smooth;0,0,1;10,0,1.5;0,10,-2;5,5,0.25",
        "points:plane;0,0,1;10,0,1.5;0,10,-2+sine:0,1,80",
        "1+points:1e+1,0,1;-1e-05,0,1.5;0,10,-2",
    ],
)
def test_the_text_is_read_back(text):
    dpm = parse_dpm(text)
    assert parse_dpm(str(dpm)) == dpm
    surface = dpm.surface_um((20, 30), 1.0)
    np.testing.assert_array_equal(parse_dpm(str(dpm)).surface_um((20, 30), 1.0), surface)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("points:", "got the point ''"),
        ("points:0,0,1;1,1,2", "got 2 points in focus; a surface takes 3 or more"),
        ("points:quadratic;0,0,1;9,0,1;0,9,2", "a quadratic surface takes 6 or more"),
        ("points:0,0,1;1,1,2;2,2,3", "on a line"),
        ("points:0,0,1;100,1,2;200,1,3", "on a line"),
        ("points:0,0,1;0,0,2;0,0,3", "on a line"),
        ("points:0,0,1;1,0,nan;0,1,3", "NaN"),
        ("points:0,0,1;1,0,inf;0,1,3", "infinity"),
        ("points:0,0,1;1,0;0,1,3", "got the point '1,0'; allowed are three plain numbers"),
        ("points:0,0,1;1,0,x;0,1,3", "got the point '1,0,x'"),
        ("points:cubic;0,0,1;1,0,2;0,1,3", "got the point 'cubic'"),
    ],
)
def test_points_that_fix_no_surface_are_refused_in_one_line(text, says):
    with pytest.raises(UserError) as error:
        parse_dpm(text)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_arrays_of_points_that_fix_no_surface():
    circle = [(np.cos(t), np.sin(t), 1) for t in range(8)]
    with pytest.raises(UserError, match="a conic"):
        Dpm.through(circle, "quadratic")
    with pytest.raises(UserError, match="three or more"):
        Dpm.through([(0, 0), (1, 1), (2, 0)])
    with pytest.raises(UserError, match="got 0 points"):
        Dpm.through([])
    with pytest.raises(UserError, match="a fit 'cubic'"):
        Dpm.through(scattered(9, bowl), "cubic")
