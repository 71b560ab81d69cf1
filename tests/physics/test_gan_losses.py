import numpy as np
import pytest
import torch
from scipy import ndimage

from liverestore.training.gan_losses import (
    AdversarialWeight,
    least_squares_discriminator,
    least_squares_generator,
    non_saturating_discriminator,
    non_saturating_generator,
    similarity_loss,
    ssim,
)


def reference_ssim(a, b):
    """Straight from the formula of Wang et al. 2004, in float64, borders left out."""
    blur = lambda x: ndimage.gaussian_filter(x, 1.5, truncate=5 / 1.5)  # noqa: E731
    span = np.ptp(b)
    c1, c2 = (0.01 * span) ** 2, (0.03 * span) ** 2
    ma, mb = blur(a), blur(b)
    va, vb, cab = blur(a * a) - ma**2, blur(b * b) - mb**2, blur(a * b) - ma * mb
    value = (2 * ma * mb + c1) * (2 * cab + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2))
    return value[5:-5, 5:-5].mean()


@pytest.mark.parametrize("level", [0.0, 60.0])
def test_ssim_is_that_of_the_formula(level):
    rng = np.random.default_rng(2)
    truth = ndimage.gaussian_filter(rng.random((48, 40)), 2) * 20 + level
    noisy = truth + rng.standard_normal(truth.shape)
    got = ssim(
        torch.from_numpy(noisy).float()[None, None], torch.from_numpy(truth).float()[None, None]
    )
    assert got.shape == (1,)
    assert float(got) == pytest.approx(reference_ssim(noisy, truth), abs=2e-3)


def test_ssim_is_one_for_equal_pictures_and_has_a_gradient():
    truth = torch.rand(2, 1, 32, 32)
    assert torch.allclose(ssim(truth, truth), torch.ones(2), atol=1e-5)
    image = (truth + 0.1 * torch.randn_like(truth)).requires_grad_()
    before = ssim(image, truth).mean()
    (gradient,) = torch.autograd.grad(before, image)
    better = (image + 20 * gradient).detach()
    assert ssim(better, truth).mean() > before


def test_least_squares_losses():
    made, recorded = torch.tensor([0.0, 0.5]), torch.tensor([1.0, 1.0])
    assert float(least_squares_generator(made)) == pytest.approx((1 + 0.25) / 4)
    assert float(least_squares_discriminator(made, recorded)) == pytest.approx(0.25 / 4)


def test_non_saturating_losses():
    logit = torch.tensor([0.3, -2.0])
    share = torch.sigmoid(logit)
    assert float(non_saturating_generator(logit)) == pytest.approx(float(-share.log().mean()))
    told = non_saturating_discriminator(logit, -logit)
    expected = -(1 - share).log().mean() - torch.sigmoid(-logit).log().mean()
    assert float(told) == pytest.approx(float(expected))
    # It does not saturate: a generator that is found out has a gradient.
    found_out = torch.tensor([-30.0], requires_grad=True)
    non_saturating_generator(found_out).backward()
    assert float(found_out.grad) == pytest.approx(-1.0)


def test_similarity_loss_is_lowest_at_the_truth():
    truth = torch.rand(1, 1, 32, 32) * 10
    assert float(similarity_loss(truth, truth)) == pytest.approx(0, abs=1e-4)
    assert float(similarity_loss(truth + 1, truth)) > 0.5


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_adversarial_part_keeps_its_share(scale):
    weight = AdversarialWeight(share=0.03)
    rest = torch.tensor(2.0 * scale)
    for _ in range(400):
        deceive = torch.tensor(0.5)
        factor = weight(rest, deceive)
    assert factor * 0.5 == pytest.approx(0.03 * 2.0 * scale, rel=1e-3)
    again = AdversarialWeight(share=0.03)
    again.state = dict(weight.state)
    assert again(rest, deceive) == weight(rest, deceive)
