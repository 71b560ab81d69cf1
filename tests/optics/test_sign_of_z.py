"""The predicted chance of the wrong side against frames with noise, judged one by one."""

from dataclasses import replace

import numpy as np
import pytest

from liverestore.optics import Optics, widefield_psf
from liverestore.sign_of_z import sign_report, wrong_side

AIR = Optics(0.8, 520.0, 1.0, 1.33, 0.325)
BACKGROUND_E, READ_NOISE_E = 2.0, 1.6
FRAMES = 400


def share_on_the_wrong_side(optics, z_um, photons, rng):
    """Of simulated frames, by the likelihood of all distances and brightnesses of either side."""
    tried = np.geomspace(0.5 * z_um, 1.7 * z_um, 40)
    sides = [
        widefield_psf(optics, sign * tried, 33).reshape(40, -1).astype(float) for sign in (1, -1)
    ]
    wrong = 0
    for true, sign in enumerate((1, -1)):
        light = photons * widefield_psf(optics, [sign * z_um], 33).astype(float).ravel()
        frames = rng.poisson(light + BACKGROUND_E, (FRAMES, light.size))
        frames = frames + READ_NOISE_E * rng.standard_normal(frames.shape) - BACKGROUND_E
        best = []
        for psfs in sides:
            likelihood = np.full(FRAMES, -np.inf)
            for psf in psfs:
                variance = photons * psf + BACKGROUND_E + READ_NOISE_E**2
                seen = (frames / variance) @ psf / (psf @ (psf / variance))
                mean = seen[:, None] * psf
                noise = np.maximum(mean, 0) + BACKGROUND_E + READ_NOISE_E**2
                fits = -0.5 * ((frames - mean) ** 2 / noise + np.log(noise)).sum(axis=1)
                likelihood = np.maximum(likelihood, fits)
            best.append(likelihood)
        wrong += int((best[true] < best[1 - true]).sum())
    return wrong / (2 * FRAMES)


@pytest.mark.parametrize(
    ("optics", "photons", "row"),
    [
        (replace(AIR, depth_um=1.0), 1000.0, 1),
        (replace(AIR, depth_um=1.0), 1000.0, 5),
        (replace(AIR, depth_um=3.0), 500.0, 3),
        (Optics(1.2, 525.0, 1.333, 1.333, 0.108, zernike_waves=((6, 0.04),)), 200.0, 5),
    ],
)
def test_predicted_errors_are_those_of_simulated_frames(optics, photons, row):
    report = sign_report(
        optics, photons=photons, background_e=BACKGROUND_E, read_noise_e=READ_NOISE_E
    )
    predicted = report.rows[row]
    assert 0.05 < predicted.error_point < 0.45
    share = share_on_the_wrong_side(optics, predicted.z_um, photons, np.random.default_rng(row))
    off = 3 * np.sqrt(share * (1 - share) / (2 * FRAMES))
    # Mixtures of two distances stand for those between: d' comes out up to a tenth too small.
    assert share - off < predicted.error_point
    assert wrong_side(1.1 * predicted.d_prime_point) < share + off


def test_symmetric_optics_tell_nothing_and_say_so():
    for terms in ((), ((4, 0.2),), ((7, 0.1), (8, 0.1))):
        report = sign_report(replace(AIR, zernike_waves=terms))
        assert all(row.d_prime_point < 0.1 and row.d_prime_texture < 0.1 for row in report.rows)
        assert report.told_um == ()
        assert "does not tell +z from -z" in report.sentence
        assert report.error_at(3.0) == pytest.approx(0.5, abs=0.02)
        assert "look alike" in report.warning_at(3.0)


def test_more_mismatch_and_more_light_tell_more():
    shallow, deep = (sign_report(replace(AIR, depth_um=d)) for d in (2.0, 10.0))
    bright = sign_report(replace(AIR, depth_um=2.0), photons=20_000.0)
    for a, b, c in zip(shallow.rows, deep.rows, bright.rows, strict=True):
        assert a.d_prime_point < b.d_prime_point
        assert a.d_prime_point < c.d_prime_point
        assert a.d_prime_texture < b.d_prime_texture
        # Knowing that it is a point helps.
        assert b.d_prime_texture < b.d_prime_point
    assert len(shallow.told_um) < len(deep.told_um) <= len(deep.rows)
    assert "tells +z from -z at" in deep.sentence
    z = deep.told_um[0]
    assert deep.warning_at(z) is None
    assert deep.warning_at(-z) is None
    # Next to focus the side hardly matters.
    assert deep.warning_at(0.01) is None
    assert deep.error_at(0.0) == 0.5
    assert deep.error_at(-z) <= 0.05 < deep.error_at(0.3 * deep.rows[0].z_um)


def test_a_report_names_its_ranges():
    report = sign_report(replace(AIR, depth_um=10.0))
    low, high = report.told_um[0], report.told_um[-1]
    assert f"at {low:.2g} to {high:.2g} um from focus" in report.sentence
    assert "1000 photons" in report.sentence
    assert "\n" not in report.sentence
