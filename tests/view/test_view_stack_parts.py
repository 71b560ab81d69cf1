"""What is computed of a virtual stack, against answers known beforehand."""

import numpy as np
import pytest
from scipy import ndimage

from liverestore.optics import Optics
from liverestore.view.depth_colours import DEPTH_COLOURS, depth_coloured
from liverestore.view.geometry import VisiblePart, visible_part
from liverestore.view.luts import counts_in_colours, lut_table
from liverestore.view.sharpest_planes import sharpest_planes
from liverestore.view.sign_words import optics_in, sign_words
from liverestore.view.stack import Stack, brightest_light, section_xz, section_yz
from liverestore.view.stack_layout import section_tiles, single_tile
from liverestore.view.stack_plan import StackPlan, ms_per_plane, plan_words
from liverestore.view.stack_projections import StackView, project
from liverestore.view.stack_readout import about_stack, place_in, stack_readout
from liverestore.wire import MAX_PLANES


def block(planes=4, height=6, width=9):
    """Every sample is 1000 z + 100 y + x."""
    z, y, x = np.ogrid[:planes, :height, :width]
    volume = (1000 * z + 100 * y + x).astype(np.uint16)
    return Stack(tuple(volume), tuple(-1.0 + 0.5 * n for n in range(planes)), 0.25)


def whole(shape):
    return visible_part(shape, (0.0, 0.0, float(shape[1]), float(shape[0])), shape[::-1])


def test_sections_show_the_samples_that_lie_in_them():
    stack = block()
    xz, yz = section_xz(stack, 3), section_yz(stack, 7)
    assert xz.shape == (4, 9)
    assert yz.shape == (6, 4)
    assert xz[2, 5] == 2305
    assert yz[4, 1] == 1407
    assert section_xz(stack, 3, slice(4, 9, 2)).tolist()[0] == [304, 306, 308]
    assert (stack.step_um, stack.aspect, stack.in_focus) == (0.5, 2.0, 2)


def test_a_stack_is_what_came_with_a_result(make_frame, make_restored):
    frame = make_frame(pixel_size_um=None)
    planes = tuple(
        make_restored(frame, frame.pixels + n, parameters={"virtual_z_um": z, "pixel_size_um": 0.2})
        for n, z in enumerate((-2.0, 0.0, 2.0))
    )
    assert Stack.of(make_restored(frame)) is None
    made = type(planes[0])(frame.pixels, frame, planes[0].provenance, planes=planes)
    stack = Stack.of(made)
    assert (stack.z_um, stack.pixel_size_um, stack.step_um) == ((-2.0, 0.0, 2.0), 0.2, 2.0)
    assert stack.planes[1][0, 3] == 4


def test_the_brightest_of_all_planes_and_where_it_is():
    planes = np.zeros((3, 2, 4), np.uint16)
    planes[2, 0, 1], planes[1, 1, 3], planes[:, 1, 0] = 50, 60, 7
    light, place = brightest_light(Stack(tuple(planes), (0.0, 1.0, 2.0), None))
    assert light.tolist() == [[0, 50, 0, 0], [7, 0, 0, 60]]
    # of equal ones the shallowest
    assert place.tolist() == [[0, 2, 0, 0], [0, 0, 0, 1]]
    assert planes[0].max() == 7, "the data stays as it is"


def oklab(table):
    rgb = table / 255.0
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    cone = np.cbrt(
        linear
        @ np.array(
            [
                [0.4122214708, 0.5363325363, 0.0514459929],
                [0.2119034982, 0.6806995451, 0.1073969566],
                [0.0883024619, 0.2817188376, 0.6299787005],
            ]
        ).T
    )
    return (
        cone
        @ np.array(
            [
                [0.2104542553, 0.7936177850, -0.0040720468],
                [1.9779984951, -2.4285922050, 0.4505937099],
                [0.0259040371, 0.7827717662, -0.8086757660],
            ]
        ).T
    )


def test_depth_colours_are_even_equally_light_and_rise_from_blue_to_yellow():
    light, red_green, blue_yellow = oklab(DEPTH_COLOURS.astype(float)).T
    assert np.ptp(light) < 0.01, "how bright a place looks is left to its light"
    steps = np.hypot(np.diff(red_green[::15]), np.diff(blue_yellow[::15]))
    assert steps.max() < 1.15 * steps.min()
    assert (np.diff(blue_yellow[::15]) > 0).all(), "told apart without red and green"


def test_depth_colour_is_the_hue_of_the_depth_as_bright_as_the_light():
    light = np.array([[0, 100], [50, 400]], np.uint16)
    place = np.array([[0, 0], [2, 2]], np.uint8)
    painted = depth_coloured(light, place, 3, (0.0, 100.0))
    channels = [(painted >> shift) & 0xFF for shift in (24, 16, 8, 0)]
    assert (channels[0] == 255).all()
    rgb = np.stack(channels[1:], axis=2)
    assert rgb[0, 0].tolist() == [0, 0, 0]
    assert rgb[0, 1].tolist() == DEPTH_COLOURS[0].tolist()
    assert rgb[1, 1].tolist() == DEPTH_COLOURS[255].tolist()
    assert np.abs(rgb[1, 0] - DEPTH_COLOURS[255] / 2.0).max() <= 0.5


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_counts_are_coloured_alike_few_or_many(dtype):
    counts = np.tile(np.arange(0, 256, dtype=dtype), (300, 1))
    lut = lut_table("green")
    many = counts_in_colours(counts, (55.0, 155.0), lut)
    assert (many == counts_in_colours(counts[:1], (55.0, 155.0), lut)).all()
    assert [hex(many[0, n]) for n in (0, 55, 105, 155, 255)] == [
        "0xff000000",
        "0xff000000",
        "0xff007f00",
        "0xff00ff00",
        "0xff00ff00",
    ]


