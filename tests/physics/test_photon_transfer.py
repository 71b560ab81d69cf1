"""Calibration of simulated sensors whose numbers are known."""

import itertools

import numpy as np
import pytest

from liverestore.camera_calibration import calibrate_photon_transfer
from liverestore.errors import UserError
from liverestore.photon_transfer import Measured

SHAPE = (96, 128)
GAIN, READ, ROW = 0.43, 1.6, 0.5
LEVELS = (30, 100, 300, 1000)


class Sensor:
    """Pixels that differ in offset, response and read noise, under light with a hot spot."""

    def __init__(self, seed, *, gain=GAIN, top=65535, offset=100.0):
        rng = np.random.default_rng(1000 + seed)
        self.offset = offset + 2.0 * rng.standard_normal(SHAPE)
        response = 1 + 0.01 * rng.standard_normal(SHAPE)
        self.response = response / response.mean()
        noise = np.exp(0.3 * rng.standard_normal(SHAPE))
        self.read = READ * noise / np.sqrt((noise**2).mean())
        self.gain, self.top = gain, top
        self.rng = np.random.default_rng(seed)
        y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
        self.shading = np.exp(-((y - 40) ** 2 + (x - 70) ** 2) / (2 * 90.0**2))

    def frames(self, count, light_e, flicker=0.0):
        for _ in range(count):
            factor = 1 + flicker * self.rng.standard_normal()
            yield self.frame(light_e * factor * self.shading)

    def frame(self, light_e):
        electrons = self.rng.poisson(light_e * self.response, SHAPE).astype(float)
        electrons += self.read * self.rng.standard_normal(SHAPE)
        electrons += ROW * self.rng.standard_normal((SHAPE[0], 1))
        counts = electrons / self.gain + self.offset
        return np.rint(counts).clip(0, self.top).astype(np.uint16)

    def calibration(self, levels=LEVELS, flicker=0.01, **options):
        return calibrate_photon_transfer(
            self.frames(32, 0),
            (self.frames(16, level, flicker) for level in levels),
            bit_depth=int(self.top).bit_length(),
            **options,
        )

    def truth(self):
        rounding = self.gain**2 / 12
        return {
            "offset_counts": self.offset.mean(),
            "gain_e_per_count": self.gain,
            "read_noise_e": np.sqrt(READ**2 + ROW**2 + rounding),
            "read_noise_median_e": np.median(np.sqrt(self.read**2 + ROW**2 + rounding)),
            "row_noise_e": ROW,
            "fixed_pattern_counts": self.offset.std(),
            "response_nonuniformity": self.response.std(),
        }


def test_numbers_and_maps_of_a_known_sensor():
    sensor = Sensor(0)
    found = sensor.calibration()
    truth = sensor.truth()
    assert found.gain_e_per_count.value == pytest.approx(GAIN, rel=0.01)
    assert found.offset_counts.value == pytest.approx(truth["offset_counts"], abs=0.1)
    assert found.read_noise_e.value == pytest.approx(truth["read_noise_e"], rel=0.01)
    assert found.read_noise_median_e.value == pytest.approx(truth["read_noise_median_e"], rel=0.02)
    assert found.row_noise_e.value == pytest.approx(ROW, rel=0.05)
    assert found.column_noise_e.value < 0.15
    assert found.fixed_pattern_counts.value == pytest.approx(sensor.offset.std(), rel=0.03)
    assert found.response_nonuniformity.value == pytest.approx(0.01, rel=0.06)
    assert found.transfer_residual.value < 0.03
    assert found.saturation_counts is None
    assert found.full_well_e is None
    assert np.corrcoef(found.offset_map.ravel(), sensor.offset.ravel())[0, 1] > 0.93
    assert np.corrcoef(found.relative_gain_map.ravel(), sensor.response.ravel())[0, 1] > 0.75
    # 21 degrees of freedom a pixel leave 15 % of scatter.
    own = np.sqrt(sensor.read**2 + ROW**2)
    assert np.corrcoef(found.read_noise_map.ravel(), own.ravel())[0, 1] > 0.8
    assert not found.defective.any()
    assert any("flickered" in note for note in found.notes)


