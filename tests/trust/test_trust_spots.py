"""Spots that are not in the data are caught, and clean sequences are left alone."""

import numpy as np
import pytest

from liverestore.errors import UserError
from liverestore.optics import Optics, widefield_psf
from liverestore.rig import SpecimenConfig
from liverestore.specimen import Specimen
from liverestore.trust.engine_habit import habit
from liverestore.trust.motion import Follower
from liverestore.trust.pooling import POOLED_FRAMES, Pool
from liverestore.trust.residual import light_of, noise_check, variance_e
from liverestore.trust.spot_template import ASSUMED_SIGMA_PX, blurred, template_for
from liverestore.trust.spots import spot_test, threshold

OPTICS = Optics(1.2, 525.0, 1.333, 1.36, 0.108333)
READ_E, GAIN = 1.6, 0.46
SIDE = 128
TEMPLATE = template_for(OPTICS)


def noisy(truth, rng):
    return (rng.poisson(truth) + READ_E * rng.standard_normal(truth.shape)).astype(np.float32)


def pooled(truths, shown, rng, moved=lambda _n: None):
    pool = Pool(truths[0].shape)
    for truth, image in zip(truths, shown, strict=True):
        step = moved(image)
        if step is not None:
            pool.follow(step)
        pool.add((noisy(truth, rng) - image) / variance_e(image, READ_E, GAIN), image)
    return pool


def judged(pool):
    return spot_test(pool, TEMPLATE, READ_E, GAIN)


def test_the_template_is_as_wide_as_the_psf_and_finds_its_light():
    psf = widefield_psf(OPTICS, [0.0], 65)[0]
    assert 4 * np.pi * TEMPLATE.sigma_px**2 == pytest.approx(
        1 / (psf**2).sum() * psf.sum() ** 2, rel=0.01
    )
    assert not TEMPLATE.assumed
    spot = TEMPLATE.spot((65, 65), (32, 32))
    assert TEMPLATE.apply(spot)[32, 32] == pytest.approx(TEMPLATE.overlap, rel=1e-3)
    assert TEMPLATE.apply(np.ones((65, 65), np.float32))[32, 32] == pytest.approx(0, abs=1e-5)
    assert template_for(None).sigma_px == ASSUMED_SIGMA_PX


def test_twelve_photons_that_are_not_there_are_caught_after_32_frames():
    """4 e of background, read noise 1.6 e, the PSF of a 60x/1.2 W at 0.108 um."""
    rng = np.random.default_rng(1)
    psf = 12 * widefield_psf(OPTICS, [0.0], 17)[0]
    truth = np.full((SIDE, SIDE), 4.0, np.float32)
    caught = []
    for _trial in range(20):
        y, x = rng.integers(20, SIDE - 20, 2)
        shown = truth.copy()
        shown[y - 8 : y + 9, x - 8 : x + 9] += psf
        test = judged(pooled([truth] * POOLED_FRAMES, [shown] * POOLED_FRAMES, rng))
        caught.append(any(abs(p.y - y) <= 1 and abs(p.x - x) <= 1 for p in test.invented))
        assert not test.missing
        if caught[-1]:
            assert test.invented[0].photons_e == pytest.approx(12, abs=6)
    assert np.mean(caught) >= 0.9


def test_an_engine_that_rounds_all_structure_off_does_not_hide_twelve_photons():
    """It blurs by 0.6 px, always: a bias of several sigma after 32 frames, which is its habit."""
    specimen = Specimen(
        SpecimenConfig(
            seed=5, shape=(SIDE, SIDE), peak_photons_per_ms=0.7, background_photons_per_ms=0.1
        ),
        OPTICS,
    )
    rng = np.random.default_rng(2)
    # Dark enough for such spots to be found at all.
    truth = 4 + 0.3 * specimen.render(0.0, 0.0, 40.0)
    rounded = blurred(truth, 0.6)
    clean = judged(pooled([truth] * POOLED_FRAMES, [rounded] * POOLED_FRAMES, rng))
    assert not clean.invented
    psf = 12 * widefield_psf(OPTICS, [0.0], 17)[0]
    light, caught = blurred(truth, 2.0), []
    places = [(y, x) for y in range(20, 108, 8) for x in range(20, 108, 8) if light[y, x] < 8]
    for y, x in places[::8]:
        shown = rounded.copy()
        shown[y - 8 : y + 9, x - 8 : x + 9] += psf
        test = judged(pooled([truth] * POOLED_FRAMES, [shown] * POOLED_FRAMES, rng))
        caught.append(any(abs(p.y - y) <= 2 and abs(p.x - x) <= 2 for p in test.invented))
    assert len(caught) >= 10
    assert np.mean(caught) >= 0.8