def two_depths():
    """Texture whose left half is sharp in plane 1, and whose right half in plane 4 of 6."""
    texture = np.random.default_rng(5).uniform(0, 1000, (96, 128)).astype(np.float32)
    planes = []
    for n in range(6):
        left, right = (ndimage.gaussian_filter(texture, 0.6 + abs(n - sharp)) for sharp in (1, 4))
        planes.append(np.where(np.arange(128) < 64, left, right).astype(np.uint16))
    return planes


def test_every_place_is_taken_from_the_plane_in_which_it_is_sharp():
    planes = two_depths()
    place = sharpest_planes(planes)
    assert (place[:, :58] == 1).all()
    assert (place[:, 70:] == 4).all()
    stack = Stack(tuple(planes), (0.0, 1.0, 2.0, 3.0, 4.0, 5.0), 0.1)
    found = project(stack, StackView.IN_FOCUS, whole((96, 128)), (0.0, 1000.0))
    assert (found.light[:, :58] == planes[1][:, :58]).all()
    assert (found.light[:, 70:] == planes[4][:, 70:]).all()
    assert found.colours is None


def test_an_empty_stack_stays_at_the_plane_in_focus():
    flat = [np.full((20, 30), 7, np.uint16) for _ in range(5)]
    assert (sharpest_planes(flat, 2) == 2).all()


def test_close_beads_at_different_depths_are_each_taken_from_their_own_plane():
    planes = []
    for n in range(5):
        plane = np.zeros((60, 60), np.float32)
        for sharp, (y, x) in ((0, (25, 22)), (4, (35, 38))):
            point = np.zeros_like(plane)
            point[y, x] = 1e5
            plane += ndimage.gaussian_filter(point, 1.2 + abs(n - sharp))
        planes.append(plane)
    place = sharpest_planes(planes)
    # all of each bead, and never a plane in between, in which neither is sharp
    assert (place[19:32, 16:29] == 0).all()
    assert (place[29:42, 32:45] == 4).all()


