"""Impulse noise: what the losses must lead to, and the figures of the paper's example."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training takes the train extra")

from liverestore.training.impulse import (  # noqa: E402
    ImpulsePairs,
    l1_optimum,
    l2_optimum,
    with_impulses,
)
from liverestore.training.losses import LOSSES  # noqa: E402


def noisy_values(value, probability, count=200_000):
    generator = torch.Generator().manual_seed(1)
    clean = torch.full((1, 1, 1, count), value)
    return with_impulses(clean, torch.full((1, 1, 1, 1), probability), generator).flatten()


@pytest.mark.parametrize("value", [0.05, 0.4, 0.9])
@pytest.mark.parametrize("probability", [0.3, 0.7])
def test_the_optima_are_mean_and_median_of_the_noisy_pixel(value, probability):
    seen = noisy_values(value, probability)
    clean = np.array([value], np.float32)
    assert l2_optimum(clean, probability)[0] == pytest.approx(float(seen.mean()), abs=3e-3)
    assert l1_optimum(clean, probability)[0] == pytest.approx(float(seen.median()), abs=6e-3)


def test_at_seventy_per_cent_they_are_the_known_formulas():
    x = np.linspace(0, 1, 11, dtype=np.float32)
    np.testing.assert_allclose(l2_optimum(x, 0.7), 0.3 * x + 0.35, atol=1e-6)
    np.testing.assert_allclose(l1_optimum(x, 0.7), np.clip(x, 2 / 7, 5 / 7), atol=1e-6)


@pytest.mark.parametrize(
    ("loss", "expected"), [("l2", 0.3 * 0.9 + 0.35), ("l1", 5 / 7), ("l0", 0.9)]
)
def test_each_loss_finds_its_optimum_by_descent_on_noisy_targets(loss, expected):
    """A single free number, trained as a network would be."""
    seen = noisy_values(0.9, 0.7, 20_000)
    grid = torch.linspace(0, 1, 101)
    costs = torch.stack([LOSSES[loss](x.expand_as(seen), seen, 0.95) for x in grid])
    assert float(grid[int(costs.argmin())]) == pytest.approx(expected, abs=0.02)


def test_pairs_have_two_noises_and_one_scene():
    pairs = ImpulsePairs(3, batch=2, crop_px=32)
    noisy, target = pairs.pair(0)
    assert noisy.shape == target.shape == (2, 1, 32, 32)
    assert float(noisy.min()) >= -0.5
    assert float(noisy.max()) <= 0.5
    assert not torch.equal(noisy, target)
    again = ImpulsePairs(3, batch=2, crop_px=32).pair(0)
    assert torch.equal(noisy, again[0])
    clean = ImpulsePairs(3, batch=2, crop_px=32, clean_targets=True).pair(0)[1]
    kept = (noisy == clean).float().mean()
    assert 0 < float(kept) < 1