def test_a_spot_between_bright_filaments_is_caught_where_the_picture_shows_one():
    """It rises along the filaments alone, not above its surround."""
    rng = np.random.default_rng(4)
    truth = np.full((SIDE, SIDE), 4.0, np.float32)
    truth[:, [58, 70]] += 80
    truth = blurred(truth, TEMPLATE.sigma_px)
    spot = 16 * TEMPLATE.spot(truth.shape, (64, 64))
    shown = truth + spot
    assert TEMPLATE.apply(shown)[64, 64] < 0, "else it would be too easy"
    test = judged(pooled([truth] * POOLED_FRAMES, [shown] * POOLED_FRAMES, rng))
    assert [(place.y, place.x) for place in test.invented] == [
        (pytest.approx(64, abs=1), pytest.approx(64, abs=1))
    ]
    assert test.invented[0].share >= 0.5, "made up, not only too bright"
    # Of light that the data lack without a spot in the picture nobody is to be told of a spot.
    hole = judged(pooled([truth - spot / 4] * POOLED_FRAMES, [truth] * POOLED_FRAMES, rng))
    assert hole.z[62:67, 62:67].min() < -threshold(SIDE * SIDE) / 2
    assert not hole.invented


@pytest.mark.parametrize("at", [(64, 64), (30, 90)])
def test_how_far_a_spot_stands_out_is_told_in_its_photoelectrons(at):
    slope = np.add.outer(2 * np.arange(SIDE), -3 * np.arange(SIDE)).astype(np.float32)
    places = (np.array([at[0]]), np.array([at[1]]))
    spot = 16 * TEMPLATE.spot(slope.shape, at)
    (told,) = TEMPLATE.stands_out(blurred(slope + spot, TEMPLATE.sigma_px), places)
    assert told == pytest.approx(16, rel=0.1)
    (flat,) = TEMPLATE.stands_out(blurred(slope, TEMPLATE.sigma_px), places)
    assert flat == pytest.approx(0, abs=0.1)


def test_a_habit_is_read_from_much_structure_and_not_from_one_spot():
    rng = np.random.default_rng(3)
    flat = np.full((SIDE, SIDE), 4.0, np.float32)
    one = flat + 40 * TEMPLATE.spot(flat.shape, (60, 60))
    many = flat.copy()
    many[rng.integers(0, SIDE, 400), rng.integers(0, SIDE, 400)] += 60
    many = blurred(many, TEMPLATE.sigma_px)
    for shown, wanted in ((one, 0.0), (many, 0.2)):
        copies = TEMPLATE.copies(shown)
        amplitude = 0.2 * (copies[0] - copies[1]) / TEMPLATE.overlap
        noise = np.full_like(shown, 0.5)
        explained = habit(
            amplitude, noise, shown, copies, variance_e(shown, READ_E, GAIN), TEMPLATE.sigma_px
        )
        inner = (slice(8, -8),) * 2
        left = np.abs(explained - amplitude)[inner].max() / np.abs(amplitude[inner]).max()
        assert left == pytest.approx(0 if wanted else 1, abs=0.2)
    assert not habit(
        amplitude[:20, :20],
        *(a[:20, :20] for a in (noise, shown)),
        tuple(copy[:20, :20] for copy in copies),
        variance_e(shown, READ_E, GAIN)[:20, :20],
        TEMPLATE.sigma_px,
    ).any()


def test_one_frame_alone_does_not_tell():
    rng = np.random.default_rng(2)
    truth = np.full((SIDE, SIDE), 4.0, np.float32)
    shown = truth + 12 * TEMPLATE.spot(truth.shape, (60, 60))
    test = judged(pooled([truth], [shown], rng))
    assert not test.invented
    assert np.median(test.detectable_e) > 12


def test_a_spot_of_the_data_that_is_not_shown_is_missing_and_not_invented():
    rng = np.random.default_rng(3)
    shown = np.full((SIDE, SIDE), 4.0, np.float32)
    truth = shown + 20 * TEMPLATE.spot(shown.shape, (40, 70))
    test = judged(pooled([truth] * POOLED_FRAMES, [shown] * POOLED_FRAMES, rng))
    assert not test.invented
    assert [(p.y, p.x) for p in test.missing] == [pytest.approx((40, 70), abs=1)]
    assert test.z[40, 70] > threshold(SIDE * SIDE)


