"""The surface wanted and its contour lines, without Qt."""

import numpy as np
import pytest

from liverestore.dpm import parse_dpm
from liverestore.errors import UserError
from liverestore.view.cautions import gathered
from liverestore.view.contours import find_contours
from liverestore.view.refocus_surface import Surface, extent_um, surface_words

SHAPE, PIXEL_UM = (200, 300), 0.5
EXTENT = extent_um(SHAPE, PIXEL_UM)


@pytest.mark.parametrize(
    "text", ["0", "-2.5", "plane:1,0.01,-0.02", "plane:0,0,0.5", "1.5+sine:0,1,80", "sine:0,1,80"]
)
def test_a_text_comes_back(text):
    assert Surface.of(text).text == text


def test_planes_are_gathered_and_the_rest_is_kept():
    surface = Surface.of("1+plane:2,0.1,0+sphere:0,900+-0.5")
    assert (surface.z_um, surface.along_x, surface.along_y) == (2.5, 0.1, 0.0)
    assert surface.at(-1).text == "plane:-1,0.1,0+sphere:0,900"
    assert not surface.level


def test_a_tilt_is_told_from_edge_to_edge():
    surface = Surface(z_um=1.0).with_tilt((6.0, -3.0), EXTENT)
    assert surface.tilt_um(EXTENT) == pytest.approx((6.0, -3.0), rel=1e-5)
    um = surface.dpm.surface_um(SHAPE, PIXEL_UM)
    assert um[0, -1] - um[0, 0] == pytest.approx(6.0, rel=1e-4)
    assert um[-1, 0] - um[0, 0] == pytest.approx(-3.0, rel=1e-4)
    assert surface.with_tilt((0.0, 0.0), EXTENT).text == "1"


def test_steps_add_up_without_dust():
    surface = Surface()
    for _ in range(3):
        surface = surface.at(surface.z_um + 0.1)
    assert surface.text == "0.3"
    assert surface.at(0.3 - 0.3000001).text == "0"


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({}, ""),
        ({"dpm": "2.5", "virtual_z_um": 2.5}, "refocused by +2.5 µm"),
        ({"dpm": "-2.5", "virtual_z_um": -2.5}, "refocused by \u22122.5 µm"),
        ({"dpm": "0", "virtual_z_um": 0.0}, "refocused by 0 µm"),
        (
            {"dpm": "2", "virtual_z_um": 2.0, "target": "confocal"},
            "refocused by +2 µm, as confocal",
        ),
        (
            {"dpm": "plane:1,1,0", "dpm_min_um": -0.25, "dpm_max_um": 2.25},
            "refocused to a surface from \u22120.25 to +2.25 µm",
        ),
        (
            {
                "dpm": "plane:1,9,0",
                "dpm_min_um": -12.0,
                "dpm_max_um": 16.0,
                "dpm_clipped_px": 1200,
            },
            "refocused to a surface from \u221212 to +16 µm, clipped to the engine's reach",
        ),
    ],
)
def test_the_label_says_what_was_made(parameters, words):
    assert surface_words(parameters) == words


def test_lines_lie_where_the_surface_has_their_level():
    dpm = Surface(z_um=1.0).with_tilt((6.0, 0.0), EXTENT).dpm
    found = find_contours(dpm, SHAPE, PIXEL_UM, 10.0)
    assert [line.level_um for line in found.lines] == [-2, -1, 0, 1, 2, 3, 4]
    assert found.beyond is None
    for line in found.lines:
        x = SHAPE[1] / 2 + (line.level_um - 1.0) / 6.0 * (SHAPE[1] - 1)
        np.testing.assert_allclose(line.segments[:, :, 0], x, atol=1e-2)
        # from the top to the bottom, but for a piece of the grid
        ys = line.segments[:, :, 1]
        assert ys.min() < 5
        assert ys.max() > 195
        assert len(line.runs()) == 1
        assert line.label_at((0, 100))[0][1] == pytest.approx(100, abs=5)
    assert [line.text for line in found.lines[:3]] == ["\u22122 µm", "\u22121 µm", "0 µm"]


