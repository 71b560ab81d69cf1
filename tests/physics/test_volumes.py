import dataclasses

import numpy as np
import pytest
import torch

from liverestore.errors import UserError
from liverestore.microscopes import Confocal, fwhm_um
from liverestore.optics import Optics, widefield_psf
from liverestore.training.dice import Dice
from liverestore.training.rendering import confocal_lens, sted_lens, widefield_lens
from liverestore.training.volumes import KINDS, Grid, points_and_lines, random_volume, voxels

GRID = Grid(planes=9, side_px=64, z_step_um=0.5, pixel_size_um=0.3)
AIR = Optics(0.75, 540.0, 1.0, 1.37, 0.3, depth_um=20.0)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def point(plane=4, y=32, x=32):
    volume = torch.zeros(GRID.planes, GRID.side_px, GRID.side_px)
    volume[plane, y, x] = 1.0
    return volume


def test_points_keep_their_weight_and_their_centre():
    place = torch.tensor([[0.1, 5.05, 7.4], [-0.6, 3.0, 18.9]])
    weight = torch.tensor([2.0, 1.0])
    volume = voxels((place, weight), GRID)
    assert float(volume.sum()) == pytest.approx(3.0, rel=1e-5)
    one = voxels((place[:1], weight[:1]), GRID)
    y = (one.sum((0, 2)) * torch.arange(64)).sum() / 2.0 * 0.3
    z = (one.sum((1, 2)) * GRID.z_um).sum() / 2.0
    assert float(y) == pytest.approx(5.05, abs=1e-3)
    assert float(z) == pytest.approx(0.1, abs=1e-3)


def test_points_above_and_below_the_grid_are_left_out():
    place = torch.tensor([[-2.6, 5.0, 5.0], [9.0, 5.0, 5.0]])
    assert float(voxels((place, torch.ones(2)), GRID).sum()) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_kind_fills_its_layer_and_repeats_by_seed(kind):
    make = KINDS[kind][0]
    place, weight = make(GRID, Dice.of(seeded(3)), 2.0)
    again, _ = make(GRID, Dice.of(seeded(3)), 2.0)
    assert torch.equal(place, again)
    assert place.shape == (weight.shape[0], 3)
    assert torch.isfinite(place).all()
    assert (weight > 0).all()


@pytest.mark.parametrize("seed", range(6))
def test_points_and_lines_lie_in_the_middle_plane_and_leave_gaps(seed):
    volume = points_and_lines(GRID, seeded(seed))
    assert torch.equal(volume, points_and_lines(GRID, seeded(seed)))
    assert float(volume.sum()) == pytest.approx(1.0, rel=1e-4)
    assert float(volume[4].sum()) == pytest.approx(1.0, rel=1e-4)
    assert (volume >= 0).all()
    assert float((volume[4] == 0).float().mean()) > 0.5


def test_random_volumes_differ_and_sum_to_one():
    first, second = (random_volume(GRID, seeded(seed)) for seed in (1, 2))
    for volume in (first, second):
        assert volume.shape == (9, 64, 64)
        assert (volume >= 0).all()
        assert float(volume.sum()) == pytest.approx(1.0, rel=1e-4)
    assert not torch.equal(first, second)
    assert torch.equal(first, random_volume(GRID, seeded(1)))


def test_a_point_is_rendered_as_the_psf_in_every_plane():
    stack = widefield_lens(AIR, GRID).stack(point()).numpy()
    # Focus on plane k sees the point (4 - k) planes deeper than the focus.
    for k in (0, 4, 7):
        psf = widefield_psf(AIR, [(4 - k) * 0.5], 64)[0]
        np.testing.assert_allclose(stack[k], psf, atol=5e-3 * psf.max())


def test_chosen_planes_are_those_of_the_whole_stack():
    lens, volume = widefield_lens(AIR, GRID), random_volume(GRID, seeded(4))
    whole = lens.stack(volume)
    assert torch.allclose(lens.stack(volume, torch.tensor([6, 2])), whole[[6, 2]], atol=1e-7)
    assert torch.allclose(whole.sum((1, 2)), torch.ones(9), atol=0.02)


def test_sign_of_z_is_there_with_mismatch_and_not_without():
    def asymmetry(optics):
        stack = widefield_lens(optics, GRID).stack(point())
        return float((stack[0] - stack[8]).abs().sum() / stack[0].sum())

    matched = Optics(0.75, 540.0, 1.37, 1.37, 0.3, depth_um=20.0)
    assert asymmetry(matched) < 1e-3
    assert asymmetry(AIR) > 0.2


def test_confocal_sees_less_of_other_planes_and_sted_is_narrower():
    fine = Grid(planes=5, side_px=96, z_step_um=0.3, pixel_size_um=0.03)
    optics = Optics(1.2, 640.0, 1.4, 1.4, 0.03)
    scanner = Confocal(optics, 600.0)
    volume = torch.zeros(5, 96, 96)
    volume[2, 48, 48] = 1.0
    confocal = confocal_lens(scanner, fine).stack(volume)
    sted = sted_lens(scanner, 750.0, 12.0, fine).stack(volume)
    for stack in (confocal, sted):
        assert float(stack[2].sum()) == pytest.approx(1.0, abs=0.02)
        assert float(stack[0].sum()) < 0.9
    widths = [fwhm_um(stack[2, 48].numpy(), 0.03) for stack in (confocal, sted)]
    assert widths[1] < 0.5 * widths[0]


def test_wrong_sizes_are_refused():
    with pytest.raises(UserError, match="the lens has"):
        widefield_lens(AIR, GRID).stack(torch.zeros(3, 64, 64))
    with pytest.raises(UserError, match="grid"):
        dataclasses.replace(GRID, planes=0)


@pytest.mark.parametrize(("asked_um", "high_um"), [(0.3, 1.5), (5.0, 5.0), (30.0, 10.0)])
def test_cells_stand_on_a_floor_and_are_as_high_as_asked_within_limits(asked_um, high_um):
    place, _ = KINDS["cells"][0](GRID, Dice.of(seeded(5)), asked_um)
    z = place[:, 0]
    # Vesicles are spread by 0.12 um about their places.
    assert float(z.min()) >= -high_um / 2 - 0.7
    assert float(z.max()) <= high_um / 2 + 0.7
    assert float(z.max() - z.min()) > 0.5 * high_um