def test_the_rate_of_false_alarms_is_the_one_stated():
    """One test in a hundred of frames of noise alone; here 200 tests of independent pools."""
    rng = np.random.default_rng(4)
    truth = np.full((64, 64), 3.0, np.float32)
    alarms = 0
    for _ in range(200):
        pool = Pool(truth.shape)
        # The sum of 32 frames at once: light and read noise of all of them.
        total = rng.poisson(32 * truth) + np.sqrt(32) * READ_E * rng.standard_normal(truth.shape)
        mean = ((total / 32 - truth) / variance_e(truth, READ_E, GAIN)).astype(np.float32)
        for _frame in range(POOLED_FRAMES):
            pool.add(mean, truth)
        test = judged(pool)
        alarms += bool(test.invented)
        assert 0.9 < test.z.std() < 1.1
    assert alarms <= 6  # of 200 at 1 %, more than that has a chance of 0.5 %


def test_moving_structures_trip_nothing_at_rest_or_followed():
    specimen = Specimen(
        SpecimenConfig(
            seed=5,
            shape=(SIDE, SIDE),
            peak_photons_per_ms=1.0,
            background_photons_per_ms=0.1,
            speed_um_s=2.0,
        ),
        OPTICS,
    )
    truths = [specimen.render(n * 0.04, 0.0, 40.0) for n in range(40)]
    follower = Follower((SIDE, SIDE))
    steps = []

    def moved(image):
        steps.append(follower.step(image))
        return steps[-1]

    rng = np.random.default_rng(6)
    for test in (
        judged(pooled(truths, truths, rng)),
        judged(pooled(truths, truths, rng, moved)),
    ):
        assert not test.invented
    assert sum(step is not None for step in steps) > 5, "nothing was followed"


def test_a_spot_that_moves_along_with_the_structure_is_caught_where_it_is_followed():
    """At rest its light is spread over the way it went."""
    rng = np.random.default_rng(7)
    texture = np.zeros((SIDE, 2 * SIDE), np.float32)
    texture[rng.integers(0, SIDE, 150), rng.integers(0, 2 * SIDE, 150)] = 300
    texture = 4 + TEMPLATE.apply(texture).clip(0)
    truths, shown = [], []
    for n in range(POOLED_FRAMES):
        truth = texture[:, n : n + SIDE].copy()
        truth[50:78, 80 - n : 108 - n] = 4.0
        truths.append(truth)
        shown.append(truth + 16 * TEMPLATE.spot(truth.shape, (64, 94 - n)))
    at_rest = judged(pooled(truths, shown, rng))
    followed = judged(pooled(truths, shown, rng, Follower((SIDE, SIDE)).step))
    assert not at_rest.invented
    assert [(p.y, p.x) for p in followed.invented] == [pytest.approx((64, 94 - 31), abs=2)]


def test_the_follower_measures_a_shift():
    rng = np.random.default_rng(8)
    image = 50 * TEMPLATE.apply(rng.standard_normal((160, 160)).astype(np.float32))
    follower = Follower((128, 128))
    assert follower.step(image[16:144, 16:144]) is None
    step = follower.step(image[12:140, 19:147])  # structure went 4 down, 3 to the left
    assert np.median(step[0]) == 4
    assert np.median(step[1]) == -3
    assert follower.step(image[12:140, 19:147]) is None


def test_the_pool_follows_and_forgets():
    pool = Pool((8, 8))
    one = np.zeros((8, 8), np.float32)
    one[3, 3] = 1
    pool.add(one, one)
    pool.follow(np.stack([np.full((8, 8), 2, np.int16), np.full((8, 8), -1, np.int16)]))
    assert pool.mean_residual()[5, 2] == 1
    assert not pool.mean_residual()[:2].any()
    for _ in range(300):
        pool.add(np.zeros_like(one), one)
    assert pool.effective_frames == pytest.approx(POOLED_FRAMES, rel=0.01)
    assert abs(pool.mean_residual()).max() < 1e-6


def test_neighbours_of_the_residual():
    rng = np.random.default_rng(9)
    white = rng.standard_normal((256, 256)).astype(np.float32)
    check = noise_check(white)
    assert check.variance == pytest.approx(1, abs=0.03)
    assert abs(check.lag1) < 4 * check.lag1_error
    assert noise_check(white + np.roll(white, 1, 1)).lag1 == pytest.approx(0.25, abs=0.02)
    with pytest.raises(UserError, match="2 x 2"):
        noise_check(white[:1])


def test_two_shapes_are_refused():
    from liverestore.camera_model import CameraModel

    with pytest.raises(UserError, match="one shape"):
        light_of(np.zeros((4, 4)), np.zeros((4, 5)), CameraModel(0, 1, 1), None)