def test_a_ball_has_circles():
    found = find_contours(parse_dpm("sphere:0,2000"), SHAPE, PIXEL_UM, 10.0)
    assert len(found.lines) >= 2
    whole = 0
    for line in found.lines:
        runs = line.runs()
        pieces = np.hypot(*np.diff(line.segments, axis=1)[:, 0].T).sum()
        assert sum(np.hypot(*np.diff(run, axis=0).T).sum() for run in runs) == pytest.approx(pieces)
        whole += len(runs) == 1 and runs[0][0] == pytest.approx(runs[0][-1])
        radius_um = np.sqrt(2000**2 - (2000 - line.level_um) ** 2)
        away = np.hypot(*(line.segments - [SHAPE[1] / 2, SHAPE[0] / 2]).reshape(-1, 2).T)
        np.testing.assert_allclose(away * PIXEL_UM, radius_um, atol=1.5)
    # the one within the frame is a closed line
    assert whole == 1


def test_where_the_reach_ends_there_is_a_line_and_what_is_beyond_is_marked():
    dpm = Surface(z_um=3.0).with_tilt((8.0, 0.0), EXTENT).dpm
    found = find_contours(dpm, SHAPE, PIXEL_UM, 5.0)
    limits = [line for line in found.lines if line.limit]
    assert [line.level_um for line in limits] == [5.0]
    assert limits[0].text == "+5 µm limit"
    assert max(line.level_um for line in found.lines) == 5.0
    assert found.beyond_share == pytest.approx(0.25, abs=0.02)
    assert found.beyond[:, -1].all()
    assert not found.beyond[:, 0].any()


def test_a_surface_wholly_beyond_has_no_line():
    found = find_contours(parse_dpm("plane:20,0.01,0"), SHAPE, PIXEL_UM, 5.0)
    assert found.lines == ()
    assert found.beyond_share == 1.0


def test_a_map_is_read_at_its_own_pixels_and_must_fit(tmp_path):
    path = tmp_path / "map.npy"
    np.save(path, np.linspace(0, 6, 300)[None].repeat(200, 0))
    found = find_contours(parse_dpm(str(path)), SHAPE, PIXEL_UM, 10.0)
    line = next(line for line in found.lines if line.level_um == 3)
    np.testing.assert_allclose(line.segments[:, :, 0], 150, atol=2)
    with pytest.raises(UserError, match="for frames of 50x50"):
        find_contours(parse_dpm(str(path)), (50, 50), PIXEL_UM, 10.0)


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (2, 2), (2048, 7)])
def test_frames_of_any_size(shape):
    found = find_contours(parse_dpm("plane:0,1,1"), shape, PIXEL_UM, 1.0)
    assert found.shape == shape


def test_warnings_about_the_training_are_gathered_and_no_other():
    about = "{}: engine 'refocus' was trained for {}"
    first, second = (
        about.format("a depth of 2 um", "5 to 40 um"),
        about.format("pixels of 1 um", "0.3"),
    )
    other = "pixels of 1 um: engine 'sharpen' was trained for 0.1 um"
    here = first.replace(" um", " µm"), other.replace(" um", " µm")
    assert gathered((first,)) == here[:1]
    assert gathered((first, other, "saturated")) == (*here, "saturated")
    assert gathered(("dark", first, other, second)) == (
        "dark",
        "outside of the training of 'refocus': a depth of 2 µm (5 to 40 µm), pixels of 1 µm (0.3)",
        here[1],
    )
    clipped = (
        "1,240 of 4,096 pixels are wanted farther than engine 'refocus' reaches, from -12 to 16 "
        "um: clipped to -10 to 10 um"
    )
    assert gathered((clipped, "dark")) == ("dark",)