def test_large_stacks_are_judged_on_fewer_samples_but_shown_on_all(monkeypatch):
    monkeypatch.setattr("liverestore.view.stack_projections._MOST_JUDGED", 6 * 96 * 128 // 4)
    planes = two_depths()
    stack = Stack(tuple(planes), tuple(map(float, range(6))), 0.1)
    found = project(stack, StackView.CHOSEN_Z, whole((96, 128)), (0.0, 1000.0))
    assert found.judged_every == 2
    assert found.light.shape == found.place.shape == found.colours.shape == (96, 128)
    assert (found.place[:, :50] == 1).all()


@pytest.mark.parametrize("view", [view for view in StackView if view.projects])
def test_a_part_is_projected_like_the_whole(view):
    stack = block()
    part = VisiblePart(slice(2, 6, 2), slice(1, 9, 2), (1.0, 2.0, 8.0, 4.0))
    found = project(stack, view, part, (0.0, 4000.0))
    assert found.light.shape == (2, 4)
    if view in (StackView.MAXIMUM, StackView.DEPTH):
        assert found.light.tolist() == stack.planes[3][2:6:2, 1:9:2].tolist()
    assert (found.colours is not None) is view.coloured


def test_sections_have_the_proportions_of_the_sample():
    # 40 x 20 px of 0.25 um, 11 planes 0.5 um apart: 10 x 5 x 5.5 um
    xy, xz, yz = section_tiles((-5.0, -5.0, 99.0, 99.0), (11, 20, 40), 2.0, (620.0, 500.0), 0.0)
    per_um = xy.rect[2] / 10.0
    assert xy.rect[3] / 5.0 == pytest.approx(per_um)
    assert xz.rect[2] / 10.0 == pytest.approx(per_um)
    assert xz.rect[3] / 5.5 == pytest.approx(per_um)
    assert yz.rect[2] / 5.5 == pytest.approx(per_um)
    assert yz.rect[3] / 5.0 == pytest.approx(per_um)
    # as large as fits, inside, and beside each other
    assert xy.rect[2] + yz.rect[2] == pytest.approx(620.0)
    assert xy.rect[1] + xy.rect[3] == pytest.approx(xz.rect[1])
    assert xy.zoom == pytest.approx(yz.zoom) == pytest.approx(xz.zoom)


def test_tiles_tell_the_place_under_the_mouse_and_back():
    xy, xz, yz = section_tiles((10.0, 0.0, 30.0, 20.0), (11, 20, 40), 2.0, (300.0, 300.0), 4.0)
    assert xy.span == (10.0, 0.0, 30.0, 20.0)
    for tile, at in ((xy, (12.5, 7.25)), (xz, (20.0, 3.5)), (yz, (9.5, 19.0))):
        x, y = tile.to_screen(*at)
        assert tile.holds(x, y)
        assert tile.to_stack(x, y) == pytest.approx(at)
    assert single_tile((50.0, 50.0, 60.0, 60.0), (20, 40), (300.0, 300.0)) is None
    assert single_tile((0.0, 0.0, 40.0, 20.0), (20, 40), (300.0, 300.0)).rect == (0, 75, 300, 150)


def test_the_readout_names_the_sample_that_is_seen():
    stack = block()
    tiles = section_tiles((0.0, 0.0, 9.0, 6.0), stack.shape, stack.aspect, (200.0, 200.0), 0.0)
    cross = (1, 2, 3)
    for tile, at, place in zip(
        tiles, ((4.5, 5.5), (8.0, 0.9), (2.0, 4.0)), ((4, 5, 3), (8, 2, 0), (1, 4, 2)), strict=True
    ):
        assert place_in(stack, StackView.SECTIONS, None, tile, at, cross) == place
    assert place_in(stack, StackView.DEPTH, None, tiles[0], (4.5, 5.5), cross) == (4, 5, 3)
    assert place_in(stack, StackView.SLICES, None, tiles[0], (9.5, 5.5), cross) is None
    assert stack_readout(stack, (8, 2, 0), None) == "x 8  y 2  z \u22121 µm    208 counts"
    assert about_stack(stack, sections=False) == "4 planes from \u22121 µm to +0.5 µm, step 0.5 µm"


def test_a_plan_says_its_planes_and_their_time_or_what_is_wrong():
    plan = StackPlan(-5.0, 5.0, 0.5)
    assert plan.text == "-5:5:0.5"
    assert plan_words(plan, 36.0) == "21 planes, about 756 ms a stack (36 ms a plane, measured)"
    assert plan_words(plan, None) == "21 planes"
    assert plan_words(plan, 36.0, 1.3) == plan_words(plan, 36.0), "the camera is slower"
    assert "a frame every 100 ms: the restored image follows" in plan_words(plan, 36.0, 10.0)
    assert StackPlan.of("-5:5:0.5") == plan
    assert StackPlan.of("nonsense") is None
    assert plan.within(3.0) == StackPlan(-3.0, 3.0, 0.5)
    assert "smaller number" in StackPlan(2.0, 2.0, 0.5).trouble
    assert "smaller one" in StackPlan(0.0, 2.0, 3.0).trouble
    # what is offered as allowed is allowed: with 0.05 there would be 201
    assert StackPlan(-5.0, 5.0, 0.05).trouble.endswith("take a step of 0.06 µm or more")
    assert StackPlan(-5.0, 5.0, 0.06).trouble == ""
    assert StackPlan(-10.0, 10.0, 0.1).trouble.endswith("take a step of 0.11 µm or more")
    assert StackPlan(-10.0, 10.0, 0.11).planes.count <= MAX_PLANES


def test_the_time_of_planes_that_went_in_batches_counts_once(make_frame, make_restored):
    frame = make_frame()

    def plane(z, start_ms, end_ms):
        return make_restored(
            frame,
            parameters={"virtual_z_um": z},
            started_ns=round(start_ms * 1e6),
            finished_ns=round(end_ms * 1e6),
        )

    planes = (plane(-1.0, 0, 60), plane(0.0, 0, 60), plane(1.0, 60, 90))
    alone = plane(0.0, 0, 25)
    assert ms_per_plane(alone) == 25.0
    made = type(alone)(alone.pixels, frame, alone.provenance, planes=planes)
    assert ms_per_plane(made) == 30.0


AIR = {
    "numerical_aperture": 0.8,
    "wavelength_nm": 520.0,
    "immersion_index": 1.0,
    "sample_index": 1.33,
    "depth_um": 20.0,
    "pixel_size_um": 0.325,
}


def test_optics_are_read_back_from_a_record():
    assert optics_in({"gain_e_per_count": 0.5}) is None
    told = {**AIR, "zernike_waves": "6: 0.05, 11: -0.02"}
    assert optics_in(told) == Optics(**AIR, zernike_waves=((6, 0.05), (11, -0.02)))


def test_what_is_said_of_the_sign_of_z():
    same = sign_words(optics_in({**AIR, "depth_um": 0.0}), 5.0)
    assert same.doubtful
    assert "cannot be told apart" in same.text
    assert "calibrate --psf" in same.text
    assert "second plane" in same.short
    deep = sign_words(optics_in(AIR), 5.0)
    assert not deep.doubtful
    assert "0.49 to 5 µm" in deep.text
    farther = sign_words(optics_in(AIR), 15.0)
    assert farther.doubtful
    assert "0.49 to 7.8 µm" in farther.short
    shallow = sign_words(optics_in({**AIR, "depth_um": 1.0}), 5.0)
    assert shallow.doubtful
    assert "wrong side in 2" in shallow.text