def test_uncertainties_are_honest():
    pulls = []
    for seed in range(16):
        sensor = Sensor(seed)
        found = sensor.calibration(levels=(100, 800))
        pulls.append(
            [
                (getattr(found, name).value - value) / getattr(found, name).uncertainty
                for name, value in sensor.truth().items()
            ]
        )
    pulls = np.array(pulls)
    assert np.abs(pulls).max() < 4
    assert np.mean(np.abs(pulls) > 3) < 0.02
    assert np.abs(pulls.mean(axis=0)).max() < 1
    # Neither may they hide behind large numbers (the patterns are of this one chip: less).
    assert (pulls.std(axis=0)[:5] > 0.4).all()


def test_maps_remove_more_pattern_than_they_add():
    sensor = Sensor(3)
    maps = sensor.calibration().maps
    fresh = np.mean([sensor.frame(np.zeros(SHAPE)) for _ in range(200)], axis=0)
    assert (fresh - maps.offset_counts).std() < 0.4 * fresh.std()
    # Few darks know little: what is mostly chance is mostly left alone.
    few = calibrate_photon_transfer(
        sensor.frames(16, 0), [sensor.frames(4, level) for level in (100, 800)]
    )
    light = np.mean([sensor.frame(np.full(SHAPE, 5000.0)) for _ in range(40)], axis=0)
    light -= sensor.offset
    assert (light / few.maps.relative_gain).std() < light.std()
    assert (light / few.relative_gain_map).std() > (light / few.maps.relative_gain).std()


def test_a_saturated_level_gives_the_full_well_and_spoils_nothing():
    sensor = Sensor(4, top=4095)
    found = sensor.calibration(levels=(100, 400, 1200, 6000))
    assert [point.used for point in found.points] == [True, True, True, False]
    assert found.saturation_counts == 4095
    well = found.full_well_e
    assert well.value == pytest.approx((4095 - 100) * GAIN, rel=0.02)
    assert well.uncertainty < 0.02 * well.value
    assert found.gain_e_per_count.value == pytest.approx(GAIN, rel=0.01)


def test_exposures_tell_the_linearity():
    found = Sensor(5).calibration(levels=LEVELS, flicker=0, exposures=[3, 10, 30, 100])
    assert found.linearity_residual.value < 0.01
    with pytest.raises(UserError, match="signal and exposure"):
        Sensor(5).calibration(levels=LEVELS, flicker=0, exposures=[3, 10, 30, 150])
    with pytest.raises(UserError, match="one number above 0 for each"):
        Sensor(5).calibration(levels=LEVELS, exposures=[3, 10, 30])


def test_rows_that_flicker_do_not_change_the_gain_of_even_light():
    sensor = Sensor(6)
    sensor.shading = np.ones(SHAPE)

    def banded(count, light_e):
        for number in range(count):
            bands = 1 + 0.02 * np.sin(np.arange(SHAPE[0]) / 5 + 2 * number)[:, None]
            yield sensor.frame(light_e * bands * sensor.shading)

    found = calibrate_photon_transfer(
        sensor.frames(32, 0), [banded(16, level) for level in (200, 2000)]
    )
    assert found.gain_e_per_count.value == pytest.approx(GAIN, rel=0.015)


def test_hot_pixels_are_named_and_left_out():
    sensor = Sensor(7)
    sensor.read[5, 7] = 40.0
    sensor.offset[50, 60] += 500
    found = sensor.calibration()
    assert {tuple(place) for place in np.argwhere(found.defective)} == {(5, 7), (50, 60)}
    assert found.read_noise_e.value == pytest.approx(sensor.truth()["read_noise_e"], rel=0.01)
    assert any("2 defective pixels" in note for note in found.notes)


def test_the_model_restores_with_its_maps():
    sensor = Sensor(8)
    model = sensor.calibration(binning=2).model()
    assert model.maps.binning == 2
    assert model.origin == "calibration"
    assert model.row_noise_e == pytest.approx(ROW, rel=0.06)
    stabilised = model.stabilise(sensor.frame(np.full(SHAPE, 400.0)))
    assert stabilised.std() == pytest.approx(1, abs=0.03)


