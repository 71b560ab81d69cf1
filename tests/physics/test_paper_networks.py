"""Parameter counts and FLOP are those of the papers' tables."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from liverestore.errors import UserError
from liverestore.training.cross_modality_networks import (
    CrossModalityDiscriminator,
    CrossModalityGenerator,
)
from liverestore.training.deepz_networks import DeepZDiscriminator, DeepZGenerator
from liverestore.training.n2v2_unet import N2V2UNet
from liverestore.training.noise2noise_unet import Noise2NoiseUNet


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@pytest.mark.parametrize(
    ("make", "count"),
    [
        (lambda: DeepZGenerator(1.0), 17_446_172),
        (lambda: DeepZGenerator(0.5), 4_362_829),
        (lambda: DeepZGenerator(0.25), 1_091_407),
        (CrossModalityGenerator, 7_053_953),
        (Noise2NoiseUNet, 988_609),
    ],
)
def test_parameters(make, count):
    with torch.device("meta"):
        network = make()
    assert sum(p.numel() for p in network.parameters()) == count


@pytest.mark.parametrize(
    ("network", "channels", "gflop"),
    [
        (DeepZGenerator, 2, 65.0),
        (CrossModalityGenerator, 1, 36.0),
        (Noise2NoiseUNet, 1, 22.5),
    ],
)
def test_work_at_256_px(network, channels, gflop):
    with torch.device("meta"):
        made, x = network(), torch.zeros(1, channels, 256, 256)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        made(x)
    assert counter.get_total_flops() / 1e9 == pytest.approx(gflop, rel=0.01)


def test_deepz_discriminator_ends_at_3072_channels():
    with torch.device("meta"):
        network = DeepZDiscriminator()
    assert network.dense.in_features == 3072
    convolutions = [m for m in network.features if isinstance(m, torch.nn.Conv2d)]
    assert len(convolutions) == 1 + 6 * 2
    assert [m.stride[0] for m in convolutions[1:]] == [1, 2] * 6
    assert convolutions[0].out_channels == 48


def test_cross_modality_discriminator_has_five_blocks_of_two():
    with torch.device("meta"):
        network = CrossModalityDiscriminator()
    convolutions = [m for m in network.features if isinstance(m, torch.nn.Conv2d)]
    assert [m.stride[0] for m in convolutions] == [1] + [1, 2] * 5


@pytest.mark.parametrize(
    ("network", "channels"),
    [
        (DeepZGenerator(0.25), 2),
        (CrossModalityGenerator(0.25), 1),
        (Noise2NoiseUNet(), 1),
        (N2V2UNet(8), 1),
    ],
)
@pytest.mark.parametrize("steps", [(2, 3), (4, 2)])
def test_any_multiple_of_the_divisor_keeps_its_size(network, channels, steps):
    y, x = (network.divisor * n for n in steps)
    with torch.no_grad():
        assert network(torch.rand(2, channels, y, x) * 8).shape == (2, 1, y, x)


def test_discriminators_give_one_verdict_an_image():
    images = torch.rand(3, 1, 64, 64) * 20
    with torch.no_grad():
        share = DeepZDiscriminator(0.125)(images)
        logit = CrossModalityDiscriminator(0.25)(images)
    assert share.shape == logit.shape == (3,)
    assert ((share > 0) & (share < 1)).all()


def test_deepz_starts_near_the_identity_and_uses_the_distance():
    network = DeepZGenerator(0.25)
    image = torch.rand(1, 1, 64, 64) * 20
    near = torch.cat([image, torch.zeros_like(image)], 1)
    far = torch.cat([image, torch.full_like(image, 4.0)], 1)
    with torch.no_grad():
        a, b = network(near), network(far)
    assert (a - image).abs().mean() < 0.5
    assert (a - b).abs().max() > 1e-3


def test_n2v2_has_no_skip_at_full_resolution_and_no_residual():
    network = N2V2UNet(8)
    # All that reaches the last block comes from half resolution.
    assert network.decoders[-1][0].in_channels == 8 * 1 + 8
    with torch.no_grad():
        for parameter in network.bottom.parameters():
            parameter.zero_()
        for parameter in network.decoders[0].parameters():
            parameter.zero_()
        outputs = network(torch.rand(1, 1, 32, 32) * 20)
    assert float(outputs.std()) == pytest.approx(0, abs=1e-6)


def test_n2v2_pooling_hardly_aliases():
    pool = N2V2UNet(8).pools[0]
    generator = torch.Generator().manual_seed(1)
    x = torch.rand((1, 8, 33, 33), generator=generator)
    here, moved = pool(x[..., :32, :32]), pool(x[..., :32, 1:])
    plain = torch.nn.functional.max_pool2d
    assert (here - moved).std() < 0.6 * (
        plain(x[..., :32, :32], 2) - plain(x[..., :32, 1:], 2)
    ).std()


@pytest.mark.parametrize("width", [0.0, -1.0, 1.5])
def test_impossible_widths_are_refused(width):
    with pytest.raises(UserError, match="above 0 up to 1"):
        DeepZGenerator(width)
    with pytest.raises(UserError, match="above 0 up to 1"):
        CrossModalityGenerator(width)