def drifting(sensor, count, light_e):
    x = np.linspace(-1, 1, SHAPE[1])
    for number in range(count):
        tilt = 1 + 0.3 * x * (number / count - 0.5)
        yield sensor.frame(light_e * tilt * sensor.shading)


def uneven_and_banded(sensor, count, light_e):
    for number in range(count):
        bands = 1 + 0.04 * np.sin(np.arange(SHAPE[0]) / 5 + 2 * number)[:, None]
        yield sensor.frame(light_e * bands * sensor.shading**4)


def compressed(sensor, count, light_e):
    for frame in sensor.frames(count, light_e):
        yield np.rint(100 + 40 * np.sqrt(np.maximum(frame - 100.0, 0))).astype(np.uint16)


@pytest.mark.parametrize(
    ("darks", "flats", "message"),
    [
        (lambda s: s.frames(8, 0), None, "darks: got 8 frames, at least 16"),
        (None, lambda s: [s.frames(2, 99), s.frames(8, 500)], "level 1: got 2 frames, at least 4"),
        (None, lambda s: [s.frames(8, 500)], "got 1 levels of which 0 are saturated"),
        (None, lambda s: [s.frames(8, 9e4), s.frames(8, 500)], "1 are saturated.*less light"),
        (None, lambda s: [s.frames(8, 500), s.frames(8, 550)], "1.5 times the light"),
        (None, lambda s: [s.frames(8, 0.0), s.frames(8, 550)], "not brighter than the darks"),
        (
            None,
            lambda s: [s.frames(16, 100), s.frames(16, 900, 0.15)],
            "flickers by .* allowed are 5 %",
        ),
        (None, lambda s: [s.frames(8, 99), drifting(s, 24, 900)], "moves over the field"),
        (None, lambda s: [s.frames(8, 99), uneven_and_banded(s, 16, 9000)], "rows flicker"),
        (None, lambda s: [compressed(s, 16, n) for n in (50, 400, 3000)], "off the straight line"),
        (None, lambda s: [s.frames(8, 99), (f[:-1] for f in s.frames(8, 9))], "95x128 among"),
        (lambda s: (np.maximum(f, 100) - 100 for f in s.frames(32, 0)), None, "clipped at zero"),
        (lambda s: (np.full(SHAPE, 100, np.uint16) for _ in range(16)), None, "all alike"),
        (lambda s: (f + np.nan for f in s.frames(16, 0)), None, "NaN"),
        (lambda s: itertools.repeat(np.zeros((3, 4, 5)), 16), None, r"\(Y, X\) frames"),
        (lambda s: iter(()), None, "darks: got 0 frames"),
        # Taken with another offset than the flats.
        (lambda s: (f - 50 for f in s.frames(32, 0)), None, "off the straight line"),
    ],
)
def test_bad_series_are_refused_with_the_reason(darks, flats, message):
    sensor = Sensor(9, top=40000)
    dark_frames = (darks or (lambda s: s.frames(32, 0)))(sensor)
    flat_frames = (flats or (lambda s: [s.frames(8, level) for level in (100, 600)]))(sensor)
    with pytest.raises(UserError, match=message) as caught:
        calibrate_photon_transfer(dark_frames, flat_frames)
    assert "\n" not in str(caught.value)


def test_rounding_is_part_of_the_read_noise_and_said_where_it_is_most_of_it():
    sensor = Sensor(10, gain=8.0)
    found = sensor.calibration(levels=(1000, 6000), flicker=0)
    assert found.read_noise_e.value == pytest.approx(
        np.sqrt(READ**2 + ROW**2 + 8.0**2 / 12), rel=0.1
    )
    assert found.gain_e_per_count.value == pytest.approx(8.0, rel=0.02)
    assert any("half a count" in note for note in found.notes)


def test_roots_of_variances_that_chance_made_small():
    assert Measured(4.0, 0.1).root().value == 2.0
    assert Measured(4.0, 0.1).root().uncertainty == pytest.approx(0.1 / 4, rel=0.02)
    assert Measured(-1.0, 0.04).root() == Measured(0.0, 0.2)
    assert str(Measured(0.43, 0.004)) == "0.43 +- 0.004"
